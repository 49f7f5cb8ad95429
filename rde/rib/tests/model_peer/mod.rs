//! A small world around the tables: eleven peers with their own idea of what they were sent, and the plain
//! rules by which they should have been sent it.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp::aspath::AsPathBuf;
use bgp::attr::canonical::{Builder, Canonical, write};
use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, well_known};
use bgp::header::{HEADER_LEN, MessageType};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::{ReadContext, UpdateBuilder, parse};
use bgp::{Asn, BgpRole, Family, FamilySet, NextHop, RemovePrivateAs, RouterId};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rib::{Applied, Candidate, Counters, Limits, PeerIdx, PeerInfo, Settings, end_of_rib, rank};

use crate::net::Net;
use crate::tables::Tables;

const ASN: u32 = 65000;
const ROUTER_ID: u32 = 0x0a00_0001;
const CLUSTER: u32 = 0x0a00_0009;
const SELF_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const SELF_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 100);
/// Prefixes from here on are IPv6.
const FIRST_V6: u8 = 12;

/// A route as a peer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    path: Vec<u32>,
    next_hop: IpAddr,
    local_pref: Option<u32>,
    med: Option<u32>,
    communities: Vec<u32>,
    originator: Option<u32>,
    clusters: Vec<u32>,
    only_to_customer: Option<u32>,
}

/// A route as it was announced.
#[derive(Debug, Clone)]
struct Route {
    seen: Seen,
}

#[derive(Default)]
struct Peer {
    idx: Option<PeerIdx>,
    stopped: bool,
    draining: bool,
    seen: BTreeMap<u8, Seen>,
    ended: BTreeSet<Family>,
    /// Refreshes that have begun: what has not come again yet.
    refreshing: BTreeMap<Family, BTreeSet<u8>>,
    announced: BTreeMap<u8, Route>,
    /// Announced before it began anew, and not since.
    stale: BTreeSet<u8>,
    /// Stale routes of IPv4 and of IPv6 lose.
    loses: [bool; 2],
}

pub(crate) struct World {
    rib: Tables,
    net: Net,
    now: u64,
    peers: Vec<Peer>,
    injected: BTreeMap<u8, Route>,
    roles: bool,
}

/// Numbers of the default routes.
fn is_default(n: u8) -> bool {
    n == 0 || n == FIRST_V6
}

fn prefix(n: u8) -> IpNet {
    let len = |len| if is_default(n) { 0 } else { len };
    if n < FIRST_V6 {
        Ipv4Net::new(Ipv4Addr::new(10, 0, n, 0), len(24)).unwrap().trunc().into()
    } else {
        Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, n.into(), 0, 0, 0, 0, 0), len(48)).unwrap().trunc().into()
    }
}

fn family(v6: bool) -> Family {
    if v6 { Family::Ipv6Unicast } else { Family::Ipv4Unicast }
}

fn number(net: IpNet) -> u8 {
    match net {
        IpNet::V4(n) if n.prefix_len() == 0 => 0,
        IpNet::V6(n) if n.prefix_len() == 0 => FIRST_V6,
        IpNet::V4(n) => n.addr().octets()[2],
        IpNet::V6(n) => n.addr().octets()[5],
    }
}

fn internal(p: usize) -> bool {
    (3..=7).contains(&p)
}

/// A client of ours as a route reflector.
fn client(p: usize) -> bool {
    p == 5 || p == 6
}

/// A client of our route server.
fn route_server_client(p: usize) -> bool {
    p == 9 || p == 10
}

/// It is sent a default route.
fn default_originate(p: usize) -> bool {
    p == 4 || p == 8
}

fn remove_private_as(p: usize) -> Option<RemovePrivateAs> {
    (p == 8).then_some(RemovePrivateAs::Replace)
}

fn old_speaker(p: usize) -> bool {
    p == 2 || p == 4
}

/// What we are to the external peers.
fn role(p: usize) -> Option<BgpRole> {
    [BgpRole::Customer, BgpRole::Peer, BgpRole::Provider].get(p).copied()
}

fn asn(p: usize) -> u32 {
    if internal(p) { ASN } else { 65001 + p as u32 }
}

fn router_id(p: usize) -> u32 {
    10 + p as u32
}

