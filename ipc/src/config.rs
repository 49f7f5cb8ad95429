//! What the engines are told of the configuration. Never a secret: keys and tokens stay in the parent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp::{BgpRole, FamilySet, RemovePrivateAs};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ids::{PeerId, RangeId};

/// Who we are, towards every peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
}

/// Our role towards a peer (RFC 9234 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRole {
    /// What we are to it.
    pub role: BgpRole,
    /// Refuse it if it announces no role.
    pub strict: bool,
}

/// How many prefixes may be exchanged with a peer, all families together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrefixLimits {
    /// Most prefixes that the peer may announce.
    pub received: Option<u32>,
    /// Of these, only those count that its import policy takes.
    pub accepted_only: bool,
    /// Most prefixes that the peer is announced.
    pub advertised: Option<u32>,
    /// What happens beyond either.
    pub action: OverLimit,
}

/// What happens when a prefix limit is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OverLimit {
    /// The session ends (RFC 4486 §4), and the peer stays down until it is enabled.
    #[default]
    Shutdown,
    /// The session ends, and the peer may come back after a time.
    Restart {
        /// So many minutes.
        minutes: u16,
    },
    /// The log says so.
    Warn,
}

/// What a peer may turn out to be, where its AS number is not known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerKind {
    /// Of our own AS.
    Internal,
    /// Of another one.
    External,
}

/// What session is told of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPeer {
    /// The peer's name between the processes.
    pub id: PeerId,
    /// Its address; at most one peer has it.
    pub address: IpAddr,
    /// The AS number that its OPEN must carry; 0 = any that `only` allows, for dynamic peers.
    pub remote_asn: u32,
    /// What a peer of any AS has to be, where its settings make sense for one kind alone.
    pub only: Option<PeerKind>,
    /// It is there because it connected from a range, and only until it is gone again. Known beforehand is one that the
    /// operator keeps down.
    pub dynamic: bool,
    /// The AS number that our OPEN carries.
    pub local_asn: u32,
    /// Proposed hold time in seconds: 0 or at least 3 (RFC 4271 §4.2).
    pub hold_time: u16,
    /// Seconds between KEEPALIVEs, at most a third of the agreed hold time; `None` = that third.
    pub keepalive: Option<u16>,
    /// Seconds that a session goes on while the peer takes nothing of what it is sent (RFC 9687), 0 = for
    /// ever; `None` = the default of that document.
    pub send_hold_time: Option<u16>,
    /// Families to offer.
    pub families: FamilySet,
    /// Our role towards an external peer.
    pub role: Option<PeerRole>,
    /// Never connect, only accept.
    pub passive: bool,
    /// Seconds between attempts to connect, before jitter.
    pub connect_retry: u16,
    /// The least TTL or hop limit that packets of the peer must have (RFC 5082), to be set on accepted
    /// connections. The parent sets it on those that it begins.
    pub min_ttl: Option<u8>,
    /// Start administratively down.
    pub shutdown: bool,
    /// Take several paths of a prefix from the peer, in every family (RFC 7911).
    pub add_path_receive: bool,
    /// Send it several paths of a prefix, in every family.
    pub add_path_send: bool,
    /// Seconds that we ask for to come back after a restart (RFC 4724 §3), at most 4095; `None`: no graceful
    /// restart with this peer.
    pub restart_time: Option<u16>,
    /// Seconds that stale routes may be kept beyond that, ours by the peer and the peer's by us (RFC 9494), at most
    /// 16777215; 0: not at all.
    pub llgr_stale_time: u32,
    /// We have restarted, and the peer keeps our routes: for how many seconds more it is told so (RFC 4724 §4.1).
    pub restarted: Option<u16>,
    /// Level of the peer's log lines, where it is not the global one: error, warn, info, debug, trace.
    pub log_level: Option<String>,
    /// Where it is another one than before, the session ends and begins again, since something has changed that it
    /// was set up with.
    pub revision: u32,
    /// How many prefixes end its session. rde counts them.
    pub prefix_limits: PrefixLimits,
}

/// What rde is told of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdePeer {
    /// The peer's name between the processes.
    pub id: PeerId,
    /// Its address, the last tie-break of the decision process.
    pub address: IpAddr,
    /// A dynamic peer has its policies from this range, and its AS number from its OPEN.
    pub range: Option<RangeId>,
    /// Its AS number. 0 with a dynamic peer of any AS.
    pub remote_asn: u32,
    /// Our AS number towards it.
    pub local_asn: u32,
    /// Configured families.
    pub families: FamilySet,
    /// Transparent route-server client (RFC 7947).
    pub route_server_client: bool,
    /// Client of ours as a route reflector (RFC 4456).
    pub route_reflector_client: bool,
    /// IPv6 next hop to announce over an IPv4 session.
    pub local_ipv6_nexthop: Option<Ipv6Addr>,
    /// The first AS of a path from an external peer must be the peer's (RFC 4271 §6.3).
    pub enforce_first_as: bool,
    /// How often our own AS may appear in a path that the peer sends.
    pub allow_own_as: u8,
    /// Announcements to it leave at most every so many seconds (RFC 4271 §9.2.1.1); 0 = at once.
    pub advertisement_interval: u16,
    /// Routes that its import policy does not take are kept, for another policy.
    pub keep_rejected: bool,
    /// If the peer is external, it must have policies: without one, nothing is exchanged in its direction (RFC 8212).
    pub policy_required: bool,
    /// Paths with an AS_SET are not taken (RFC 9774).
    pub reject_as_sets: bool,
    /// What happens to private AS numbers in paths that it is sent.
    pub remove_private_as: Option<RemovePrivateAs>,
    /// It is sent a default route, whatever the tables have.
    pub default_originate: bool,
    /// The most paths of a prefix to send to the peer where it takes several (RFC 7911), 0 = all.
    pub add_path_send_max: u32,
    /// Our role towards an external peer: what its routes may be used for and which it is sent (RFC 9234 §5).
    pub role: Option<BgpRole>,
    /// GRACEFUL_SHUTDOWN makes a route of an external peer the last choice (RFC 8326 §4.1).
    pub graceful_shutdown: bool,
    /// The session with it is to be shut down gracefully (RFC 8326 §4.2).
    pub draining: bool,
    /// The most seconds that stale routes are kept while the peer restarts (RFC 8538 §4.1).
    pub stale_routes_time: u16,
    /// We announce long-lived graceful restart to the peer (RFC 9494).
    pub long_lived: bool,
    /// We have restarted, and nobody is sent routes before this peer has sent its own (RFC 4724 §4.1).
    pub awaited: bool,
    /// How many prefixes may be exchanged with it.
    pub prefix_limits: PrefixLimits,
}

