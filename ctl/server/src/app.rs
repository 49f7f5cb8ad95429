//! What all services share: the view of the configuration and the ways to the other processes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use ipc::channel::Sender;
use ipc::config::ControlPeer;
use ipc::control_rde::{ControlToRde, PeerCounters, RdeToControl, TableCounters};
use ipc::control_session::{ControlToSession, PeerStatus, SessionToControl};
use ipc::errors::{FaultCount, PeerError};
use ipc::figures::Traffic;
use ipc::parent_control::{ControlToParent, Intent, IntentError};
use ipc::{PeerId, QueryId, Role};
use tokio::sync::{Semaphore, oneshot};
use tonic::Status;

use crate::edits::Edits;
use crate::engine::{Engine, TIMEOUT};
use crate::error;
use crate::files::Files;
use crate::metrics::Snapshot;
use crate::processes::Processes;
use crate::view::View;
use crate::watch::Feed;

/// Pages that are put together at a time. Each takes up to 10,000 routes in rde, on the way, and here.
const LISTS: usize = 4;

type IntentResult = Result<(), IntentError>;

/// What all services share.
#[derive(Debug)]
pub(crate) struct App {
    /// The session engine.
    pub(crate) session: Arc<Engine<ControlToSession>>,
    /// The route decision engine.
    pub(crate) rde: Arc<Engine<ControlToRde>>,
    /// The last figures that were seen, shown while an engine is away.
    pub(crate) last_snapshot: Mutex<Snapshot>,
    /// Changes of the configuration.
    pub(crate) edits: Edits,
    /// The configuration file as a whole.
    pub(crate) files: Files,
    /// What the parent knows of the processes.
    pub(crate) processes: Processes,
    /// Pages of lists that are put together at a time; who asks for more waits for its turn.
    pub(crate) lists: Semaphore,
    /// Changes of best routes, for all who watch.
    pub(crate) feed: Arc<Feed>,
    parent: Sender<ControlToParent>,
    view: Mutex<Option<Arc<View>>>,
    intents: Mutex<Intents>,
}

#[derive(Debug, Default)]
struct Intents {
    next: u64,
    waiting: HashMap<QueryId, oneshot::Sender<IntentResult>>,
}

