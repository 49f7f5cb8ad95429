//! The command line.

mod change;
mod config;
mod objects;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::parse;
pub(crate) use change::{AddNeighborArgs, ChainAction, ChainArgs, RangeAction, RangeArgs, Way};
pub(crate) use config::{ApplyArgs, ConfigAction};
pub(crate) use objects::{NamedAction, NamedArgs, PolicyAction, PolicyArgs};

/// Where the daemon listens unless told otherwise.
pub(crate) const DEFAULT_ADDR: &str = "unix:///var/lib/rustbgpd/grpc.sock";

/// Control and watch a running rustbgpd.
#[derive(Debug, Parser)]
#[command(name = "rustbgpctl", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Where the daemon listens: unix:///path, http://host:port or https://host:port
    #[arg(short = 's', long, global = true, value_name = "ADDR", env = "RUSTBGPD_ADDR", default_value = DEFAULT_ADDR)]
    pub(crate) addr: String,
    /// File that holds the bearer token
    #[arg(long, global = true, value_name = "FILE", env = "RUSTBGPD_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// With https://: file with the certificates of who signed the daemon's, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "RUSTBGPD_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// With https://: file with a certificate to show to the daemon, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "RUSTBGPD_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "RUSTBGPD_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Print JSON
    #[arg(short, long, global = true)]
    pub(crate) json: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show who the daemon is: AS number, router id, port
    Global,
    /// Show neighbors and their errors, add and delete, enable, disable and drain them, evaluate their routes anew
    Neighbor(NeighborArgs),
    /// Show ranges from which neighbors may connect without being listed, add and delete them
    DynamicNeighbor(RangeArgs),
    /// Show routes, inject and withdraw them
    Rib(RibArgs),
    /// Show policies, create, change, delete and test them; also in the configuration file
    Policy(PolicyArgs),
    /// Show which policies apply, name others; also in the configuration file
    PolicyChain(ChainArgs),
    /// Show the configuration, compare it with another one, put another one in force
    #[command(subcommand)]
    Config(ConfigAction),
    /// Show changes of the best routes as they happen, until Ctrl-C; with -j, a JSON object a line
    Watch(WatchArgs),
    /// Show sets of neighbors, create, change and delete them; also in the configuration file
    NeighborSet(NamedArgs),
    /// Show sets of prefixes, create, change and delete them; also in the configuration file
    PrefixSet(NamedArgs),
    /// Show sets of AS numbers, create, change and delete them; also in the configuration file
    AsSet(NamedArgs),
    /// Show sets of communities, create, change and delete them; also in the configuration file
    CommunitySet(NamedArgs),
    /// Show peer groups, create, change and delete them; also in the configuration file
    PeerGroup(NamedArgs),
    /// Show whether the daemon works as it should
    Health,
    /// Show the metrics as Prometheus reads them
    Metrics,
    /// Show the daemon's processes: how long they live, what they use
    Processes,
    /// Follow sessions, rates, processes and events on the whole terminal; h shows the keys
    Top {
        /// How often the daemon is asked
        #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = parse::interval)]
        interval: Duration,
    },
    /// Write a dump of the tables now (MRT, RFC 6396)
    MrtDump,
    /// End all sessions and the daemon
    Shutdown {
        /// What to tell the peers (RFC 9003)
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Print what completes this command's words in a shell, such as: rustbgpctl completions bash > /etc/bash_completion.d/rustbgpctl
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages of this command and of all its commands into a folder
    Man {
        /// The folder, such as /usr/local/share/man/man1
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Words that people know from the manuals of BGP daemons, and what this one does not do yet.
const NOT_YET: [(&str, &str); 3] = [
    (
        "flowspec",
        "FlowSpec is not there yet: this version of rustbgpd neither takes, sends nor shows such routes",
    ),
    (
        "rpki",
        "RPKI is not there yet: this version of rustbgpd neither connects to caches nor validates routes",
    ),
    (
        "bmp",
        "BMP is not there yet: this version of rustbgpd neither connects to collectors nor reports to them",
    ),
];

/// Why there is no such command, where that is no slip of the pen.
pub(crate) fn not_yet(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    NOT_YET.iter().find(|(name, _)| name == word).map(|(_, why)| *why)
}

/// A shell whose words can be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `neighbor`.
#[derive(Debug, ClapArgs)]
pub(crate) struct NeighborArgs {
    /// Show everything about this one
    #[arg(value_name = "ADDR")]
    pub(crate) address: Option<IpAddr>,
    #[command(subcommand)]
    pub(crate) action: Option<NeighborAction>,
}

/// What to do with a neighbor.
#[derive(Debug, Subcommand)]
pub(crate) enum NeighborAction {
    /// Add it, also to the configuration file
    Add(Box<AddNeighborArgs>),
    /// End the session and remove it, also from the configuration file
    Delete,
    /// Put it into a peer group in place of its own, also in the configuration file
    PeerGroup {
        /// The group
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// Into none
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Let the session come up again
    Enable,
    /// End the session and keep it down
    Disable {
        /// What to tell the peer (RFC 9003)
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Move traffic away before the session is disabled: ask the peer for other routes, and use others (RFC 8326)
    Drain,
    /// Let traffic come back
    Undrain,
    /// Show the errors that it has made: counted, and the last ones with their octets
    Errors,
    /// Evaluate anew what the neighbor has sent; the session stays up
    Softreset {
        /// Only this address family, otherwise all
        #[arg(short = 'a', long = "family", value_name = "FAMILY")]
        family: Option<Family>,
        /// Ask the neighbor for its routes as well (RFC 2918)
        #[arg(long)]
        refresh: bool,
    },
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Family {
    #[value(name = "ipv4_unicast", alias = "ipv4", alias = "ipv4-unicast")]
    Ipv4Unicast,
    #[value(name = "ipv6_unicast", alias = "ipv6", alias = "ipv6-unicast")]
    Ipv6Unicast,
}

impl Family {
    /// Its number in the API.
    pub(crate) fn number(self) -> i32 {
        match self {
            Family::Ipv4Unicast => 1,
            Family::Ipv6Unicast => 2,
        }
    }

    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Ipv4Unicast => "ipv4_unicast",
            Family::Ipv6Unicast => "ipv6_unicast",
        }
    }
}

/// Which routes.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct RouteSelection {
    /// Only this address family
    #[arg(short = 'a', long = "family", global = true, value_name = "FAMILY")]
    pub(crate) family: Option<Family>,
    /// Only this prefix
    #[arg(short, long, global = true, value_name = "PREFIX", value_parser = parse::prefix)]
    pub(crate) prefix: Option<IpNet>,
    /// With -p: everything inside the prefix as well
    #[arg(short, long, global = true)]
    pub(crate) longer: bool,
    /// Only routes that this AS originates
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) origin_asn: Option<u32>,
    /// Only routes with one of these communities, such as 65001:100 or NO_EXPORT
    #[arg(short, long, global = true, value_name = "COMMUNITY", value_delimiter = ',', value_parser = parse::community)]
    pub(crate) community: Vec<u32>,
    /// Only routes with one of these large communities, such as 65001:1:2
    #[arg(long, global = true, value_name = "COMMUNITY", value_delimiter = ',', value_parser = parse::large_community)]
    pub(crate) large_community: Vec<String>,
    /// With -p: why it is as it is: the decision process, or every step of the policies
    #[arg(long, global = true)]
    pub(crate) explain: bool,
}

impl RouteSelection {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.family.is_none()
            && self.prefix.is_none()
            && !self.longer
            && self.origin_asn.is_none()
            && self.community.is_empty()
            && self.large_community.is_empty()
            && !self.explain
    }
}

