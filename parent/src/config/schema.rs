//! What a configuration file says, checked and complete: defaults are filled in and each neighbor has
//! what its peer group gives it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use bgp::{FamilySet, RemovePrivateAs};
use ipc::config::{Access, AllowedPeers, PeerKind, PeerRole};
use ipnet::IpNet;
use policy::{Assignment, Definitions};

use super::secret::Secret;

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// `[global]`.
    pub global: Global,
    /// `[global.telemetry]` and its tables.
    pub telemetry: Telemetry,
    /// `[[neighbors]]` in the order of the file, each with what it inherits from its peer group.
    pub neighbors: Vec<Neighbor>,
    /// `[[dynamic_neighbors]]`.
    pub dynamic_neighbors: Vec<DynamicNeighbor>,
    /// `[policy]`.
    pub policy: Policy,
    /// `[rpki]`.
    pub rpki: Option<Rpki>,
    /// `[bmp]`.
    pub bmp: Option<Bmp>,
    /// `[mrt]`.
    pub mrt: Option<Mrt>,
}

/// `[policy]`. Read, checked and tested; nothing evaluates it yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Policy {
    /// Policies and sets, those of neighbors and groups included.
    pub definitions: Definitions,
    /// What all peers have on import that have nothing nearer.
    pub import: Assignment,
    /// The same on export.
    pub export: Assignment,
}

/// `[global]`: who we are and where we listen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Global {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// BGP port, 0 = do not listen.
    pub listen_port: u16,
    /// Addresses of the BGP listeners, at least one, none twice.
    pub listen_addresses: Vec<IpAddr>,
    /// How many dynamic neighbors there may be at once.
    pub dynamic_neighbor_limit: u32,
    /// Directory for the socket and the graceful-restart marker.
    pub runtime_state_dir: PathBuf,
    /// Our cluster (RFC 4456 §7): the configured one, else the router id.
    pub cluster_id: Ipv4Addr,
    /// Account that the engines run as; `None` where the file names none.
    pub user: Option<String>,
    /// Group that the engines run as; `None` where the file names none.
    pub group: Option<String>,
    /// Compare MED across neighbor ASes.
    pub med_always_compare: bool,
    /// Threads that the tables are split over, 1 to 64.
    pub rde_threads: u16,
    /// How much memory each engine may have, in octets; `None` = no limit of ours.
    pub engine_memory_limit: Option<u64>,
    /// An external peer without a policy gets and gives nothing (RFC 8212).
    pub ebgp_requires_policy: bool,
    /// Paths with an AS_SET are not taken (RFC 9774).
    pub reject_as_sets: bool,
}

/// `[global.telemetry]`: how to watch and control the daemon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Telemetry {
    /// Listener for Prometheus, if any.
    pub prometheus_addr: Option<SocketAddr>,
    /// Shape of the log lines.
    pub log_format: LogFormat,
    /// Least severe level that is logged; the environment's `RUST_LOG` goes first.
    pub log_level: LogLevel,
    /// gRPC over a Unix socket; `None` = off.
    pub grpc_uds: Option<GrpcUds>,
    /// gRPC over TCP; `None` = off.
    pub grpc_tcp: Option<GrpcTcp>,
    /// Listener of the looking glass, if any.
    pub looking_glass: Option<SocketAddr>,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading.
    Text,
}

impl LogFormat {
    /// The name that the file uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        }
    }
}

/// Severity of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// Only failures.
    Error,
    /// And what may need attention.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And what helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name that the file and `RUST_LOG` use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// `[global.telemetry.grpc_uds]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GrpcUds {
    /// Absolute path of the socket.
    pub path: PathBuf,
    /// Permission bits of the socket file.
    pub mode: u32,
    /// Group that owns the socket file, where it is not the daemon's.
    pub group: Option<String>,
    /// What clients may do.
    pub access: Access,
    /// File that holds the bearer token, if clients need one.
    pub token_file: Option<PathBuf>,
    /// Whose processes may connect: `allow_uids`, `allow_gids`.
    pub allow: AllowedPeers,
    /// The file does not mention the socket: it is for the members of the service group, if there is one.
    pub for_service_group: bool,
}

