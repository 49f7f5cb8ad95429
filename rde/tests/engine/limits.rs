//! Prefix limits (RFC 4486 §4): counted exactly whatever the number of shards, in both directions.

use bgp::update::UpdateBuilder;
use bgp::{Asn, Family, NextHop};
use ipc::config::{OverLimit, PrefixLimits, RdePeer};
use ipc::control_rde::{ControlToRde, RdeToControl, RouteFilter, Table};
use ipc::session_rde::Direction;
use ipc::{PeerId, QueryId};
use ipnet::IpNet;

use bgp::attr::{Origin, PathAttribute};

use crate::rig::*;
use crate::{ONE, TWO, announcement, net, passed_on, path, route, withdrawal};

fn limited(n: u8, received: Option<u32>, advertised: Option<u32>, action: OverLimit) -> RdePeer {
    RdePeer {
        prefix_limits: PrefixLimits { received, advertised, action, ..PrefixLimits::default() },
        ..peer(n)
    }
}

/// The prefix number `n`.
fn prefix(n: u32) -> IpNet {
    net(&format!("10.{}.{}.0/24", n >> 8, n & 0xff))
}

/// Peer 1 withdraws and announces prefixes in one UPDATE.
fn update(withdrawn: &[u32], announced: &[u32]) -> Vec<u8> {
    let list = |numbers: &[u32]| numbers.iter().map(|n| (None, prefix(*n))).collect::<Vec<_>>();
    let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
    let attributes = vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1)]), next_hop];
    UpdateBuilder { withdrawn: list(withdrawn), attributes, announced: list(announced) }.message(true)
}

fn update_v6(prefix: &str) -> Vec<u8> {
    let next_hop = NextHop::V6("2001:db8::1".parse().unwrap());
    let reach =
        PathAttribute::MpReach { family: Family::Ipv6Unicast, next_hop, nlri: vec![(None, net(prefix))] };
    let attributes = vec![reach, PathAttribute::Origin(Origin::Igp), path(&[asn(1)])];
    UpdateBuilder { attributes, ..Default::default() }.message(true)
}

/// How often peer 1 has exceeded its limit.
async fn times_exceeded(rig: &mut Rig) -> u64 {
    rig.queries.send(&ControlToRde::Counters { id: QueryId(3) }).await.unwrap();
    match rig.answer().await {
        RdeToControl::CountersReply { peers, .. } => {
            peers.iter().find(|p| p.peer == ONE).map_or(0, |p| p.prefix_limit_exceeded)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_limit_is_exceeded_by_one_prefix_too_many_and_not_by_replacing_any() {
    let mut rig = Rig::start(vec![limited(1, Some(100), None, OverLimit::Shutdown), peer(2)]).await;
    let one = source(1, 1);
    rig.up(one).await;
    rig.up(source(2, 1)).await;
    // The limit is of all families together. What is taken in without complaint comes to no more than it.
    rig.taken_in(one, &update_v6("2001:db8:1::/48")).await;
    let first: Vec<u32> = (0..99).collect();
    rig.taken_in(one, &update(&[], &first)).await;
    // Other attributes of the same prefixes, a prefix twice, one that is refused because our AS is in its path.
    let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
    let (origin, med) = (PathAttribute::Origin(Origin::Igp), PathAttribute::MultiExitDisc(1));
    let attributes = vec![origin, path(&[asn(1)]), next_hop.clone(), med];
    rig.taken_in(one, &announcement(attributes, &prefix(7).to_string())).await;
    rig.taken_in(one, &update(&[], &[5, 5, 5])).await;
    let looped = vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1), OUR_AS]), next_hop];
    rig.taken_in(one, &announcement(looped, "10.200.0.0/24")).await;
    // One goes and another one comes, mostly in different shards, at the limit.
    for n in 0..200 {
        rig.taken_in(one, &update(&[n], &[n + 99])).await;
    }
    assert_eq!(times_exceeded(&mut rig).await, 0);
    rig.received(one, &[update(&[], &[1000]), update(&[], &[1001])].concat()).await;
    let (of, direction, family, limit) = rig.over_limit().await;
    assert_eq!((of, direction, family, limit), (one, Direction::Received, Family::Ipv4Unicast, 100));
    rig.logged("\"message\":\"max-prefix limit exceeded\"").await;
    rig.logged("\"action\":\"shutdown\"").await;
    assert_eq!(times_exceeded(&mut rig).await, 1);
    // What comes behind is not looked at, and nobody else is disturbed.
    rig.consumed(one, 2 * update(&[], &[1000]).len()).await;
    rig.taken_in(one, &update(&[], &[1002])).await;
    let table = Table::AdjRibIn(Some(ONE));
    assert!(!rig.prefixes(table).await.contains(&prefix(1002).to_string()));
    rig.taken_in(source(2, 1), &route(2, "10.250.0.0/24")).await;
    // The next session begins at zero.
    rig.down(one).await;
    let again = source(1, 2);
    rig.up(again).await;
    rig.taken_in(again, &update(&[], &(0..100).collect::<Vec<_>>())).await;
    assert_eq!(rig.prefixes(table).await.len(), 100);
    rig.received(again, &update_v6("2001:db8:2::/48")).await;
    let (of, _, family, _) = rig.over_limit().await;
    assert_eq!((of, family), (again, Family::Ipv6Unicast));
    assert_eq!(times_exceeded(&mut rig).await, 2);
}

