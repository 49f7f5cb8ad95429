//! The main loop: what the parent says.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use ipc::control_session::{ControlToSession, SessionToControl};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::{Attempt, Link, LinkError, PeerId, Received, Role};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::Stage;
use crate::engine::Engine;
use crate::{accept, candidates, rde_link, status};

/// How long a shutdown waits for the last octets to leave.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// How many peers are named in the last message to the parent: what fits a datagram.
const NAMED: usize = 20_000;

/// Runs the engine until the parent says so or is gone.
///
/// # Errors
/// Where the parent misbehaves or its channel breaks.
pub(crate) async fn run(parent_fd: OwnedFd) -> Result<(), LinkError> {
    let io = |error| LinkError::Io { with: Role::Parent, error };
    let mut parent =
        Link::<SessionToParent, ParentToSession>::from_fd(parent_fd, Role::Parent).map_err(io)?;
    parent.greet(Role::Session).await?;
    let (parent_tx, mut parent_rx) = parent.split();
    let (tx, mut requests) = mpsc::unbounded_channel();
    let sender = parent_tx.clone();
    let sending = tokio::task::spawn_local(async move {
        while let Some(message) = requests.recv().await {
            // The receiving side reports a parent that is gone.
            if sender.send(&message).await.is_err() {
                return;
            }
        }
    });
    let engine = Engine::new(tx);
    candidates::ask(&engine);
    let mut main = Main { engine, stage: None, rde: None };
    loop {
        let received = match parent_rx.recv().await {
            Err(LinkError::Closed { .. }) => return Ok(()),
            other => other?,
        };
        if let Next::Exit { restarting } = main.handle(received)? {
            sending.abort();
            main.engine.closing.flushed(SHUTDOWN).await;
            return parent_tx.send(&SessionToParent::ShutdownDone { restarting }).await;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Exit { restarting: Vec<PeerId> },
}

struct Main {
    engine: Rc<Engine>,
    stage: Option<Stage>,
    rde: Option<JoinHandle<()>>,
}

impl Main {
    fn handle(&mut self, received: Received<ParentToSession>) -> Result<Next, LinkError> {
        let mut fds = received.fds.into_iter();
        match received.message {
            ParentToSession::Link { to } => self.link(to, fds)?,
            ParentToSession::StageBegin { generation, speaker } => {
                self.stage = Some(Stage::new(generation, speaker));
            }
            ParentToSession::StagePeers(peers) => self.staged()?.add(peers),
            ParentToSession::StageRanges(ranges) => self.staged()?.add_ranges(ranges),
            ParentToSession::StageEnd => self.stage_end()?,
            ParentToSession::Commit(generation) => {
                let Some(stage) = self.stage.take() else {
                    return Err(LinkError::out_of_state(Role::Parent, "commits without staging"));
                };
                stage.commit(generation, &self.engine)?;
                self.engine.tell_parent(SessionToParent::Committed(generation));
            }
            ParentToSession::Abort(_) => self.stage = None,
            ParentToSession::Listener { address } => {
                let listening = fds.next().map(|fd| accept::listen(&self.engine, fd));
                if let Some(Err(error)) = listening {
                    tracing::error!(%address, %error, "cannot listen");
                }
            }
            ParentToSession::Connecting { peer, attempt } => {
                if let Some(fd) = fds.next() {
                    self.connecting(peer, attempt, fd);
                }
            }
            ParentToSession::ConnectFailed { peer, attempt, error } => {
                if let Some(peer) = self.engine.peer(peer) {
                    peer.connect_failed(attempt, &error);
                }
            }
            ParentToSession::AddPeer(config) => candidates::admitted(&self.engine, *config)?,
            ParentToSession::NoPeer { address, limit } => candidates::refused(&self.engine, address, limit),
            ParentToSession::Enable(peer) => {
                if let Some(peer) = self.engine.peer(peer) {
                    peer.enable();
                }
            }
            ParentToSession::Disable { peer, reason } => {
                if let Some(peer) = self.engine.peer(peer) {
                    peer.disable(&reason);
                }
            }
            ParentToSession::Ping(number) => {
                self.engine.tell_parent(SessionToParent::Pong { number, report: sandbox::report() });
            }
            ParentToSession::Shutdown { reason } => {
                return Ok(Next::Exit { restarting: self.shutdown(&reason) });
            }
        }
        Ok(Next::Continue)
    }

    fn link(&mut self, to: Role, mut fds: impl Iterator<Item = OwnedFd>) -> Result<(), LinkError> {
        match (to, fds.next(), fds.next()) {
            (Role::Rde, Some(bulk), Some(control)) => {
                let old = self.rde.take();
                self.rde = Some(rde_link::serve(&self.engine, old, bulk, control));
            }
            (Role::Control, Some(fd), None) => {
                let engine = Rc::clone(&self.engine);
                tokio::task::spawn_local(async move {
                    let Err(error) = answer(&engine, fd).await;
                    tracing::warn!(%error, "the channel to control is lost");
                });
            }
            _ => return Err(LinkError::out_of_state(Role::Parent, "links us to nobody we talk to")),
        }
        Ok(())
    }

    fn staged(&mut self) -> Result<&mut Stage, LinkError> {
        let error = || LinkError::out_of_state(Role::Parent, "stages peers before it begins");
        self.stage.as_mut().ok_or_else(error)
    }

    fn stage_end(&mut self) -> Result<(), LinkError> {
        let stage = self.staged()?;
        let generation = stage.generation();
        let answer = match stage.check() {
            Ok(()) => SessionToParent::Staged(generation),
            Err(error) => {
                self.stage = None;
                SessionToParent::StageRefused { generation, error }
            }
        };
        self.engine.tell_parent(answer);
        Ok(())
    }

    fn connecting(&self, peer: PeerId, attempt: Attempt, fd: OwnedFd) {
        let Some(peer) = self.engine.peer(peer) else { return };
        let stream = std::net::TcpStream::from(fd);
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => peer.connecting(attempt, stream),
            Err(error) => peer.connect_failed(attempt, &error.to_string()),
        }
    }

    /// Leaves all peers; names those that keep our routes.
    fn shutdown(&self, reason: &str) -> Vec<PeerId> {
        self.engine.set_open(false);
        self.engine.leaving.set(true);
        let all = self.engine.all_peers();
        let keeping = all.iter().filter(|p| p.leave(reason)).map(|p| p.id);
        keeping.take(NAMED).collect()
    }
}

/// Answers control's questions.
async fn answer(engine: &Engine, fd: OwnedFd) -> Result<std::convert::Infallible, LinkError> {
    let io = |error| LinkError::Io { with: Role::Control, error };
    let mut link = Link::<SessionToControl, ControlToSession>::from_fd(fd, Role::Control).map_err(io)?;
    link.greet(Role::Session).await?;
    loop {
        let question = link.recv().await?.message;
        for page in status::answer(engine, &question) {
            link.send(&page).await?;
        }
    }
}

impl crate::engine::Closing {
    /// Waits until all connections are closed, but no longer than that.
    async fn flushed(&self, most: Duration) {
        // Running out of time is one of the two ways it ends.
        let _ = timeout(most, self.all_closed()).await;
    }
}
