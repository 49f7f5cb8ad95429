//! Several paths of a prefix (RFC 7911), where they were negotiated: in, out, in lists and in counters.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp::attr::{Origin, PathAttribute};
use bgp::header::HEADER_LEN;
use bgp::update::{ReadContext, UpdateBuilder, parse};
use bgp::{Family, FamilySet};
use ipc::config::{PrefixLimits, RdePeer};
use ipc::control_rde::{ControlToRde, RdeToControl, RouteFilter, Table};
use ipc::session_rde::{Direction, DownReason, GracefulRestart, Negotiated};
use ipc::{PeerId, QueryId};

use crate::rig::*;
use crate::{ONE, TWO, net, path};

const PREFIX: &str = "10.1.0.0/16";

/// A session with several paths of IPv4 prefixes one way or the other.
fn several(receive: bool, send: bool) -> impl FnOnce(&mut Negotiated) {
    let set = |on: bool| if on { FamilySet::EMPTY.with(Family::Ipv4Unicast) } else { FamilySet::EMPTY };
    move |n| (n.add_path_receive, n.add_path_send) = (set(receive), set(send))
}

/// Paths of one prefix in one message, with equal attributes.
fn paths(prefix: &str, ids: impl Iterator<Item = u32>, second_as: u32) -> Vec<u8> {
    let attributes = vec![
        PathAttribute::Origin(Origin::Igp),
        path(&[asn(1), second_as]),
        PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    let announced = ids.map(|id| (Some(id), net(prefix))).collect();
    UpdateBuilder { attributes, announced, ..Default::default() }.message(true)
}

#[tokio::test]
async fn rfc7911_paths_go_in_and_out_with_their_identifiers() {
    let two = RdePeer { add_path_send_max: 2, ..peer(2) };
    let mut rig = Rig::start(vec![peer(1), two, peer(3)]).await;
    let one = source(1, 1);
    rig.up_with(one, several(true, false)).await;
    rig.up_with(source(2, 1), several(false, true)).await;
    rig.up(source(3, 1)).await;
    for (id, second_as) in [(7, 65101), (9, 65102), (8, 65103)] {
        rig.taken_in(one, &paths(PREFIX, [id].into_iter(), second_as)).await;
    }
    // Equal but for the identifier: the lowest ones are the best.
    let ctx = ReadContext {
        four_octet_as: true,
        external: true,
        families: families(),
        add_path: FamilySet::EMPTY.with(Family::Ipv4Unicast),
    };
    let all = |table| (table, RouteFilter::default());
    let (table, filter) = all(Table::AdjRibIn(Some(PeerId(1))));
    let (received, ..) = rig.page(table, filter, None, 10).await;
    assert_eq!(
        received.iter().map(|r| (r.path_id, r.best)).collect::<Vec<_>>(),
        [(7, true), (8, false), (9, false)]
    );
    let (table, filter) = all(Table::AdjRibOut(PeerId(2)));
    let (advertised, ..) = rig.page(table, filter, None, 10).await;
    let mut second: Vec<u32> = advertised.iter().map(|r| r.as_path[0].asns[2]).collect();
    second.sort_unstable();
    assert_eq!(second, [65101, 65103]);
    // What the peer heard of it, in the end.
    let mut has = std::collections::BTreeMap::new();
    while has.values().copied().collect::<std::collections::BTreeSet<_>>() != [65101, 65103].into() {
        let message = rig.next(PeerId(2)).await;
        let update = parse(&message[HEADER_LEN..], &ctx).unwrap();
        for (id, _) in update.withdrawn.iter() {
            assert!(has.remove(&id).is_some());
        }
        let asns = update.attributes.get(2).map(|p| u32::from_be_bytes(p[10..14].try_into().unwrap()));
        has.extend(update.announced.iter().map(|(id, _)| (id, asns.unwrap())));
    }
    assert!(advertised.iter().all(|r| has[&r.path_id] == r.as_path[0].asns[2]), "{has:?} {advertised:?}");
    // Without add-path: the best one.
    let (table, filter) = all(Table::AdjRibOut(PeerId(3)));
    let (plain, ..) = rig.page(table, filter, None, 10).await;
    assert_eq!(plain.iter().map(|r| (r.path_id, r.as_path[0].asns[2])).collect::<Vec<_>>(), [(0, 65101)]);

    // More than a peer may have.
    rig.taken_in(one, &paths(PREFIX, 100..400, 65104)).await;
    rig.queries.send(&ControlToRde::Counters { id: QueryId(8) }).await.unwrap();
    let RdeToControl::CountersReply { peers, .. } = rig.answer().await else { panic!("not counters") };
    let counted: Vec<_> = peers.iter().map(|p| (p.received[0], p.advertised[0], p.paths_refused)).collect();
    assert_eq!(counted, [(256, 0, 47), (0, 2, 0), (0, 1, 0)]);
    rig.logged("too many paths for one prefix: left out").await;
}

/// A peer with limits, one way and the other.
fn limited(n: u8, received: Option<u32>, advertised: Option<u32>) -> RdePeer {
    RdePeer { prefix_limits: PrefixLimits { received, advertised, ..PrefixLimits::default() }, ..peer(n) }
}

impl Rig {
    /// Waits until the paths of peer 1 are these, each with whether it is stale.
    async fn until_paths(&mut self, expected: &[(u32, bool)]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let (routes, ..) = self.page(Table::AdjRibIn(Some(ONE)), RouteFilter::default(), None, 10).await;
            let paths: Vec<_> = routes.iter().map(|r| (r.path_id, r.stale)).collect();
            if paths == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{paths:?}");
        }
    }
}

