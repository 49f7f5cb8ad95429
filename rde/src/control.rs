//! What control asks: pages of routes, counters, routes to inject.

use std::collections::{HashMap, VecDeque};

use bgp::attr::canonical::summarize;
use ipc::control_rde::{ControlToRde, Cursor, PageEnd, PeerCounters, RdeToControl, Table, TableCounters};
use ipc::control_rde::{Injection, OwnedBy, RouteFilter};
use ipc::{PeerId, QueryId};
use rib::{PageDone, PeerIdx, Query, QueryTable};

use crate::engine::Engine;
use crate::errors;
use crate::shard::Counted;
use crate::view;

/// Routes of one message, so that it fits a datagram whatever their attributes.
const ROUTES: usize = 256;

/// Octets of routes that a message should not exceed, estimated.
const MESSAGE: usize = 48 << 10;

/// The most routes of a page.
const MAX_PAGE: u32 = 10_000;

/// Peers of one message of counters.
const PEERS: usize = 400;

/// Pages that are complete and not yet spelled out for control.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    pages: VecDeque<(u64, PageDone)>,
}

impl Replies {
    pub(crate) fn push(&mut self, id: u64, mut page: PageDone) {
        // Taken from the end.
        page.routes.reverse();
        self.pages.push_back((id, page));
    }
}

impl Engine {
    pub(crate) fn asked(&mut self, message: ControlToRde) {
        match message {
            ControlToRde::ListRoutes { id, table, filter, after, limit } => {
                self.list(id, table, filter, after, limit);
            }
            ControlToRde::Counters { id } => match &mut self.tables {
                Some(tables) => tables.count(id.0),
                None => self.counted(id.0, &Counted::default()),
            },
            ControlToRde::Errors { id, peer } => self.list_errors(id, peer),
            ControlToRde::Inject { id, owner, items } => self.inject(id, owner.as_ref(), &items),
            ControlToRde::Owners { id } => self.list_owners(id),
            ControlToRde::Renew { id, owner } => self.renew_owner(id, &owner),
            ControlToRde::DeleteOwner { id, name } => self.delete_owner(id, &name),
            ControlToRde::Withdraw { id, prefix, path_id } => match &mut self.tables {
                Some(tables) => tables.withdraw(id, prefix, path_id),
                None => self.control.push(RdeToControl::Injected { id, count: 0 }, Vec::new()),
            },
            ControlToRde::SoftReset { id, peer, families, ask } => {
                let result = self.soft_reset(peer, families, ask);
                self.control.push(RdeToControl::SoftReset { id, result }, Vec::new());
            }
            ControlToRde::Explain { id, question, prefix } => self.explain(id, question, prefix),
            ControlToRde::Traffic { id } => {
                let traffic = ipc::figures::traffic();
                self.control.push(RdeToControl::TrafficReply { id, traffic }, Vec::new());
            }
            ControlToRde::Watch { id, whole } => self.watch(id, whole),
            ControlToRde::Snapshot { id, family, peer } => self.snapshot(id, family, peer),
            ControlToRde::More { id, shard } => self.more(id, shard),
            ControlToRde::Cancel { id } => {
                self.unwatch(Some(id));
                self.replies.pages.retain(|(i, _)| *i != id.0);
                if let Some(tables) = &mut self.tables {
                    tables.cancel(id.0);
                }
            }
        }
        self.wake();
    }

    fn list_errors(&mut self, id: QueryId, peer: Option<PeerId>) {
        let (counts, errors) = match peer.map(|p| self.peers.get(p)) {
            Some(Some(peer)) => (peer.stats.faults.counts(), peer.stats.faults.last()),
            Some(None) => (Vec::new(), Vec::new()),
            None => (errors::sum(self.peers.faults()), Vec::new()),
        };
        self.control.push(RdeToControl::ErrorsReply { id, counts, errors }, Vec::new());
    }