/// The counters of rde.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    /// Of the tables.
    pub(crate) tables: TableCounters,
    /// Of the peers.
    pub(crate) peers: HashMap<PeerId, PeerCounters>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// Knows nothing yet but the way to the parent.
    pub(crate) fn new(parent: Sender<ControlToParent>) -> Arc<App> {
        Arc::new(App {
            session: Engine::new(Role::Session),
            rde: Engine::new(Role::Rde),
            last_snapshot: Mutex::default(),
            edits: Edits::new(parent.clone()),
            files: Files::new(parent.clone()),
            processes: Processes::new(parent.clone()),
            feed: Feed::new(),
            lists: Semaphore::new(LISTS),
            parent,
            view: Mutex::new(None),
            intents: Mutex::default(),
        })
    }

    /// How long the daemon has been running; control itself may be younger.
    pub(crate) fn uptime(&self) -> Duration {
        let started = self.try_view().map_or(Duration::MAX, |v| Duration::from_secs(v.global.started));
        UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(started)
    }

    /// Makes `view` the configuration.
    pub(crate) fn set_view(&self, view: View) {
        *lock(&self.view) = Some(Arc::new(view));
    }

    /// Changes the configuration in place, if there is one.
    pub(crate) fn change_view(&self, change: impl FnOnce(&mut View)) {
        if let Some(view) = &mut *lock(&self.view) {
            // Whoever looks at it has a copy from then on.
            change(Arc::make_mut(view));
        }
    }

    /// The configuration, if there is one yet.
    pub(crate) fn try_view(&self) -> Option<Arc<View>> {
        lock(&self.view).clone()
    }

    /// The configuration.
    ///
    /// # Errors
    /// UNAVAILABLE before the first one.
    pub(crate) fn view(&self) -> Result<Arc<View>, Status> {
        self.try_view().ok_or_else(|| Status::unavailable("rustbgpd is starting: try again"))
    }

    /// The peer whose address is in `field`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for what is no address, NOT_FOUND where no peer has it.
    pub(crate) fn peer(&self, field: &str, text: &str) -> Result<ControlPeer, Status> {
        let view = self.view()?;
        let address: IpAddr = text.parse().map_err(|_| {
            error::invalid(
                field,
                text,
                format!("{text:?} is not an IP address, such as 192.0.2.1 or 2001:db8::1"),
            )
        })?;
        view.peers.get(&address).cloned().ok_or_else(|| {
            let hint = view.nearest(text).map(|a| format!("; did you mean {a}?")).unwrap_or_default();
            error::not_found(field, text, format!("there is no neighbor {address}{hint}"))
        })
    }

    /// What session knows of one peer, or of all.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn sessions(&self, peer: Option<PeerId>) -> Result<HashMap<PeerId, PeerStatus>, Status> {
        let mut query = self.session.ask(|id| ControlToSession::Peers { id, peer }).await?;
        let mut found = HashMap::new();
        loop {
            let SessionToControl::PeersReply { peers, last, .. } = query.next().await? else {
                return Err(query.confused());
            };
            found.extend(peers.into_iter().map(|p| (p.peer, p)));
            if last {
                query.finish();
                return Ok(found);
            }
        }
    }

    /// The counters of rde.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn counters(&self) -> Result<Counters, Status> {
        let mut query = self.rde.ask(|id| ControlToRde::Counters { id }).await?;
        let mut found = Counters::default();
        loop {
            match query.next().await? {
                RdeToControl::CountersReply { tables, peers, last, .. } => {
                    found.tables = tables;
                    found.peers.extend(peers.into_iter().map(|p| (p.peer, p)));
                    if last {
                        query.finish();
                        return Ok(found);
                    }
                }
                RdeToControl::Failed { error, .. } => return Err(Status::internal(error)),
                _ => return Err(query.confused()),
            }
        }
    }

    /// What went over session's channels, and UPDATEs received from and sent to peers that are gone.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn session_traffic(&self) -> Result<(Vec<Traffic>, [u64; 2]), Status> {
        let mut query = self.session.ask(|id| ControlToSession::Traffic { id }).await?;
        let SessionToControl::TrafficReply { traffic, gone, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        Ok((traffic, gone))
    }

    /// What went over rde's channels.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn rde_traffic(&self) -> Result<Vec<Traffic>, Status> {
        let mut query = self.rde.ask(|id| ControlToRde::Traffic { id }).await?;
        let RdeToControl::TrafficReply { traffic, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        Ok(traffic)
    }

    /// The errors of a peer for which its connections were ended.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn session_errors(&self, peer: PeerId) -> Result<Vec<PeerError>, Status> {
        let mut query = self.session.ask(|id| ControlToSession::Errors { id, peer }).await?;
        let SessionToControl::ErrorsReply { errors, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        Ok(errors)
    }

    /// What was wrong with UPDATEs of a peer: counted, and the last ones; or counted for all peers together.
    ///
    /// # Errors
    /// See [`Query::next`](crate::engine::Query::next).
    pub(crate) async fn update_errors(
        &self,
        peer: Option<PeerId>,
    ) -> Result<(Vec<FaultCount>, Vec<PeerError>), Status> {
        let mut query = self.rde.ask(|id| ControlToRde::Errors { id, peer }).await?;
        let RdeToControl::ErrorsReply { counts, errors, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        Ok((counts, errors))
    }

    /// Asks the parent for a change.
    ///
    /// # Errors
    /// What the parent says, or UNAVAILABLE where it says nothing.
    pub(crate) async fn intend(&self, intent: Intent) -> Result<(), Status> {
        let (client, answer) = oneshot::channel();
        let id = {
            let mut intents = lock(&self.intents);
            intents.next += 1;
            let id = QueryId(intents.next);
            intents.waiting.insert(id, client);
            id
        };
        let asked = async {
            self.parent.send(&ControlToParent::Intent { id, intent }).await.ok()?;
            answer.await.ok()
        };
        let result = tokio::time::timeout(TIMEOUT, asked).await;
        lock(&self.intents).waiting.remove(&id);
        match result {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(e))) => Err(intent_status(e)),
            Ok(None) => Err(error::unavailable("rustbgpd")),
            Err(_) => Err(Status::deadline_exceeded(
                "rustbgpd did not answer in time; the change may still be made",
            )),
        }
    }

    /// Hands the parent's answer to the client that asked.
    pub(crate) fn intent_answered(&self, id: QueryId, result: IntentResult) {
        // Nobody waits where the client is gone: the change is made all the same.
        if let Some(client) = lock(&self.intents).waiting.remove(&id) {
            let _ = client.send(result);
        }
    }

    /// Remembers figures for the time when an engine is away.
    pub(crate) fn with_snapshot<T>(&self, f: impl FnOnce(&mut Snapshot) -> T) -> T {
        f(&mut lock(&self.last_snapshot))
    }
}

fn intent_status(e: IntentError) -> Status {
    match e {
        IntentError::Invalid(m) => Status::invalid_argument(m),
        IntentError::NotFound(m) => Status::not_found(m),
        IntentError::FailedPrecondition(m) => Status::failed_precondition(m),
        IntentError::Unavailable(m) => Status::unavailable(m),
    }
}
