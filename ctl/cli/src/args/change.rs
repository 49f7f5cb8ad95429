//! Arguments of commands that change the configuration.

use std::net::IpAddr;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

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
