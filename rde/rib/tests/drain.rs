//! Graceful shutdown of a session (RFC 8326 §4.2) in its details; that everybody has what they should have
//! whatever happens meanwhile is for the model test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bgp::attr::canonical::{Canonical, write};
use bgp::attr::{code, flags, write_attribute};
use bgp::header::{HEADER_LEN, MessageType};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::{ReadContext, parse};
use bgp::{Family, FamilySet, NextHop};
use ipnet::IpNet;
use rib::{Limits, PeerIdx, PeerInfo, Query, QueryTable, Settings, Sink, Target};
use tables::Tables;

const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;

/// What one peer has by what it was sent: communities of each route, and how many messages that took.
struct Inbox {
    peer: PeerIdx,
    joined: BTreeSet<u32>,
    buffer: Vec<u8>,
    target: Option<Target>,
    routes: BTreeMap<IpNet, Vec<u32>>,
    messages: usize,
    ended: usize,
    /// Demarcations of route refreshes, and how many messages came before.
    refreshes: Vec<(Subtype, usize)>,
}

fn context() -> ReadContext {
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    ReadContext { four_octet_as: true, external: true, families, add_path: FamilySet::EMPTY }
}

impl Inbox {
    fn of(peer: PeerIdx) -> Inbox {
        Inbox {
            peer,
            joined: BTreeSet::new(),
            buffer: Vec::new(),
            target: None,
            routes: BTreeMap::new(),
            messages: 0,
            ended: 0,
            refreshes: Vec::new(),
        }
    }

    fn read(&mut self) {
        if self.buffer[HEADER_LEN - 1] == MessageType::RouteRefresh as u8 {
            let refresh = RouteRefresh::decode(&self.buffer[HEADER_LEN..]).unwrap();
            self.refreshes.push((refresh.subtype, self.messages));
            return;
        }
        let update = parse(&self.buffer[HEADER_LEN..], &context()).unwrap();
        assert!(update.faults.is_empty(), "{:?}", update.faults);
        let mut octets = Vec::new();
        write(&update.attributes, &context(), &mut octets);
        update.withdrawn.iter().for_each(|(_, net)| drop(self.routes.remove(&net)));
        for (_, net) in update.announced.iter() {
            self.routes.insert(net, Canonical::new(&octets).communities().collect());
        }
        self.messages += 1;
    }
}

impl Sink for Inbox {
    fn begin(&mut self, target: Target) -> &mut Vec<u8> {
        self.target = Some(target);
        self.buffer.clear();
        &mut self.buffer
    }

    fn end(&mut self) {
        let mine = match self.target.take().unwrap() {
            Target::Peer(p) => p == self.peer,
            Target::Group(g) => self.joined.contains(&g),
            Target::GroupExcept(g, p) => self.joined.contains(&g) && p != self.peer,
        };
        assert!(self.buffer.len() <= 4096, "{} octets", self.buffer.len());
        if mine {
            self.read();
        }
    }

    fn join(&mut self, group: u32, peer: PeerIdx) {
        assert!(peer != self.peer || self.joined.insert(group), "joins twice");
    }

    fn leave(&mut self, group: u32, peer: PeerIdx) {
        assert!(peer != self.peer || self.joined.remove(&group), "leaves what it is not in");
    }

    fn end_of_rib(&mut self, peer: PeerIdx, _: Family) {
        self.ended += usize::from(peer == self.peer);
    }

    fn refreshed(&mut self, _: PeerIdx, _: Family) {}

    fn forgotten(&mut self, _: PeerIdx) {}

    fn is_full(&self) -> bool {
        false
    }
}

fn rib() -> Tables {
    // Nobody is slow.
    let limits = Limits { soft: u64::MAX, hard: u64::MAX, stalled: u64::MAX };
    Tables::new(Settings { asn: 65000, router_id: 1, cluster_id: 1, med_always_compare: false, limits }, 1)
}

fn peer(n: u8) -> PeerInfo {
    PeerInfo {
        router_id: n.into(),
        families: context().families,
        self_v4: Some(Ipv4Addr::new(192, 0, 2, 100)),
        ..PeerInfo::new(Some(n.into()), Ipv4Addr::new(192, 0, 2, n).into(), 65000 + u32::from(n), 65000)
    }
}

