//! Parent and session: configuration, fds, intents; events of sessions.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::config::{SessionPeer, Speaker};
use crate::hello::Role;
use crate::ids::{Attempt, Generation, PeerId};
use crate::report::Report;

/// What the parent tells session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParentToSession {
    /// A channel to another engine. To rde: two fds, bulk and control; to control: one.
    Link {
        /// Who is at the other end.
        to: Role,
    },
    /// Begin a staged configuration; whatever was staged before is forgotten.
    StageBegin {
        /// Its number.
        generation: Generation,
        /// Who we are.
        speaker: Speaker,
    },
    /// More peers of the staged configuration.
    StagePeers(Vec<SessionPeer>),
    /// More ranges from which peers may connect that are not listed.
    StageRanges(Vec<IpNet>),
    /// The staged configuration is whole: check it and answer `Staged` or `StageRefused`.
    StageEnd,
    /// Make what is staged the configuration.
    Commit(Generation),
    /// Forget what is staged.
    Abort(Generation),
    /// A listening BGP socket (one fd).
    Listener {
        /// What it is bound to.
        address: SocketAddr,
    },
    /// The answer to `WantConnect`: a socket with its options set and its connect begun (one fd).
    Connecting {
        /// Whom it goes to.
        peer: PeerId,
        /// The attempt that asked for it.
        attempt: Attempt,
    },
    /// The answer to `WantConnect` where no connect could be begun.
    ConnectFailed {
        /// Whom it was for.
        peer: PeerId,
        /// The attempt that asked for it.
        attempt: Attempt,
        /// Why, for log and API.
        error: String,
    },
    /// The answer to `WantPeer`: the connection from its address is this peer's.
    AddPeer(Box<SessionPeer>),
    /// The answer to `WantPeer` where there is no such peer.
    NoPeer {
        /// Where the connection is from.
        address: IpAddr,
        /// There are as many dynamic peers as there may be.
        limit: bool,
    },
    /// The operator enables a peer (also after it went down by itself).
    Enable(PeerId),
    /// The operator disables a peer: Cease/Administrative Shutdown (RFC 4486 §4).
    Disable {
        /// Which.
        peer: PeerId,
        /// Shutdown communication (RFC 9003), at most 255 octets, may be empty.
        reason: String,
    },
    /// End every session, flush, answer `ShutdownDone`, exit. Peers that keep our routes while we restart (RFC 4724)
    /// are left so that they do; the others are sent Cease/Administrative Shutdown.
    Shutdown {
        /// Shutdown communication (RFC 9003), may be empty.
        reason: String,
    },
    /// Are you there? Answered with `Pong` and the same number once everything before it is done with.
    Ping(u32),
}

impl Message for ParentToSession {
    fn fd_count(&self) -> usize {
        match self {
            ParentToSession::Link { to: Role::Rde } => 2,
            ParentToSession::Link { .. } => 1,
            ParentToSession::Listener { .. } | ParentToSession::Connecting { .. } => 1,
            _ => 0,
        }
    }
}

/// What session tells the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionToParent {
    /// The staged configuration can be committed.
    Staged(Generation),
    /// It can't, and why.
    StageRefused {
        /// Its number.
        generation: Generation,
        /// Why.
        error: String,
    },
    /// It is in force.
    Committed(Generation),
    /// Begin a connection to this peer.
    WantConnect {
        /// To whom.
        peer: PeerId,
        /// Number of the attempt, repeated in the answer.
        attempt: Attempt,
    },
    /// All peers were told and their bytes flushed, or time ran out.
    ShutdownDone {
        /// Peers that keep our routes for a while; where they do not fit the message, as many as do.
        restarting: Vec<PeerId>,
    },
    /// The answer to `Ping`.
    Pong {
        /// Its number.
        number: u32,
        /// What the process says of itself.
        report: Report,
    },
    /// Somebody connects from an address that is no peer's and in a range: may it be one? At most [`MAX_WANTED`] such
    /// questions wait for an answer at once.
    WantPeer {
        /// From where.
        address: IpAddr,
    },
    /// A dynamic peer is gone, and what it announced with it. Session knows it no more.
    PeerOver(PeerId),
}

impl Message for SessionToParent {}

/// The most questions for a peer that may wait for an answer.
pub const MAX_WANTED: usize = 256;
