//! A route as policies look at it.

use bgp::NextHop;
use bgp::attr::canonical::{Canonical, Summary, summarize};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where a route is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RouteType {
    /// Injected or originated here.
    Local,
    /// From a peer of our own AS.
    Internal,
    /// From a peer of another AS.
    External,
}

impl RouteType {
    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            RouteType::Local => "local",
            RouteType::Internal => "internal",
            RouteType::External => "external",
        }
    }
}

/// The outcome of origin validation (RFC 6811 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum RpkiState {
    /// No VRP covers the prefix, or nothing is validated.
    #[default]
    NotFound,
    /// A VRP has the prefix, its length and the origin AS.
    Valid,
    /// VRPs cover the prefix, and none has it like this.
    Invalid,
}

impl RpkiState {
    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            RpkiState::NotFound => "not_found",
            RpkiState::Valid => "valid",
            RpkiState::Invalid => "invalid",
        }
    }
}

/// The outcome of path verification by ASPA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum AspaState {
    /// Nothing speaks for or against the path, or nothing is verified.
    #[default]
    Unknown,
    /// Each step is attested.
    Valid,
    /// A step contradicts what is attested.
    Invalid,
}

impl AspaState {
    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            AspaState::Unknown => "unknown",
            AspaState::Valid => "valid",
            AspaState::Invalid => "invalid",
        }
    }
}

/// LOCAL_PREF of a route that has none.
const DEFAULT_LOCAL_PREF: u32 = 100;

/// A route, borrowed from where it is kept. On import it is what the peer sent; on export it is what the tables have,
/// before anything is changed for the peer.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The prefix; bits beyond its length do not count.
    pub prefix: IpNet,
    /// The attributes without next hop.
    pub attributes: Canonical<'a>,
    /// LOCAL_PREF, 100 where there is none.
    pub local_pref: u32,
    /// MULTI_EXIT_DISC, 0 where there is none.
    pub med: u32,
    /// The length of the path in the decision process.
    pub path_len: u32,
    /// The next hop.
    pub next_hop: NextHop,
    /// Where it is from.
    pub route_type: RouteType,
    /// What origin validation says.
    pub rpki: RpkiState,
    /// What path verification says.
    pub aspa: AspaState,
}

impl<'a> Route<'a> {
    /// A route with the facts of its summary; nothing has validated it.
    pub fn new(
        prefix: IpNet,
        attributes: Canonical<'a>,
        summary: &Summary,
        next_hop: NextHop,
        route_type: RouteType,
    ) -> Route<'a> {
        Route {
            prefix,
            attributes,
            local_pref: summary.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            med: summary.med.unwrap_or(0),
            path_len: summary.path_len.into(),
            next_hop,
            route_type,
            rpki: RpkiState::default(),
            aspa: AspaState::default(),
        }
    }
}

/// A route that owns its attributes, for tests of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteBuf {
    /// The prefix.
    pub prefix: IpNet,
    /// The attributes in canonical form, as [`bgp::attr::canonical::Builder`] makes them.
    pub attributes: Vec<u8>,
    /// The next hop.
    pub next_hop: NextHop,
    /// Where it is from.
    pub route_type: RouteType,
    /// What origin validation says.
    pub rpki: RpkiState,
    /// What path verification says.
    pub aspa: AspaState,
}

impl RouteBuf {
    /// The route to evaluate.
    pub fn route(&self) -> Route<'_> {
        let summary = summarize(&self.attributes);
        let attributes = Canonical::new(&self.attributes);
        let route = Route::new(self.prefix, attributes, &summary, self.next_hop, self.route_type);
        Route { rpki: self.rpki, aspa: self.aspa, ..route }
    }
}