    fn inject(&mut self, id: QueryId, owner: Option<&OwnedBy>, items: &[Injection]) {
        let number = match owner.map(|o| self.own(o)) {
            None => 0,
            Some(Ok(number)) => number,
            Some(Err(error)) => return self.control.push(RdeToControl::Failed { id, error }, Vec::new()),
        };
        let Some(tables) = &mut self.tables else {
            return self.control.push(RdeToControl::Injected { id, count: 0 }, Vec::new());
        };
        // What others have put into the batch stays theirs.
        tables.set_owner(number);
        let mut count = 0;
        for item in items {
            match item {
                Injection::Route(route) => {
                    let Some((canonical, next_hop)) = view::injected(route) else { continue };
                    tables.inject(route.prefix, route.path_id, &canonical, next_hop, summarize(&canonical));
                }
                Injection::Withdraw { prefix, path_id } => tables.uninject(*prefix, *path_id),
            }
            count += 1;
        }
        tables.acknowledge(id, count);
    }

    /// Forgets all queries: who asked is gone.
    pub(crate) fn forget_queries(&mut self) {
        self.replies.pages.clear();
        self.unwatch(None);
        self.owners.forget_askers();
        if let Some(tables) = &mut self.tables {
            tables.cancel_all();
        }
    }

    fn list(&mut self, id: QueryId, table: Table, filter: RouteFilter, after: Option<Cursor>, limit: u32) {
        let table = match table {
            Table::AdjRibIn(None) => Some(QueryTable::AdjRibIn(None)),
            Table::AdjRibIn(Some(peer)) => self.peers.place(peer).map(|i| QueryTable::AdjRibIn(Some(i))),
            Table::LocRib => Some(QueryTable::LocRib),
            Table::AdjRibOut(peer) => self.peers.place(peer).map(QueryTable::AdjRibOut),
        };
        let (Some(table), Some(tables)) = (table, &mut self.tables) else {
            let end = Some(PageEnd { next: None, total: 0 });
            return self.control.push(RdeToControl::Routes { id, routes: Vec::new(), end }, Vec::new());
        };
        tables.query(
            id.0,
            &Query {
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

    /// Spells out some routes of a page, in one message; `false` where there is no page.
    pub(crate) fn reply(&mut self) -> bool {
        let Some((id, page)) = self.replies.pages.front_mut() else { return false };
        let id = QueryId(*id);
        let (mut routes, mut octets) = (Vec::new(), 0);
        while routes.len() < ROUTES && octets < MESSAGE {
            let Some(found) = page.routes.pop() else { break };
            octets += 64 + 2 * found.attributes.len();
            routes.push(view::route(&found));
        }
        let mut end = None;
        if page.routes.is_empty() {
            let next = page.more_behind.as_ref().map(view::cursor);
            end = Some(PageEnd { next, total: page.total });
            self.replies.pages.pop_front();
        }
        self.control.push(RdeToControl::Routes { id, routes, end }, Vec::new());
        true
    }

    /// Answers a request for counters.
    pub(crate) fn counted(&mut self, id: u64, counted: &Counted) {
        let id = QueryId(id);
        let c = &counted.tables;
        let tables = TableCounters {
            loc_rib: c.loc_rib,
            adj_rib_in: c.adj_rib_in,
            adj_rib_out: c.adj_rib_out,
            attribute_sets: c.attribute_sets,
            restarts_expired: self.peers.restarts_expired(),
        };
        let mut routes: HashMap<PeerIdx, [[u64; 4]; 3]> = HashMap::new();
        for (idx, figures) in &counted.peers {
            let sum = routes.entry(*idx).or_default();
            sum.iter_mut().flatten().zip(figures.iter().flatten()).for_each(|(s, n)| *s += n);
        }
        let configured = self.config.as_ref().map(|c| &c.peers);
        let draining = |peer| configured.and_then(|c| c.get(&peer)).is_some_and(|p| p.draining);
        let now = self.now();
        let mut peers: Vec<PeerCounters> = (self.peers.iter())
            .map(|(peer, p)| {
                let figures = p.place().and_then(|idx| routes.get(&idx).copied());
                let [received, advertised, stale] = figures.unwrap_or_default();
                PeerCounters {
                    peer,
                    received,
                    advertised,
                    as_loops: p.stats.as_loops,
                    reflection_loops: p.stats.reflection_loops,
                    treated_as_withdraw: p.stats.treated_as_withdraw,
                    attributes_discarded: p.stats.attributes_discarded,
                    paths_refused: p.stats.paths_refused,
                    route_leaks: p.stats.route_leaks,
                    draining: draining(peer),
                    stale,
                    restart: p.kept.map(|k| k.state(now)),
                    restarts_expired: p.stats.restarts_expired,
                    prefix_limit_exceeded: p.stats.prefix_limit_exceeded,
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
