//! The route decision engine as a process, with the test as its parent, its session engine and its control.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own tools fail loudly")]

mod add_path;
mod drain;
mod dynamic;
mod errors;
mod limits;
mod long_lived;
mod owners;
mod refresh;
mod restart;
mod rig;
mod route_server;
mod turns;
mod watch;

use std::net::{IpAddr, Ipv4Addr};

use bgp::aspath::AsPathBuf;
use bgp::attr::{Origin, PathAttribute};
use bgp::header::{self, MessageType};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::{ReadContext, UpdateBuilder};
use bgp::{Asn, Family, FamilySet, NextHop};
use ipc::control_rde::{
    ControlToRde, InjectedRoute, Injection, OwnedBy, PeerCounters, RdeToControl, RouteFilter, RouteView,
    Table, TableCounters,
};
use ipc::parent_rde::ParentToRde;
use ipc::session_rde::{DownReason, SessionToRdeBulk};
use ipc::{Generation, LinkError, PeerId, QueryId};
use ipnet::IpNet;
use rig::*;

const ONE: PeerId = PeerId(1);
const TWO: PeerId = PeerId(2);

fn message(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = header::write(&mut out, kind);
    out.extend_from_slice(body);
    header::finish(&mut out, start);
    out
}

fn net(prefix: &str) -> IpNet {
    prefix.parse().unwrap()
}

fn path(asns: &[u32]) -> PathAttribute {
    PathAttribute::AsPath(AsPathBuf::sequence(asns.iter().map(|n| Asn(*n))))
}

fn unknown(flags: u8, code: u8) -> PathAttribute {
    PathAttribute::Unknown { flags, code, value: vec![0xde, 0xad] }
}

/// An announcement of an IPv4 prefix with these attributes, sorted by code.
fn announcement(attributes: Vec<PathAttribute>, prefix: &str) -> Vec<u8> {
    UpdateBuilder { attributes, announced: vec![(None, net(prefix))], ..Default::default() }.message(true)
}

/// A plain route of peer `n`.
fn route(n: u8, prefix: &str) -> Vec<u8> {
    let next_hop = PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, n));
    announcement(vec![PathAttribute::Origin(Origin::Igp), path(&[asn(n)]), next_hop], prefix)
}

/// The same as any other peer is sent it (RFC 4271 §5.1.2, §5.1.3).
fn passed_on(n: u8, prefix: &str) -> Vec<u8> {
    let attributes =
        vec![PathAttribute::Origin(Origin::Igp), path(&[OUR_AS, asn(n)]), PathAttribute::NextHop(LOCAL)];
    announcement(attributes, prefix)
}

fn withdrawal(prefix: &str) -> Vec<u8> {
    UpdateBuilder { withdrawn: vec![(None, net(prefix))], ..Default::default() }.message(true)
}

/// How what a peer is sent is to be read.
fn read_context() -> ReadContext {
    ReadContext { four_octet_as: true, external: true, families: families(), add_path: FamilySet::EMPTY }
}

fn refresh(family: Family) -> Vec<u8> {
    RouteRefresh { afi: family.afi(), safi: family.safi(), subtype: Subtype::Request }.encode()
}

