//! Control and rde: routes and counters, and routes injected by clients.

use std::net::IpAddr;

use bgp::{Family, FamilySet, NextHop};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::channel::Message;
use crate::errors::{FaultCount, PeerError};
use crate::explain::{ExplainedPath, Question};
use crate::figures::Traffic;
use crate::ids::{PeerId, QueryId};

/// Which table a query reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Table {
    /// What this peer sent (or all peers), before import policy.
    AdjRibIn(Option<PeerId>),
    /// The best routes.
    LocRib,
    /// What this peer was sent.
    AdjRibOut(PeerId),
}

/// Which routes of a table a query wants; all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RouteFilter {
    /// Of this family only.
    pub family: Option<Family>,
    /// This prefix, or with `longer` everything inside it.
    pub prefix: Option<IpNet>,
    /// Everything inside `prefix`.
    pub longer: bool,
    /// The last AS of the path, 0 = any.
    pub origin_asn: u32,
    /// With one of these communities, if there are any.
    pub communities: Vec<u32>,
    /// With one of these large communities, if there are any.
    pub large_communities: Vec<(u32, u32, u32)>,
}

/// Where a page ended: the next one begins behind this route. Routes are in the order of family, prefix
/// (address, then length), peer, path identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Family of the last route.
    pub family: Family,
    /// Its prefix.
    pub prefix: IpNet,
    /// Its peer; `None` = injected.
    pub peer: Option<PeerId>,
    /// Its path identifier.
    pub path_id: u32,
}

/// A segment of an AS_PATH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// An AS_SET (RFC 4271 §4.3), otherwise an AS_SEQUENCE.
    pub set: bool,
    /// Its AS numbers.
    pub asns: Vec<u32>,
}

/// A route, spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// What it leads to.
    pub prefix: IpNet,
    /// Who it was learned from; `None` = injected.
    pub peer: Option<PeerId>,
    /// Path identifier (RFC 7911), 0 = none.
    pub path_id: u32,
    /// It is the best one of its prefix.
    pub best: bool,
    /// Its peer began anew and has not announced it again: RFC 4724 §4.2, RFC 7313 §4.
    pub stale: bool,
    /// Its peer's import policy does not take it.
    pub denied: bool,
    /// ORIGIN: 0 IGP, 1 EGP, 2 INCOMPLETE.
    pub origin: u8,
    /// AS_PATH.
    pub as_path: Vec<Segment>,
    /// NEXT_HOP.
    pub next_hop: NextHop,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Standard communities.
    pub communities: Vec<u32>,
    /// Extended communities.
    pub extended_communities: Vec<u64>,
    /// Large communities.
    pub large_communities: Vec<(u32, u32, u32)>,
    /// ONLY_TO_CUSTOMER (RFC 9234 §5).
    pub only_to_customer: Option<u32>,
}

/// A route to inject. As if learned from a local peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedRoute {
    /// What it leads to.
    pub prefix: IpNet,
    /// Path identifier, 0 = none. Several paths of a prefix have different ones.
    pub path_id: u32,
    /// ORIGIN: 0, 1 or 2.
    pub origin: u8,
    /// AS_PATH: one AS_SEQUENCE, may be empty.
    pub as_path: Vec<u32>,
    /// Next hop, of the prefix's family.
    pub next_hop: IpAddr,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Standard communities.
    pub communities: Vec<u32>,
    /// Extended communities.
    pub extended_communities: Vec<u64>,
    /// Large communities.
    pub large_communities: Vec<(u32, u32, u32)>,
}

/// Something to be done to injected routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injection {
    /// Inject a route.
    Route(InjectedRoute),
    /// Withdraw one.
    Withdraw {
        /// Which.
        prefix: IpNet,
        /// Its path identifier.
        path_id: u32,
    },
}

/// Whose routes are, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedBy {
    /// A name that clients agree on.
    pub name: String,
    /// The routes go when the owner has not been heard of for so many seconds; 0 = they stay. `None`: what was said
    /// last, and it begins anew.
    pub lease: Option<u32>,
}

/// An owner of injected routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerView {
    /// Its name.
    pub name: String,
    /// How many it has.
    pub routes: u64,
    /// The lease in seconds, 0 = none.
    pub lease: u32,
    /// So many seconds of it are left.
    pub left: u32,
}

