//! Asks the parent what it knows of the daemon's processes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipc::QueryId;
use ipc::channel::Sender;
use ipc::figures::{DynamicPeers, Process, Traffic};
use ipc::parent_control::ControlToParent;
use tokio::sync::oneshot;
use tonic::Status;

use crate::engine::TIMEOUT;
use crate::error;

/// What the parent answers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    /// The processes that live.
    pub(crate) processes: Vec<Process>,
    /// What went over the parent's channels.
    pub(crate) traffic: Vec<Traffic>,
    /// The dynamic peers.
    pub(crate) dynamic: DynamicPeers,
}

/// The questions under way.
#[derive(Debug)]
pub(crate) struct Processes {
    parent: Sender<ControlToParent>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    next: u64,
    waiting: HashMap<QueryId, oneshot::Sender<Answer>>,
}

impl Processes {
    /// None yet.
    pub(crate) fn new(parent: Sender<ControlToParent>) -> Processes {
        Processes { parent, asked: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks.
    ///
    /// # Errors
    /// UNAVAILABLE where the parent does not answer.
    pub(crate) async fn ask(&self) -> Result<Answer, Status> {
        let (client, answer) = oneshot::channel();
        let id = {
            let mut asked = self.lock();
            asked.next += 1;
            let id = QueryId(asked.next);
            // Of questions that nobody waits for any more nothing stays.
            asked.waiting.retain(|_, client| !client.is_closed());
            asked.waiting.insert(id, client);
            id
        };
        let answered = async {
            self.parent.send(&ControlToParent::Processes { id }).await.ok()?;
            answer.await.ok()
        };
        let answered = tokio::time::timeout(TIMEOUT, answered).await;
        answered.ok().flatten().ok_or_else(|| error::unavailable("rustbgpd"))
    }

    /// The parent has answered.
    pub(crate) fn answered(&self, id: QueryId, answer: Answer) {
        // Nobody waits where the client is gone.
        if let Some(client) = self.lock().waiting.remove(&id) {
            let _ = client.send(answer);
        }
    }
}