/// RFC 4271 §5: what of a route another external peer is told, bit by bit.
#[tokio::test]
async fn a_route_of_one_peer_reaches_the_other_as_the_rules_say() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let (one, two) = (source(1, 1), source(2, 1));
    // Without routes there is still the End-of-RIB of each family.
    assert_eq!(rig.up(one).await, [] as [Vec<u8>; 0]);
    assert_eq!(rig.up(two).await, [] as [Vec<u8>; 0]);
    let sent = announcement(
        vec![
            PathAttribute::Origin(Origin::Egp),
            path(&[asn(1), 65100]),
            PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
            // Not for another neighboring AS (§5.1.4).
            PathAttribute::MultiExitDisc(7),
            PathAttribute::AtomicAggregate,
            unknown(0xc0, 200),
            unknown(0x80, 201),
        ],
        "10.1.0.0/16",
    );
    rig.taken_in(one, &sent).await;
    let expected = announcement(
        vec![
            PathAttribute::Origin(Origin::Egp),
            path(&[OUR_AS, asn(1), 65100]),
            PathAttribute::NextHop(LOCAL),
            PathAttribute::AtomicAggregate,
            unknown(0xe0, 200),
        ],
        "10.1.0.0/16",
    );
    assert_eq!(rig.next(TWO).await, expected);

    // IPv6, in MP_REACH_NLRI, whatever the family of the session.
    let family = Family::Ipv6Unicast;
    let next_hop = NextHop::V6("2001:db8::1".parse().unwrap());
    let nlri = vec![(None, net("2001:db8:1::/48"))];
    let reach = PathAttribute::MpReach { family, next_hop, nlri };
    let attributes = vec![reach, PathAttribute::Origin(Origin::Igp), path(&[asn(1)])];
    let sent = UpdateBuilder { attributes, ..Default::default() }.message(true);
    rig.taken_in(one, &sent).await;
    let got = rig.next(TWO).await;
    let update = bgp::update::parse(&got[header::HEADER_LEN..], &read_context()).unwrap();
    assert!(update.faults.is_empty() && update.announced.is_empty(), "{update:?}");
    assert_eq!(update.mp_next_hop, Some(NextHop::V6(LOCAL_V6)));
    let segment = [&[2, 2], OUR_AS.to_be_bytes().as_slice(), asn(1).to_be_bytes().as_slice()].concat();
    assert_eq!(update.attributes.get(2), Some(segment.as_slice()));
    assert_eq!(update.mp_reach.unwrap().iter().collect::<Vec<_>>(), [(0, net("2001:db8:1::/48"))]);

    // Nothing went back to where it came from: the first thing that peer 1 hears is peer 2's route.
    rig.taken_in(two, &route(2, "10.2.0.0/16")).await;
    assert_eq!(rig.next(ONE).await, passed_on(2, "10.2.0.0/16"));
    rig.taken_in(two, &withdrawal("10.2.0.0/16")).await;
    assert_eq!(rig.next(ONE).await, withdrawal("10.2.0.0/16"));
    // The end of a session takes all of its routes along.
    rig.down(one).await;
    let mut gone = [rig.next(TWO).await, rig.next(TWO).await];
    gone.sort_by_key(Vec::len);
    assert_eq!(gone[0], withdrawal("10.1.0.0/16"));
    let update = bgp::update::parse(&gone[1][header::HEADER_LEN..], &read_context()).unwrap();
    assert_eq!(update.mp_unreach.unwrap().iter().collect::<Vec<_>>(), [(0, net("2001:db8:1::/48"))]);
}

/// RFC 4271 §6.1, and §6.3 where RFC 7606 leaves no other way.
#[tokio::test]
async fn what_cannot_be_read_ends_the_session_and_nothing_of_it_is_looked_at_any_more() {
    let cases = [
        // Attributes that would end behind the message; withdrawn routes that would.
        (message(MessageType::Update, &[0, 0, 0xff, 0xff, 16, 10]), (3, 1, vec![])),
        (message(MessageType::Update, &[0xff, 0xff, 0, 0]), (3, 1, vec![])),
        // A prefix of 33 bits.
        (message(MessageType::Update, &[0, 0, 0, 0, 33, 10, 0, 0, 0, 0]), (3, 10, vec![])),
        // RFC 7313 §5 is for those that have announced its capability.
        (message(MessageType::RouteRefresh, &[0, 1, 0]), (1, 2, vec![0, 22])),
    ];
    let mut rig = Rig::start(vec![peer(1)]).await;
    let table = Table::AdjRibIn(Some(ONE));
    for (epoch, (bad, expected)) in (1..).zip(cases) {
        let one = source(1, epoch);
        rig.up(one).await;
        // What came before counts; what follows does not, not even in the same datagram.
        let run = [route(1, "10.1.0.0/16"), bad.clone(), route(1, "10.2.0.0/16")].concat();
        rig.received(one, &run).await;
        let (of, code, subcode, data) = rig.notified().await;
        assert_eq!((of, (code, subcode, data)), (one, expected), "{bad:?}");
        rig.consumed(one, run.len()).await;
        // It is paid for, so that session can go on reading up to the end.
        rig.taken_in(one, &route(1, "10.3.0.0/16")).await;
        rig.taken_in(one, &withdrawal("10.1.0.0/16")).await;
        assert_eq!(rig.prefixes(table).await, ["10.1.0.0/16"]);
        rig.down(one).await;
    }
    let again = source(1, 99);
    rig.up(again).await;
    rig.taken_in(again, &route(1, "10.4.0.0/16")).await;
    assert_eq!(rig.prefixes(table).await, ["10.4.0.0/16"]);
    // A piece that is no whole message, which session must not send.
    rig.received(again, &[route(1, "10.5.0.0/16"), vec![0xff; 5]].concat()).await;
    let (of, code, subcode, _) = rig.notified().await;
    assert_eq!((of, code, subcode), (again, 1, 2));
    assert_eq!(rig.prefixes(table).await, ["10.4.0.0/16", "10.5.0.0/16"]);
}

