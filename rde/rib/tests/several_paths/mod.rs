//! A small world around the tables in which peers give and take several paths of a prefix (RFC 7911): what each has by
//! identifier, and the plain rules by which it should have it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp::aspath::AsPathBuf;
use bgp::attr::canonical::{Builder, Canonical, write};
use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, well_known};
use bgp::header::{HEADER_LEN, MessageType};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::{ReadContext, UpdateBuilder, parse};
use bgp::{Asn, Family, FamilySet, NextHop};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rib::{
    Candidate, Counted, Counters, Limits, PeerIdx, PeerInfo, Query, QueryTable, Settings, end_of_rib, rank,
};

use crate::net::Net;
use crate::tables::Tables;

const ASN: u32 = 65000;
const SELF_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const SELF_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 100);
/// Prefixes from here on are IPv6.
const FIRST_V6: u8 = 5;

/// What a peer is.
struct Kind {
    internal: bool,
    /// Of our route server or, of our own AS, of our route reflector.
    client: bool,
    /// It gives several paths.
    gives: bool,
    /// It takes several paths: at most so many, 0 = all.
    takes: Option<u32>,
}

const fn kind(internal: bool, client: bool, gives: bool, takes: Option<u32>) -> Kind {
    Kind { internal, client, gives, takes }
}

/// The third and the fourth share an update group, and so do the two plain ones and the last two, clients of our route
/// server that take one path.
const KINDS: [Kind; 11] = [
    kind(false, false, true, Some(0)),
    kind(false, false, false, Some(1)),
    kind(false, false, true, Some(2)),
    kind(false, false, false, Some(2)),
    kind(true, true, true, Some(3)),
    kind(true, false, false, None),
    kind(false, true, true, Some(0)),
    kind(false, false, true, None),
    kind(false, false, false, None),
    kind(false, true, true, None),
    kind(false, true, false, None),
];

/// A route as it is announced, or as a peer has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    path: Vec<u32>,
    next_hop: IpAddr,
    local_pref: Option<u32>,
    med: Option<u32>,
    communities: Vec<u32>,
}

/// Paths by prefix and identifier.
pub(crate) type Identified = Vec<(IpNet, u32)>;

/// Kinds of communities that tell what a route is.
const LIFE: u32 = 1 << 24;
const NAME: u32 = 2 << 24;
const VARIANT: u32 = 3 << 24;

impl Seen {
    fn mark(&self, kind: u32) -> u32 {
        *self.communities.iter().find(|c| **c >> 24 == kind >> 24).unwrap()
    }
}

#[derive(Default)]
struct Peer {
    idx: Option<PeerIdx>,
    stopped: bool,
    draining: bool,
    /// By prefix and our identifier.
    seen: BTreeMap<(u8, u32), Seen>,
    /// The identifier of each path that it was ever told of.
    lives: BTreeMap<u32, u32>,
    /// Refreshes that have begun: what has not come again yet.
    refreshing: BTreeMap<Family, BTreeSet<(u8, u32)>>,
    /// By prefix and its own identifier.
    announced: BTreeMap<(u8, u32), Seen>,
    /// Announced before it began anew, and not since.
    stale: BTreeSet<(u8, u32)>,
    /// Stale paths of IPv4 and of IPv6 lose.
    loses: [bool; 2],
    /// Prefixes that it announces, as the tables count them.
    tallied: i64,
    /// Those that it is announced, by shard and family.
    told: BTreeMap<(usize, Family), u64>,
}

pub(crate) struct World {
    rib: Tables,
    net: Net,
    now: u64,
    peers: Vec<Peer>,
    injected: BTreeMap<(u8, u32), Seen>,
    lives: u32,
}

fn prefix(n: u8) -> IpNet {
    if n < FIRST_V6 {
        Ipv4Net::new(Ipv4Addr::new(10, 0, n, 0), 24).unwrap().into()
    } else {
        Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, n.into(), 0, 0, 0, 0, 0), 48).unwrap().into()
    }
}

