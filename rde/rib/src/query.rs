//! Pages of routes, in the order of prefixes, from tables that are not ordered.
//!
//! A page is the least so many routes behind the last one of the page before. It is found by a walk over
//! the slots in steps, so that updates go on meanwhile; a route that is there all along is neither
//! skipped nor repeated, because pages are cut by route and not by place.

use std::collections::BinaryHeap;

use bgp::attr::canonical::{Canonical, summarize};
use bgp::{Family, NextHop};
use ipnet::IpNet;

use crate::attrs::AttrId;
use crate::column::Sent;
use crate::export;
use crate::family::{FamilyTable, Shared};
use crate::group::Group;
use crate::paths::{Path, taken};
use crate::peers::PeerIdx;
use crate::slots::{Addr, Slot};

/// What a route is called, in the order of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// Its family.
    pub family: Family,
    /// What it leads to.
    pub prefix: IpNet,
    /// The peer's label, `None` for an injected route.
    pub peer: Option<u16>,
    /// The peer's path identifier; ours of what a peer was sent (RFC 7911), 0 = none.
    pub path_id: u32,
}

/// Which table to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryTable {
    /// What peers sent: one peer, or all and the injected ones.
    AdjRibIn(Option<PeerIdx>),
    /// The best routes.
    LocRib,
    /// What a peer was sent.
    AdjRibOut(PeerIdx),
}

/// Which routes of it, and where the page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The table.
    pub table: QueryTable,
    /// Of this family only.
    pub family: Option<Family>,
    /// This prefix, or with `longer` all inside it.
    pub prefix: Option<IpNet>,
    /// All inside `prefix`.
    pub longer: bool,
    /// The last AS of the path, 0 = any.
    pub origin_asn: u32,
    /// One of these communities, if there are any.
    pub communities: Vec<u32>,
    /// One of these large communities, if there are any.
    pub large_communities: Vec<(u32, u32, u32)>,
    /// Behind this route.
    pub after: Option<RouteKey>,
    /// At most so many.
    pub limit: usize,
}

impl Query {
    fn asks_for_attributes(&self) -> bool {
        self.origin_asn != 0 || !self.communities.is_empty() || !self.large_communities.is_empty()
    }
}

/// A route of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub key: RouteKey,
    /// It is the best one of its prefix.
    pub best: bool,
    /// Its peer began anew and has not announced it again.
    pub stale: bool,
    /// Its peer's import policy does not take it.
    pub denied: bool,
    /// Its attributes in canonical form.
    pub attributes: Vec<u8>,
    /// Its next hop.
    pub next_hop: NextHop,
}

/// A page as one shard has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageDone {
    /// Its routes, in order.
    pub routes: Vec<Found>,
    /// The last route that was looked at, where there are more behind it.
    pub more_behind: Option<RouteKey>,
    /// How many routes match the query in all.
    pub total: u64,
}

impl PageDone {
    /// The page of all shards from the page of each, of `limit` routes at most.
    pub fn merge(parts: Vec<PageDone>, limit: usize) -> PageDone {
        // Beyond the end of a part that has more behind it, routes of that shard would be missing.
        let end = parts.iter().filter_map(|p| p.more_behind).min();
        let total = parts.iter().map(|p| p.total).sum();
        let mut routes: Vec<Found> = parts.into_iter().flat_map(|p| p.routes).collect();
        routes.retain(|r| end.is_none_or(|e| r.key <= e));
        // Merges runs that are in order already.
        routes.sort_by_key(|r| r.key);
        let mut more_behind = end;
        if routes.len() > limit {
            routes.truncate(limit);
            more_behind = routes.last().map(|r| r.key);
        }
        PageDone { routes, more_behind, total }
    }
}

/// Slots that a step looks at: a fraction of a millisecond, since updates wait meanwhile.
const WALK: u32 = 512;

/// Routes that a step spells out.
const SPELL_OUT: usize = 64;