#[tokio::test]
async fn paths_are_stale_each_on_its_own_and_limits_count_prefixes() {
    let mut rig = Rig::start(vec![limited(1, Some(1), None), limited(2, None, Some(1))]).await;
    let v4 = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let returns = |n: &mut Negotiated| {
        several(true, false)(n);
        let (restarting, notification) = (false, false);
        n.graceful = Some(GracefulRestart {
            restarting,
            notification,
            restart_time: 100,
            families: v4,
            forwarding: v4,
            long_lived: None,
        });
    };
    rig.up_with(source(2, 1), several(false, true)).await;
    rig.up_with(source(1, 1), returns).await;
    rig.taken_in(source(1, 1), &paths(PREFIX, 7..10, 65101)).await;
    let ctx = ReadContext { four_octet_as: true, external: true, families: families(), add_path: v4 };
    let message = rig.next(TWO).await;
    assert_eq!(parse(&message[HEADER_LEN..], &ctx).unwrap().announced.iter().count(), 3);
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    rig.until_paths(&[(7, true), (8, true), (9, true)]).await;

    // It comes back; what it has kept is no more than one prefix.
    let one = source(1, 2);
    rig.up_with(one, returns).await;
    rig.taken_in(one, &paths(PREFIX, 8..9, 65101)).await;
    rig.until_paths(&[(7, true), (8, false), (9, true)]).await;
    rig.taken_in(one, &rib::end_of_rib(Family::Ipv4Unicast)).await;
    let message = rig.next(TWO).await;
    assert_eq!(parse(&message[HEADER_LEN..], &ctx).unwrap().withdrawn.iter().count(), 2);
    rig.until_paths(&[(8, false)]).await;
    rig.taken_in(one, &paths(PREFIX, 20..24, 65101)).await;
    // One more is too many, from the one and to the other.
    rig.received(one, &paths("10.2.0.0/16", 1..2, 65101)).await;
    assert_eq!(rig.over_limit().await, (one, Direction::Received, Family::Ipv4Unicast, 1));
    rig.consumed(one, paths("10.2.0.0/16", 1..2, 65101).len()).await;
    assert_eq!(rig.over_limit().await, (source(2, 1), Direction::Advertised, Family::Ipv4Unicast, 1));
}