fn number(net: IpNet) -> u8 {
    match net {
        IpNet::V4(n) => n.addr().octets()[2],
        IpNet::V6(n) => n.addr().octets()[5],
    }
}

fn family(v6: bool) -> Family {
    if v6 { Family::Ipv6Unicast } else { Family::Ipv4Unicast }
}

fn families() -> FamilySet {
    [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect()
}

fn asn(p: usize) -> u32 {
    // Some share an AS, so that their MEDs are compared.
    if KINDS[p].internal { ASN } else { 65001 + p as u32 % 3 }
}

fn address(p: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1 + p as u8)
}

fn context(p: usize, add_path: bool) -> ReadContext {
    let add_path = if add_path { families() } else { FamilySet::EMPTY };
    ReadContext { four_octet_as: true, external: !KINDS[p].internal, families: families(), add_path }
}

/// What a peer announces, by variant; `p` = `None` for an injected route.
fn route(p: Option<usize>, n: u8, path_id: u32, variant: u8) -> Seen {
    let mut path: Vec<u32> = p.filter(|p| !KINDS[*p].internal).map(asn).into_iter().collect();
    path.push(64496 + u32::from(variant % 2));
    path.extend((variant % 5 == 4).then_some(64510));
    let name = NAME | p.map_or(99, |p| p as u32) << 8 | path_id;
    let mut communities = vec![name, VARIANT | u32::from(variant)];
    if variant == 5 {
        communities.push(well_known::NO_EXPORT);
    }
    if variant == 7 {
        communities.push(well_known::NO_ADVERTISE);
    }
    communities.extend((variant == 9).then_some(well_known::GRACEFUL_SHUTDOWN));
    communities.extend((variant == 10).then_some(well_known::BLACKHOLE));
    let host = p.map_or(99, |p| 1 + p as u8);
    let next_hop = if n < FIRST_V6 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    } else {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()))
    };
    let local_pref = p.is_some_and(|p| KINDS[p].internal).then_some(100 + u32::from(variant % 2));
    let med = (!variant.is_multiple_of(3)).then_some(u32::from(variant % 3));
    Seen { path, next_hop, local_pref, med, communities }
}

fn attributes(seen: &Seen, nlri: Option<(Option<u32>, IpNet)>) -> Vec<PathAttribute> {
    let mut list = vec![
        PathAttribute::Origin(Origin::Igp),
        PathAttribute::AsPath(AsPathBuf::sequence(seen.path.iter().map(|a| Asn(*a)))),
    ];
    if let IpAddr::V4(a) = seen.next_hop {
        list.push(PathAttribute::NextHop(a));
    }
    list.extend(seen.med.map(PathAttribute::MultiExitDisc));
    list.extend(seen.local_pref.map(PathAttribute::LocalPref));
    list.push(PathAttribute::Communities(seen.communities.iter().map(|c| Community(*c)).collect()));
    if let (IpAddr::V6(_), Some(nlri)) = (seen.next_hop, nlri) {
        let next_hop = seen.next_hop.into();
        list.push(PathAttribute::MpReach { family: Family::Ipv6Unicast, next_hop, nlri: vec![nlri] });
    }
    list
}

impl World {
    pub(crate) const PEERS: usize = KINDS.len();
    pub(crate) const PREFIXES: u8 = 7;

    pub(crate) fn new(shards: u32) -> World {
        let limits = Limits { soft: 200, hard: 600, stalled: 20 };
        let settings =
            Settings { asn: ASN, router_id: 0x0a00_0001, cluster_id: 9, med_always_compare: false, limits };
        World {
            rib: Tables::new(settings, shards),
            net: Net::default(),
            now: 0,
            peers: (0..World::PEERS).map(|_| Peer::default()).collect(),
            injected: BTreeMap::new(),
            lives: 0,
        }
    }

