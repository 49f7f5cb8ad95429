//! What goes into the state machine and what comes out of it.

use std::time::Instant;

use bgp::notification::Notification;
use bgp::open::Open;

use crate::limit::Exceeded;
use crate::negotiate::Session;
use crate::reason::Reason;
use crate::settings::Settings;

/// The name of a TCP connection; given by the caller, never reused for the same peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u32);

/// An event. In brackets: the events of RFC 4271 §8.1 that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// The peer may have a session (1, 3-7).
    Start,
    /// It may not: end what there is with this NOTIFICATION (2, 8).
    Stop(Notification),
    /// We are about to restart: leave sessions so that peers that can do so keep our routes; the others are told
    /// Cease/Administrative Shutdown. In both cases with this text (RFC 9003).
    Leave(&'a str),
    /// The configuration changed.
    Configure(Settings),
    /// Time passed; see [`Peer::next_deadline`](crate::Peer::next_deadline) (9-13).
    Timer,
    /// A connection that [`Output::Connect`] asked for is up (16).
    Connected {
        /// The number of the attempt.
        attempt: u32,
        /// The new connection.
        conn: ConnId,
    },
    /// It could not be established (18).
    ConnectFailed {
        /// The number of the attempt.
        attempt: u32,
    },
    /// The peer connected to us (17).
    Accepted(ConnId),
    /// A connection broke (18).
    Lost {
        /// Which.
        conn: ConnId,
        /// How.
        error: String,
    },
    /// A message with a correct header arrived (19, 22-27).
    Received {
        /// On which connection.
        conn: ConnId,
        /// The type in its header.
        kind: u8,
        /// What follows the header.
        body: &'a [u8],
    },
    /// The stream is not BGP (21), or somebody else found an error in what the peer sent (28): end the connection
    /// with this NOTIFICATION.
    Fault {
        /// Which.
        conn: ConnId,
        /// What the peer is to be told.
        notification: Notification,
        /// Why, for the log.
        detail: String,
    },
    /// Too many prefixes were exchanged: end the session and keep the peer down, as the settings say.
    OverLimit(Exceeded),
    /// The operator lets a peer that is kept down come back.
    Release,
    /// The peer's end took octets of ours at that time, or there were none to take: see
    /// [`Peer::stuck`](crate::Peer::stuck).
    Taken {
        /// On which connection.
        conn: ConnId,
        /// When.
        at: Instant,
    },
    /// Octets arrived on an Established connection, or wait in its socket: the peer lives. Stands for any
    /// number of UPDATEs and KEEPALIVEs (26, 27).
    Alive(ConnId),
}

/// A message to send, on its own way to the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// OPEN.
    Open(Open),
    /// KEEPALIVE.
    Keepalive,
    /// NOTIFICATION; nothing follows it on its connection but [`Output::End`].
    Notification(Notification),
}

/// What the caller is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Begin a TCP connection; answer with [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// The number of the attempt.
        attempt: u32,
    },
    /// Forget the attempt; an answer to it is not wanted any more.
    Abandon {
        /// The number of the attempt.
        attempt: u32,
    },
    /// Send a message.
    Send {
        /// On which connection.
        conn: ConnId,
        /// What.
        message: Outgoing,
    },
    /// The connection is Established.
    Up {
        /// Which.
        conn: ConnId,
        /// What was agreed on.
        session: Box<Session>,
    },
    /// The connection is over: read no more, write out what [`Output::Send`] said, close.
    End {
        /// Which.
        conn: ConnId,
        /// Why.
        reason: Reason,
        /// It was Established.
        established: bool,
        /// It was, and the peer is expected back: its routes are kept as stale (RFC 4724 §4.2).
        restarting: bool,
    },
}