fn net(n: u8) -> IpNet {
    IpNet::new(Ipv4Addr::new(10, 0, n, 0).into(), 24).unwrap()
}

/// Injects a route with so many octets of an attribute that nobody knows.
fn inject(rib: &mut Tables, n: u8, octets: usize) {
    let mut list = Vec::new();
    write_attribute(&mut list, flags::WELL_KNOWN, code::ORIGIN, &[0]);
    write_attribute(&mut list, flags::WELL_KNOWN, code::AS_PATH, &[]);
    write_attribute(&mut list, flags::OPTIONAL_TRANSITIVE, 200, &vec![0; octets]);
    rib.inject(net(n), 0, &list, NextHop::V4([192, 0, 2, 9].into()));
}

fn settle(rib: &mut Tables, inbox: &mut Inbox) {
    for _ in 0..1000 {
        if !rib.work(0, inbox) {
            return;
        }
    }
    panic!("never settles");
}

#[test]
fn everything_is_sent_again_once_and_what_comes_later_is_marked_too() {
    let mut rib = rib();
    (0..100).for_each(|n| inject(&mut rib, n, 1));
    let to = rib.peer_up(peer(2), 0).unwrap();
    let other = rib.peer_up(peer(3), 0).unwrap();
    let mut inbox = Inbox::of(to);
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.messages, inbox.ended), (100, 1, 1));

    rib.drain(to, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.messages, inbox.ended), (100, 2, 1));
    assert!(inbox.routes.values().all(|c| *c == [GRACEFUL_SHUTDOWN]), "{:?}", inbox.routes);
    assert!(!rib.work(0, &mut inbox), "nothing is left to do");
    // Said again, it changes nothing.
    rib.drain(to, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(inbox.messages, 2);

    inject(&mut rib, 200, 1);
    assert!(rib.withdraw_injected(net(7), 0));
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.messages), (100, 4));
    assert_eq!(inbox.routes.get(&net(200)), Some(&vec![GRACEFUL_SHUTDOWN]));
    // What it was sent is what is shown.
    let query = Query {
        table: QueryTable::AdjRibOut(to),
        family: None,
        prefix: Some(net(200)),
        longer: false,
        origin_asn: 0,
        communities: vec![],
        large_communities: vec![],
        after: None,
        limit: 10,
    };
    let shown = |rib: &mut Tables, table| {
        let page = rib.page(&Query { table, ..query.clone() });
        page.routes.iter().map(|r| Canonical::new(&r.attributes).communities().collect()).collect()
    };
    let shown: [Vec<Vec<u32>>; 2] =
        [QueryTable::AdjRibOut(to), QueryTable::AdjRibOut(other)].map(|t| shown(&mut rib, t));
    assert_eq!(shown, [vec![vec![GRACEFUL_SHUTDOWN]], vec![vec![]]]);

    rib.drain(to, false, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.messages), (100, 5));
    assert!(inbox.routes.values().all(Vec::is_empty), "{:?}", inbox.routes);
    // Back in the shared stream.
    inject(&mut rib, 201, 1);
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.joined.len()), (101, 1));
}

#[test]
fn a_session_that_comes_up_while_it_is_drained_ends_its_initial_table_as_any_other() {
    let mut rib = rib();
    inject(&mut rib, 1, 1);
    let to = rib.peer_up(PeerInfo { draining: true, ..peer(2) }, 0).unwrap();
    let mut inbox = Inbox::of(to);
    settle(&mut rib, &mut inbox);
    assert_eq!((inbox.routes.len(), inbox.messages, inbox.ended), (1, 1, 1));
    assert_eq!(inbox.routes.get(&net(1)), Some(&vec![GRACEFUL_SHUTDOWN]));
}