    pub(crate) fn up(&mut self, p: usize) {
        if self.peers[p].idx.is_some() {
            return;
        }
        let Kind { internal, client, takes, .. } = KINDS[p];
        let info = PeerInfo {
            router_id: 10 + p as u32,
            families: families(),
            self_v4: Some(SELF_V4),
            self_v6: Some(SELF_V6),
            route_server_client: client && !internal,
            route_reflector_client: client && internal,
            add_path: if takes.is_some() { families() } else { FamilySet::EMPTY },
            add_path_max: takes.unwrap_or(0),
            long_lived: rib::LongLived::default(),
            counted: Counted { received: true, advertised: true, ..Counted::default() },
            ..PeerInfo::new(Some(p as u16), address(p).into(), asn(p), ASN)
        };
        let idx = self.rib.peer_up(info, self.now).unwrap();
        self.net.up(idx);
        self.peers[p] = Peer { idx: Some(idx), ..Peer::default() };
    }

    pub(crate) fn down(&mut self, p: usize) {
        if let Some(idx) = self.peers[p].idx.take() {
            self.rib.peer_down(idx);
            self.net.down(idx);
        }
        self.peers[p] = Peer::default();
    }

    fn apply(&mut self, p: usize, message: &UpdateBuilder) {
        let Some(idx) = self.peers[p].idx else { return };
        let (body, ctx) = (message.body(true), context(p, KINDS[p].gives));
        let update = parse(&body, &ctx).unwrap();
        assert!(update.faults.is_empty(), "{:?}", update.faults);
        self.rib.apply(idx, &update, &ctx);
    }

    /// The identifier that a peer gives: without add-path there is one path.
    fn own_id(p: usize, path_id: u32) -> (u32, Option<u32>) {
        if KINDS[p].gives { (path_id, Some(path_id)) } else { (0, None) }
    }

    /// A mark that a path has for as long as it is there.
    fn life(&mut self, before: Option<&Seen>) -> u32 {
        before.map_or_else(
            || {
                self.lives += 1;
                LIFE | self.lives
            },
            |seen| seen.mark(LIFE),
        )
    }

    pub(crate) fn announce(&mut self, p: usize, n: u8, path_id: u32, variant: u8) {
        if self.peers[p].idx.is_none() {
            return;
        }
        let (path_id, written) = World::own_id(p, path_id);
        let mut seen = route(Some(p), n, path_id, variant);
        let before = self.peers[p].announced.get(&(n, path_id)).cloned();
        seen.communities.push(self.life(before.as_ref()));
        let nlri = (written, prefix(n));
        let announced = if n < FIRST_V6 { vec![nlri] } else { vec![] };
        let attributes = attributes(&seen, Some(nlri));
        self.apply(p, &UpdateBuilder { announced, attributes, ..UpdateBuilder::default() });
        self.peers[p].announced.insert((n, path_id), seen);
        self.peers[p].stale.remove(&(n, path_id));
    }

    pub(crate) fn withdraw(&mut self, p: usize, n: u8, path_id: u32) {
        let (path_id, written) = World::own_id(p, path_id);
        let nlri = vec![(written, prefix(n))];
        let mut message = UpdateBuilder::default();
        if n < FIRST_V6 {
            message.withdrawn = nlri;
        } else {
            message.attributes = vec![PathAttribute::MpUnreach { family: Family::Ipv6Unicast, nlri }];
        }
        self.apply(p, &message);
        self.peers[p].announced.remove(&(n, path_id));
        self.peers[p].stale.remove(&(n, path_id));
    }

    pub(crate) fn inject(&mut self, n: u8, path_id: u32, variant: u8) {
        let mut seen = route(None, n, path_id, variant);
        let before = self.injected.get(&(n, path_id)).cloned();
        seen.communities.push(self.life(before.as_ref()));
        let list = attributes(&seen, None);
        let canonical = list.into_iter().fold(Builder::new(), Builder::with).build();
        self.rib.inject(prefix(n), path_id, &canonical, NextHop::from(seen.next_hop));
        self.injected.insert((n, path_id), seen);
    }