/// Rules of the decision process that hold for all peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdeGlobal {
    /// Who we are.
    pub speaker: Speaker,
    /// Our cluster (RFC 4456 §7).
    pub cluster_id: Ipv4Addr,
    /// Compare MED across neighbor ASes.
    pub med_always_compare: bool,
    /// We have restarted: how many seconds peers are waited for at most (the Selection_Deferral_Timer of RFC 4724
    /// §4.1); 0 = not at all.
    pub deferral: u16,
    /// Shards of the tables, a thread each; 1 = no thread beside the engine's. Does not change while rde runs.
    pub threads: u16,
}

/// What control shows of a peer and does not know otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPeer {
    /// The peer's name between the processes.
    pub id: PeerId,
    /// Its address.
    pub address: IpAddr,
    /// It is there because it connected from a range.
    pub dynamic: bool,
    /// Its AS number; 0 with a dynamic peer of any AS.
    pub remote_asn: u32,
    /// Description, the address where none is configured.
    pub description: String,
    /// Configured hold time in seconds.
    pub hold_time: u16,
    /// Configured limits of prefixes.
    pub prefix_limits: PrefixLimits,
    /// Configured families.
    pub families: FamilySet,
    /// `remove`, `all`, `replace` or empty.
    pub remove_private_as: String,
    /// Name of its peer group, or empty.
    pub peer_group: String,
    /// Transparent route-server client.
    pub route_server_client: bool,
    /// Add-path: receive several paths.
    pub add_path_receive: bool,
    /// Add-path: send several paths.
    pub add_path_send: bool,
    /// Add-path: how many to send at most, 0 = no limit.
    pub add_path_send_max: u32,
    /// It must have an import and an export policy and has not both: in that direction it exchanges no routes (RFC 8212).
    pub policy_missing: bool,
    /// A TCP-MD5 key is set.
    pub md5: bool,
    /// GTSM is on.
    pub ttl_security: bool,
    /// Our role towards it.
    pub role: Option<PeerRole>,
}

/// What control shows of a range of dynamic peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRange {
    /// Where they connect from.
    pub prefix: IpNet,
    /// Name of the group that gives their settings.
    pub peer_group: String,
    /// Their AS number, 0 = any.
    pub remote_asn: u32,
    /// Description, may be empty.
    pub description: String,
}

/// What control shows of the daemon as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlGlobal {
    /// Who we are.
    pub speaker: Speaker,
    /// BGP port, 0 = not listening.
    pub listen_port: u16,
    /// The build, as `rustbgpd --version` prints it.
    pub version: String,
    /// When the daemon started, in Unix seconds. Control itself may be younger.
    pub started: u64,
}

/// What a client of a listener may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Nothing that changes something.
    ReadOnly,
}

/// Whose processes may connect to a Unix socket, beyond what its mode says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllowedPeers {
    /// Users.
    pub uids: Vec<u32>,
    /// Groups: the process's own or one of its supplementary ones.
    pub gids: Vec<u32>,
}

impl AllowedPeers {
    /// Whether nobody is left out.
    pub fn is_everybody(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }
}

/// TLS of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Clients must have a certificate too.
    pub client_ca: bool,
}

/// What a listener handed to control is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerKind {
    /// gRPC over a Unix socket (SOCK_STREAM, listening).
    GrpcUnix {
        /// What its clients may do.
        access: Access,
        /// Whether the second fd of the message is a file that holds the bearer token.
        token: bool,
        /// Whose processes may connect.
        allow: AllowedPeers,
    },
    /// gRPC over TCP.
    GrpcTcp {
        /// What its clients may do.
        access: Access,
        /// Whether the second fd of the message is a file that holds the bearer token.
        token: bool,
        /// Whether the next two fds are files with the certificates of the listener and their key, in PEM, and one more
        /// those that sign the clients' certificates.
        tls: Option<Tls>,
    },
    /// HTTP for Prometheus.
    Metrics,
}

impl ListenerKind {
    /// How many fds the message with the listener has: the listener itself, then what the kind says.
    pub fn fd_count(&self) -> usize {
        match self {
            ListenerKind::GrpcUnix { token, .. } => 1 + usize::from(*token),
            ListenerKind::GrpcTcp { token, tls, .. } => {
                1 + usize::from(*token) + tls.map_or(0, |tls| 2 + usize::from(tls.client_ca))
            }
            ListenerKind::Metrics => 1,
        }
    }
}
