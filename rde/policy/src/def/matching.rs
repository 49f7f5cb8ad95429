//! What a statement asks of a route.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::SetKind;
use super::community::CommunityPattern;
use super::prefix::PrefixRange;
use crate::route::{AspaState, RouteType, RpkiState};

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Match {
    /// The prefix is this one, or inside of it with these lengths.
    Prefix(PrefixRange),
    /// One of the ranges of this set has the prefix.
    PrefixSet(String),
    /// One of these communities is there.
    Communities(Vec<CommunityPattern>),
    /// One of the communities of this set is there.
    CommunitySet(String),
    /// The regular expression matches the path: see [`AsPathTest`](crate::AsPathTest).
    AsPath(String),
    /// The last AS of the path is in this set.
    OriginAsSet(String),
    /// The peer that the route is from (import) or for (export) is in this set.
    NeighborSet(String),
    /// Where the route is from.
    RouteType(RouteType),
    /// The path has at least this length; an AS_SET counts 1.
    AsPathLengthGe(u32),
    /// The path has at most this length.
    AsPathLengthLe(u32),
    /// LOCAL_PREF is at least this; 100 where there is none.
    LocalPrefGe(u32),
    /// LOCAL_PREF is at most this.
    LocalPrefLe(u32),
    /// MULTI_EXIT_DISC is at least this; 0 where there is none.
    MedGe(u32),
    /// MULTI_EXIT_DISC is at most this.
    MedLe(u32),
    /// The next hop is this address; of an IPv6 pair the global one counts.
    NextHop(IpAddr),
    /// The outcome of origin validation (RFC 6811).
    Rpki(RpkiState),
    /// The outcome of path verification by ASPA.
    Aspa(AspaState),
}

impl Match {
    /// The set that it refers to.
    pub fn refers_to(&self) -> Option<(SetKind, &str)> {
        Some(match self {
            Match::PrefixSet(name) => (SetKind::Prefixes, name),
            Match::CommunitySet(name) => (SetKind::Communities, name),
            Match::OriginAsSet(name) => (SetKind::Asns, name),
            Match::NeighborSet(name) => (SetKind::Neighbors, name),
            _ => return None,
        })
    }
}

/// As the configuration file writes it.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Prefix(range) => range.write_as_keys(f),
            Match::PrefixSet(name) => write!(f, "match_prefix_set = {name:?}"),
            Match::Communities(c) => write!(f, "match_community = [{}]", list(c)),
            Match::CommunitySet(name) => write!(f, "match_community_set = {name:?}"),
            // What a TOML literal string takes needs no escapes.
            Match::AsPath(text) => write!(f, "match_as_path = '{text}'"),
            Match::OriginAsSet(name) => write!(f, "match_origin_as_set = {name:?}"),
            Match::NeighborSet(name) => write!(f, "match_neighbor_set = {name:?}"),
            Match::RouteType(t) => write!(f, "match_route_type = \"{}\"", t.name()),
            Match::AsPathLengthGe(n) => write!(f, "match_as_path_length_ge = {n}"),
            Match::AsPathLengthLe(n) => write!(f, "match_as_path_length_le = {n}"),
            Match::LocalPrefGe(n) => write!(f, "match_local_pref_ge = {n}"),
            Match::LocalPrefLe(n) => write!(f, "match_local_pref_le = {n}"),
            Match::MedGe(n) => write!(f, "match_med_ge = {n}"),
            Match::MedLe(n) => write!(f, "match_med_le = {n}"),
            Match::NextHop(a) => write!(f, "match_next_hop = \"{a}\""),
            Match::Rpki(s) => write!(f, "match_rpki_validation = \"{}\"", s.name()),
            Match::Aspa(s) => write!(f, "match_aspa_validation = \"{}\"", s.name()),
        }
    }
}

/// The first ones of a list as the file writes them; a long list is cut.
pub(super) fn list(items: &[CommunityPattern]) -> String {
    const SHOWN: usize = 20;
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(|c| format!("\"{c}\"")).collect();
    if items.len() > SHOWN {
        shown.push(format!("and {} more", items.len() - SHOWN));
    }
    shown.join(", ")
}
