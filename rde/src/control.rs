//! What control asks: pages of routes, counters, routes to inject.

use bgp::attr::canonical::summarize;
use ipc::control_rde::{ControlToRde, Cursor, PageEnd, PeerCounters, RdeToControl, Table, TableCounters};
use ipc::control_rde::{InjectedRoute, RouteFilter};
use ipc::{PeerId, QueryId};
use rib::{PeerIdx, Query, QueryTable, Rib};

use crate::engine::Engine;
use crate::view;

/// Routes of one message, so that it fits a datagram whatever their attributes.
const ROUTES: usize = 256;

/// Octets of routes that a message should not exceed, estimated.
const MESSAGE: usize = 48 << 10;

/// The most routes of a page.
const MAX_PAGE: u32 = 10_000;

/// Peers of one message of counters.
const PEERS: usize = 400;

/// Pages under way.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    ids: Vec<u64>,
}

impl Queries {
    /// Forgets all of them: who asked is gone.
    pub(crate) fn forget(&mut self, rib: Option<&mut Rib>) {
        if let Some(rib) = rib {
            self.ids.iter().for_each(|id| rib.cancel_query(*id));
        }
        self.ids.clear();
    }
}

impl Engine {
    pub(crate) fn asked(&mut self, message: ControlToRde) {
        match message {
            ControlToRde::ListRoutes { id, table, filter, after, limit } => {
                self.list(id, table, filter, after, limit);
            }
            ControlToRde::Counters { id } => self.count(id),
            ControlToRde::Inject { id, routes } => {
                let count = routes.iter().filter(|r| self.inject(r)).count();
                self.injected(id, count);
            }
            ControlToRde::Withdraw { id, prefix, path_id } => {
                let done = self.rib.as_mut().is_some_and(|r| r.withdraw_injected(prefix, path_id));
                self.injected(id, usize::from(done));
            }
            ControlToRde::Cancel { id } => {
                self.queries.ids.retain(|i| *i != id.0);
                if let Some(rib) = &mut self.rib {
                    rib.cancel_query(id.0);
                }
            }
        }
        self.wake();
    }

    fn inject(&mut self, route: &InjectedRoute) -> bool {
        let (Some(rib), Some((canonical, next_hop))) = (&mut self.rib, view::injected(route)) else {
            return false;
        };
        rib.inject(route.prefix, route.path_id, &canonical, next_hop, &summarize(&canonical));
        true
    }

    fn injected(&mut self, id: QueryId, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.control.push(RdeToControl::Injected { id, count }, Vec::new());
    }

    /// The peer's session in the tables. A peer without one has no routes.
    fn idx(&self, peer: PeerId) -> Option<PeerIdx> {
        Some(self.peers.get(peer)?.session.as_ref()?.idx)
    }

    fn list(&mut self, id: QueryId, table: Table, filter: RouteFilter, after: Option<Cursor>, limit: u32) {
        let table = match table {
            Table::AdjRibIn(None) => Some(QueryTable::AdjRibIn(None)),
            Table::AdjRibIn(Some(peer)) => self.idx(peer).map(|i| QueryTable::AdjRibIn(Some(i))),
            Table::LocRib => Some(QueryTable::LocRib),
            Table::AdjRibOut(peer) => self.idx(peer).map(QueryTable::AdjRibOut),
        };
        let (Some(table), Some(rib)) = (table, &mut self.rib) else {
            let end = Some(PageEnd { next: None, total: 0 });
            return self.control.push(RdeToControl::Routes { id, routes: Vec::new(), end }, Vec::new());
        };
        self.queries.ids.push(id.0);
        rib.begin_query(
            id.0,
            Query {
                table,
                family: filter.family,
                prefix: filter.prefix,
                longer: filter.longer,
                origin_asn: filter.origin_asn,
                communities: filter.communities,
                large_communities: filter.large_communities,
                after: after.as_ref().map(view::key),
                limit: limit.min(MAX_PAGE) as usize,
            },
        );
    }

    /// Goes on with a page; answers it when it is complete.
    pub(crate) fn query_step(&mut self) {
        let Some(rib) = &mut self.rib else { return };
        let Some((id, table, keys, next, total)) = rib.query_step() else { return };
        self.queries.ids.retain(|i| *i != id);
        let id = QueryId(id);
        let (mut routes, mut octets) = (Vec::new(), 0);
        for found in keys.iter().filter_map(|k| rib.find(table, k)) {
            octets += 64 + 2 * found.attributes.len();
            routes.push(view::route(&found));
            if routes.len() >= ROUTES || octets >= MESSAGE {
                octets = 0;
                let routes = std::mem::take(&mut routes);
                self.control.push(RdeToControl::Routes { id, routes, end: None }, Vec::new());
            }
        }
        let end = Some(PageEnd { next: next.as_ref().map(view::cursor), total });
        self.control.push(RdeToControl::Routes { id, routes, end }, Vec::new());
    }

    fn count(&mut self, id: QueryId) {
        let c = self.rib.as_ref().map(Rib::counters).unwrap_or_default();
        let tables = TableCounters {
            loc_rib: c.loc_rib,
            adj_rib_in: c.adj_rib_in,
            adj_rib_out: c.adj_rib_out,
            attribute_sets: c.attribute_sets,
        };
        let mut peers: Vec<PeerCounters> = (self.peers.iter())
            .map(|(peer, p)| {
                let idx = p.session.as_ref().map(|s| s.idx);
                let (received, advertised) = match (idx, &self.rib) {
                    (Some(idx), Some(rib)) => rib.peer_counters(idx),
                    _ => Default::default(),
                };
                PeerCounters {
                    peer,
                    received,
                    advertised,
                    as_loops: p.stats.as_loops,
                    treated_as_withdraw: p.stats.treated_as_withdraw,
                    attributes_discarded: p.stats.attributes_discarded,
                }
            })
            .collect();
        peers.sort_unstable_by_key(|p| p.peer);
        let mut parts = peers.chunks(PEERS).peekable();
        loop {
            let part = parts.next().unwrap_or_default().to_vec();
            let last = parts.peek().is_none();
            self.control.push(RdeToControl::CountersReply { id, tables, peers: part, last }, Vec::new());
            if last {
                break;
            }
        }
    }
}