    pub(crate) fn withdraw_injected(&mut self, n: u8, path_id: u32) {
        let was = self.injected.remove(&(n, path_id)).is_some();
        assert_eq!(self.rib.withdraw_injected(prefix(n), path_id), was);
    }

    pub(crate) fn anew(&mut self, p: usize, v6: bool, loses: bool) {
        let peer = &mut self.peers[p];
        let Some(idx) = peer.idx else { return };
        peer.stale.extend(peer.announced.keys().filter(|(n, _)| (*n >= FIRST_V6) == v6));
        peer.loses[usize::from(v6)] = loses;
        self.rib.mark_stale(idx, family(v6), loses);
    }

    pub(crate) fn sweep(&mut self, p: usize, v6: bool) {
        let peer = &mut self.peers[p];
        let Some(idx) = peer.idx else { return };
        let (swept, left): (BTreeSet<_>, BTreeSet<_>) =
            std::mem::take(&mut peer.stale).into_iter().partition(|(n, _)| (*n >= FIRST_V6) == v6);
        peer.announced.retain(|path, _| !swept.contains(path));
        peer.stale = left;
        self.rib.sweep_stale(idx, family(v6));
    }

    pub(crate) fn reevaluate(&mut self, p: usize) {
        if let Some(idx) = self.peers[p].idx {
            families().iter().for_each(|family| self.rib.reevaluate(idx, family));
        }
    }

    pub(crate) fn refresh(&mut self, p: usize, v6: bool) {
        if let Some(idx) = self.peers[p].idx {
            self.rib.refresh(idx, family(v6), &mut self.net);
        }
    }

    pub(crate) fn drain(&mut self, p: usize, on: bool) {
        if let Some(idx) = self.peers[p].idx {
            self.rib.drain(idx, on, &mut self.net);
            self.peers[p].draining = on && !KINDS[p].internal;
        }
    }

    pub(crate) fn reads(&mut self, p: usize, on: bool) {
        self.peers[p].stopped = !on;
    }

    /// One step of the tables, and everybody who reads reads.
    pub(crate) fn work(&mut self) -> bool {
        self.now += 7;
        let mut did = self.rib.work(self.now, &mut self.net);
        for (peer, family) in std::mem::take(&mut self.net.ended) {
            let marker = end_of_rib(family);
            self.rib.sent(peer, marker.len() as u64);
            self.net.push(peer, marker);
            did |= self.rib.end_of_rib_is_out(peer, family, &mut self.net);
        }
        (0..World::PEERS).for_each(|p| self.read(p));
        did
    }

    fn read(&mut self, p: usize) {
        let peer = &mut self.peers[p];
        let Some(idx) = peer.idx.filter(|_| !peer.stopped) else { return };
        for message in self.net.read(idx) {
            self.rib.written(idx, message.len() as u64, self.now);
            peer.take(p, &message);
        }
    }