/// `watch`.
#[derive(Debug, ClapArgs)]
pub(crate) struct WatchArgs {
    /// Only changes from or to a route of this neighbor; 0.0.0.0 stands for injected routes
    #[arg(value_name = "ADDR")]
    pub(crate) address: Option<IpAddr>,
    /// Only this address family
    #[arg(short = 'a', long = "family", value_name = "FAMILY")]
    pub(crate) family: Option<Family>,
    /// First the routes that are there
    #[arg(long, conflicts_with = "resume_after")]
    pub(crate) snapshot: bool,
    /// With next hop and path; with -j, the whole route
    #[arg(long)]
    pub(crate) attributes: bool,
    /// Go on behind the event of this number
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) resume_after: Option<u64>,
}

/// `rib`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RibArgs {
    #[command(flatten)]
    pub(crate) selection: RouteSelection,
    #[command(subcommand)]
    pub(crate) action: Option<RibAction>,
}

/// What to do with routes. Without any, the best ones are shown.
#[derive(Debug, Subcommand)]
pub(crate) enum RibAction {
    /// Show what a neighbor sent, before import policy
    Received {
        /// The neighbor
        #[arg(value_name = "ADDR")]
        address: IpAddr,
    },
    /// Show what a neighbor was sent
    Advertised {
        /// The neighbor
        #[arg(value_name = "ADDR")]
        address: IpAddr,
    },
    /// Show how much is in the tables
    Summary,
    /// Inject a route
    Add(AddArgs),
    /// Withdraw an injected route
    Delete {
        /// Its prefix
        #[arg(value_name = "PREFIX", value_parser = parse::prefix)]
        target: IpNet,
        /// Its path identifier
        #[arg(long, value_name = "N", default_value_t = 0)]
        path_id: u32,
    },
    /// Inject the routes of an MRT table dump (plain or gzip)
    Inject(InjectArgs),
    /// Show who owns injected routes, and until when; withdraw all of an owner
    Owners {
        #[command(subcommand)]
        action: Option<OwnersAction>,
    },
}

