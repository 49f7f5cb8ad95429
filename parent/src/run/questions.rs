//! What clients of the API ask about the configuration in force. Answered in a thread, one question after the other: the file
//! may be large, and its tests many.

use std::collections::VecDeque;
use std::path::Path;

use ipc::QueryId;
use ipc::edit::{EditError, MAX_EDIT, Refusal, parts};
use ipc::object::{Answer, Question, Reply, TestReport};
use ipc::parent_control::ParentToControl;
use tokio::task::JoinHandle;

use super::Daemon;
use super::edits::busy;
use crate::config::{self, Files};
use crate::edit;

/// How many questions may wait for the one that is being answered.
const WAITING: usize = 16;

/// The questions of clients.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: VecDeque<(QueryId, Question)>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// Who asked; `None`: it is gone.
    asked: Option<QueryId>,
    task: JoinHandle<Reply>,
}

impl Questions {
    /// The clients that asked are gone.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        if let Some(running) = &mut self.running {
            running.asked = None;
        }
    }

    /// Waits for the answer that is worked on, if there is one.
    pub(super) async fn answered(&mut self) -> Reply {
        match &mut self.running {
            Some(running) => {
                (&mut running.task).await.unwrap_or_else(|_| Err(busy("the answer was cut short")))
            }
            None => std::future::pending().await,
        }
    }
}

impl Daemon {
    /// Takes a question.
    pub(super) fn on_question(&mut self, id: QueryId, question: Question) {
        if self.questions.waiting.len() >= WAITING {
            self.answer(id, Err(busy("too many questions about the configuration wait already")));
            return;
        }
        self.questions.waiting.push_back((id, question));
        self.next_question();
    }

    /// Tells the client what it asked, and goes on with the next one.
    pub(super) fn on_answer(&mut self, answer: Reply) {
        if let Some(id) = self.questions.running.take().and_then(|running| running.asked) {
            self.answer(id, answer);
        }
        self.next_question();
    }

    fn next_question(&mut self) {
        if self.questions.running.is_some() {
            return;
        }
        let Some((id, question)) = self.questions.waiting.pop_front() else { return };
        let (path, text) = (self.config_path.clone(), self.text.clone());
        let task = tokio::task::spawn_blocking(move || look_up(&path, &text, question));
        self.questions.running = Some(Running { asked: Some(id), task });
    }

    fn answer(&mut self, id: QueryId, answer: Reply) {
        let Some(control) = &mut self.supervisor.control else { return };
        let too_large =
            || EditError::new(Refusal::Precondition, format!("the answer has more than {MAX_EDIT} octets"));
        let parts = parts(id, &answer).or_else(|| parts(id, &Reply::Err(too_large())));
        for part in parts.unwrap_or_default() {
            control.tell(ParentToControl::Answer(part));
        }
    }
}

fn look_up(path: &Path, files: &Files, question: Question) -> Reply {
    match question {
        Question::Objects { kind, name } => edit::objects(&files.whole(), kind, name.as_deref()),
        Question::Sizes { kind } => edit::sizes(&files.whole(), kind),
        Question::PolicyTests => run_tests(path, files).map(Answer::PolicyTests),
    }
}

fn run_tests(path: &Path, files: &Files) -> Result<TestReport, EditError> {
    config::test_policies(path, files)
        .map_err(|diagnostics| EditError::new(Refusal::Precondition, diagnostics.to_string()))
}