/// RFC 2918 §4.
#[tokio::test]
async fn a_peer_that_asks_gets_its_table_again() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    for n in 1..=3 {
        rig.up(source(n, 1)).await;
    }
    let prefixes = ["10.1.0.0/16", "10.2.0.0/16"];
    for prefix in prefixes {
        rig.taken_in(source(1, 1), &route(1, prefix)).await;
        for peer in [TWO, PeerId(3)] {
            assert_eq!(rig.next(peer).await, passed_on(1, prefix));
        }
    }
    // Of a family that was not agreed on: nothing.
    rig.taken_in(source(2, 1), &refresh(Family::Ipv4Flowspec)).await;
    rig.taken_in(source(2, 1), &refresh(Family::Ipv4Unicast)).await;
    // In one message, or in one of each shard.
    let mut again = Vec::new();
    while again.len() < 2 {
        let message = rig.next(TWO).await;
        let update = bgp::update::parse(&message[header::HEADER_LEN..], &read_context()).unwrap();
        let announced: Vec<IpNet> = update.announced.iter().map(|(_, net)| net).collect();
        let same = UpdateBuilder {
            attributes: vec![
                PathAttribute::Origin(Origin::Igp),
                path(&[OUR_AS, asn(1)]),
                PathAttribute::NextHop(LOCAL),
            ],
            announced: announced.iter().map(|n| (None, *n)).collect(),
            ..Default::default()
        };
        assert_eq!(message, same.message(true));
        again.extend(announced);
    }
    again.sort_unstable();
    assert_eq!(again, prefixes.map(net));
    // Only to the one that asked: what the others hear next is something new.
    rig.taken_in(source(1, 1), &route(1, "10.3.0.0/16")).await;
    assert_eq!(rig.next(PeerId(3)).await, passed_on(1, "10.3.0.0/16"));
}

#[tokio::test]
async fn what_is_late_from_an_older_epoch_is_dropped() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let (old, new) = (source(1, 1), source(1, 2));
    rig.up(old).await;
    rig.taken_in(old, &route(1, "10.1.0.0/16")).await;
    rig.down(old).await;
    rig.up(new).await;
    rig.received(old, &route(1, "10.2.0.0/16")).await;
    rig.received(old, &message(MessageType::Update, &[0xff, 0xff])).await;
    let late = SessionToRdeBulk::PeerDown { source: old, reason: DownReason::Ended };
    rig.session_says(late).await;
    // The next thing that session hears is credit for this one, and for nothing else.
    rig.taken_in(new, &route(1, "10.3.0.0/16")).await;
    assert_eq!(rig.prefixes(Table::AdjRibIn(Some(ONE))).await, ["10.3.0.0/16"]);
}

/// What a parent or a session engine that is not itself any more may send.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    PeerUpUnconfigured,
    PeerUpTwice,
    PeersUnstaged,
    EndUnstaged,
    CommitUnstaged,
    CommitOfAnother,
    GarbageInBulk,
    GarbageInControl,
}

impl Wrong {
    async fn happen(self, rig: &mut Rig) {
        let generation = Generation(2);
        match self {
            Wrong::PeerUpUnconfigured | Wrong::PeerUpTwice => rig.session_says(up(source(1, 7))).await,
            Wrong::PeersUnstaged => rig.tell(ParentToRde::StagePeers(vec![peer(2)])).await,
            Wrong::EndUnstaged => rig.tell(ParentToRde::StageEnd).await,
            Wrong::CommitUnstaged => rig.tell(ParentToRde::Commit(generation)).await,
            Wrong::CommitOfAnother => {
                rig.tell(ParentToRde::StageBegin { generation, global: global() }).await;
                rig.tell(ParentToRde::StageEnd).await;
                rig.tell(ParentToRde::Commit(Generation(3))).await;
            }
            Wrong::GarbageInBulk => drop(rig.raw_bulk.send(&[0xff; 40]).unwrap()),
            Wrong::GarbageInControl => drop(rig.raw_control.send(&[0xff; 40]).unwrap()),
        }
    }
}