/// What to do with owners of injected routes. Without any, they are listed.
#[derive(Debug, Subcommand)]
pub(crate) enum OwnersAction {
    /// Withdraw all its routes
    Delete {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say that it is still there
    Renew {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// From now on, withdraw its routes when it was not heard of for so long; 0: never
        #[arg(long, value_name = "SECONDS")]
        lease: Option<u32>,
    },
}

/// Whose injected routes are.
#[derive(Debug, ClapArgs)]
pub(crate) struct OwnerArgs {
    /// Whose they are: a name
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Withdraw all its routes when the owner was not heard of for so long; 0: never
    #[arg(long, value_name = "SECONDS", requires = "owner")]
    pub(crate) lease: Option<u32>,
}

/// `rib add`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AddArgs {
    /// What the route leads to
    #[arg(value_name = "PREFIX", value_parser = parse::prefix)]
    pub(crate) target: IpNet,
    /// Next hop, of the prefix's family
    #[arg(long, value_name = "IP")]
    pub(crate) nexthop: IpAddr,
    /// ORIGIN: igp, egp or incomplete
    #[arg(long, default_value = "igp", value_parser = parse::origin)]
    pub(crate) origin: u32,
    /// LOCAL_PREF
    #[arg(long, value_name = "N")]
    pub(crate) local_pref: Option<u32>,
    /// MULTI_EXIT_DISC
    #[arg(long, value_name = "N")]
    pub(crate) med: Option<u32>,
    /// AS_PATH, such as "65001 65002"
    #[arg(long, value_name = "ASNS", default_value = "", value_parser = parse::as_path)]
    pub(crate) as_path: parse::AsPath,
    /// Communities, such as 65001:100,NO_EXPORT
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::community)]
    pub(crate) communities: Vec<u32>,
    /// Large communities, such as 65001:1:2
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::large_community)]
    pub(crate) large_communities: Vec<String>,
    /// Path identifier, where a prefix gets several paths
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) path_id: u32,
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
}

/// `rib inject`.
#[derive(Debug, ClapArgs)]
pub(crate) struct InjectArgs {
    /// The table dump (TABLE_DUMP or TABLE_DUMP_V2)
    #[arg(long, value_name = "FILE")]
    pub(crate) mrt: PathBuf,
    /// Inject so many routes at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Take the routes of this peer of the dump; otherwise the first route of each prefix
    #[arg(long, value_name = "N")]
    pub(crate) peer_index: Option<u16>,
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
}