/// How far a page has got.
#[derive(Debug)]
pub(crate) struct Page {
    query: Query,
    /// Family and slot that come next.
    family: usize,
    cursor: u32,
    least: BinaryHeap<RouteKey>,
    /// Routes behind `after` that match.
    behind: u64,
    /// Routes that match.
    total: u64,
    /// Once the walk is over: the page's routes, in order, of which so many were looked up again.
    keys: Option<Vec<RouteKey>>,
    looked_up: usize,
    found: Vec<Found>,
}

impl Page {
    pub(crate) fn new(query: Query) -> Page {
        Page {
            query,
            family: 0,
            cursor: 0,
            least: BinaryHeap::new(),
            behind: 0,
            total: 0,
            keys: None,
            looked_up: 0,
            found: Vec::new(),
        }
    }

    /// Families that the walk still has to look at, the current one first.
    pub(crate) fn family(&mut self) -> Option<Family> {
        const ORDER: [Family; 2] = [Family::Ipv4Unicast, Family::Ipv6Unicast];
        while let Some(family) = ORDER.get(self.family) {
            let of_prefix = match self.query.prefix {
                Some(IpNet::V4(_)) => *family == Family::Ipv4Unicast,
                Some(IpNet::V6(_)) => *family == Family::Ipv6Unicast,
                None => true,
            };
            if of_prefix && self.query.family.is_none_or(|f| f == *family) {
                return Some(*family);
            }
            self.family += 1;
        }
        None
    }

    /// A step behind the walk: spells out routes that are still there. Returns the page when it is complete.
    pub(crate) fn spell_out(
        &mut self,
        find: impl Fn(QueryTable, &RouteKey) -> Option<Found>,
    ) -> Option<PageDone> {
        let least = &mut self.least;
        let keys = self.keys.get_or_insert_with(|| std::mem::take(least).into_sorted_vec());
        let end = keys.len().min(self.looked_up + SPELL_OUT);
        let step = keys.get(self.looked_up..end).unwrap_or_default();
        self.found.extend(step.iter().filter_map(|k| find(self.query.table, k)));
        self.looked_up = end;
        if end < keys.len() {
            return None;
        }
        Some(PageDone {
            routes: std::mem::take(&mut self.found),
            more_behind: keys.last().copied().filter(|_| self.behind > keys.len() as u64),
            total: self.total,
        })
    }

    /// Looks at the next slots.
    pub(crate) fn walk<A: Addr>(&mut self, table: &FamilyTable<A>, shared: &Shared) {
        let view = View { table, shared, query: &self.query };
        let mut found = Vec::new();
        let exact = self.query.prefix.filter(|_| !self.query.longer);
        if let Some((addr, net)) = exact.and_then(|p| Some((A::of(&p)?, p))) {
            let (hash, len) = (table.slots.hash(addr, net.prefix_len()), net.prefix_len());
            if let Some(id) = table.slots.find(hash, addr, len) {
                view.collect(id, table.slots.get(id), &mut found);
            }
            self.family += 1;
            return self.take(found);
        }
        let from = self.cursor;
        for (id, slot) in table.slots.range(from, WALK) {
            view.collect(id, slot, &mut found);
        }
        self.cursor = from.saturating_add(WALK).min(table.slots.len());
        if self.cursor >= table.slots.len() {
            (self.family, self.cursor) = (self.family + 1, 0);
        }
        self.take(found);
    }

    fn take(&mut self, found: Vec<RouteKey>) {
        for key in found {
            self.total += 1;
            if self.query.after.is_some_and(|a| key <= a) {
                continue;
            }
            self.behind += 1;
            if self.least.len() < self.query.limit {
                self.least.push(key);
            } else if let Some(mut greatest) = self.least.peek_mut()
                && key < *greatest
            {
                *greatest = key;
            }
        }
    }
}

/// A table as a query sees it.
struct View<'a, A> {
    table: &'a FamilyTable<A>,
    shared: &'a Shared,
    query: &'a Query,
}