    /// Everybody reads until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        self.peers.iter_mut().for_each(|p| p.stopped = false);
        (0..World::PEERS).for_each(|p| self.read(p));
        assert!((0..10_000).any(|_| !self.work()), "never settles");
        for (shard, rib) in self.rib.shards.iter_mut().enumerate() {
            for (idx, more) in rib.tallies() {
                let peer = self.peers.iter_mut().find(|p| p.idx == Some(idx)).unwrap();
                peer.tallied += more.iter().sum::<i64>();
            }
            for (idx, family, prefixes) in rib.advertised() {
                let peer = self.peers.iter_mut().find(|p| p.idx == Some(idx)).unwrap();
                peer.told.insert((shard, family), prefixes);
            }
        }
    }

    /// How many prefixes the peer announces and is announced: as the tables count them for limits, and as it is.
    pub(crate) fn prefixes(&self, p: usize) -> ((i64, u64), (i64, u64)) {
        let peer = &self.peers[p];
        let announced: BTreeSet<u8> = peer.announced.keys().map(|(n, _)| *n).collect();
        let seen: BTreeSet<u8> = peer.seen.keys().map(|(n, _)| *n).collect();
        let counted = (peer.tallied, peer.told.values().sum());
        (counted, (announced.len() as i64, seen.len() as u64))
    }

    /// Whether every refresh that began has ended.
    pub(crate) fn refreshed(&self, p: usize) -> bool {
        self.peers[p].refreshing.is_empty()
    }

    /// How many paths of the peer are stale, in the tables and here.
    pub(crate) fn stale(&self, p: usize) -> (u64, u64) {
        (self.rib.stale(self.peers[p].idx.unwrap()), self.peers[p].stale.len() as u64)
    }

    pub(crate) fn peers_up(&self) -> Vec<usize> {
        (0..World::PEERS).filter(|p| self.peers[*p].idx.is_some()).collect()
    }

    /// What the peer has of each prefix.
    pub(crate) fn seen(&self, p: usize) -> Vec<(u8, Seen)> {
        let mut list: Vec<_> = self.peers[p].seen.iter().map(|((n, _), s)| (*n, s.clone())).collect();
        list.sort();
        list
    }

    /// What the peer has by identifier: as it sees it, as lists of the Adj-RIB-Out show it, and how many are counted.
    pub(crate) fn sent(&mut self, p: usize) -> (Identified, Identified, u64) {
        let peer = &self.peers[p];
        let idx = peer.idx.unwrap();
        let mut seen: Vec<(IpNet, u32)> = peer.seen.keys().map(|(n, id)| (prefix(*n), *id)).collect();
        seen.sort_unstable();
        let (_, advertised) = self.rib.peer_counters(idx);
        let page = self.rib.page(&Query {
            table: QueryTable::AdjRibOut(idx),
            family: None,
            prefix: None,
            longer: false,
            origin_asn: 0,
            communities: vec![],
            large_communities: vec![],
            after: None,
            limit: 1000,
        });
        let mut listed: Vec<_> = page.routes.iter().map(|f| (f.key.prefix, f.key.path_id)).collect();
        listed.sort_unstable();
        assert!(page.routes.iter().filter(|f| f.best).count() <= usize::from(World::PREFIXES));
        (seen, listed, advertised.iter().sum())
    }

    /// Under which identifier the peer has the paths of a prefix, by their source and its identifier.
    pub(crate) fn identifiers(&self, p: usize, n: u8) -> BTreeMap<(usize, u32), u32> {
        let paths = self.peers[p].seen.range((n, 0)..=(n, u32::MAX));
        let name = |s: &Seen| s.mark(NAME) & 0xffff;
        paths.map(|((_, id), s)| (((name(s) >> 8) as usize, name(s) & 0xff), *id)).collect()
    }

    /// How many paths were left out since the last call.
    pub(crate) fn refused(&mut self) -> u64 {
        self.rib.shards.iter_mut().flat_map(rib::Rib::take_refused).map(|(_, n)| n).sum()
    }

    /// What the peer should have, by the plain rules.
    pub(crate) fn expected(&self, p: usize) -> Vec<(u8, Seen)> {
        let mut list: Vec<_> = (0..World::PREFIXES)
            .flat_map(|n| self.expected_paths(p, n).into_iter().map(move |s| (n, s)))
            .collect();
        list.sort();
        list
    }

    fn expected_paths(&self, p: usize, n: u8) -> Vec<Seen> {
        let of =
            |announced: &BTreeMap<(u8, u32), Seen>, q: Option<usize>| -> Vec<(Option<usize>, u32, Seen)> {
                announced.range((n, 0)..=(n, u32::MAX)).map(|((_, id), s)| (q, *id, s.clone())).collect()
            };
        let up = self.peers.iter().enumerate().filter(|(_, peer)| peer.idx.is_some());
        let mut sources: Vec<_> = up.flat_map(|(q, peer)| of(&peer.announced, Some(q))).collect();
        sources.extend(of(&self.injected, None));
        let loses = |(q, id, _): &(Option<usize>, u32, Seen)| {
            let peer = q.map(|q| &self.peers[q]);
            peer.is_some_and(|p| p.stale.contains(&(n, *id)) && p.loses[usize::from(n >= FIRST_V6)])
        };
        let rated = |s: &(Option<usize>, u32, Seen)| {
            let candidate = Candidate { stale: loses(s), ..candidate(s.0, s.1, &s.2) };
            match self.is_last_choice(s.0, &s.2) {
                true => Candidate { local_pref: 0, ..candidate },
                false => candidate,
            }
        };
        let candidates: Vec<Candidate> = sources.iter().map(rated).collect();
        let ranked = rank(&candidates, false);
        let limit = match KINDS[p] {
            // Its own best path (RFC 7947 §2.3).
            Kind { takes: None, client: true, internal: false, .. } => 1,
            // The best one of all, or none.
            Kind { takes: None, .. } => {
                return ranked.first().and_then(|at| self.export(p, &sources[*at])).into_iter().collect();
            }
            Kind { takes: Some(0), .. } => usize::MAX,
            Kind { takes: Some(n), .. } => n as usize,
        };
        ranked.iter().filter_map(|at| self.export(p, &sources[*at])).take(limit).collect()
    }

    /// RFC 8326 §4.
    fn is_last_choice(&self, source: Option<usize>, route: &Seen) -> bool {
        let marked = route.communities.contains(&well_known::GRACEFUL_SHUTDOWN);
        source.is_some_and(|q| !KINDS[q].internal && (marked || self.peers[q].draining))
    }

    /// A route as a peer should get it, if it may.
    fn export(&self, p: usize, (source, _, route): &(Option<usize>, u32, Seen)) -> Option<Seen> {
        let Kind { internal, client, .. } = KINDS[p];
        let from_client = source.is_some_and(|q| KINDS[q].client);
        let stays = internal && source.is_some_and(|q| KINDS[q].internal) && !client && !from_client;
        if *source == Some(p) || stays {
            return None;
        }
        let mut seen = route.clone();
        let has = |c: u32| route.communities.contains(&c);
        if has(well_known::NO_ADVERTISE) || (has(well_known::NO_EXPORT) && !internal) {
            return None;
        }
        // RFC 7999 §3.2.
        let blackhole = has(well_known::BLACKHOLE) && source.is_some_and(|q| !KINDS[q].internal);
        if blackhole && !internal && !client {
            return None;
        }
        let last_choice = self.is_last_choice(*source, route);
        let marked = last_choice || self.peers[p].draining;
        seen.communities.extend((blackhole && internal).then_some(well_known::NO_EXPORT));
        seen.communities.extend(marked.then_some(well_known::GRACEFUL_SHUTDOWN));
        seen.communities.sort_unstable();
        seen.communities.dedup();
        if internal {
            seen.local_pref = Some(if last_choice { 0 } else { seen.local_pref.unwrap_or(100) });
            return Some(seen);
        }
        seen.local_pref = None;
        if !client {
            seen.path.insert(0, ASN);
            if source.is_some() {
                seen.med = None;
                seen.next_hop = if seen.next_hop.is_ipv4() { SELF_V4.into() } else { SELF_V6.into() };
            }
        }
        Some(seen)
    }

    pub(crate) fn all_down(&mut self) {
        (0..World::PEERS).for_each(|p| self.down(p));
        for (n, path_id) in self.injected.keys().copied().collect::<Vec<_>>() {
            self.withdraw_injected(n, path_id);
        }
        self.settle();
    }

    pub(crate) fn left_behind(&self) -> Counters {
        self.rib.counters()
    }
}