#[tokio::test]
async fn rde_ends_and_names_the_process_that_misbehaves() {
    let cases = [
        (Wrong::PeerUpUnconfigured, "session misbehaved: a session before the configuration"),
        (Wrong::PeerUpTwice, "session misbehaved: peer 1 comes up a second time"),
        (Wrong::PeersUnstaged, "parent misbehaved: peers without a configuration to stage"),
        (Wrong::EndUnstaged, "parent misbehaved: the end of a configuration that was not begun"),
        (Wrong::CommitUnstaged, "parent misbehaved: commit of a configuration that is not staged"),
        (Wrong::CommitOfAnother, "parent misbehaved: commit of a configuration that is not staged"),
        (Wrong::GarbageInBulk, "session misbehaved: a message of 40 octets does not decode"),
        (Wrong::GarbageInControl, "session misbehaved: a message of 40 octets does not decode"),
    ];
    for (wrong, log) in cases {
        let mut rig = match wrong {
            Wrong::PeerUpUnconfigured => Rig::unconfigured().await,
            _ => Rig::start(vec![peer(1)]).await,
        };
        if matches!(wrong, Wrong::PeerUpTwice) {
            rig.up(source(1, 1)).await;
        }
        wrong.happen(&mut rig).await;
        assert_eq!(rig.exited().await.code(), Some(1), "{wrong:?}");
        rig.logged(log).await;
    }
}

#[tokio::test]
async fn a_control_that_misbehaves_loses_its_channel_and_nobody_else_notices() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    rig.up(source(1, 1)).await;
    rig.up(source(2, 1)).await;
    rig.raw_queries.send(&[0xff; 40]).unwrap();
    let error = soon(rig.queries.recv()).await.unwrap_err();
    assert!(matches!(error, LinkError::Closed { .. }), "{error}");
    rig.logged("control misbehaved: a message of 40 octets does not decode").await;
    rig.taken_in(source(1, 1), &route(1, "10.1.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.1.0.0/16"));
    rig.restart_control().await;
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.1.0.0/16"]);
    rig.tell(ParentToRde::Shutdown).await;
    assert!(rig.exited().await.success());
}

fn to_inject(prefix: IpNet, path_id: u32) -> InjectedRoute {
    let next_hop: IpAddr = match prefix {
        IpNet::V4(_) => Ipv4Addr::new(198, 51, 100, 1).into(),
        IpNet::V6(_) => "2001:db8::1".parse().unwrap(),
    };
    InjectedRoute {
        prefix,
        path_id,
        origin: 0,
        as_path: vec![65200],
        next_hop,
        local_pref: None,
        med: None,
        communities: vec![65200 << 16 | 1],
        extended_communities: vec![],
        large_communities: vec![(65200, 1, 2)],
    }
}

/// The question that injects routes.
fn inject(owner: Option<OwnedBy>, routes: Vec<InjectedRoute>) -> ControlToRde {
    let items = routes.into_iter().map(Injection::Route).collect();
    ControlToRde::Inject { id: QueryId(1), owner, items }
}

/// Where a route is in a list.
fn place(route: &RouteView) -> (bool, IpAddr, u8, Option<PeerId>, u32) {
    let prefix = route.prefix;
    (prefix.addr().is_ipv6(), prefix.addr(), prefix.prefix_len(), route.peer, route.path_id)
}

/// 703 injected routes of 702 prefixes, and one of a peer for one of them.
async fn injected() -> Rig {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let one = source(1, 1);
    rig.up(one).await;
    let v4 =
        (0..700_u32).map(|n| IpNet::new(Ipv4Addr::from_bits(0x0a00_0000 + (n << 8)).into(), 24).unwrap());
    let mut routes: Vec<InjectedRoute> =
        v4.chain([net("10.0.0.0/16"), net("2001:db8:1::/48")]).map(|p| to_inject(p, 0)).collect();
    routes.push(to_inject(net("10.0.1.0/24"), 9));
    routes.reverse();
    // One that makes no sense does not keep the others out.
    routes
        .push(InjectedRoute { next_hop: "2001:db8::1".parse().unwrap(), ..to_inject(net("10.9.0.0/16"), 0) });
    assert_eq!(rig.injected(inject(None, routes)).await, 703);
    // For a prefix that has injected ones.
    rig.taken_in(one, &route(1, "10.0.1.0/24")).await;
    rig
}