#[test]
fn a_refresh_of_a_drained_peer_has_its_end_and_brings_marked_routes() {
    let mut rib = rib();
    let to = rib.peer_up(peer(2), 0).unwrap();
    let mut inbox = Inbox::of(to);
    settle(&mut rib, &mut inbox);
    rib.end_of_rib_is_out(to, Family::Ipv4Unicast, &mut inbox);
    rib.drain(to, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    // Of nothing, and of one route.
    assert!(rib.refresh(to, Family::Ipv4Unicast, &mut inbox));
    settle(&mut rib, &mut inbox);
    assert_eq!(inbox.refreshes, [(Subtype::Begin, 0), (Subtype::End, 0)]);
    inject(&mut rib, 1, 1);
    settle(&mut rib, &mut inbox);
    inbox.routes.clear();
    inbox.refreshes.clear();
    assert!(rib.refresh(to, Family::Ipv4Unicast, &mut inbox));
    // What ends a drain ends no refresh that is under way.
    rib.drain(to, false, &mut inbox);
    rib.drain(to, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(inbox.refreshes, [(Subtype::Begin, 1), (Subtype::End, 2)]);
    assert_eq!(inbox.routes.get(&net(1)), Some(&vec![GRACEFUL_SHUTDOWN]));
}

#[test]
fn a_route_that_has_no_room_for_one_more_community_is_withdrawn_meanwhile() {
    let mut rib = rib();
    let to = rib.peer_up(peer(2), 0).unwrap();
    let mut inbox = Inbox::of(to);
    // The longest that fits: one prefix number for each length.
    for n in 0..100 {
        inject(&mut rib, n, 3960 + usize::from(n));
    }
    settle(&mut rib, &mut inbox);
    let before = inbox.routes.len();
    assert!((20..100).contains(&before), "{before}");
    rib.drain(to, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(before - inbox.routes.len(), 7, "the octets of the attribute");
    rib.drain(to, false, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(inbox.routes.len(), before);
}

#[test]
fn routes_of_the_peer_become_the_last_choice_and_its_own_are_kept_as_they_came() {
    let mut rib = rib();
    let (one, two) = (rib.peer_up(peer(1), 0).unwrap(), rib.peer_up(peer(2), 0).unwrap());
    let mut inbox = Inbox::of(rib.peer_up(peer(3), 0).unwrap());
    for (idx, n) in [(one, 1), (two, 2)] {
        let mut list = Vec::new();
        write_attribute(&mut list, flags::WELL_KNOWN, code::ORIGIN, &[0]);
        write_attribute(&mut list, flags::WELL_KNOWN, code::AS_PATH, &[2, 1, 0, 0, 0xfd, 0xe8 + n]);
        write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, n]);
        // One prefix of both peers, one of each alone.
        let nlri = [24, 10, 0, 0, 24, 10, 0, n];
        let body = [&[0, 0, 0, u8::try_from(list.len()).unwrap()], list.as_slice(), &nlri].concat();
        rib.apply(idx, &parse(&body, &context()).unwrap(), &context());
    }
    settle(&mut rib, &mut inbox);
    let query = |table, prefix| Query {
        table,
        family: None,
        prefix: Some(prefix),
        longer: false,
        origin_asn: 0,
        communities: vec![],
        large_communities: vec![],
        after: None,
        limit: 10,
    };
    let best = |rib: &mut Tables, n| {
        let page = rib.page(&query(QueryTable::LocRib, net(n)));
        let route = page.routes.first().unwrap();
        (route.key.peer, Canonical::new(&route.attributes).local_pref())
    };
    assert_eq!(best(&mut rib, 0), (Some(1), None));
    rib.drain(one, true, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(best(&mut rib, 0), (Some(2), None));
    assert_eq!(best(&mut rib, 1), (Some(1), Some(0)));
    assert_eq!(best(&mut rib, 2), (Some(2), None));
    // What has no other way is marked for everybody.
    let marks = [(net(0), vec![]), (net(1), vec![GRACEFUL_SHUTDOWN]), (net(2), vec![])];
    assert_eq!(inbox.routes, BTreeMap::from(marks));
    let with_mark =
        Query { communities: vec![GRACEFUL_SHUTDOWN], prefix: None, ..query(QueryTable::LocRib, net(0)) };
    assert_eq!(rib.page(&with_mark).routes.len(), 1);
    let received = rib.page(&query(QueryTable::AdjRibIn(Some(one)), net(1)));
    let attributes = Canonical::new(&received.routes[0].attributes);
    assert_eq!((attributes.local_pref(), attributes.communities().count()), (None, 0));
    rib.drain(one, false, &mut inbox);
    settle(&mut rib, &mut inbox);
    assert_eq!(best(&mut rib, 0), (Some(1), None));
    assert!(inbox.routes.values().all(Vec::is_empty), "{:?}", inbox.routes);
}
