//! What the engine waits for, in the order of urgency: parent, session's control channel, queries, room in a
//! channel, shards, routes; and when nothing is there, its own work.

use std::time::Duration;

use ipc::channel::{Receiver, Sender};
use ipc::control_rde::{ControlToRde, RdeToControl};
use ipc::parent_rde::ParentToRde;
use ipc::session_rde::{RdeToSession, RdeToSessionBulk, SessionToRde, SessionToRdeBulk};
use ipc::{Link, LinkError, Message, Received, Role};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use crate::policies::Compiled;
use crate::tables::FromShard;

/// A channel whose both ends have greeted each other.
pub(crate) enum Linked {
    /// Bulk and control.
    Session(Link<RdeToSessionBulk, SessionToRdeBulk>, Link<RdeToSession, SessionToRde>),
    Control(Link<RdeToControl, ControlToRde>),
}

/// Something to deal with.
pub(crate) enum Event {
    Parent(Result<Received<ParentToRde>, LinkError>),
    Linked(Result<Linked, LinkError>),
    SessionControl(Result<Received<SessionToRde>, LinkError>),
    SessionBulk(Result<Received<SessionToRdeBulk>, LinkError>),
    Control(Result<Received<ControlToRde>, LinkError>),
    /// A shard has something to say; `None`: all have ended.
    Shard(Option<FromShard>),
    /// Policies are compiled, or cannot be.
    Compiled(Compiled),
    /// A channel has room.
    Room,
    /// Some time has passed.
    Tick,
    /// Nothing came in.
    Idle,
}

/// Where things come from.
pub(crate) struct Inputs {
    pub(crate) parent: Receiver<ParentToRde>,
    pub(crate) session_bulk: Option<Receiver<SessionToRdeBulk>>,
    pub(crate) session_control: Option<Receiver<SessionToRde>>,
    pub(crate) control: Option<Receiver<ControlToRde>>,
    /// Shards that have threads of their own.
    pub(crate) shards: Option<UnboundedReceiver<FromShard>>,
    /// What becomes of policies that are compiled; there is always somebody to send it.
    pub(crate) compiling: UnboundedSender<Compiled>,
    compiled: UnboundedReceiver<Compiled>,
    pub(crate) greeting: JoinSet<Result<Linked, LinkError>>,
    tick: tokio::time::Interval,
}

/// Channels with messages that wait for room.
pub(crate) struct Waiting {
    pub(crate) bulk: Option<Sender<RdeToSessionBulk>>,
    pub(crate) session: Option<Sender<RdeToSession>>,
    pub(crate) control: Option<Sender<RdeToControl>>,
}

impl Inputs {
    pub(crate) fn new(parent: Receiver<ParentToRde>) -> Inputs {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        let (compiling, compiled) = tokio::sync::mpsc::unbounded_channel();
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Inputs {
            parent,
            session_bulk: None,
            session_control: None,
            control: None,
            shards: None,
            compiling,
            compiled,
            greeting: JoinSet::new(),
            tick,
        }
    }

    /// The next thing to deal with. `more`: messages of peers are taken in; `busy`: there is work to go on with
    /// when nothing comes in.
    pub(crate) async fn next(&mut self, waiting: Waiting, more: bool, busy: bool) -> Event {
        tokio::select! {
            biased;
            r = self.parent.recv() => Event::Parent(r),
            Some(r) = self.greeting.join_next() => match r {
                Ok(r) => Event::Linked(r),
                Err(_) => Event::Room,
            },
            r = receive(&mut self.session_control) => Event::SessionControl(r),
            r = receive(&mut self.control) => Event::Control(r),
            Some(c) = self.compiled.recv() => Event::Compiled(c),
            _ = self.tick.tick() => Event::Tick,
            () = room(waiting.session) => Event::Room,
            () = room(waiting.control) => Event::Room,
            () = room(waiting.bulk) => Event::Room,
            r = said(&mut self.shards) => Event::Shard(r),
            r = receive(&mut self.session_bulk), if more => Event::SessionBulk(r),
            () = std::future::ready(()), if busy => Event::Idle,
        }
    }

    /// Greets the other end of channels that were handed over.
    pub(crate) fn greet(&mut self, to: Role, mut fds: Vec<std::os::fd::OwnedFd>) {
        match (to, fds.pop(), fds.pop()) {
            (Role::Session, Some(control), Some(bulk)) => {
                self.greeting.spawn(async move {
                    let bulk = greeted(bulk, Role::Session).await?;
                    let control = greeted(control, Role::Session).await?;
                    Ok(Linked::Session(bulk, control))
                });
            }
            (Role::Control, Some(fd), None) => {
                self.greeting.spawn(async move { Ok(Linked::Control(greeted(fd, Role::Control).await?)) });
            }
            _ => tracing::error!(to = to.name(), "parent handed over a channel that rde has no use for"),
        }
    }
}

async fn greeted<Tx: Message, Rx: Message>(
    fd: std::os::fd::OwnedFd,
    with: Role,
) -> Result<Link<Tx, Rx>, LinkError> {
    let mut link = Link::from_fd(fd, with).map_err(|error| LinkError::Io { with, error })?;
    link.greet(Role::Rde).await?;
    Ok(link)
}

async fn receive<T: Message>(from: &mut Option<Receiver<T>>) -> Result<Received<T>, LinkError> {
    match from {
        Some(rx) => rx.recv().await,
        None => std::future::pending().await,
    }
}

async fn said(from: &mut Option<UnboundedReceiver<FromShard>>) -> Option<FromShard> {
    match from {
        Some(rx) => rx.recv().await,
        None => std::future::pending().await,
    }
}

async fn room<T: Message>(tx: Option<Sender<T>>) {
    match tx {
        // An error shows when sending is tried again.
        Some(tx) => drop(tx.writable().await),
        None => std::future::pending().await,
    }
}
