//! Session and rde: the way of an UPDATE and back.
//!
//! Two links. On the bulk link, what must stay in order: a peer's session comes up, its messages, its
//! session goes down; and the other way the bytes for peers with the groups they go to. On the control
//! link, what must not wait behind routes: credits, what was written, "end this session".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bgp::{Family, FamilySet};
use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::ids::{Epoch, GroupId, PeerId};

/// A run of whole BGP messages (with their headers) in the payload of a bulk message. Runs follow each
/// other in the payload in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run<T> {
    /// Where from or where to.
    pub of: T,
    /// How many octets of the payload.
    pub len: u32,
}

/// The sum of the runs' lengths.
pub fn runs_len<T>(runs: &[Run<T>]) -> usize {
    runs.iter().map(|r| r.len as usize).sum()
}

/// One incarnation of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Who.
    pub peer: PeerId,
    /// Which incarnation.
    pub epoch: Epoch,
}

/// What two speakers agreed on in their OPENs, as far as routes depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// The peer's AS number, as its OPEN says.
    pub remote_asn: u32,
    /// Families that both sides announced.
    pub families: FamilySet,
    /// Both speak 4-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// The peer takes ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// Both sides tell where a table that they send again begins and ends (RFC 7313).
    pub enhanced_refresh: bool,
    /// What the peer says of a refresh before its End-of-RIB is ignored (RFC 7313 §4).
    pub refresh_after_end_of_rib: bool,
    /// Families with several paths from the peer (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Families with several paths to the peer.
    pub add_path_send: FamilySet,
    /// Largest message to send to the peer, in octets: 4096 or 65535 (RFC 8654).
    pub max_message: u16,
    /// IPv4 unicast with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// What the peer announced about restarts, where both sides announced something.
    pub graceful: Option<GracefulRestart>,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// Our end of the connection: the address is "next hop self".
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

/// The peer's graceful restart capability (RFC 4724 §3), as far as it concerns negotiated families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GracefulRestart {
    /// R bit: the peer has restarted.
    pub restarting: bool,
    /// Both sides set the N bit: NOTIFICATIONs and an expired hold timer don't end graceful restart (RFC 8538 §4).
    pub notification: bool,
    /// How long the peer's next restart may take, in seconds.
    pub restart_time: u16,
    /// The families whose routes are kept over a restart.
    pub families: FamilySet,
    /// Those whose forwarding state was kept over the last restart (F bit).
    pub forwarding: FamilySet,
    /// What the peer announced about longer absences, where both sides announced something.
    pub long_lived: Option<LongLived>,
}

/// The peer's long-lived graceful restart capability (RFC 9494 §3.1), as far as it concerns negotiated families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongLived {
    /// How long its routes are kept beyond graceful restart, in seconds, by [`Family`] number: what it announced, and no
    /// more than is configured here. 0 = not at all.
    pub stale_times: [u32; 4],
    /// Families whose forwarding state was kept over its last restart (F bit).
    pub forwarding: FamilySet,
}

/// Why a session ended, as far as routes depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownReason {
    /// The peer's routes go.
    Ended,
    /// The peer is expected back: its routes are kept as stale in the families that it announced for that
    /// (RFC 4724 §4.2).
    Restarting,
}

/// Bulk, session to rde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionToRdeBulk {
    /// A session reached Established.
    PeerUp {
        /// Whose, and its number.
        source: Source,
        /// What was agreed on.
        negotiated: Negotiated,
    },
    /// It left Established.
    PeerDown {
        /// Whose, and its number.
        source: Source,
        /// What to do with the routes.
        reason: DownReason,
    },
    /// The peer is not expected any more: what is kept of its routes from a session before goes.
    Forget(PeerId),
    /// UPDATE and ROUTE-REFRESH messages as they were received (payload).
    Received(Vec<Run<Source>>),
}

impl Message for SessionToRdeBulk {
    fn payload_len(&self) -> usize {
        match self {
            SessionToRdeBulk::Received(runs) => runs_len(runs),
            _ => 0,
        }
    }
}

/// Who gets bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// One peer, in this incarnation.
    Peer(Source),
    /// All members of a group.
    Group(GroupId),
    /// All members of a group but this one (who the routes came from).
    GroupExcept(GroupId, PeerId),
}

/// Bulk, rde to session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RdeToSessionBulk {
    /// From here on the peer is a member of the group. A group begins with its first member.
    Join {
        /// Which group.
        group: GroupId,
        /// Who; ignored where the epoch is over.
        member: Source,
    },
    /// From here on it is not. A group ends with its last member. A session's end does it as well.
    Leave {
        /// Which group.
        group: GroupId,
        /// Who.
        member: Source,
    },
    /// Whole messages to send (payload).
    Send(Vec<Run<Target>>),
}

impl Message for RdeToSessionBulk {
    fn payload_len(&self) -> usize {
        match self {
            RdeToSessionBulk::Send(runs) => runs_len(runs),
            _ => 0,
        }
    }
}

/// Control, session to rde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionToRde {
    /// Octets that were written to peers' sockets since the last such message, for rde's account of what
    /// is queued for each. Sent when a peer's queue is empty, and for every 64 KiB.
    Written(Vec<(Source, u64)>),
}

impl Message for SessionToRde {}

/// Which way prefixes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Advertised,
}

/// Control, rde to session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RdeToSession {
    /// Octets of these peers' messages that rde has dealt with since the last such message. Session keeps
    /// at most [`RECEIVE_WINDOW`] octets of a peer outstanding and stops reading its socket at that.
    Consumed(Vec<(Source, u64)>),
    /// End the session with this NOTIFICATION.
    Notify {
        /// Whose.
        source: Source,
        /// Error code (RFC 4271 §4.5).
        code: u8,
        /// Error subcode.
        subcode: u8,
        /// Data field.
        data: Vec<u8>,
        /// For log and API.
        reason: String,
    },
    /// Nothing is left of the routes that were kept when this session of a dynamic peer ended: it was not back in time.
    NothingKept(Source),
    /// Too many prefixes were exchanged: end the session with Cease, Maximum Number of Prefixes Reached (RFC 4486
    /// §4), and keep the peer down as its configuration says.
    OverLimit {
        /// Whose.
        source: Source,
        /// Whose prefixes they were.
        direction: Direction,
        /// The family of those that were too many.
        family: Family,
        /// The limit.
        limit: u32,
    },
}

impl Message for RdeToSession {}

/// How many octets of one peer may be on their way to rde at once.
pub const RECEIVE_WINDOW: u64 = 192 << 10;

/// The address of a peer that stands for routes injected by the API.
pub const INJECTED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