/// What control asks of rde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlToRde {
    /// A page of routes. Answered by any number of `Routes`, the last one marked.
    ListRoutes {
        /// Repeated in the answers.
        id: QueryId,
        /// From which table.
        table: Table,
        /// Which of them.
        filter: RouteFilter,
        /// Behind this route, or from the beginning.
        after: Option<Cursor>,
        /// At most so many.
        limit: u32,
    },
    /// Counters of all peers and tables.
    Counters {
        /// Repeated in the answer.
        id: QueryId,
    },
    /// What was wrong with UPDATEs (RFC 7606).
    Errors {
        /// Repeated in the answer.
        id: QueryId,
        /// Of this peer, or counters of all together.
        peer: Option<PeerId>,
    },
    /// Inject routes and withdraw injected ones, in this order; what is injected replaces what was injected for its prefix
    /// and path id, whoever did that, and what is withdrawn need not be there. Answered by `Injected` when the tables
    /// have it all, or by `Failed`.
    Inject {
        /// Repeated in the answer.
        id: QueryId,
        /// Whose the routes are.
        owner: Option<OwnedBy>,
        /// What is to be done.
        items: Vec<Injection>,
    },
    /// Who owns injected routes. Answered by `OwnersReply`.
    Owners {
        /// Repeated in the answer.
        id: QueryId,
    },
    /// The lease of an owner begins anew. Answered by `Injected` with 1, or 0 where there is no such owner.
    Renew {
        /// Repeated in the answer.
        id: QueryId,
        /// Who.
        owner: OwnedBy,
    },
    /// All routes of an owner go, and it is forgotten. Answered by `OwnerGone` when they are gone.
    DeleteOwner {
        /// Repeated in the answer.
        id: QueryId,
        /// Its name.
        name: String,
    },
    /// Withdraw an injected route. Answered by `Injected` with 1 or 0.
    Withdraw {
        /// Repeated in the answer.
        id: QueryId,
        /// Which.
        prefix: IpNet,
        /// Its path identifier.
        path_id: u32,
    },
    /// Look again at what a peer announced, as it is stored. Answered by `SoftReset` when it has begun.
    SoftReset {
        /// Repeated in the answer.
        id: QueryId,
        /// Whose routes.
        peer: PeerId,
        /// Of which families; none: of all that were agreed on with the peer.
        families: FamilySet,
        /// Ask the peer for its routes as well (RFC 2918).
        ask: bool,
    },
    /// Why things are as they are for a prefix. Answered by any number of `Explained`, the last one marked.
    Explain {
        /// Repeated in the answers.
        id: QueryId,
        /// What is asked.
        question: Question,
        /// About this prefix.
        prefix: IpNet,
    },
    /// Tell of all changes of best routes from now on, until this is cancelled. Answered by `Watching` when it has
    /// begun, then by any number of `Changes`. Said again with the same id, it only says anew whether routes come whole.
    Watch {
        /// Repeated in the answers.
        id: QueryId,
        /// With all that is known of the routes.
        whole: bool,
    },
    /// Show the best routes that are there, to somebody who watches: routes as whole as those of changes. Answered by any
    /// number of `Walked`, the last one marked.
    Snapshot {
        /// Repeated in the answers.
        id: QueryId,
        /// Of this family only.
        family: Option<Family>,
        /// Of this peer only, or with `Some(None)` injected ones.
        peer: Option<Option<PeerId>>,
    },
    /// A `Changes` or `Walked` of this shard has been dealt with, and there is room for another one. rde has no more than
    /// two of a shard on their way to each asker.
    More {
        /// The question.
        id: QueryId,
        /// The shard.
        shard: u16,
    },
    /// The client does not want the rest.
    Cancel {
        /// Of this query.
        id: QueryId,
    },
    /// What went over rde's channels.
    Traffic {
        /// Repeated in the answer.
        id: QueryId,
    },
}

impl Message for ControlToRde {}

/// Why routes of a peer are not looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoftResetError {
    /// It has no session, and so no routes.
    NoSession,
    /// These families were not agreed on with it.
    NotNegotiated(FamilySet),
    /// It cannot be asked for its routes: it has not announced route refresh (RFC 2918 §2).
    NoRouteRefresh,
}

/// Counters of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCounters {
    /// Who.
    pub peer: PeerId,
    /// Routes in its Adj-RIB-In, by [`Family`] number.
    pub received: [u64; 4],
    /// Routes in its Adj-RIB-Out, by [`Family`] number.
    pub advertised: [u64; 4],
    /// Paths refused because our own AS was in them (RFC 4271 §9.1.2).
    pub as_loops: u64,
    /// Paths refused because they were reflected before (RFC 4456 §8).
    pub reflection_loops: u64,
    /// UPDATEs treated as withdrawals (RFC 7606 §2).
    pub treated_as_withdraw: u64,
    /// Attributes discarded (RFC 7606 §2).
    pub attributes_discarded: u64,
    /// Paths beyond the most that a peer may have for one prefix (RFC 7911 §8).
    pub paths_refused: u64,
    /// UPDATEs whose routes were not used because they were leaks (RFC 9234 §5).
    pub route_leaks: u64,
    /// The session with it is to be shut down gracefully (RFC 8326 §4.2).
    pub draining: bool,
    /// Routes of before its restart, by [`Family`] number.
    pub stale: [u64; 4],
    /// The peer's graceful restart, while there is one.
    pub restart: Option<Restart>,
    /// Graceful restarts that did not come to their end in time.
    pub restarts_expired: u64,
    /// How often the peer exceeded the limit of the prefixes that it may announce.
    pub prefix_limit_exceeded: u64,
}

/// A graceful restart of a peer that is under way (RFC 4724 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The peer is back, and its End-of-RIB is waited for.
    pub back: bool,
    /// After how many seconds the first of the stale routes go, or become long-lived stale.
    pub seconds_left: u32,
    /// Families with routes that are kept as stale.
    pub families: FamilySet,
    /// Those of them whose routes are long-lived stale (RFC 9494 §4.2).
    pub long_lived: FamilySet,
}