/// A full table from a peer of which a few prefixes were expected: a bounded part of it is taken in.
#[tokio::test]
async fn what_is_far_beyond_a_limit_is_not_held() {
    const STORM: u32 = 40_000;
    let mut rig = Rig::start(vec![limited(1, Some(10), None, OverLimit::Restart { minutes: 1 })]).await;
    let one = source(1, 1);
    rig.up(one).await;
    let all: Vec<u32> = (0..STORM).collect();
    let messages: Vec<Vec<u8>> = all.chunks(500).map(|some| update(&[], some)).collect();
    for some in messages.chunks(20) {
        rig.received(one, &some.concat()).await;
    }
    assert_eq!(rig.over_limit().await.0, one);
    rig.logged("\"action\":\"restart\"").await;
    rig.consumed(one, messages.iter().map(Vec::len).sum()).await;
    let (_, _, end) = rig.page(Table::AdjRibIn(Some(ONE)), RouteFilter::default(), None, 1).await;
    assert!((11..STORM as u64 / 4).contains(&end.total), "{} routes are held", end.total);
}

#[tokio::test]
async fn a_limit_that_is_only_warned_of_ends_nothing() {
    let mut rig = Rig::start(vec![limited(1, Some(2), None, OverLimit::Warn), peer(2)]).await;
    let one = source(1, 1);
    rig.up(one).await;
    rig.up(source(2, 1)).await;
    rig.taken_in(one, &update(&[], &[1, 2])).await;
    rig.taken_in(one, &update(&[], &[3])).await;
    rig.logged("\"message\":\"max-prefix limit exceeded\"").await;
    rig.logged("\"action\":\"warn\"").await;
    rig.taken_in(one, &update(&[], &[4])).await;
    assert_eq!(times_exceeded(&mut rig).await, 1, "it was not kept in between");
    rig.taken_in(one, &update(&[1, 2], &[])).await;
    rig.taken_in(one, &update(&[], &[5])).await;
    assert_eq!(times_exceeded(&mut rig).await, 2);
    assert_eq!(rig.prefixes(Table::AdjRibIn(Some(ONE))).await.len(), 3);
}

#[tokio::test]
async fn limits_that_change_hold_for_sessions_that_are_up() {
    let with = |limit| vec![limited(1, Some(limit), None, OverLimit::Shutdown)];
    let mut rig = Rig::start(with(2)).await;
    let one = source(1, 1);
    rig.up(one).await;
    rig.taken_in(one, &update(&[], &[1, 2])).await;
    rig.configure(2, with(4)).await;
    rig.taken_in(one, &update(&[], &[3, 4])).await;
    rig.configure(3, with(3)).await;
    let (of, direction, _, limit) = rig.over_limit().await;
    assert_eq!((of, direction, limit), (one, Direction::Received, 3));
}

#[tokio::test]
async fn more_than_may_be_announced_to_a_peer_ends_its_session_and_no_other() {
    let peers = vec![peer(1), limited(2, None, Some(3), OverLimit::Shutdown), peer(3)];
    let mut rig = Rig::start(peers).await;
    let (one, two) = (source(1, 1), source(2, 1));
    for source in [one, two, source(3, 1)] {
        rig.up(source).await;
    }
    // Its own routes do not count; others may take each other's place.
    for n in 0..5 {
        rig.taken_in(two, &route(2, &format!("10.9.{n}.0/24"))).await;
    }
    rig.taken_in(one, &update(&[], &[1, 2, 3])).await;
    for n in 1..50 {
        rig.taken_in(one, &update(&[n], &[n + 3])).await;
    }
    rig.taken_in(one, &update(&[], &[500])).await;
    let (of, direction, family, limit) = rig.over_limit().await;
    assert_eq!((of, direction, family, limit), (two, Direction::Advertised, Family::Ipv4Unicast, 3));
    rig.logged("\"message\":\"outbound prefix limit exceeded\"").await;
    rig.down(two).await;
    rig.taken_in(one, &route(1, "10.99.0.0/16")).await;
    while rig.next(PeerId(3)).await != passed_on(1, "10.99.0.0/16") {}
    // A new session is told of no more than the limit once there are no more.
    let again = source(2, 2);
    for n in [50, 51, 52, 500] {
        rig.taken_in(one, &update(&[n], &[])).await;
    }
    assert_eq!(rig.up(again).await, [passed_on(1, "10.99.0.0/16")]);
    rig.taken_in(one, &withdrawal("10.99.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.99.0.0/16"));
}

/// With several paths of a peer for a prefix (RFC 7911), the prefix counts once.
#[tokio::test]
async fn rfc7911_several_paths_of_a_prefix_count_as_one() {
    let mut rig = Rig::start(vec![limited(1, Some(2), None, OverLimit::Shutdown)]).await;
    let one = source(1, 1);
    rig.up_with(one, |negotiated| negotiated.add_path_receive.insert(Family::Ipv4Unicast)).await;
    let paths = |ids: &[u32], number: u32, withdraw: bool| {
        let list: Vec<_> = ids.iter().map(|id| (Some(*id), prefix(number))).collect();
        let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
        let asns = bgp::aspath::AsPathBuf::sequence([Asn(asn(1))]);
        let attributes = vec![PathAttribute::Origin(Origin::Igp), PathAttribute::AsPath(asns), next_hop];
        match withdraw {
            true => UpdateBuilder { withdrawn: list, ..Default::default() }.message(true),
            false => UpdateBuilder { attributes, announced: list, ..Default::default() }.message(true),
        }
    };
    rig.taken_in(one, &paths(&[1, 2, 3, 4, 5], 1, false)).await;
    rig.taken_in(one, &paths(&[1, 2, 3], 2, false)).await;
    // It is gone with the last of its paths.
    rig.taken_in(one, &paths(&[1, 2], 2, true)).await;
    rig.taken_in(one, &paths(&[3], 2, true)).await;
    rig.taken_in(one, &paths(&[9], 3, false)).await;
    rig.received(one, &paths(&[9], 4, false)).await;
    assert_eq!(rig.over_limit().await.0, one);
}
