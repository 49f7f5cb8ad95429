//! Parent and control: listeners and views; intents of clients and their answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::config::{ControlGlobal, ControlPeer, ControlRange, ListenerKind};
use crate::edit::{Chains, EditError, EditPart};
use crate::figures::{DynamicPeers, Process, Traffic};
use crate::hello::Role;
use crate::ids::{Generation, PeerId, QueryId};
use crate::object::Question;
use crate::report::Report;

/// What the parent tells control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParentToControl {
    /// A channel to another engine (one fd).
    Link {
        /// Who is at the other end.
        to: Role,
    },
    /// Begin a staged configuration; whatever was staged before is forgotten.
    StageBegin {
        /// Its number.
        generation: Generation,
        /// What holds for the daemon.
        global: ControlGlobal,
    },
    /// More peers of the staged configuration.
    StagePeers(Vec<ControlPeer>),
    /// More ranges of dynamic peers.
    StageRanges(Vec<ControlRange>),
    /// The staged configuration is whole: answer `Staged`.
    StageEnd,
    /// Make what is staged the configuration.
    Commit(Generation),
    /// Forget what is staged.
    Abort(Generation),
    /// Dynamic peers are there from now on, in what is in force and in what is staged.
    AddPeers(Vec<ControlPeer>),
    /// These dynamic peers are not there any more.
    RemovePeers(Vec<PeerId>),
    /// A listening socket (one fd, and what the kind says beside it).
    Listener {
        /// What it is for.
        kind: ListenerKind,
        /// What it is bound to, for messages.
        address: String,
    },
    /// What became of an intent.
    IntentReply {
        /// The intent.
        id: QueryId,
        /// Done, or why not.
        result: Result<(), IntentError>,
    },
    /// What became of a change of the configuration.
    EditReply {
        /// The change.
        id: QueryId,
        /// It is in force and in the file, or why not.
        result: Result<(), EditError>,
    },
    /// What is known of the processes.
    ProcessesReply {
        /// The question.
        id: QueryId,
        /// Those that live.
        processes: Vec<Process>,
        /// What went over the parent's channels.
        traffic: Vec<Traffic>,
        /// The dynamic peers.
        dynamic: DynamicPeers,
    },
    /// The answer to [`ControlToParent::Chains`].
    ChainsReply {
        /// The request's.
        id: QueryId,
        /// What the file says.
        result: Result<Chains, EditError>,
    },
    /// The answer to [`ControlToParent::File`], an [`Answer`](crate::file::Answer) in parts.
    FileReply(EditPart),
    /// The answer to [`ControlToParent::Ask`], a [`Reply`](crate::object::Reply) in parts.
    Answer(EditPart),
    /// Finish what is being answered, then exit.
    Shutdown,
    /// Are you there? Answered with `Pong` and the same number once everything before it is done with.
    Ping(u32),
}

impl Message for ParentToControl {
    fn fd_count(&self) -> usize {
        match self {
            ParentToControl::Link { .. } => 1,
            ParentToControl::Listener { kind, .. } => kind.fd_count(),
            _ => 0,
        }
    }
}

/// What a client wants changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Enable a peer.
    EnableNeighbor {
        /// Which.
        address: IpAddr,
    },
    /// Disable a peer.
    DisableNeighbor {
        /// Which.
        address: IpAddr,
        /// Shutdown communication, may be empty.
        reason: String,
    },
    /// Begin or end the graceful shutdown of the session with a peer (RFC 8326 §4.2).
    DrainNeighbor {
        /// Which.
        address: IpAddr,
        /// Begin.
        on: bool,
    },
    /// Coordinated shutdown of the daemon.
    Shutdown {
        /// Shutdown communication, may be empty.
        reason: String,
    },
}

/// Why an intent was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntentError {
    /// A value is wrong.
    Invalid(String),
    /// It names something that is not there.
    NotFound(String),
    /// The daemon's state does not allow it.
    FailedPrecondition(String),
    /// An engine is not there at the moment.
    Unavailable(String),
}

/// What control tells the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlToParent {
    /// The staged configuration can be committed.
    Staged(Generation),
    /// It is in force.
    Committed(Generation),
    /// A client wants something changed.
    Intent {
        /// Repeated in the answer.
        id: QueryId,
        /// What.
        intent: Intent,
    },
    /// A client wants the configuration changed. Answered with `EditReply` once it is whole.
    Edit(EditPart),
    /// What is known of the processes?
    Processes {
        /// Repeated in the answer.
        id: QueryId,
    },
    /// A client asks which chains the file names.
    Chains {
        /// Repeated in the answer; not one of a change that is under way.
        id: QueryId,
        /// At this neighbor; `None` = for all.
        neighbor: Option<IpAddr>,
    },
    /// A client is concerned with the file as a whole: a [`Request`](crate::file::Request) in parts. Answered with `FileReply`
    /// once it is whole.
    File(EditPart),
    /// The answer to `Ping`.
    Pong {
        /// Its number.
        number: u32,
        /// What the process says of itself.
        report: Report,
    },
    /// A client asks about the configuration.
    Ask {
        /// Repeated in the answer; not one of a change that is under way.
        id: QueryId,
        /// What.
        question: Question,
    },
}

impl Message for ControlToParent {}