impl<A: Addr> View<'_, A> {
    fn collect(&self, id: u32, slot: &Slot<A>, found: &mut Vec<RouteKey>) {
        let prefix = slot.addr.net(slot.len);
        if self.query.longer && self.query.prefix.is_some_and(|p| !p.contains(&prefix)) {
            return;
        }
        let paths = self.table.paths.get(slot.list());
        match self.query.table {
            QueryTable::LocRib => {
                found.extend(taken(paths).iter().take(1).filter_map(|p| self.path(prefix, p)))
            }
            QueryTable::AdjRibIn(of) => found.extend(
                paths
                    .iter()
                    .filter(|p| of.is_none_or(|of| p.peer == of))
                    .filter_map(|p| self.path(prefix, p)),
            ),
            QueryTable::AdjRibOut(to) => {
                let Some((group, sent)) = advertised(self.table, id, to) else { return };
                found.extend(sent.filter_map(|entry| self.sent(prefix, group, to, entry)));
            }
        }
    }

    fn path(&self, prefix: IpNet, path: &Path) -> Option<RouteKey> {
        let peer = self.shared.peers.get(path.peer)?;
        // Attributes lie anywhere in memory: only who asks for some pays for that.
        let matches = || {
            let canonical = self.shared.attrs.canonical(shown(self.shared, self.query.table, path));
            match self.query.table == QueryTable::LocRib && self.shared.is_last_choice(path) {
                true => self.matches(Canonical::new(&export::last_choice(canonical))),
                false => self.matches(canonical),
            }
        };
        (!self.query.asks_for_attributes() || matches()).then_some(RouteKey {
            family: A::FAMILY,
            prefix,
            peer: peer.info.label,
            path_id: path.path_id,
        })
    }

    fn sent(&self, prefix: IpNet, group: &Group, to: PeerIdx, entry: Advertised) -> Option<RouteKey> {
        let source = self.shared.peers.get(entry.source)?;
        let key = RouteKey { family: A::FAMILY, prefix, peer: source.info.label, path_id: entry.id };
        if !self.query.asks_for_attributes() {
            return Some(key);
        }
        // What was sent is asked for: our own AS is the origin of what is injected without a path, and communities
        // may have been added.
        let outgoing = self.shared.attrs.outgoing(entry.attr);
        let next_hop = self.shared.attrs.next_hop(entry.attr);
        let treatment = group.treatment(self.shared, entry.sent());
        let out = group.rules_for(to).outgoing(outgoing, treatment, next_hop);
        self.matches(Canonical::new(&out.attributes)).then_some(key)
    }

    fn matches(&self, canonical: Canonical<'_>) -> bool {
        let q = self.query;
        (q.origin_asn == 0 || summarize(canonical.as_bytes()).origin_as == q.origin_asn)
            && (q.communities.is_empty() || canonical.communities().any(|c| q.communities.contains(&c)))
            && (q.large_communities.is_empty()
                || canonical.large_communities().any(|c| q.large_communities.contains(&c)))
    }
}

/// A path that a peer has.
#[derive(Debug, Clone, Copy)]
struct Advertised {
    attr: AttrId,
    source: PeerIdx,
    last_choice: bool,
    /// The identifier that its source gave it, where that is known.
    path_id: Option<u32>,
    /// Ours, 0 where the peer takes one path a prefix.
    id: u32,
}

impl Advertised {
    fn sent(&self) -> Sent {
        Sent { attr: self.attr, source: self.source, last_choice: self.last_choice, dirty: false }
    }

    fn is(&self, shared: &Shared, path: &Path) -> bool {
        let same_id = self.path_id.is_none_or(|id| path.path_id == id);
        // The export policy may have made another set of it.
        let same = path.attr == self.attr || path.attr == shared.attrs.base(self.attr);
        same && path.peer == self.source && same_id
    }
}

