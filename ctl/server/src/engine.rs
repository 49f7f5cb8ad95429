//! The channel to another engine: sends queries, hands every answer to the client that asked.
//!
//! Either side may be restarted at any time. Without a link queries fail with UNAVAILABLE, as do those
//! that were under way when it broke. Nobody waits longer than [`TIMEOUT`].

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc::channel::{Message, Receiver, Sender};
use ipc::control_rde::{ControlToRde, RdeToControl};
use ipc::control_session::{ControlToSession, SessionToControl};
use ipc::{Link, LinkError, QueryId, Role};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use crate::error;

/// How long an engine may take to answer a query.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// A question.
pub(crate) trait Ask: Message + Sync + std::fmt::Debug {
    /// What the engine answers with.
    type Answer: Answer;

    /// Tells the engine that the rest of the answer is not wanted, if it must be told.
    fn cancel(id: QueryId) -> Option<Self>;
}

/// An answer, or a part of one.
pub(crate) trait Answer: Message + std::fmt::Debug {
    /// To which question.
    fn id(&self) -> QueryId;
}

impl Ask for ControlToSession {
    type Answer = SessionToControl;

    fn cancel(_: QueryId) -> Option<ControlToSession> {
        None
    }
}

impl Answer for SessionToControl {
    fn id(&self) -> QueryId {
        match self {
            SessionToControl::PeersReply { id, .. }
            | SessionToControl::ErrorsReply { id, .. }
            | SessionToControl::TrafficReply { id, .. } => *id,
        }
    }
}

impl Ask for ControlToRde {
    type Answer = RdeToControl;

    fn cancel(id: QueryId) -> Option<ControlToRde> {
        Some(ControlToRde::Cancel { id })
    }
}

impl Answer for RdeToControl {
    fn id(&self) -> QueryId {
        match self {
            RdeToControl::Routes { id, .. }
            | RdeToControl::Explained { id, .. }
            | RdeToControl::Failed { id, .. }
            | RdeToControl::CountersReply { id, .. }
            | RdeToControl::ErrorsReply { id, .. }
            | RdeToControl::Injected { id, .. }
            | RdeToControl::OwnersReply { id, .. }
            | RdeToControl::OwnerGone { id, .. }
            | RdeToControl::Watching { id, .. }
            | RdeToControl::Changes { id, .. }
            | RdeToControl::Walked { id, .. }
            | RdeToControl::SoftReset { id, .. }
            | RdeToControl::TrafficReply { id, .. } => *id,
        }
    }
}

/// An engine, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Engine<Q: Ask> {
    role: Role,
    state: Mutex<State<Q>>,
}

#[derive(Debug)]
struct State<Q: Ask> {
    link: Option<Sender<Q>>,
    /// Counts links, so that the end of an old one does not tear down its successor.
    incarnation: u64,
    next_query: u64,
    /// Queries under way. A queue here holds no more than the answer to one query, whose size the query
    /// limits; of an answer that has no end, what the engine may send before it is told that there is room.
    waiting: HashMap<QueryId, mpsc::UnboundedSender<Q::Answer>>,
}

impl<Q: Ask> Engine<Q> {
    /// An engine that is not there yet.
    pub(crate) fn new(role: Role) -> Arc<Engine<Q>> {
        let state = State { link: None, incarnation: 0, next_query: 1, waiting: HashMap::new() };
        Arc::new(Engine { role, state: Mutex::new(state) })
    }

    /// Whether it is there.
    pub(crate) fn is_linked(&self) -> bool {
        self.lock().link.is_some()
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.role.name()
    }

    fn lock(&self) -> MutexGuard<'_, State<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a link to a new incarnation of the engine. Serves it until it ends.
    pub(crate) async fn serve(self: Arc<Self>, fd: OwnedFd) {
        let incarnation = self.forget_link(None);
        match self.serve_link(fd, incarnation).await {
            // It ended: the parent, who watches it, says why and starts another one.
            LinkError::Closed { .. } => tracing::info!(engine = self.name(), "link to engine closed"),
            error => tracing::error!(engine = self.name(), %error, "link to engine broken"),
        }
        self.forget_link(Some(incarnation));
    }

    /// Fails everything under way and returns the number of the next link. With an incarnation, only if
    /// its link is still the one in use.
    fn forget_link(&self, only: Option<u64>) -> u64 {
        let mut state = self.lock();
        if only.is_none_or(|i| i == state.incarnation) {
            state.link = None;
            state.waiting.clear();
            state.incarnation += 1;
        }
        state.incarnation
    }

