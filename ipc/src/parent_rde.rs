//! Parent and rde: configuration.

use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::config::{RdeGlobal, RdePeer};
use crate::hello::Role;
use crate::ids::{Generation, PeerId};
use crate::report::Report;

/// What the parent tells rde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParentToRde {
    /// A channel to another engine. To session: two fds, bulk and control; to control: one.
    Link {
        /// Who is at the other end.
        to: Role,
    },
    /// Begin a staged configuration; whatever was staged before is forgotten.
    StageBegin {
        /// Its number.
        generation: Generation,
        /// What holds for all peers.
        global: RdeGlobal,
    },
    /// More peers of the staged configuration.
    StagePeers(Vec<RdePeer>),
    /// More octets of the policies of the staged configuration: `policy::Staged` in postcard. None at all: there are no
    /// policies.
    StagePolicies(Vec<u8>),
    /// The staged configuration is whole: check it and answer `Staged` or `StageRefused`.
    StageEnd,
    /// Make what is staged the configuration.
    Commit(Generation),
    /// Forget what is staged.
    Abort(Generation),
    /// A dynamic peer is there from now on: answer `PeerAdded`. Session hears of it after that.
    AddPeer(Box<RdePeer>),
    /// These dynamic peers are not there any more.
    RemovePeers(Vec<PeerId>),
    /// Begin or end the graceful shutdown of the session with a peer (RFC 8326 §4.2), now and in its later
    /// sessions.
    Drain {
        /// Which.
        peer: PeerId,
        /// Begin.
        on: bool,
    },
    /// Exit; sessions have ended.
    Shutdown,
    /// Are you there, and all threads of the tables? Answered with `Pong` and the same number.
    Ping(u32),
}

impl Message for ParentToRde {
    fn fd_count(&self) -> usize {
        match self {
            ParentToRde::Link { to: Role::Session } => 2,
            ParentToRde::Link { .. } => 1,
            _ => 0,
        }
    }
}

/// What rde tells the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RdeToParent {
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
    /// The answer to `Ping`.
    Pong {
        /// Its number.
        number: u32,
        /// What the process says of itself.
        report: Report,
    },
    /// A session of this dynamic peer may begin.
    PeerAdded(PeerId),
}

impl Message for RdeToParent {}
