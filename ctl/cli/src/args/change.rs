//! Arguments of commands that change the configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::parse;

/// `neighbor ADDR add`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AddNeighborArgs {
    /// Its AS number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) asn: u32,
    /// What to call it
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Peer group that gives it what is not said here
    #[arg(long, value_name = "NAME")]
    pub(crate) peer_group: Option<String>,
    /// Hold time in seconds [default: 90]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..=65535))]
    pub(crate) hold_time: Option<u32>,
    /// Most prefixes that it may announce
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_prefixes: Option<u32>,
    /// Most prefixes that it is announced
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_prefixes_out: Option<u32>,
    /// What happens beyond: shutdown, restart or warn [default: shutdown]
    #[arg(long, value_name = "ACTION")]
    pub(crate) max_prefixes_action: Option<String>,
    /// With restart: when the session is tried again
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub(crate) max_prefixes_restart_minutes: Option<u32>,
    /// Address families, such as ipv4_unicast,ipv6_unicast [default: those of the peer group, else ipv4_unicast]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) families: Vec<String>,
    /// What happens to private AS numbers: remove, all or replace
    #[arg(long, value_name = "HOW")]
    pub(crate) remove_private_as: Option<String>,
    /// Take only packets that cannot come from further away (GTSM, RFC 5082)
    #[arg(long)]
    pub(crate) ttl_security: bool,
    /// Our role towards it (RFC 9234): provider, customer, peer, rs or rs-client
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Refuse it if it announces no role
    #[arg(long, requires = "role")]
    pub(crate) role_strict: bool,
    /// It is a client of ours as a transparent route server (RFC 7947)
    #[arg(long)]
    pub(crate) route_server_client: bool,
    /// Take several paths of a prefix from it (RFC 7911)
    #[arg(long)]
    pub(crate) add_path_receive: bool,
    /// Send it several paths of a prefix
    #[arg(long)]
    pub(crate) add_path_send: bool,
    /// With --add-path-send: how many at most
    #[arg(long, value_name = "N", requires = "add_path_send", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) add_path_send_max: Option<u32>,
    /// File that holds the TCP-MD5 key (RFC 2385); the line's end does not count
    #[arg(long, value_name = "FILE")]
    pub(crate) md5_password_file: Option<PathBuf>,
    /// Policies for what it sends, in order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) import_policy_chain: Vec<String>,
    /// Policies for what it is sent, in order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) export_policy_chain: Vec<String>,
    /// Our address of the session
    #[arg(long, value_name = "IP")]
    pub(crate) local_address: Option<IpAddr>,
    /// Our AS number towards it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) local_asn: Option<u32>,
    /// Its port [default: 179]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub(crate) port: Option<u32>,
    /// Wait for it to connect
    #[arg(long)]
    pub(crate) passive: bool,
    /// It is so many hops away
    #[arg(long, value_name = "TTL", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) multihop: Option<u32>,
    /// Graceful restart (RFC 4724) [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) graceful_restart: Option<bool>,
    /// Seconds to keep its routes as long-lived stale (RFC 9494) [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) llgr_stale_time: Option<u32>,
    /// It is a client of ours as a route reflector (RFC 4456)
    #[arg(long)]
    pub(crate) route_reflector_client: bool,
    /// Announce a default route to it
    #[arg(long)]
    pub(crate) default_originate: bool,
    /// Keep it down until it is enabled
    #[arg(long)]
    pub(crate) shutdown: bool,
    /// Everything else: keys of the configuration file (TOML), as `peer-group set` takes them; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

/// `dynamic-neighbor`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RangeArgs {
    #[command(subcommand)]
    pub(crate) action: Option<RangeAction>,
}

/// What to do with ranges. Without any, they are shown.
#[derive(Debug, Subcommand)]
pub(crate) enum RangeAction {
    /// Show the ranges
    List,
    /// Let neighbors come from a range, also in the configuration file
    Add {
        /// Where they connect from
        #[arg(value_name = "PREFIX", value_parser = parse::prefix)]
        prefix: IpNet,
        /// Peer group that gives their settings
        #[arg(long, value_name = "NAME")]
        peer_group: String,
        /// Their AS number [default: any]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        asn: Option<u32>,
        /// What to call them
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// End the sessions of a range and remove it, also from the configuration file
    Delete {
        /// Which
        #[arg(value_name = "PREFIX", value_parser = parse::prefix)]
        prefix: IpNet,
    },
}

/// `policy-chain`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ChainArgs {
    /// The chains of this neighbor, otherwise those for all that have none themselves
    #[arg(value_name = "ADDR")]
    pub(crate) address: Option<IpAddr>,
    #[command(subcommand)]
    pub(crate) action: Option<ChainAction>,
}

/// What to do with a chain. Without any, both are shown.
#[derive(Debug, Subcommand)]
pub(crate) enum ChainAction {
    /// Name its policies, in order, in place of those that it has
    Set {
        /// For which way of routes
        way: Way,
        /// Policies of the configuration file
        #[arg(value_name = "POLICY", required = true)]
        policies: Vec<String>,
    },
    /// Have none there
    Clear {
        /// For which way of routes
        way: Way,
    },
}

/// Which way the routes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// From neighbors
    Import,
    /// To neighbors
    Export,
}
