//! Changes of the configuration that clients of the API ask for, one after the other.

use std::collections::VecDeque;
use std::net::IpAddr;

use ipc::channel::BATCH;
use ipc::edit::{Assembly, Edit, EditError, EditPart, Refusal};
use ipc::parent_control::ParentToControl;
use ipc::{QueryId, Role};

use super::Daemon;
use super::reload::AskedBy;
use crate::edit::{self, Replacement};
use crate::supervisor::{NotInForce, Outcome};

/// How many changes may wait for the one that is under way.
const WAITING: usize = 16;

/// What clients ask for.
#[derive(Debug, Default)]
pub(super) struct Edits {
    assembly: Assembly,
    waiting: VecDeque<(QueryId, Edit)>,
}

impl Edits {
    /// Whether there is a change to be made.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Daemon {
    /// Takes what control sends of a change.
    pub(super) fn on_edit(&mut self, part: EditPart) -> Outcome {
        match self.edits.assembly.take(part) {
            Err(what) => return self.out_of_state(Role::Control, &what),
            Ok(None) => {}
            Ok(Some((id, _))) if self.edits.waiting.len() >= WAITING => {
                self.answer_edit(Some(id), Err(busy("too many changes of the configuration wait already")));
            }
            Ok(Some(edit)) => self.edits.waiting.push_back(edit),
        }
        Outcome::Fine
    }

    /// Tells control which chains the file names that is in force.
    pub(super) fn show_chains(&mut self, id: QueryId, neighbor: Option<IpAddr>) {
        let result = edit::chains(&self.text.whole(), neighbor).and_then(|chains| {
            let names = || chains.import.iter().chain(&chains.export);
            // Each name comes with its length.
            if names().map(|name| name.len() + 8).sum::<usize>() <= BATCH {
                return Ok(chains);
            }
            Err(EditError::new(Refusal::Precondition, "the chains have too many names to be shown"))
        });
        if let Some(control) = &mut self.supervisor.control {
            control.tell(ParentToControl::ChainsReply { id, result });
        }
    }

    /// Begins the change that waits longest; `false`: there is none.
    pub(super) fn next_edit(&mut self) -> bool {
        let Some((id, edit)) = self.edits.waiting.pop_front() else { return false };
        if let Err(error) = self.begin_edit(id, &edit) {
            self.answer_edit(Some(id), Err(error));
        }
        true
    }

    fn begin_edit(&mut self, id: QueryId, edit: &Edit) -> Result<(), EditError> {
        self.waits_for_confirmation().map_or(Ok(()), Err)?;
        let (path, before) = match edit::holder(&self.text, edit) {
            Some((path, text)) => (path, text),
            None => (&self.config_path, self.text.main()),
        };
        let text = edit::apply(before.expose(), &self.text.whole(), &self.config, edit)?;
        let loaded = edit::check_all(&self.config_path, &self.text, (path, &text), edit)?;
        // On the disk before anything is changed.
        let file = Replacement::prepare(path, before, &text)
            .inspect_err(|error| tracing::warn!(%error, "a change of the configuration cannot be written"))?;
        self.put_in_force(loaded, Some(file), AskedBy::Client(Some(id)));
        Ok(())
    }

    /// Answers what can't be begun soon.
    pub(super) fn refuse_edits(&mut self) {
        for (id, _) in std::mem::take(&mut self.edits.waiting) {
            self.answer_edit(Some(id), Err(busy("an engine is being started")));
        }
    }

    /// Tells control what became of a change.
    pub(super) fn answer_edit(&mut self, id: Option<QueryId>, result: Result<(), EditError>) {
        if let (Some(control), Some(id)) = (&mut self.supervisor.control, id) {
            control.tell(ParentToControl::EditReply { id, result });
        }
    }

    /// Control is gone, and so are the clients. The next one counts its requests from the beginning.
    pub(super) fn forget_clients(&mut self) {
        self.edits = Edits::default();
        self.questions.forget();
        self.forget_files();
        if let Some(AskedBy::Client(id) | AskedBy::File(id, _)) =
            self.reload.as_mut().map(|reload| &mut reload.asked_by)
        {
            *id = None;
        }
    }
}

pub(super) fn busy(why: &str) -> EditError {
    EditError::new(Refusal::Unavailable, format!("{why}: try again"))
}

impl From<NotInForce> for EditError {
    fn from(error: NotInForce) -> EditError {
        match error {
            NotInForce::File(error) => {
                tracing::warn!(%error, "a change of the configuration cannot be written");
                error.into()
            }
            NotInForce::Ended(_) => busy(&error.to_string()),
            NotInForce::Refused(why) => {
                EditError::new(Refusal::Precondition, format!("the change is not made: {why}"))
            }
        }
    }
}
