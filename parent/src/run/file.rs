//! The configuration file as a whole, for clients of the API: shown, checked, compared, replaced; for good, or until it is
//! confirmed.
//!
//! What has to be confirmed is in force in the engines only. The file stays what it was, and the new one lies beside it, until
//! the confirmation comes; whatever ends the daemon meanwhile, the next start is one with the old file.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use ipc::edit::{Assembly, EditError, EditPart, Refusal, parts};
use ipc::file::{Answer, Checked, Done, MAX_CONFIRM, Request, Text};
use ipc::parent_control::ParentToControl;
use ipc::{QueryId, Role};

use super::Daemon;
use super::edits::busy;
use super::reload::AskedBy;
use crate::changes::Changes;
use crate::config::{self, Config, Diagnostics, Files, Loaded, Origin};
use crate::edit::{self, Replacement};
use crate::supervisor::{NotInForce, Outcome};

/// How many requests may wait for the one that is under way.
const WAITING: usize = 4;
/// The most octets of diagnostics that a client is sent.
const DIAGNOSTICS: usize = 1 << 20;
/// After this long the configuration of before is tried again, where the engines could not use it.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What clients ask for, and what waits to be confirmed.
#[derive(Debug, Default)]
pub(super) struct Requests {
    assembly: Assembly<Request>,
    waiting: VecDeque<(QueryId, Request)>,
    trial: Option<Trial>,
}

impl Requests {
    /// Whether there is a request to be dealt with.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// A configuration that is in force until it is confirmed, or its time is over.
#[derive(Debug)]
struct Trial {
    until: Instant,
    /// What was in force before.
    config: Config,
    /// The files, still.
    text: Files,
    /// What the file becomes. `None`: it could not, and has to be written again.
    file: Option<Replacement>,
    /// It ends without confirmation.
    over: bool,
}

/// What a request puts in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Another text, for good.
    Apply,
    /// Another text, for so many seconds.
    Try(u32),
    /// What was in force before.
    Rollback,
}

impl Daemon {
    /// Takes what control sends of a request.
    pub(super) fn on_file(&mut self, part: EditPart) -> Outcome {
        match self.files.assembly.take(part) {
            Err(what) => return self.out_of_state(Role::Control, &what),
            Ok(None) => {}
            Ok(Some((id, Request::Show))) => self.answer_file(Some(id), self.shown()),
            Ok(Some((id, Request::Check(text)))) => self.answer_file(Some(id), self.checked(&text)),
            Ok(Some((id, Request::Diff(text)))) => self.answer_file(Some(id), self.compared(&text)),
            Ok(Some((id, Request::Confirm))) => {
                let answer = self.confirm();
                self.answer_file(Some(id), answer);
            }
            Ok(Some((id, _))) if self.files.waiting.len() >= WAITING => {
                self.answer_file(Some(id), Err(busy("too many changes of the configuration wait already")));
            }
            Ok(Some(request)) => self.files.waiting.push_back(request),
        }
        Outcome::Fine
    }

    fn shown(&self) -> Answer {
        let mut text = config::without_secrets(str::from_utf8(self.text.expose()).unwrap_or_default());
        for (path, included) in self.text.included() {
            let included = str::from_utf8(included.expose()).unwrap_or_default();
            text.push_str(&format!("\n# --- included: {} ---\n", path.display()));
            text.push_str(&config::without_secrets(included));
        }
        let left = |trial: &Trial| trial.until.saturating_duration_since(Instant::now()).as_secs();
        let confirm_within = self.files.trial.as_ref().map(|t| u32::try_from(left(t)).unwrap_or(u32::MAX));
        Ok(Done::Shown { text, confirm_within })
    }

    fn checked(&self, text: &Text) -> Answer {
        edit::unchanged_beyond_clients(self.text.expose(), &text.text)?;
        Ok(Done::Checked(match config::tested_text(self.origin(text), &text.text) {
            Ok(loaded) => Checked { warnings: loaded.warnings, tested: loaded.tested, ..Checked::default() },
            Err(diagnostics) => Checked {
                errors: u32::try_from(diagnostics.count()).unwrap_or(u32::MAX),
                diagnostics: diagnostics.bounded(DIAGNOSTICS),
                ..Checked::default()
            },
        }))
    }

    fn compared(&self, text: &Text) -> Answer {
        let loaded = self.read(text)?;
        Ok(Done::Differences(Changes::between(&self.config, &loaded.config).told(loaded.warnings)))
    }

    /// A text stands in the place of the main file; what it includes is here.
    fn origin<'a>(&'a self, text: &'a Text) -> Origin<'a> {
        Origin { name: Path::new(&text.name), folder: config::folder_of(&self.config_path), instead: None }
    }

    /// Reads what a client wants to be the file.
    fn read(&self, text: &Text) -> Result<Loaded, EditError> {
        edit::unchanged_beyond_clients(self.text.expose(), &text.text)?;
        config::from_text(self.origin(text), &text.text).map_err(|d| invalid(&d))
    }

    /// Makes the file what is in force already.
    fn confirm(&mut self) -> Answer {
        let Some(trial) = self.files.trial.as_mut().filter(|t| !t.over) else { return Err(nothing_waits()) };
        let published = match trial.file.take() {
            Some(file) => file.publish(),
            None => {
                let text = str::from_utf8(self.text.expose()).unwrap_or_default();
                Replacement::prepare(&self.config_path, trial.text.main(), text)
                    .and_then(Replacement::publish)
            }
        };
        published
            .inspect_err(|error| tracing::warn!(%error, "a change of the configuration cannot be written"))?;
        self.files.trial = None;
        tracing::info!("config confirmed");
        Ok(Done::Done)
    }