fn address(p: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1 + p as u8)
}

fn context(p: usize) -> ReadContext {
    ReadContext {
        four_octet_as: !old_speaker(p),
        external: !internal(p),
        families: [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect(),
        add_path: FamilySet::EMPTY,
    }
}

/// What a peer announces, by variant; `p` = `None` for an injected route.
fn route(p: Option<usize>, n: u8, variant: u8) -> Route {
    let mut path = Vec::new();
    if let Some(p) = p.filter(|p| !internal(*p)) {
        path.push(asn(p));
    }
    path.extend([64496 + u32::from(variant % 3), 4_200_000_000 * u32::from(variant % 4 == 1)]);
    path.retain(|a| *a != 0);
    let mut communities = vec![u32::from(variant) << 16 | 1];
    if variant == 5 {
        communities.push(well_known::NO_EXPORT);
    }
    if variant == 7 {
        communities.push(well_known::NO_ADVERTISE);
    }
    communities.extend(match variant {
        6 => Some(well_known::GRACEFUL_SHUTDOWN),
        10 => Some(well_known::BLACKHOLE),
        11 => Some(well_known::NOPEER),
        _ => None,
    });
    // Marked by who sends it, and by somebody else.
    let only_to_customer = match variant {
        8 => Some(p.map_or(ASN, asn)),
        9 => Some(64500),
        _ => None,
    };
    let is_internal = p.is_some_and(internal);
    // From several internal peers, the same attributes and next hop.
    let host = match p {
        Some(_) if is_internal && variant % 4 > 1 => 50,
        Some(p) => 1 + p as u8,
        None => 99,
    };
    let next_hop = if n < FIRST_V6 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    } else {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()))
    };
    let local_pref = is_internal.then_some(100 + u32::from(variant % 2));
    let med = (!variant.is_multiple_of(3)).then_some(u32::from(variant % 3));
    let (originator, clusters) = match variant {
        2 | 6 | 10 if is_internal => (Some(77), vec![7, 8]),
        9 if is_internal => (Some(77), vec![7, CLUSTER]),
        11 if is_internal => (Some(ROUTER_ID), vec![7]),
        _ => (None, vec![]),
    };
    let seen = Seen { path, next_hop, local_pref, med, communities, originator, clusters, only_to_customer };
    Route { seen }
}

fn attributes(seen: &Seen, n: u8, nlri: &[u8]) -> Vec<PathAttribute> {
    let mut list = vec![
        PathAttribute::Origin(Origin::Igp),
        PathAttribute::AsPath(AsPathBuf::sequence(seen.path.iter().map(|a| Asn(*a)))),
    ];
    if let (true, IpAddr::V4(a)) = (n < FIRST_V6, seen.next_hop) {
        list.push(PathAttribute::NextHop(a));
    }
    list.extend(seen.med.map(PathAttribute::MultiExitDisc));
    list.extend(seen.local_pref.map(PathAttribute::LocalPref));
    list.push(PathAttribute::Communities(seen.communities.iter().map(|c| Community(*c)).collect()));
    list.extend(seen.originator.map(|id| PathAttribute::OriginatorId(RouterId::from(id))));
    if !seen.clusters.is_empty() {
        list.push(PathAttribute::ClusterList(seen.clusters.iter().map(|id| RouterId::from(*id)).collect()));
    }
    list.extend(seen.only_to_customer.map(|asn| PathAttribute::OnlyToCustomer(Asn(asn))));
    if n >= FIRST_V6 {
        let nlri = nlri.iter().map(|n| (None, prefix(*n))).collect();
        let next_hop = seen.next_hop.into();
        list.push(PathAttribute::MpReach { family: Family::Ipv6Unicast, next_hop, nlri });
    }
    list
}

impl World {
    pub(crate) const PEERS: usize = 11;

    pub(crate) fn new(shards: u32, roles: bool) -> World {
        let limits = Limits { soft: 200, hard: 600, stalled: 20 };
        let settings = Settings {
            asn: ASN,
            router_id: ROUTER_ID,
            cluster_id: CLUSTER,
            med_always_compare: false,
            limits,
        };
        World {
            rib: Tables::new(settings, shards),
            net: Net::default(),
            now: 0,
            peers: (0..World::PEERS).map(|_| Peer::default()).collect(),
            injected: BTreeMap::new(),
            roles,
        }
    }