/// `[global.telemetry.grpc_tcp]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GrpcTcp {
    /// Where to listen.
    pub address: SocketAddr,
    /// What clients may do.
    pub access: Access,
    /// File that holds the bearer token, if clients need one.
    pub token_file: Option<PathBuf>,
    /// TLS; `None` = in clear text.
    pub tls: Option<TlsFiles>,
}

/// TLS of a listener: files in PEM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsFiles {
    /// The listener's certificate and those between it and its root.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs the certificates that clients must have; `None` = they need none.
    pub client_ca: Option<PathBuf>,
}

/// One of `[[neighbors]]`, with what it inherits and all defaults.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbor {
    /// The peer's address, which names it.
    pub address: IpAddr,
    /// The peer's AS number.
    pub remote_asn: u32,
    /// Our AS number towards it.
    pub local_asn: u32,
    /// Description; the address where none is given.
    pub description: String,
    /// Name of its peer group.
    pub peer_group: Option<String>,
    /// Proposed hold time in seconds: 0 or at least 3 (RFC 4271 §4.2).
    pub hold_time: u16,
    /// Seconds between KEEPALIVEs, where it is not a third of the negotiated hold time.
    pub keepalive: Option<u16>,
    /// Seconds without progress in sending before the session is closed (RFC 9687), 0 = never;
    /// `None` = that RFC's default.
    pub send_hold_time: Option<u16>,
    /// Seconds between attempts to connect.
    pub connect_retry: u16,
    /// Families to offer.
    pub families: FamilySet,
    /// Source address of the session.
    pub local_address: Option<IpAddr>,
    /// Port to connect to.
    pub port: u16,
    /// Never connect, only accept.
    pub passive: bool,
    /// Start administratively down.
    pub shutdown: bool,
    /// TTL of packets to an external peer that is not on our link; with `ttl_security`, how many hops away
    /// it may be.
    pub multihop: Option<u8>,
    /// Accept only packets that cannot come from further away (GTSM, RFC 5082).
    pub ttl_security: bool,
    /// TCP-MD5 key (RFC 2385).
    pub md5_password: Option<Secret>,
    /// Level of the peer's log lines, where it is not the global one.
    pub log_level: Option<LogLevel>,
    /// Most prefixes accepted.
    pub max_prefixes: Option<u32>,
    /// What happens beyond `max_prefixes`.
    pub max_prefixes_action: MaxPrefixesAction,
    /// Which prefixes count for `max_prefixes`.
    pub max_prefixes_count: PrefixCount,
    /// Most prefixes announced.
    pub max_prefixes_out: Option<u32>,
    /// Graceful restart (RFC 4724).
    pub graceful_restart: GracefulRestart,
    /// Transparent route-server client (RFC 7947).
    pub route_server_client: bool,
    /// Route-reflector client (RFC 4456).
    pub route_reflector_client: bool,
    /// What happens to private AS numbers in paths towards the peer.
    pub remove_private_as: Option<RemovePrivateAs>,
    /// IPv6 next hop to announce over an IPv4 session.
    pub local_ipv6_nexthop: Option<Ipv6Addr>,
    /// The first AS of a path from an external peer must be the peer's (RFC 4271 §6.3).
    pub enforce_first_as: bool,
    /// How often our own AS may appear in a path that the peer sends.
    pub allow_own_as: u8,
    /// Announce a default route.
    pub default_originate: bool,
    /// GRACEFUL_SHUTDOWN makes a route of an external peer the last choice (RFC 8326).
    pub graceful_shutdown: bool,
    /// Our role towards an external peer (RFC 9234).
    pub role: Option<PeerRole>,
    /// Several paths for one prefix (RFC 7911).
    pub add_path: AddPath,
    /// What it has on import, from its group if it says nothing itself.
    pub import_policy: Assignment,
    /// The same on export.
    pub export_policy: Assignment,
    /// Announcements leave at most every so many seconds, 0 = at once.
    pub advertisement_interval: u16,
    /// Routes that the import policy does not take are kept, for another policy.
    pub keep_rejected: bool,
}