/// Counters of the tables, by [`Family`] number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableCounters {
    /// Prefixes in the Loc-RIB.
    pub loc_rib: [u64; 4],
    /// Routes in all Adj-RIBs-In, injected ones included.
    pub adj_rib_in: [u64; 4],
    /// Routes in all Adj-RIBs-Out.
    pub adj_rib_out: [u64; 4],
    /// Distinct attribute sets held.
    pub attribute_sets: u64,
    /// Graceful restarts of peers that did not come to their end in time; of peers that are gone as well.
    pub restarts_expired: u64,
}

/// Who a best route is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// The peer; `None` = injected.
    pub peer: Option<PeerId>,
    /// Its path identifier (RFC 7911), 0 = none.
    pub path_id: u32,
}

/// The best route of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestRoute {
    /// What it leads to.
    pub prefix: IpNet,
    /// Who it is from.
    pub whose: Whose,
    /// All about it, where that was asked for.
    pub route: Option<Box<RouteView>>,
}

/// The best route of a prefix is another one, or has other attributes; or there is none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestChange {
    /// What it leads to.
    pub prefix: IpNet,
    /// Where the prefix is, in the tables of its family in its shard.
    pub slot: u32,
    /// Who the route is from now.
    pub now: Option<Whose>,
    /// Who it was from when it was last told.
    pub before: Option<Whose>,
    /// All about it, where that was asked for.
    pub route: Option<Box<RouteView>>,
}

/// What rde answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RdeToControl {
    /// Some of the routes asked for.
    Routes {
        /// The question.
        id: QueryId,
        /// As many as fit.
        routes: Vec<RouteView>,
        /// Set on the last answer.
        end: Option<PageEnd>,
    },
    /// Why things are as they are: the paths of a prefix, the best one first.
    Explained {
        /// The question.
        id: QueryId,
        /// Some of the paths.
        paths: Vec<ExplainedPath>,
        /// Nothing follows.
        last: bool,
    },
    /// Why there are none.
    Failed {
        /// The question.
        id: QueryId,
        /// What is wrong with it.
        error: String,
    },
    /// Counters.
    CountersReply {
        /// The question.
        id: QueryId,
        /// Of the tables.
        tables: TableCounters,
        /// Some of the peers.
        peers: Vec<PeerCounters>,
        /// Nothing follows.
        last: bool,
    },
    /// What was wrong with UPDATEs.
    ErrorsReply {
        /// The question.
        id: QueryId,
        /// How often what was wrong.
        counts: Vec<FaultCount>,
        /// The last ones, the oldest first: at most [`KEPT`](crate::errors::KEPT), and none where the question was
        /// about all peers.
        errors: Vec<PeerError>,
    },
    /// How many routes were injected or withdrawn.
    Injected {
        /// The question.
        id: QueryId,
        /// How many.
        count: u32,
    },
    /// Who owns injected routes, by name.
    OwnersReply {
        /// The question.
        id: QueryId,
        /// At most 255.
        owners: Vec<OwnerView>,
    },
    /// The routes of an owner are gone.
    OwnerGone {
        /// The question.
        id: QueryId,
        /// How many it had; `None`: there is no such owner.
        routes: Option<u64>,
    },
    /// All changes behind the one of this number are told.
    Watching {
        /// The question.
        id: QueryId,
        /// Routes come whole.
        whole: bool,
        /// Of the last change that may not have been told. Numbers only grow, also from one rde to the next.
        sequence: u64,
    },
    /// Changes of best routes. Those of a prefix are told in their order; what changes again before it is told is told
    /// once.
    Changes {
        /// The question.
        id: QueryId,
        /// Whose tables they are of.
        shard: u16,
        /// Number of the first one; the others are numbered on.
        first: u64,
        /// When, in milliseconds since 1970.
        at: u64,
        /// At least one.
        changes: Vec<BestChange>,
    },
    /// Some of what is there.
    Walked {
        /// The question.
        id: QueryId,
        /// Whose tables it is of.
        shard: u16,
        /// The family.
        family: Family,
        /// Slots below this one have been walked: of what changes there, all changes numbered beyond `sequence` are news.
        upto: u32,
        /// Number of the last change before this.
        sequence: u64,
        /// The routes.
        routes: Vec<BestRoute>,
        /// Nothing follows, of any shard.
        last: bool,
    },
    /// What became of a soft reset.
    SoftReset {
        /// The question.
        id: QueryId,
        /// It has begun, or why not.
        result: Result<(), SoftResetError>,
    },
    /// What went over rde's channels.
    TrafficReply {
        /// The question.
        id: QueryId,
        /// By the process at the other end.
        traffic: Vec<Traffic>,
    },
}

impl Message for RdeToControl {}

/// What follows a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// Where the next page begins, or `None` if this was the last.
    pub next: Option<Cursor>,
    /// How many routes match the filter in all.
    pub total: u64,
}
