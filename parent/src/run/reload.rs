//! SIGHUP: the file is read again, and what differs is put in force in all engines or in none.

use super::Daemon;
use crate::changes::{Changes, Cost, applicable};
use crate::config::{self, Loaded};
use crate::{ready, sockets};

impl Daemon {
    /// Begins a reload that is wanted, and ends one that the engines have answered.
    pub(super) fn reload_goes_on(&mut self) {
        if let Some(result) = self.supervisor.take_reloaded() {
            self.reload_ended(result);
        }
        if self.reload_wanted && self.supervisor.may_reload() {
            self.reload_wanted = false;
            self.begin_reload();
        }
    }

    fn begin_reload(&mut self) {
        ready::reloading();
        let loaded = match config::load(&self.config_path) {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                let (path, errors) = (self.config_path.display(), diagnostics.count());
                tracing::error!(%path, errors, error = %diagnostics, "config reload failed");
                ready::ready(self.config.global.asn);
                return;
            }
        };
        if let Err(error) = self.ask_engines(loaded) {
            self.reload_ended(Err(error));
        }
    }

    fn ask_engines(&mut self, loaded: Loaded) -> Result<(), String> {
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let changes = Changes::between(&self.config, &loaded.config);
        for key in &changes.restart {
            tracing::warn!(key, "{key} was changed in the configuration file: that needs a restart");
        }
        let config = applicable(&self.config, loaded.config);
        if changes.is_empty() {
            self.reload = Some((config, changes));
            self.reload_ended(Ok(()));
            return Ok(());
        }
        let plan = self.supervisor.plan.next(&config, &changes).map_err(|error| error.to_string())?;
        self.supervisor.begin_reload(plan, sockets::peers(&config)).map_err(|error| error.to_string())?;
        self.reload = Some((config, changes));
        Ok(())
    }

    fn reload_ended(&mut self, result: Result<(), String>) {
        let reload = self.reload.take();
        match result {
            Ok(()) => {
                if let Some((config, changes)) = reload {
                    self.config = config;
                    log(&changes);
                }
            }
            Err(error) => {
                let path = self.config_path.display();
                tracing::error!(%path, error, "config reload failed");
            }
        }
        if self.stopping.is_none() {
            ready::ready(self.config.global.asn);
        }
    }
}

fn log(changes: &Changes) {
    for changed in &changes.changed {
        let reset = changed.cost == Cost::Reset;
        let (peer_addr, keys) = (changed.address, changed.keys.join(" "));
        tracing::info!(%peer_addr, keys, reset, "neighbor changed");
    }
    let (added, removed, changed) = (changes.added.len(), changes.removed.len(), changes.changed.len());
    tracing::info!(added, removed, changed, "config reloaded");
}