#[tokio::test]
async fn routes_are_listed_in_order_in_pages_of_any_size() {
    let mut rig = injected().await;
    let all = Table::AdjRibIn(None);
    let (whole, messages, end) = rig.page(all, RouteFilter::default(), None, 1000).await;
    assert!(messages > 1);
    assert_eq!((whole.len(), end.next, end.total), (704, None, 704));
    assert!(
        whole.is_sorted_by(|a, b| place(a) < place(b)),
        "{:?}",
        whole.iter().map(place).collect::<Vec<_>>()
    );
    assert_eq!(whole.iter().filter(|r| r.best).count(), 702);
    let (first, last) = (&whole[0], &whole[703]);
    assert_eq!((first.prefix, last.prefix), (net("10.0.0.0/16"), net("2001:db8:1::/48")));
    assert_eq!((first.peer, first.communities.clone()), (None, vec![65200 << 16 | 1]));
    assert_eq!((first.large_communities.clone(), first.as_path.len()), (vec![(65200, 1, 2)], 1));
    // Pages of any size give the same list.
    for limit in [1, 299, 352] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (page, _, end) = rig.page(all, RouteFilter::default(), after, limit).await;
            assert_eq!(end.total, 704);
            assert!(page.len() == limit as usize || end.next.is_none());
            pages.extend(page);
            after = end.next;
            if after.is_none() || (limit == 1 && pages.len() == 5) {
                break;
            }
        }
        assert!(whole.starts_with(&pages) && (limit == 1 || pages.len() == 704), "pages of {limit}");
    }
    let inside = |prefix, longer| RouteFilter { prefix: Some(net(prefix)), longer, ..Default::default() };
    for (filter, matching) in [
        (inside("10.0.0.0/16", true), 259),
        (inside("10.0.0.0/16", false), 1),
        (inside("10.0.1.0/24", false), 3),
        (RouteFilter { family: Some(Family::Ipv6Unicast), ..Default::default() }, 1),
        (RouteFilter { origin_asn: asn(1), ..Default::default() }, 1),
        (RouteFilter { communities: vec![1], ..Default::default() }, 0),
    ] {
        let (routes, _, end) = rig.page(all, filter.clone(), None, 1000).await;
        assert_eq!((routes.len(), end.total), (matching, matching as u64), "{filter:?}");
    }
}

#[tokio::test]
async fn routes_are_counted_and_injected_ones_withdrawn() {
    let mut rig = injected().await;
    let (one, id) = (source(1, 1), QueryId(1));
    // One that is only taken as withdrawn (RFC 7606 §7.1: its ORIGIN has no octets), and one that has been
    // here before (RFC 4271 §9.1.2).
    let attributes = vec![
        PathAttribute::Unknown { flags: 0x40, code: 1, value: vec![] },
        path(&[asn(1)]),
        PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    rig.taken_in(one, &announcement(attributes, "10.8.0.0/16")).await;
    let attributes = vec![
        PathAttribute::Origin(Origin::Igp),
        path(&[asn(1), OUR_AS]),
        PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    rig.taken_in(one, &announcement(attributes, "10.8.0.0/16")).await;
    let mut told = 0;
    while told < 702 {
        let message = rig.next(ONE).await;
        let update = bgp::update::parse(&message[header::HEADER_LEN..], &read_context()).unwrap();
        told += update.announced.count() + update.mp_reach.map_or(0, |n| n.count());
    }
    assert_eq!(rig.prefixes(Table::AdjRibOut(ONE)).await.len(), 702);
    rig.queries.send(&ControlToRde::Counters { id: QueryId(8) }).await.unwrap();
    let answer = rig.answer().await;
    // What was injected, with one next hop and the other, and what the peer sent; each shard has what it needs.
    let RdeToControl::CountersReply { tables: TableCounters { attribute_sets, .. }, .. } = answer else {
        panic!("not counters: {answer:?}");
    };
    assert!((3..=2 * u64::from(global().threads) + 1).contains(&attribute_sets), "{attribute_sets}");
    let tables = TableCounters {
        loc_rib: [701, 1, 0, 0],
        adj_rib_in: [703, 1, 0, 0],
        adj_rib_out: [701, 1, 0, 0],
        attribute_sets,
        restarts_expired: 0,
    };
    let of_one = PeerCounters {
        peer: ONE,
        received: [1, 0, 0, 0],
        advertised: [701, 1, 0, 0],
        as_loops: 1,
        reflection_loops: 0,
        treated_as_withdraw: 1,
        attributes_discarded: 0,
        paths_refused: 0,
        route_leaks: 0,
        draining: false,
        stale: [0; 4],
        restart: None,
        restarts_expired: 0,
        prefix_limit_exceeded: 0,
    };
    let expected = RdeToControl::CountersReply { id: QueryId(8), tables, peers: vec![of_one], last: true };
    assert_eq!(answer, expected);

    // Withdrawn once, and then there is none; the path identifier counts.
    let withdraw = |path_id| ControlToRde::Withdraw { id, prefix: net("10.0.2.0/24"), path_id };
    assert_eq!(rig.injected(withdraw(5)).await, 0);
    assert_eq!(rig.injected(withdraw(0)).await, 1);
    assert_eq!(rig.injected(withdraw(0)).await, 0);
    assert_eq!(rig.next(ONE).await, withdrawal("10.0.2.0/24"));
    assert_eq!(rig.prefixes(Table::LocRib).await.len(), 701);
}