impl Peer {
    /// RFC 7313 §4.
    fn demarcation(&mut self, p: usize, refresh: &RouteRefresh) {
        let family = Family::from_afi_safi(refresh.afi, refresh.safi).unwrap();
        match refresh.subtype {
            Subtype::Begin => {
                let v6 = family == Family::Ipv6Unicast;
                let known = self.seen.keys().copied().filter(|(n, _)| (*n >= FIRST_V6) == v6).collect();
                assert_eq!(self.refreshing.insert(family, known), None, "peer {p}: BoRR within a refresh");
            }
            Subtype::End => {
                // What is gone was withdrawn, everything else has come again: nothing is left to sweep.
                assert_eq!(self.refreshing.remove(&family), Some(BTreeSet::new()), "peer {p}");
            }
            other => panic!("peer {p} is sent {other:?}"),
        }
    }

    fn came_again(&mut self, path: (u8, u32)) {
        for left in self.refreshing.values_mut() {
            left.remove(&path);
        }
    }

    /// Takes in a message as any BGP speaker would, and minds what identifiers must not do.
    fn take(&mut self, p: usize, message: &[u8]) {
        let ctx = context(p, KINDS[p].takes.is_some());
        let body = &message[HEADER_LEN..];
        if message[HEADER_LEN - 1] == MessageType::RouteRefresh as u8 {
            return self.demarcation(p, &RouteRefresh::decode(body).unwrap());
        }
        let update = parse(body, &ctx).unwrap();
        assert!(update.faults.is_empty(), "sent to peer {p}: {:?}", update.faults);
        for (id, net) in update.withdrawn.iter().chain(update.mp_unreach.iter().flat_map(|n| n.iter())) {
            let was = self.seen.remove(&(number(net), id));
            assert!(was.is_some() || KINDS[p].takes.is_none(), "peer {p} does not have {net} {id}");
            self.came_again((number(net), id));
        }
        let mut canonical = Vec::new();
        write(&update.attributes, &ctx, &mut canonical);
        let a = Canonical::new(&canonical);
        let mut add = |id, net, next_hop: NextHop| {
            let seen = Seen {
                path: a.as_path().asns().map(|n| n.0).collect(),
                next_hop: next_hop.global(),
                local_pref: a.local_pref(),
                med: a.med(),
                communities: a.communities().collect(),
            };
            if KINDS[p].takes.is_some() {
                let known = *self.lives.entry(seen.mark(LIFE)).or_insert(id);
                assert_eq!(known, id, "peer {p}: {net} is the same path");
            }
            let (name, old) = (seen.mark(NAME), self.seen.insert((number(net), id), seen));
            self.came_again((number(net), id));
            if let Some(old) = old.filter(|_| KINDS[p].takes.is_some()) {
                assert_eq!(old.mark(NAME), name, "peer {p}: {net} {id} still stands for another path");
            }
        };
        for (id, net) in update.announced.iter() {
            add(id, net, update.next_hop.unwrap());
        }
        for (id, net) in update.mp_reach.iter().flat_map(|n| n.iter()) {
            add(id, net, update.mp_next_hop.unwrap());
        }
    }
}

fn candidate(source: Option<usize>, path_id: u32, seen: &Seen) -> Candidate {
    let address = source.map_or(Ipv4Addr::UNSPECIFIED, address);
    Candidate {
        long_lived: false,
        stale: false,
        local_pref: seen.local_pref.unwrap_or(100),
        local: source.is_none(),
        path_len: seen.path.len() as u16,
        origin: 0,
        med: seen.med.unwrap_or(0),
        neighbor_as: seen.path.first().copied().unwrap_or(0),
        external: source.is_some_and(|q| !KINDS[q].internal),
        cluster_list_len: 0,
        router_id: source.map_or(0x0a00_0001, |q| 10 + q as u32),
        address: address.to_ipv6_mapped().to_bits(),
        path_id,
    }
}
