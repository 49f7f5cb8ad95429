//! The main loop: what the parent says.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ipc::channel::{Received, Sender};
use ipc::config::{Access, ListenerKind};
use ipc::parent_control::{ControlToParent, ParentToControl};
use ipc::{Generation, Link, LinkError, Role};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::listeners;
use crate::processes::Answer;
use crate::view::Staging;

/// How long clients get to receive their answers when the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Why control ends otherwise than by order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The link to the parent broke, or the parent cannot be trusted.
    #[error(transparent)]
    Parent(#[from] LinkError),
    /// A listener failed.
    #[error("gRPC server exited unexpectedly: {0}")]
    Listener(String),
    /// The fd is no link.
    #[error("link to the parent: {0}")]
    NoLink(#[from] std::io::Error),
}

/// Runs until the parent ends it.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn run(parent: OwnedFd) -> Result<(), RunError> {
    let mut link = Link::<ControlToParent, ParentToControl>::from_fd(parent, Role::Parent)?;
    link.greet(Role::Control).await?;
    let (tx, mut rx) = link.split();
    let (ending, _) = watch::channel(false);
    let mut control =
        Control { app: App::new(tx.clone()), tx, staging: None, ending, listeners: JoinSet::new() };
    loop {
        tokio::select! {
            received = rx.recv() => match received {
                Ok(received) => if control.obey(received).await? { break },
                Err(LinkError::Closed { .. }) => return Ok(()),
                Err(e) => return Err(e.into()),
            },
            Some(ended) = control.listeners.join_next() => {
                return Err(RunError::Listener(match ended {
                    Ok(address) => address,
                    Err(e) => e.to_string(),
                }));
            }
        }
    }
    control.finish().await;
    Ok(())
}

struct Control {
    app: Arc<App>,
    tx: Sender<ControlToParent>,
    staging: Option<Staging>,
    ending: watch::Sender<bool>,
    listeners: JoinSet<String>,
}

impl Control {
    /// Does what the parent says; true where that is to end.
    async fn obey(&mut self, received: Received<ParentToControl>) -> Result<bool, LinkError> {
        let mut fds = VecDeque::from(received.fds);
        match received.message {
            ParentToControl::Link { to } => self.link(to, fds.pop_front())?,
            ParentToControl::StageBegin { generation, global } => {
                self.staging = Some(Staging::new(generation, global));
            }
            ParentToControl::StagePeers(peers) => {
                let taken = self.staging.as_mut().is_some_and(|s| s.add(peers));
                if !taken {
                    return Err(wrong("StagePeers outside of a stage, or too many of them"));
                }
            }
            ParentToControl::StageRanges(ranges) => {
                let taken = self.staging.as_mut().is_some_and(|s| s.add_ranges(ranges));
                if !taken {
                    return Err(wrong("StageRanges outside of a stage, or too many of them"));
                }
            }
            ParentToControl::AddPeers(peers) => {
                self.staging.iter_mut().for_each(|s| s.peers_came(&peers));
                self.app.change_view(|v| v.add(peers));
            }
            ParentToControl::RemovePeers(peers) => {
                self.staging.iter_mut().for_each(|s| s.peers_went(&peers));
                self.app.change_view(|v| v.remove(&peers));
            }
            ParentToControl::StageEnd => {
                let staging = self.staging.as_mut().ok_or_else(|| wrong("StageEnd without StageBegin"))?;
                let generation = staging.end();
                self.tx.send(&ControlToParent::Staged(generation)).await?;
            }
            ParentToControl::Commit(generation) => self.commit(generation).await?,
            ParentToControl::Abort(_) => self.staging = None,
            ParentToControl::Listener { kind, address } => self.listen(kind, address, fds.into()),
            ParentToControl::IntentReply { id, result } => self.app.intent_answered(id, result),
            ParentToControl::EditReply { id, result } => self.app.edits.answered(id, result),
            ParentToControl::ProcessesReply { id, processes, traffic, dynamic } => {
                self.app.processes.answered(id, Answer { processes, traffic, dynamic });
            }
            ParentToControl::ChainsReply { id, result } => self.app.edits.shown(id, result),
            ParentToControl::FileReply(part) => self.app.files.answered(part).map_err(|e| wrong(&e))?,
            ParentToControl::Ping(number) => {
                let report = sandbox::report();
                self.tx.send(&ControlToParent::Pong { number, report }).await?;
            }
            ParentToControl::Answer(part) => self.app.edits.told(part).map_err(|e| wrong(&e))?,
            ParentToControl::Shutdown => return Ok(true),
        }
        Ok(false)
    }

    fn link(&self, to: Role, fd: Option<OwnedFd>) -> Result<(), LinkError> {
        let fd = fd.ok_or_else(|| wrong("Link without an fd"))?;
        match to {
            Role::Session => {
                tokio::spawn(Arc::clone(&self.app.session).serve(fd));
            }
            Role::Rde => {
                tokio::spawn(Arc::clone(&self.app.rde).serve(fd));
            }
            Role::Parent | Role::Control => return Err(wrong("Link to neither session nor rde")),
        }
        Ok(())
    }

    async fn commit(&mut self, generation: Generation) -> Result<(), LinkError> {
        let staging = self
            .staging
            .take_if(|s| s.is_ready(generation))
            .ok_or_else(|| wrong("Commit of what is not staged"))?;
        let before = self.app.try_view();
        self.app.set_view(staging.commit(before.as_deref()));
        self.tx.send(&ControlToParent::Committed(generation)).await
    }

    fn listen(&mut self, kind: ListenerKind, address: String, fds: Vec<OwnedFd>) {
        let (app, ending) = (Arc::clone(&self.app), self.ending.subscribe());
        log_listener(&kind, &address);
        self.listeners.spawn(async move {
            let result = listeners::serve(app, kind, fds, ending).await;
            let why = result.err().map_or_else(|| "ended".to_owned(), |e| e.to_string());
            format!("{address}: {why}")
        });
    }

    /// Lets clients have the answers that are under way.
    async fn finish(mut self) {
        let _ = self.ending.send(true);
        self.app.feed.close();
        let all = async { while self.listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ANSWERS, all).await.is_err() {
            tracing::debug!("some clients did not take their answers");
        }
    }
}

fn log_listener(kind: &ListenerKind, address: &str) {
    match kind {
        ListenerKind::GrpcUnix { access, token, allow } => {
            let (read_only, restricted) = (*access == Access::ReadOnly, !allow.is_everybody());
            tracing::info!(address, read_only, token, restricted, "serving gRPC");
        }
        ListenerKind::GrpcTcp { access, token, tls } => {
            let (read_only, client_certificates) =
                (*access == Access::ReadOnly, tls.is_some_and(|tls| tls.client_ca));
            let tls = tls.is_some();
            tracing::info!(address, read_only, token, tls, client_certificates, "serving gRPC");
        }
        ListenerKind::Metrics => tracing::info!(address, "serving metrics"),
    }
}

fn wrong(what: &str) -> LinkError {
    LinkError::out_of_state(Role::Parent, what)
}
