//! The configuration file as a whole: control asks, the parent reads, compares and puts in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc::QueryId;
use ipc::channel::Sender;
use ipc::edit::{Assembly, EditPart, MAX_EDIT, parts};
use ipc::file::{Answer, Done, Request};
use ipc::parent_control::ControlToParent;
use tokio::sync::oneshot;
use tonic::Status;

use crate::error;

/// How long an answer may take: each engine is asked, and others may be under way before it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The way to the parent for what concerns the whole file.
#[derive(Debug)]
pub(crate) struct Files {
    parent: Sender<ControlToParent>,
    /// The parts of one request go without those of another between them.
    sending: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: HashMap<QueryId, oneshot::Sender<Answer>>,
    answers: Assembly<Answer>,
}

impl Files {
    /// Asks this parent.
    pub(crate) fn new(parent: Sender<ControlToParent>) -> Files {
        Files { parent, sending: Arc::default(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the parent says to the request.
    ///
    /// # Errors
    /// Where it refuses, or UNAVAILABLE where it says nothing.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Done, Status> {
        let (client, answer) = oneshot::channel();
        let id = {
            let mut state = self.lock();
            state.last += 1;
            QueryId(state.last)
        };
        let parts = parts(id, request).ok_or_else(|| {
            Status::invalid_argument(format!("the request is too large: it may have {MAX_EDIT} octets"))
        })?;
        self.lock().waiting.insert(id, client);
        let (parent, sending) = (self.parent.clone(), Arc::clone(&self.sending));
        // All parts go, also where the client goes away meanwhile.
        tokio::spawn(async move {
            let _alone = sending.lock().await;
            for part in parts {
                // A link that fails is noticed by its reader, and control ends.
                if parent.send(&ControlToParent::File(part)).await.is_err() {
                    return;
                }
            }
        });
        let result = tokio::time::timeout(TIMEOUT, answer).await;
        self.lock().waiting.remove(&id);
        result
            .map_err(|_| {
                Status::deadline_exceeded("rustbgpd did not answer in time; what was asked may still be done")
            })?
            .map_err(|_| error::unavailable("rustbgpd"))?
            .map_err(error::of_edit)
    }

    /// Takes what the parent sends of an answer, and hands a whole one to the client that asked.
    ///
    /// # Errors
    /// What the parent did wrong.
    pub(crate) fn answered(&self, part: EditPart) -> Result<(), String> {
        let mut state = self.lock();
        if let Some((id, answer)) = state.answers.take(part)?
            && let Some(client) = state.waiting.remove(&id)
        {
            // Nobody waits where the client is gone: what was asked is done all the same.
            let _ = client.send(answer);
        }
        Ok(())
    }
}