/// The graceful restart keys of a peer (RFC 4724, RFC 9494).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GracefulRestart {
    /// Offer the capability and keep the peer's routes.
    pub enabled: bool,
    /// Seconds that we ask for to come back.
    pub restart_time: u16,
    /// Seconds to keep stale routes.
    pub stale_routes_time: u16,
    /// Seconds to keep them as long-lived stale, 0 = off.
    pub llgr_stale_time: u32,
}

/// Which prefixes of a peer are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PrefixCount {
    /// All that it announces.
    #[default]
    Received,
    /// Those that its import policy takes.
    Accepted,
}

/// What happens when a peer sends more than `max_prefixes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxPrefixesAction {
    /// Close the session; it stays down until enabled.
    Shutdown,
    /// Close the session and try again later.
    Restart {
        /// Minutes until then.
        minutes: u16,
    },
    /// Log a warning.
    Warn,
}

/// `[neighbors.add_path]` (RFC 7911).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AddPath {
    /// Receive several paths.
    pub receive: bool,
    /// Send several paths.
    pub send: bool,
    /// How many to send at most; `None` = no limit.
    pub send_max: Option<u32>,
}

/// One of `[[dynamic_neighbors]]`: peers that need not be listed one by one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DynamicNeighbor {
    /// Where they connect from.
    pub prefix: IpNet,
    /// The group that gives their settings.
    pub peer_group: String,
    /// Their AS number, 0 = any.
    pub remote_asn: u32,
    /// Description.
    pub description: Option<String>,
    /// What each of them is, but for its address, which is that of the range here, and its AS number, where that is 0.
    pub template: Neighbor,
    /// What they have to be for these settings to make sense, where they may be of any AS.
    pub only: Option<PeerKind>,
}

/// `[rpki]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rpki {
    /// `[[rpki.cache_servers]]`.
    pub cache_servers: Vec<CacheServer>,
    /// Local exceptions (RFC 8416).
    pub slurm_file: Option<PathBuf>,
}

/// One of `[[rpki.cache_servers]]`; times in seconds (RFC 8210 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheServer {
    /// `host:port`.
    pub address: String,
    /// Between two questions.
    pub refresh_interval: u32,
    /// After a failure.
    pub retry_interval: u32,
    /// After which the data is too old to use.
    pub expire_interval: u32,
}

/// `[bmp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bmp {
    /// Name in the Initiation message (RFC 7854 §4.3).
    pub sys_name: String,
    /// Description there; `None` = the version.
    pub sys_descr: Option<String>,
    /// `[[bmp.collectors]]`.
    pub collectors: Vec<BmpCollector>,
}

/// One of `[[bmp.collectors]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BmpCollector {
    /// Where to connect.
    pub address: SocketAddr,
    /// Seconds between attempts.
    pub reconnect_interval: u32,
    /// What it is sent.
    pub monitor: Vec<BmpView>,
    /// Seconds between statistics reports.
    pub stats_interval: u32,
    /// Send every message as received (RFC 7854 §4.7).
    pub mirror: bool,
}

/// A table that BMP can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BmpView {
    /// As received (RFC 7854 §5).
    AdjRibInPre,
    /// After import policy.
    AdjRibInPost,
    /// Before export policy (RFC 8671).
    AdjRibOutPre,
    /// As sent.
    AdjRibOutPost,
    /// Best routes (RFC 9069).
    LocRib,
}

/// `[mrt]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mrt {
    /// Directory of the files.
    pub output_dir: PathBuf,
    /// Seconds between table dumps.
    pub dump_interval: u32,
    /// Write gzip files.
    pub compress: bool,
    /// How the files' names begin.
    pub file_prefix: String,
    /// Record received messages as well.
    pub updates: bool,
    /// Seconds that one such file covers.
    pub updates_interval: u32,
}