/// What a table shows of a path: what the peer sent, or what the import policy has made of it.
fn shown(shared: &Shared, table: QueryTable, path: &Path) -> AttrId {
    match table {
        QueryTable::AdjRibIn(_) => shared.attrs.base(path.attr),
        QueryTable::LocRib | QueryTable::AdjRibOut(_) => path.attr,
    }
}

/// What the peer has of a slot.
fn advertised<A: Addr>(
    table: &FamilyTable<A>,
    slot: u32,
    to: PeerIdx,
) -> Option<(&Group, impl Iterator<Item = Advertised>)> {
    let group = table.group_of(to)?;
    let sends = group.sends(slot);
    let walked = group.member(to)?.catch_up.as_ref().is_none_or(|c| c.knows(slot));
    if !sends.best.attr.is_some() || !walked {
        return None;
    }
    let paths = group.paths.as_ref();
    let several = paths.into_iter().flat_map(move |p| p.of(slot, to)).map(|p| Advertised {
        attr: p.attr,
        source: p.source,
        last_choice: p.last_choice,
        path_id: Some(p.path_id),
        id: p.id,
    });
    let one = Some(sends.to(to)).filter(|s| paths.is_none() && s.attr.is_some());
    let one = one.map(|Sent { attr, source, last_choice, .. }| Advertised {
        attr,
        source,
        last_choice,
        path_id: None,
        id: 0,
    });
    Some((group, several.chain(one)))
}

/// The route of a key, if it is still there.
pub(crate) fn find<A: Addr>(
    table: &FamilyTable<A>,
    shared: &Shared,
    which: QueryTable,
    key: &RouteKey,
) -> Option<Found> {
    let (addr, len) = (A::of(&key.prefix)?, key.prefix.prefix_len());
    let id = table.slots.find(table.slots.hash(addr, len), addr, len)?;
    let paths = table.paths.get(table.slots.get(id).list());
    if let QueryTable::AdjRibOut(to) = which {
        let (group, mut sent) = advertised(table, id, to)?;
        let is_from = |e: &Advertised| shared.peers.get(e.source).is_some_and(|p| p.info.label == key.peer);
        let entry = sent.find(|e| e.id == key.path_id && is_from(e))?;
        let treatment = group.treatment(shared, entry.sent());
        let outgoing = shared.attrs.outgoing(entry.attr);
        let (_, own) = outgoing;
        let next_hop = group.rules.next_hop(shared.attrs.next_hop(entry.attr), treatment, own)?;
        let out = group.rules_for(to).outgoing(outgoing, treatment, next_hop);
        let best = taken(paths).first().is_some_and(|p| entry.is(shared, p));
        let (attributes, next_hop) = (out.attributes, out.next_hop);
        return Some(Found { key: *key, best, stale: false, denied: false, attributes, next_hop });
    }
    let at = paths.iter().position(|p| {
        p.path_id == key.path_id && shared.peers.get(p.peer).is_some_and(|q| q.info.label == key.peer)
    })?;
    // What the import policy does not take is in no Loc-RIB.
    let path = paths.get(at).filter(|p| which != QueryTable::LocRib || !p.denied)?;
    Some(spelled_out::<A>(shared, which, path, *key, at == 0 && !path.denied))
}

/// A path with its attributes, as a table shows it: what peers sent, or what is in the Loc-RIB.
pub(crate) fn spelled_out<A: Addr>(
    shared: &Shared,
    which: QueryTable,
    path: &Path,
    key: RouteKey,
    best: bool,
) -> Found {
    let attr = shown(shared, which, path);
    let canonical = shared.attrs.canonical(attr);
    let last_choice = which == QueryTable::LocRib && shared.is_last_choice(path);
    Found {
        key,
        best,
        denied: path.denied,
        stale: shared.peers.stale(path.peer, A::FAMILY).is_stale(path.mark),
        attributes: if last_choice { export::last_choice(canonical) } else { canonical.as_bytes().to_vec() },
        next_hop: shared.attrs.next_hop(attr),
    }
}