    /// Why nothing else may change the configuration at the moment.
    pub(super) fn waits_for_confirmation(&self) -> Option<EditError> {
        let trial = self.files.trial.as_ref()?;
        let why = if trial.over {
            "the configuration of before is being put in force again: try again".to_owned()
        } else {
            let left = trial.until.saturating_duration_since(Instant::now()).as_secs();
            format!(
                "the configuration waits to be confirmed, for {left} s: first `rustbgpctl config confirm`, or \
                 `rustbgpctl config rollback`"
            )
        };
        Some(EditError::new(Refusal::Precondition, why))
    }

    /// Begins what has to be done; `false`: there is nothing.
    pub(super) fn next_file(&mut self) -> bool {
        if self.files.trial.as_ref().is_some_and(|t| t.over && t.until <= Instant::now()) {
            self.roll_back(None);
            return true;
        }
        let Some((id, request)) = self.files.waiting.pop_front() else { return false };
        let begun = match request {
            Request::Apply { text, confirm_within } => self.begin_apply(id, &text, confirm_within),
            Request::Rollback if self.files.trial.is_some() => {
                self.roll_back(Some(id));
                Ok(())
            }
            _ => Err(nothing_waits()),
        };
        if let Err(error) = begun {
            self.answer_file(Some(id), Err(error));
        }
        true
    }

    fn begin_apply(&mut self, id: QueryId, text: &Text, within: Option<u32>) -> Result<(), EditError> {
        self.waits_for_confirmation().map_or(Ok(()), Err)?;
        if let Some(seconds) = within.filter(|s| !(1..=MAX_CONFIRM).contains(s)) {
            let why = format!("a configuration can be confirmed within 1 to {MAX_CONFIRM} seconds");
            return Err(EditError::about(Refusal::Invalid, "confirm_within", seconds, why));
        }
        let loaded = self.read(text)?;
        // On the disk before anything is changed.
        let file = Replacement::prepare(&self.config_path, self.text.main(), &text.text)
            .inspect_err(|error| tracing::warn!(%error, "a change of the configuration cannot be written"))?;
        let whole = within.map_or(Whole::Apply, Whole::Try);
        self.put_in_force(loaded, Some(file), AskedBy::File(Some(id), whole));
        Ok(())
    }

    fn roll_back(&mut self, id: Option<QueryId>) {
        let Some(trial) = &mut self.files.trial else { return };
        trial.over = true;
        // Nothing of it is written.
        trial.file = None;
        let (config, text) = (trial.config.clone(), trial.text.clone());
        let loaded = Loaded { config, text, warnings: Vec::new(), tested: None };
        self.put_in_force(loaded, None, AskedBy::File(id, Whole::Rollback));
    }

    /// What was in force is kept, until what is now is confirmed.
    pub(super) fn trial_begins(
        &mut self,
        seconds: u32,
        (config, text): (Config, Files),
        file: Option<Replacement>,
    ) {
        let until = Instant::now() + Duration::from_secs(seconds.into());
        tracing::warn!(seconds, "config waits to be confirmed: without that it is rolled back");
        self.files.trial = Some(Trial { until, config, text, file, over: false });
    }

    /// What was in force before is again.
    pub(super) fn trial_is_over(&mut self) {
        self.files.trial = None;
        tracing::warn!("config rolled back: it was not confirmed");
    }

    /// The engines could not use what was in force before.
    pub(super) fn trial_goes_on(&mut self, error: &NotInForce) {
        tracing::error!(%error, "config rollback failed: it is tried again");
        if let Some(trial) = &mut self.files.trial {
            trial.until = Instant::now() + TRY_AGAIN;
        }
    }

    /// When [`file_time`](Self::file_time) has something to do.
    pub(super) fn file_deadline(&self) -> Option<Instant> {
        let trial = self.files.trial.as_ref().filter(|_| self.stopping.is_none())?;
        // What is over waits for engines that are being started.
        (!trial.over || self.supervisor.may_reload()).then_some(trial.until)
    }

    /// The time is over in which something could be confirmed.
    pub(super) fn file_time(&mut self, now: Instant) {
        if let Some(trial) = self.files.trial.as_mut().filter(|t| t.until <= now && !t.over) {
            trial.over = true;
        }
    }

    /// Answers what can't be begun soon.
    pub(super) fn refuse_files(&mut self) {
        for (id, _) in std::mem::take(&mut self.files.waiting) {
            self.answer_file(Some(id), Err(busy("an engine is being started")));
        }
    }

    /// Tells control what became of a request.
    pub(super) fn answer_file(&mut self, id: Option<QueryId>, answer: Answer) {
        let (Some(control), Some(id)) = (&mut self.supervisor.control, id) else { return };
        let too_large = || EditError::new(Refusal::Precondition, "the answer is too large to be sent");
        let answer = parts(id, &answer).or_else(|| parts(id, &Answer::Err(too_large())));
        for part in answer.unwrap_or_default() {
            control.tell(ParentToControl::FileReply(part));
        }
    }

    /// Control is gone, and so are the clients.
    pub(super) fn forget_files(&mut self) {
        self.files.assembly = Assembly::default();
        self.files.waiting.clear();
    }
}

fn nothing_waits() -> EditError {
    EditError::new(Refusal::Precondition, "no configuration waits to be confirmed")
}

/// The first error; all of them are for who has the text checked.
fn invalid(diagnostics: &Diagnostics) -> EditError {
    let (field, value, message) = diagnostics.first();
    EditError::about(Refusal::Invalid, field, value, message)
}