    fn role(&self, p: usize) -> Option<BgpRole> {
        role(p).filter(|_| self.roles)
    }

    /// RFC 9234 §5, on receipt: `None` is a leak.
    fn received(&self, p: usize, mut route: Route) -> Option<Route> {
        let mark = &mut route.seen.only_to_customer;
        match self.role(p) {
            Some(BgpRole::Provider) if mark.is_some() => return None,
            Some(BgpRole::Peer) if mark.is_some_and(|by| by != asn(p)) => return None,
            Some(BgpRole::Customer | BgpRole::Peer) => *mark = mark.or(Some(asn(p))),
            _ => {}
        }
        Some(route)
    }

    /// RFC 8326 §4: whether a route of an external peer is the last choice.
    fn is_last_choice(&self, source: Option<usize>, route: &Route) -> bool {
        let tagged = route.seen.communities.contains(&well_known::GRACEFUL_SHUTDOWN);
        source.is_some_and(|p| !internal(p) && (tagged || self.peers[p].draining))
    }

    pub(crate) fn up(&mut self, p: usize) {
        if self.peers[p].idx.is_some() {
            return;
        }
        let info = PeerInfo {
            router_id: router_id(p),
            families: context(p).families,
            four_octet_as: !old_speaker(p),
            self_v4: Some(SELF_V4),
            self_v6: Some(SELF_V6),
            route_server_client: route_server_client(p),
            route_reflector_client: client(p),
            remove_private_as: remove_private_as(p),
            default_originate: default_originate(p),
            role: self.role(p),
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

    fn apply(&mut self, p: usize, message: &UpdateBuilder) -> Applied {
        let Some(idx) = self.peers[p].idx else { return Applied::default() };
        let body = message.body(!old_speaker(p));
        let update = parse(&body, &context(p)).unwrap();
        assert!(update.faults.is_empty(), "{:?}", update.faults);
        self.rib.apply(idx, &update, &context(p))
    }

    pub(crate) fn announce(&mut self, p: usize, prefixes: &[u8], variant: u8) {
        for v6 in [false, true] {
            let list: Vec<u8> = prefixes.iter().copied().filter(|n| (*n >= FIRST_V6) == v6).collect();
            let (Some(first), Some(_)) = (list.first(), self.peers[p].idx) else { continue };
            let route = route(Some(p), *first, variant);
            let native = if v6 { &[][..] } else { &list };
            let announced = native.iter().map(|n| (None, prefix(*n))).collect();
            let mut attributes = attributes(&route.seen, *first, &list);
            if old_speaker(p) && route.seen.path.iter().any(|a| *a > 65535) {
                let path = AsPathBuf::sequence(route.seen.path.iter().map(|a| Asn(*a)));
                attributes.push(PathAttribute::As4Path(path));
            }
            let message = UpdateBuilder { announced, attributes, ..UpdateBuilder::default() };
            let applied = self.apply(p, &message);
            // RFC 4456 §8; what was there before goes.
            let reflected =
                route.seen.originator == Some(ROUTER_ID) || route.seen.clusters.contains(&CLUSTER);
            let received = self.received(p, route);
            let leaked = received.is_none();
            assert_eq!(applied, Applied { reflected, leaked, ..Applied::default() });
            let peer = &mut self.peers[p];
            for n in list {
                peer.stale.remove(&n);
                match received.clone().filter(|_| !reflected) {
                    Some(route) => peer.announced.insert(n, route),
                    None => peer.announced.remove(&n),
                };
            }
        }
    }

    pub(crate) fn withdraw(&mut self, p: usize, prefixes: &[u8]) {
        let (v4, v6): (Vec<u8>, Vec<u8>) = prefixes.iter().partition(|n| **n < FIRST_V6);
        let nets = |l: &[u8]| l.iter().map(|n| (None, prefix(*n))).collect();
        let nlri: Vec<_> = nets(&v6);
        let unreach = PathAttribute::MpUnreach { family: Family::Ipv6Unicast, nlri };
        let attributes = if v6.is_empty() { vec![] } else { vec![unreach] };
        self.apply(p, &UpdateBuilder { withdrawn: nets(&v4), attributes, announced: vec![] });
        for n in prefixes {
            self.peers[p].announced.remove(n);
            self.peers[p].stale.remove(n);
        }
    }

    pub(crate) fn anew(&mut self, p: usize, v6: bool, loses: bool) {
        let peer = &mut self.peers[p];
        let Some(idx) = peer.idx else { return };
        peer.stale.extend(peer.announced.keys().filter(|n| (**n >= FIRST_V6) == v6));
        peer.loses[usize::from(v6)] = loses;
        self.rib.mark_stale(idx, family(v6), loses);
    }

    pub(crate) fn sweep(&mut self, p: usize, v6: bool) {
        let peer = &mut self.peers[p];
        let Some(idx) = peer.idx else { return };
        let (swept, left): (BTreeSet<u8>, BTreeSet<u8>) =
            std::mem::take(&mut peer.stale).into_iter().partition(|n| (*n >= FIRST_V6) == v6);
        peer.announced.retain(|n, _| !swept.contains(n));
        peer.stale = left;
        self.rib.sweep_stale(idx, family(v6));
    }

    pub(crate) fn reevaluate(&mut self, p: usize) {
        if let Some(idx) = self.peers[p].idx {
            self.rib.reevaluate(idx, Family::Ipv4Unicast);
            self.rib.reevaluate(idx, Family::Ipv6Unicast);
        }
    }

    /// How many routes of the peer are stale, in the tables and here.
    pub(crate) fn stale(&self, p: usize) -> (u64, u64) {
        (self.rib.stale(self.peers[p].idx.unwrap()), self.peers[p].stale.len() as u64)
    }

    pub(crate) fn inject(&mut self, n: u8, variant: u8) {
        let route = route(None, n, variant);
        let seen = &route.seen;
        let list = attributes(seen, n, &[]);
        let canonical = list.into_iter().fold(Builder::new(), Builder::with).build();
        let next_hop = NextHop::from(seen.next_hop);
        self.rib.inject(prefix(n), 0, &canonical, next_hop);
        self.injected.insert(n, route);
    }

    pub(crate) fn withdraw_injected(&mut self, n: u8) {
        let was = self.injected.remove(&n).is_some();
        assert_eq!(self.rib.withdraw_injected(prefix(n), 0), was);
    }

    pub(crate) fn refresh(&mut self, p: usize, v6: bool) {
        if let Some(idx) = self.peers[p].idx {
            self.rib.refresh(idx, family(v6), &mut self.net);
        }
    }

    pub(crate) fn drain(&mut self, p: usize, on: bool) {
        if let Some(idx) = self.peers[p].idx {
            self.rib.drain(idx, on, &mut self.net);
            self.peers[p].draining = on && !internal(p);
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
        let queue = self.net.read(idx);
        for message in queue {
            self.rib.written(idx, message.len() as u64, self.now);
            peer.take(p, &message);
        }
    }

    /// Everybody reads until there is nothing left to do.
    pub(crate) fn settle(&mut self) {
        self.peers.iter_mut().for_each(|p| p.stopped = false);
        (0..World::PEERS).for_each(|p| self.read(p));
        for _ in 0..10_000 {
            if !self.work() {
                return;
            }
        }
        panic!("never settles");
    }

    pub(crate) fn tables(&mut self) -> &mut Tables {
        &mut self.rib
    }

    pub(crate) fn peers_up(&self) -> Vec<usize> {
        (0..World::PEERS).filter(|p| self.peers[*p].idx.is_some()).collect()
    }

    pub(crate) fn seen(&self, p: usize) -> &BTreeMap<u8, Seen> {
        &self.peers[p].seen
    }

    pub(crate) fn end_of_rib(&self, p: usize) -> bool {
        self.peers[p].ended.len() == 2
    }

    /// Whether every refresh that began has ended.
    pub(crate) fn refreshed(&self, p: usize) -> bool {
        self.peers[p].refreshing.is_empty()
    }

    pub(crate) fn advertised(&self, p: usize) -> u64 {
        let (_, advertised) = self.rib.peer_counters(self.peers[p].idx.unwrap());
        advertised.iter().sum()
    }

    /// What the peer should have, by the plain rules.
    pub(crate) fn expected(&self, p: usize) -> BTreeMap<u8, Seen> {
        (0..24).filter_map(|n| Some((n, self.expected_route(p, n)?))).collect()
    }

    fn expected_route(&self, p: usize, n: u8) -> Option<Seen> {
        if default_originate(p) && is_default(n) {
            let going = self.peers[p].draining.then_some(well_known::GRACEFUL_SHUTDOWN);
            return Some(Seen { communities: going.into_iter().collect(), ..our_default(p, n) });
        }
        let mut sources: Vec<(Option<usize>, &Route)> = (self.peers.iter().enumerate())
            .filter(|(_, peer)| peer.idx.is_some())
            .filter_map(|(q, peer)| Some((Some(q), peer.announced.get(&n)?)))
            .collect();
        sources.extend(self.injected.get(&n).map(|r| (None, r)));
        let loses = |q: usize| {
            let q = &self.peers[q];
            q.stale.contains(&n) && q.loses[usize::from(n >= FIRST_V6)]
        };
        let rated = |(q, r): &(Option<usize>, &Route)| {
            let candidate = Candidate { stale: q.is_some_and(loses), ..candidate(*q, r) };
            match self.is_last_choice(*q, r) {
                true => Candidate { local_pref: 0, ..candidate },
                false => candidate,
            }
        };
        let candidates: Vec<Candidate> = sources.iter().map(rated).collect();
        // The best one of all, or none; for a client of the route server the best of those that it may have.
        let ranked = rank(&candidates, false);
        let looked_at = if route_server_client(p) { ranked.len() } else { 1 };
        ranked.iter().take(looked_at).find_map(|at| self.export(p, n, &sources[*at]))
    }

    /// A route as a peer should get it, if it may.
    fn export(&self, p: usize, n: u8, (source, route): &(Option<usize>, &Route)) -> Option<Seen> {
        let source = *source;
        let reflected = internal(p) && source.is_some_and(internal);
        if source == Some(p) || (reflected && !client(p) && !source.is_some_and(client)) {
            return None;
        }
        let mut seen = route.seen.clone();
        let has = |c: u32| route.seen.communities.contains(&c);
        if has(well_known::NO_ADVERTISE) || (has(well_known::NO_EXPORT) && !internal(p)) {
            return None;
        }
        // RFC 7999 §3.2: what another AS wants dropped stays here; a route server is not on its way.
        let blackhole = has(well_known::BLACKHOLE) && source.is_some_and(|q| !internal(q));
        if blackhole && !internal(p) && !route_server_client(p) {
            return None;
        }
        seen.communities.extend((blackhole && internal(p)).then_some(well_known::NO_EXPORT));
        // RFC 9234 §5 and RFC 3765: what goes up, or to the side.
        let up = matches!(self.role(p), Some(BgpRole::Customer | BgpRole::Peer));
        if up && seen.only_to_customer.is_some()
            || self.role(p) == Some(BgpRole::Peer) && has(well_known::NOPEER)
        {
            return None;
        }
        if let Some(BgpRole::Provider | BgpRole::Peer) = self.role(p) {
            seen.only_to_customer = seen.only_to_customer.or(Some(ASN));
        }
        let last_choice = self.is_last_choice(source, route);
        if last_choice || self.peers[p].draining {
            seen.communities.push(well_known::GRACEFUL_SHUTDOWN);
        }
        seen.communities.sort_unstable();
        seen.communities.dedup();
        if internal(p) {
            seen.local_pref = Some(if last_choice { 0 } else { seen.local_pref.unwrap_or(100) });
            if let Some(q) = source.filter(|_| reflected) {
                seen.originator = seen.originator.or(Some(router_id(q)));
                seen.clusters.insert(0, CLUSTER);
            }
            return Some(seen);
        }
        (seen.originator, seen.clusters) = (None, vec![]);
        seen.local_pref = None;
        if route_server_client(p) {
            return Some(seen);
        }
        if remove_private_as(p).is_some() {
            seen.path.iter_mut().filter(|a| **a > 64511).for_each(|a| *a = ASN);
        }
        seen.path.insert(0, ASN);
        if source.is_some() {
            seen.med = None;
            seen.next_hop = if n < FIRST_V6 { SELF_V4.into() } else { SELF_V6.into() };
        }
        Some(seen)
    }

    pub(crate) fn all_down(&mut self) {
        (0..World::PEERS).for_each(|p| self.down(p));
        (0..24).for_each(|n| self.withdraw_injected(n));
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
                assert!(self.ended.contains(&family), "peer {p}: BoRR before End-of-RIB");
                let v6 = family == Family::Ipv6Unicast;
                let known = self.seen.keys().copied().filter(|n| (*n >= FIRST_V6) == v6).collect();
                assert_eq!(self.refreshing.insert(family, known), None, "peer {p}: BoRR within a refresh");
            }
            Subtype::End => {
                // What is gone was withdrawn, everything else has come again: nothing is left to sweep.
                assert_eq!(self.refreshing.remove(&family), Some(BTreeSet::new()), "peer {p}");
            }
            other => panic!("peer {p} is sent {other:?}"),
        }
    }

    fn came_again(&mut self, n: u8) {
        if let Some(left) = self.refreshing.get_mut(&family(n >= FIRST_V6)) {
            left.remove(&n);
        }
    }

    /// Takes in a message as any BGP speaker would.
    fn take(&mut self, p: usize, message: &[u8]) {
        let ctx = ReadContext { external: !internal(p), ..context(p) };
        let body = &message[HEADER_LEN..];
        if message[HEADER_LEN - 1] == MessageType::RouteRefresh as u8 {
            return self.demarcation(p, &RouteRefresh::decode(body).unwrap());
        }
        let update = parse(body, &ctx).unwrap();
        assert!(update.faults.is_empty(), "sent to peer {p}: {:?}", update.faults);
        self.ended.extend(update.end_of_rib());
        for (_, net) in update.withdrawn.iter().chain(update.mp_unreach.iter().flat_map(|n| n.iter())) {
            self.seen.remove(&number(net));
            self.came_again(number(net));
        }
        let mut canonical = Vec::new();
        write(&update.attributes, &ctx, &mut canonical);
        let a = Canonical::new(&canonical);
        let mut add = |net, next_hop: NextHop| {
            let seen = Seen {
                path: a.as_path().asns().map(|n| n.0).collect(),
                next_hop: next_hop.global(),
                local_pref: a.local_pref(),
                med: a.med(),
                communities: a.communities().collect(),
                originator: a.originator_id(),
                clusters: a.cluster_list().collect(),
                only_to_customer: a.only_to_customer().map(|n| n.0),
            };
            self.seen.insert(number(net), seen);
            self.came_again(number(net));
        };
        update.announced.iter().for_each(|(_, net)| add(net, update.next_hop.unwrap()));
        for (_, net) in update.mp_reach.iter().flat_map(|n| n.iter()) {
            add(net, update.mp_next_hop.unwrap());
        }
    }
}

/// What takes the place of any default route for those who are sent ours.
fn our_default(p: usize, n: u8) -> Seen {
    Seen {
        path: if internal(p) { vec![] } else { vec![ASN] },
        next_hop: if n < FIRST_V6 { SELF_V4.into() } else { SELF_V6.into() },
        local_pref: internal(p).then_some(100),
        med: None,
        communities: vec![],
        originator: None,
        clusters: vec![],
        only_to_customer: None,
    }
}

fn candidate(source: Option<usize>, route: &Route) -> Candidate {
    let seen = &route.seen;
    Candidate {
        long_lived: false,
        stale: false,
        local_pref: seen.local_pref.unwrap_or(100),
        local: source.is_none(),
        path_len: seen.path.len() as u16,
        origin: 0,
        med: seen.med.unwrap_or(0),
        neighbor_as: seen.path[0],
        external: source.is_some_and(|p| !internal(p)),
        cluster_list_len: seen.clusters.len() as u8,
        router_id: seen.originator.unwrap_or(source.map_or(0, router_id)),
        address: source.map_or(0, |p| address(p).to_ipv6_mapped().to_bits()),
        path_id: 0,
    }
}
