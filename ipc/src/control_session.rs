//! Control and session: what sessions are doing.

use std::net::{Ipv4Addr, SocketAddr};

use bgp::FamilySet;
use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::errors::PeerError;
use crate::figures::Traffic;
use crate::ids::{PeerId, QueryId};

/// What control asks of session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlToSession {
    /// The status of one peer, or of all.
    Peers {
        /// Repeated in the answer.
        id: QueryId,
        /// Which one, or all.
        peer: Option<PeerId>,
    },
    /// The last errors of a peer for which its sessions were ended.
    Errors {
        /// Repeated in the answer.
        id: QueryId,
        /// Which.
        peer: PeerId,
    },
    /// What went over session's channels.
    Traffic {
        /// Repeated in the answer.
        id: QueryId,
    },
}

impl Message for ControlToSession {}

/// State of the session's finite state machine (RFC 4271 §8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FsmState {
    /// Refuses connections.
    Idle,
    /// Waits for the TCP connection to be completed.
    Connect,
    /// Listens, and waits to try again.
    Active,
    /// Sent its OPEN, waits for the peer's.
    OpenSent,
    /// Waits for the first KEEPALIVE.
    OpenConfirm,
    /// Exchanges routes.
    Established,
}

impl FsmState {
    /// All states, in the order of their numbers.
    pub const ALL: [FsmState; 6] = [
        FsmState::Idle,
        FsmState::Connect,
        FsmState::Active,
        FsmState::OpenSent,
        FsmState::OpenConfirm,
        FsmState::Established,
    ];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            FsmState::Idle => "idle",
            FsmState::Connect => "connect",
            FsmState::Active => "active",
            FsmState::OpenSent => "open_sent",
            FsmState::OpenConfirm => "open_confirm",
            FsmState::Established => "established",
        }
    }
}

/// Messages of each type that went one way over all sessions of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MessageCounts {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
}

/// A NOTIFICATION for which a connection with a peer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Error code (RFC 4271 §4.5).
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// In words, with what it carries (RFC 9003).
    pub text: String,
}

/// Stands for every code and subcode that no RFC assigns: a peer may send any.
pub const UNASSIGNED: u8 = u8::MAX;

/// How many NOTIFICATIONs of one kind ended connections with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationCount {
    /// They were sent, otherwise received.
    pub sent: bool,
    /// Error code (RFC 4271 §4.5), or [`UNASSIGNED`].
    pub code: u8,
    /// Error subcode, or [`UNASSIGNED`].
    pub subcode: u8,
    /// How many.
    pub count: u64,
}

/// How often the session's finite state machine went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// From this one.
    pub from: FsmState,
    /// To this one.
    pub to: FsmState,
    /// How often.
    pub count: u64,
}

/// What both sides of a session can do, by what they announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agreed {
    /// 4-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// The peer may be asked for its routes (RFC 2918).
    pub route_refresh: bool,
    /// Enhanced route refresh (RFC 7313).
    pub enhanced_refresh: bool,
    /// The peer takes messages of up to 65,535 octets (RFC 8654).
    pub extended_messages: bool,
    /// IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Graceful restart (RFC 4724): how many seconds the peer may be away.
    pub restart_time: Option<u16>,
    /// Its families whose routes are kept meanwhile.
    pub restart_families: FamilySet,
    /// Graceful restart also after NOTIFICATIONs (RFC 8538).
    pub restart_notification: bool,
}

/// What session knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerId,
    /// Its AS number, 0 where that is what its OPEN will say.
    pub remote_asn: u32,
    /// State of its session: the furthest of its connections.
    pub state: FsmState,
    /// Administratively down.
    pub disabled: bool,
    /// Kept down because a prefix limit was exceeded.
    pub held: bool,
    /// Seconds in Established, 0 otherwise.
    pub uptime_seconds: u64,
    /// How often the session left Established.
    pub flap_count: u64,
    /// The last thing that went wrong, empty if nothing did.
    pub last_error: String,
    /// The last NOTIFICATION of the peer.
    pub notification_received: Option<Notified>,
    /// The last one that it was sent.
    pub notification_sent: Option<Notified>,
    /// In how many seconds a connection is begun again, while the peer waits for that.
    pub next_attempt: Option<u32>,
    /// Received messages.
    pub received: MessageCounts,
    /// Sent messages.
    pub sent: MessageCounts,
    /// Negotiated hold time in seconds, 0 outside of a session.
    pub hold_time: u16,
    /// After how many seconds a session ends whose peer takes nothing of what it is sent (RFC 9687); 0 outside
    /// of a session, and where it never does.
    pub send_hold_time: u32,
    /// Seconds between KEEPALIVEs, rounded and before jitter; 0 outside of a session, and where there are none.
    pub keepalive: u16,
    /// Negotiated families.
    pub families: FamilySet,
    /// What else was agreed on; `None` outside of a session.
    pub agreed: Option<Agreed>,
    /// Families with several paths from the peer (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Families with several paths to the peer.
    pub add_path_send: FamilySet,
    /// Capabilities of the peer's OPEN, as text, in its order.
    pub capabilities_received: Vec<String>,
    /// Capabilities of our OPEN, as text.
    pub capabilities_sent: Vec<String>,
    /// Our end of the connection.
    pub local: Option<SocketAddr>,
    /// The peer's end.
    pub remote: Option<SocketAddr>,
    /// The peer's BGP identifier, from its OPEN.
    pub router_id: Option<Ipv4Addr>,
    /// The role that it announces (RFC 9234 §4.1): a name, a number where that is not assigned; empty outside of
    /// a session, and where it announces none.
    pub peer_role: String,
    /// Octets queued for the peer and not yet written.
    pub queued_octets: u64,
    /// The NOTIFICATIONs for which connections ended.
    pub notifications: Vec<NotificationCount>,
    /// Changes of the state.
    pub transitions: Vec<Transition>,
}

/// What session answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionToControl {
    /// Some of the peers that were asked for.
    PeersReply {
        /// The question.
        id: QueryId,
        /// As many as fit.
        peers: Vec<PeerStatus>,
        /// Nothing follows.
        last: bool,
    },
    /// Errors of a peer, the oldest first.
    ErrorsReply {
        /// The question.
        id: QueryId,
        /// At most [`KEPT`](crate::errors::KEPT).
        errors: Vec<PeerError>,
    },
    /// What went over session's channels.
    TrafficReply {
        /// UPDATEs received from and sent to peers that are gone.
        gone: [u64; 2],
        /// The question.
        id: QueryId,
        /// By the process at the other end.
        traffic: Vec<Traffic>,
    },
}

impl Message for SessionToControl {}
