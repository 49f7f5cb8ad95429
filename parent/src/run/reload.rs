//! Another configuration: the file as it is read again after SIGHUP, or as a client of the API wants it. What differs is put in
//! force in all engines or in none.

use ipc::QueryId;
use ipc::edit::EditError;
use ipc::file::{Answer, Done};

use super::Daemon;
use super::file::Whole;
use crate::changes::{Changes, Cost, applicable};
use crate::config::{self, Config, Files, Loaded};
use crate::edit::Replacement;
use crate::supervisor::NotInForce;
use crate::{ready, sockets};

/// A configuration that the engines are asked about.
#[derive(Debug)]
pub(super) struct Reload {
    config: Config,
    text: Files,
    changes: Changes,
    /// What the operator should know of it.
    warnings: Vec<String>,
    /// What the file becomes when it is confirmed.
    file: Option<Replacement>,
    pub(super) asked_by: AskedBy,
}

/// Who wants another configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// Whoever sent SIGHUP.
    Operator,
    /// A client of the API, who waits for the answer to this request; `None`: it is gone.
    Client(Option<QueryId>),
    /// The same, who wants the file as a whole to be another one.
    File(Option<QueryId>, Whole),
}

impl Daemon {
    /// Begins what is wanted, and ends what the engines have answered.
    pub(super) fn reload_goes_on(&mut self) {
        if let Some(result) = self.supervisor.take_reloaded()
            && let Some(reload) = self.reload.take()
        {
            match result {
                Ok(()) => self.in_force(reload),
                Err(error) => self.not_in_force(reload.asked_by, error),
            }
        }
        while self.supervisor.may_reload() {
            if std::mem::take(&mut self.reload_wanted) {
                self.begin_reload();
            } else if !self.next_edit() && !self.next_file() {
                return;
            }
        }
        if !self.supervisor.is_reloading() && !self.supervisor.is_adding() {
            self.refuse_edits();
            self.refuse_files();
        }
    }

    /// Lets dynamic neighbors come and go, unless another configuration is about to come.
    pub(super) fn dynamic_goes_on(&mut self) {
        let wait = self.reload_wanted || self.edits.are_waiting() || self.files.are_waiting();
        self.supervisor.dynamic_goes_on(wait);
    }

    fn begin_reload(&mut self) {
        ready::reloading();
        if let Some(error) = self.waits_for_confirmation() {
            tracing::error!(error = error.message, "config reload failed");
            self.reload_ended();
            return;
        }
        let loaded = match config::load(&self.config_path) {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                let (path, errors) = (self.config_path.display(), diagnostics.count());
                tracing::error!(%path, errors, error = %diagnostics, "config reload failed");
                ready::ready(self.config.global.asn);
                return;
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.put_in_force(loaded, None, AskedBy::Operator);
    }

    /// Has the engines use what `loaded` says, if they can. Then the configuration file becomes `file`.
    pub(super) fn put_in_force(&mut self, loaded: Loaded, file: Option<Replacement>, asked_by: AskedBy) {
        if let Err(error) = self.ask_engines(loaded, file, asked_by) {
            self.not_in_force(asked_by, error);
        }
    }

    fn ask_engines(
        &mut self,
        loaded: Loaded,
        file: Option<Replacement>,
        asked_by: AskedBy,
    ) -> Result<(), NotInForce> {
        let changes = Changes::between(&self.config, &loaded.config);
        for key in changes.restart.iter().filter(|_| !matches!(asked_by, AskedBy::Client(_))) {
            tracing::warn!(key, "{key} was changed in the configuration file: that needs a restart");
        }
        let config = applicable(&self.config, loaded.config);
        let (at_once, later) = match asked_by {
            AskedBy::File(_, Whole::Try(_)) => (None, file),
            _ => (file, None),
        };
        let reload =
            Reload { config, text: loaded.text, changes, warnings: loaded.warnings, file: later, asked_by };
        if reload.changes.is_empty() {
            at_once.map_or(Ok(()), Replacement::publish)?;
            self.in_force(reload);
            return Ok(());
        }
        let refused = |error: String| NotInForce::Refused(error);
        let next = self.supervisor.plan.next(&self.config, &reload.config, &reload.changes);
        let plan = next.map_err(|e| refused(e.to_string()))?;
        let peers = sockets::peers(&reload.config);
        self.supervisor.begin_reload(plan, peers, at_once).map_err(|e| refused(e.to_string()))?;
        self.reload = Some(reload);
        Ok(())
    }

    /// All engines use it.
    fn in_force(&mut self, reload: Reload) {
        let Reload { config, text, changes, warnings, file, asked_by } = reload;
        let before = (std::mem::replace(&mut self.config, config), std::mem::replace(&mut self.text, text));
        log(&changes, asked_by);
        match asked_by {
            AskedBy::Operator => self.reload_ended(),
            AskedBy::Client(id) => self.answer_edit(id, Ok(())),
            AskedBy::File(id, whole) => {
                match whole {
                    Whole::Apply => {}
                    Whole::Try(seconds) => self.trial_begins(seconds, before, file),
                    Whole::Rollback => self.trial_is_over(),
                }
                self.answer_file(id, Ok(Done::Differences(changes.told(warnings))));
            }
        }
    }

    /// All is as before.
    fn not_in_force(&mut self, asked_by: AskedBy, error: NotInForce) {
        match asked_by {
            AskedBy::Operator => {
                let path = self.config_path.display();
                tracing::error!(%path, %error, "config reload failed");
                self.reload_ended();
            }
            AskedBy::Client(id) => self.answer_edit(id, Err(error.into())),
            AskedBy::File(id, whole) => {
                if whole == Whole::Rollback {
                    self.trial_goes_on(&error);
                } else {
                    tracing::error!(%error, "config reload failed");
                }
                self.answer_file(id, Answer::Err(EditError::from(error)));
            }
        }
    }

    fn reload_ended(&self) {
        if self.stopping.is_none() {
            ready::ready(self.config.global.asn);
        }
    }
}

fn log(changes: &Changes, asked_by: AskedBy) {
    let ranges = &changes.dynamic_neighbors;
    for changed in &ranges.changed {
        let reset = changed.cost == Cost::Reset;
        let (prefix, keys) = (changed.prefix, changed.keys.join(" "));
        tracing::info!(%prefix, keys, reset, "range of dynamic neighbors changed");
    }
    for (prefixes, what) in [(&ranges.added, "added"), (&ranges.removed, "removed")] {
        prefixes.iter().for_each(|prefix| tracing::info!(%prefix, "range of dynamic neighbors {what}"));
    }
    for changed in &changes.changed {
        let reset = changed.cost == Cost::Reset;
        let (peer_addr, keys) = (changed.address, changed.keys.join(" "));
        tracing::info!(%peer_addr, keys, reset, "neighbor changed");
    }
    let (added, removed, changed) = (changes.added.len(), changes.removed.len(), changes.changed.len());
    match asked_by {
        AskedBy::Operator | AskedBy::File(..) => tracing::info!(added, removed, changed, "config reloaded"),
        AskedBy::Client(_) => tracing::info!(added, removed, changed, "config changed through the API"),
    }
}