    async fn serve_link(&self, fd: OwnedFd, incarnation: u64) -> LinkError {
        let with = self.role;
        let mut link = match Link::<Q, Q::Answer>::from_fd(fd, with) {
            Ok(link) => link,
            Err(error) => return LinkError::Io { with, error },
        };
        if let Err(e) = link.greet(Role::Control).await {
            return e;
        }
        let (tx, rx) = link.split();
        {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                return LinkError::Closed { with };
            }
            state.link = Some(tx);
        }
        tracing::debug!(engine = self.name(), "linked to engine");
        self.dispatch(rx, incarnation).await
    }

    async fn dispatch(&self, mut rx: Receiver<Q::Answer>, incarnation: u64) -> LinkError {
        loop {
            let answer = match rx.recv().await {
                Ok(received) => received.message,
                Err(e) => return e,
            };
            let state = self.lock();
            if state.incarnation != incarnation {
                return LinkError::Closed { with: self.role };
            }
            // Nobody waits for the answer to a query that was cancelled.
            if let Some(client) = state.waiting.get(&answer.id()) {
                let _ = client.send(answer);
            }
        }
    }

    /// Sends a query.
    ///
    /// # Errors
    /// UNAVAILABLE where the engine is not there.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        question: impl FnOnce(QueryId) -> Q,
    ) -> Result<Query<Q>, Status> {
        let deadline = Instant::now() + TIMEOUT;
        let (client, answers) = mpsc::unbounded_channel();
        let (id, link) = {
            let mut state = self.lock();
            let link = state.link.clone().ok_or_else(|| error::unavailable(self.name()))?;
            let id = QueryId(state.next_query);
            state.next_query += 1;
            state.waiting.insert(id, client);
            (id, link)
        };
        let engine = Arc::clone(self);
        let query = Query { id, engine, link: link.clone(), answers, deadline, finished: false };
        match tokio::time::timeout_at(deadline, link.send(&question(id))).await {
            Ok(Ok(())) => Ok(query),
            Ok(Err(LinkError::TooLarge { .. })) => {
                Err(Status::invalid_argument("the request is too large: split it"))
            }
            Ok(Err(_)) => Err(error::unavailable(self.name())),
            Err(_) => Err(too_slow(self.name())),
        }
    }
}

fn too_slow(name: &str) -> Status {
    Status::deadline_exceeded(format!("{name} did not answer within {} seconds", TIMEOUT.as_secs()))
}

/// A query under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(crate) struct Query<Q: Ask> {
    id: QueryId,
    engine: Arc<Engine<Q>>,
    link: Sender<Q>,
    answers: mpsc::UnboundedReceiver<Q::Answer>,
    deadline: Instant,
    finished: bool,
}

impl<Q: Ask> Query<Q> {
    /// The next part of the answer.
    ///
    /// # Errors
    /// UNAVAILABLE where the engine goes away, DEADLINE_EXCEEDED where it takes too long.
    pub(crate) async fn next(&mut self) -> Result<Q::Answer, Status> {
        match tokio::time::timeout_at(self.deadline, self.answers.recv()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                self.finished = true;
                Err(error::unavailable(self.engine.name()))
            }
            Err(_) => Err(too_slow(self.engine.name())),
        }
    }

    /// The next part of an answer that has no end, however long it takes.
    ///
    /// # Errors
    /// UNAVAILABLE where the engine goes away.
    pub(crate) async fn next_ever(&mut self) -> Result<Q::Answer, Status> {
        self.answers.recv().await.ok_or_else(|| error::unavailable(self.engine.name()))
    }

    /// What the engine calls it.
    pub(crate) fn id(&self) -> QueryId {
        self.id
    }

    /// Says more to the engine that was asked.
    ///
    /// # Errors
    /// UNAVAILABLE where the engine is gone.
    pub(crate) async fn say(&self, message: Q) -> Result<(), Status> {
        self.link.send(&message).await.map_err(|_| error::unavailable(self.engine.name()))
    }

    /// Says that the last part of the answer has come.
    pub(crate) fn finish(mut self) {
        self.finished = true;
    }

    /// The error of an answer that does not fit the question.
    pub(crate) fn confused(&self) -> Status {
        tracing::error!(engine = self.engine.name(), query = %self.id, "answer does not fit the question");
        Status::internal(format!("{} gave an answer that does not fit the question", self.engine.name()))
    }
}

impl<Q: Ask> Drop for Query<Q> {
    fn drop(&mut self) {
        let mut state = self.engine.lock();
        state.waiting.remove(&self.id);
        if self.finished {
            return;
        }
        if let (Some(link), Some(cancel)) = (state.link.clone(), Q::cancel(self.id)) {
            drop(state);
            tokio::spawn(async move {
                // A link that fails is noticed by its reader.
                let _ = link.send(&cancel).await;
            });
        }
    }
}
