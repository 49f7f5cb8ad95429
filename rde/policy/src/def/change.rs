//! What a statement changes about a route.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::community::CommunityPattern;
use super::matching::list;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// LOCAL_PREF becomes this.
    LocalPref(u32),
    /// MULTI_EXIT_DISC becomes this.
    Med(u32),
    /// The next hop becomes this.
    NextHop(NextHopChange),
    /// These communities are added. None has a wildcard.
    AddCommunities(Vec<CommunityPattern>),
    /// What matches one of these is removed.
    RemoveCommunities(Vec<CommunityPattern>),
    /// An AS is put in front of the path.
    Prepend {
        /// The AS, not 0.
        asn: u32,
        /// How often, 1 to 10.
        count: u8,
    },
}

/// A next hop to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NextHopChange {
    /// Our own address towards the peer, which the caller knows.
    OurAddress,
    /// This one. Has no effect on an IPv6 route if it is an IPv4 address.
    Address(IpAddr),
}

impl fmt::Display for NextHopChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextHopChange::OurAddress => f.write_str("self"),
            NextHopChange::Address(a) => a.fmt(f),
        }
    }
}

/// As the configuration file writes it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::LocalPref(n) => write!(f, "set_local_pref = {n}"),
            Change::Med(n) => write!(f, "set_med = {n}"),
            Change::NextHop(n) => write!(f, "set_next_hop = \"{n}\""),
            Change::AddCommunities(c) => write!(f, "set_community_add = [{}]", list(c)),
            Change::RemoveCommunities(c) => write!(f, "set_community_remove = [{}]", list(c)),
            Change::Prepend { asn, count } => {
                write!(f, "set_as_path_prepend = {{ asn = {asn}, count = {count} }}")
            }
        }
    }
}
