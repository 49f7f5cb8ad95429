//! Changes of the configuration: control describes them, the parent makes and writes them, and answers when all engines use
//! them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc::QueryId;
use ipc::channel::Sender;
use ipc::edit::{Assembly, Chains, Edit, EditError, EditPart, MAX_EDIT, parts};
use ipc::object::{Answer, Kind, Object, Question, Reply};
use ipc::parent_control::ControlToParent;
use tokio::sync::oneshot;
use tonic::Status;

use crate::error;

/// How long a change may take: each engine is asked, and others may be under way before it.
const TIMEOUT: Duration = Duration::from_secs(60);

type Waiting<T> = HashMap<QueryId, oneshot::Sender<Result<T, EditError>>>;

/// The way to the parent for changes of the configuration.
#[derive(Debug)]
pub(crate) struct Edits {
    parent: Sender<ControlToParent>,
    /// The parts of one change go without those of another between them.
    sending: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    changes: Waiting<()>,
    chains: Waiting<Chains>,
    answers: Waiting<Answer>,
    /// What has come of an answer.
    parts: Assembly<Reply>,
}

impl Edits {
    /// Asks this parent.
    pub(crate) fn new(parent: Sender<ControlToParent>) -> Edits {
        Edits { parent, sending: Arc::default(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the change made: in force and in the file when this returns.
    ///
    /// # Errors
    /// What the parent says, or UNAVAILABLE where it says nothing.
    pub(crate) async fn make(&self, edit: Edit) -> Result<(), Status> {
        let (id, answer) = self.number(|state| &mut state.changes);
        let result = match self.send(id, &edit) {
            Ok(()) => tokio::time::timeout(TIMEOUT, answer).await,
            Err(status) => {
                self.lock().changes.remove(&id);
                return Err(status);
            }
        };
        self.lock().changes.remove(&id);
        result
            .map_err(|_| {
                Status::deadline_exceeded("rustbgpd did not answer in time; the change may still be made")
            })?
            .map_err(|_| error::unavailable("rustbgpd"))?
            .map_err(error::of_edit)
    }

    /// The chains that the configuration file names at a neighbor, or for all.
    ///
    /// # Errors
    /// What the parent says, or UNAVAILABLE where it says nothing.
    pub(crate) async fn chains(&self, neighbor: Option<IpAddr>) -> Result<Chains, Status> {
        let (id, answer) = self.number(|state| &mut state.chains);
        let result = self.hear(&ControlToParent::Chains { id, neighbor }, answer).await;
        self.lock().chains.remove(&id);
        result
    }

    /// What the parent says of the configuration.
    ///
    /// # Errors
    /// What the parent says, or UNAVAILABLE where it says nothing.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, Status> {
        let (id, answer) = self.number(|state| &mut state.answers);
        let result = self.hear(&ControlToParent::Ask { id, question }, answer).await;
        self.lock().answers.remove(&id);
        result
    }

    /// The things of a kind and their names.
    ///
    /// # Errors
    /// See [`Edits::ask`].
    pub(crate) async fn objects(
        &self,
        kind: Kind,
        name: Option<String>,
    ) -> Result<Vec<(String, Object)>, Status> {
        match self.ask(Question::Objects { kind, name }).await? {
            Answer::Objects(all) => Ok(all),
            Answer::Sizes(_) | Answer::PolicyTests(_) => {
                Err(Status::internal("rustbgpd answered another question"))
            }
        }
    }

    /// The thing of this kind and name.
    ///
    /// # Errors
    /// NOT_FOUND where there is none; see [`Edits::ask`].
    pub(crate) async fn object(&self, kind: Kind, name: String) -> Result<(String, Object), Status> {
        let mut found = self.objects(kind, Some(name)).await?;
        found.pop().ok_or_else(|| Status::internal("rustbgpd answered nothing"))
    }

    /// Has the thing of this kind and name removed.
    ///
    /// # Errors
    /// See [`Edits::make`].
    pub(crate) async fn delete(&self, kind: Kind, name: String) -> Result<(), Status> {
        self.make(Edit::DeleteObject { kind, name }).await
    }

    async fn hear<T>(
        &self,
        question: &ControlToParent,
        answer: oneshot::Receiver<Result<T, EditError>>,
    ) -> Result<T, Status> {
        // A link that fails is noticed by its reader, and control ends.
        let sent = self.parent.send(question).await;
        match (sent, tokio::time::timeout(TIMEOUT, answer).await) {
            (Ok(_), Ok(Ok(result))) => result.map_err(error::of_edit),
            _ => Err(error::unavailable("rustbgpd")),
        }
    }

    /// A number for a question, and where its answer will come.
    fn number<T>(
        &self,
        waiting: impl FnOnce(&mut State) -> &mut Waiting<T>,
    ) -> (QueryId, oneshot::Receiver<Result<T, EditError>>) {
        let (client, answer) = oneshot::channel();
        let mut state = self.lock();
        state.last += 1;
        let id = QueryId(state.last);
        waiting(&mut state).insert(id, client);
        (id, answer)
    }

    /// Sends all parts, also where the client goes away meanwhile.
    fn send(&self, id: QueryId, edit: &Edit) -> Result<(), Status> {
        let parts = parts(id, edit).ok_or_else(|| {
            Status::invalid_argument(format!("the request is too large: it may have {MAX_EDIT} octets"))
        })?;
        let (parent, sending) = (self.parent.clone(), Arc::clone(&self.sending));
        tokio::spawn(async move {
            let _alone = sending.lock().await;
            for part in parts {
                // A link that fails is noticed by its reader, and control ends.
                if parent.send(&ControlToParent::Edit(part)).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Hands the parent's answer to the client that asked.
    pub(crate) fn answered(&self, id: QueryId, result: Result<(), EditError>) {
        // Nobody waits where the client is gone: the change is made all the same.
        if let Some(client) = self.lock().changes.remove(&id) {
            let _ = client.send(result);
        }
    }

    /// Hands the chains to the client that asked for them.
    pub(crate) fn shown(&self, id: QueryId, result: Result<Chains, EditError>) {
        if let Some(client) = self.lock().chains.remove(&id) {
            let _ = client.send(result);
        }
    }

    /// Takes what the parent sends of an answer, and hands a whole one to the client that asked.
    ///
    /// # Errors
    /// What the parent did wrong.
    pub(crate) fn told(&self, part: EditPart) -> Result<(), String> {
        let mut state = self.lock();
        if let Some((id, result)) = state.parts.take(part)?
            && let Some(client) = state.answers.remove(&id)
        {
            let _ = client.send(result);
        }
        Ok(())
    }
}
