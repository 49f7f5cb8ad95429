//! What the parent says of a session that is to end, and what our role makes of routes.

use std::net::Ipv4Addr;

use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, well_known};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::{Asn, BgpRole, Family};
use ipc::QueryId;
use ipc::config::RdePeer;
use ipc::control_rde::{ControlToRde, PeerCounters, RdeToControl};
use ipc::parent_rde::ParentToRde;
use ipc::session_rde::{DownReason, Negotiated};

use crate::restart::{announces, graceful};
use crate::rig::{LOCAL, OUR_AS, Rig, asn, peer, source};
use crate::{ONE, TWO, announcement, passed_on, path, route, withdrawal};

/// What another peer is sent of a plain route of peer `n`, with GRACEFUL_SHUTDOWN.
fn marked(n: u8, prefix: &str) -> Vec<u8> {
    let attributes = vec![
        PathAttribute::Origin(Origin::Igp),
        path(&[OUR_AS, asn(n)]),
        PathAttribute::NextHop(LOCAL),
        PathAttribute::Communities(vec![Community(well_known::GRACEFUL_SHUTDOWN)]),
    ];
    announcement(attributes, prefix)
}

async fn counters(rig: &mut Rig) -> Vec<PeerCounters> {
    rig.queries.send(&ControlToRde::Counters { id: QueryId(3) }).await.unwrap();
    match rig.answer().await {
        RdeToControl::CountersReply { peers, last: true, .. } => peers,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_drain_comes_before_a_session_and_outlives_it() {
    const PREFIX: &str = "10.1.0.0/16";
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let (one, two) = (source(1, 1), source(2, 1));
    rig.up(two).await;
    rig.taken_in(two, &route(2, PREFIX)).await;
    drain(&mut rig, true).await;
    assert_eq!(rig.up(one).await, [marked(2, PREFIX)]);
    rig.down(one).await;
    // One that was on its way when the drain began.
    rig.configure(2, vec![peer(1), peer(2)]).await;
    assert_eq!(rig.up(source(1, 2)).await, [marked(2, PREFIX)]);
    assert!(counters(&mut rig).await.iter().all(|p| p.draining == (p.peer == ONE)));
    drain(&mut rig, false).await;
    assert_eq!(rig.next(ONE).await, passed_on(2, PREFIX));
    assert!(counters(&mut rig).await.iter().all(|p| !p.draining));
}

/// Waits until the engine has heard of a drain: the parent's channel is another one than control's.
async fn drain(rig: &mut Rig, on: bool) {
    rig.tell(ParentToRde::Drain { peer: ONE, on }).await;
    while !counters(rig).await.iter().any(|p| p.peer == ONE && p.draining == on) {}
}

#[tokio::test]
async fn a_drain_holds_over_refreshes_and_graceful_restarts() {
    const THEIRS: &str = "10.1.0.0/16";
    const OTHER: &str = "10.2.0.0/16";
    let resumes = |n: &mut Negotiated| {
        announces(graceful(100))(n);
        n.enhanced_refresh = true;
    };
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    rig.up(source(2, 1)).await;
    rig.up_with(source(1, 1), resumes).await;
    rig.taken_in(source(2, 1), &route(2, OTHER)).await;
    assert_eq!(rig.next(ONE).await, passed_on(2, OTHER));
    rig.taken_in(source(1, 1), &route(1, THEIRS)).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, THEIRS));
    drain(&mut rig, true).await;
    assert_eq!(rig.next(ONE).await, marked(2, OTHER));
    assert_eq!(rig.next(TWO).await, marked(1, THEIRS));

    let refresh = |subtype| {
        let v4 = Family::Ipv4Unicast;
        RouteRefresh { afi: v4.afi(), safi: v4.safi(), subtype }.encode()
    };
    rig.taken_in(source(1, 1), &refresh(Subtype::Request)).await;
    assert_eq!(rig.next(ONE).await, refresh(Subtype::Begin));
    assert_eq!(rig.next(ONE).await, marked(2, OTHER));
    assert_eq!(rig.next(ONE).await, refresh(Subtype::End));

    // Its stale routes are the last choice, too, and it is sent marked ones when it is back.
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    let mut initial = rig.up(source(3, 1)).await;
    initial.sort_unstable();
    assert_eq!(initial, [passed_on(2, OTHER), marked(1, THEIRS)]);
    assert_eq!(rig.up_with(source(1, 2), resumes).await, [marked(2, OTHER)]);
    rig.taken_in(source(1, 2), &route(1, THEIRS)).await;
    rig.taken_in(source(1, 2), &rib::end_of_rib(Family::Ipv4Unicast)).await;

    // It ends while the peer is away.
    rig.down_for(source(1, 2), DownReason::Restarting).await;
    drain(&mut rig, false).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, THEIRS));
    assert_eq!(rig.up_with(source(1, 3), resumes).await, [passed_on(2, OTHER)]);
}

#[tokio::test]
async fn rfc9234_5_a_leak_is_counted_and_logged_and_its_route_goes() {
    let customer = RdePeer { role: Some(BgpRole::Provider), ..peer(1) };
    let mut rig = Rig::start(vec![customer, peer(2)]).await;
    let (one, two) = (source(1, 1), source(2, 1));
    rig.up(one).await;
    rig.up(two).await;
    rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.1.0.0/16"));
    let leak = announcement(
        vec![
            PathAttribute::Origin(Origin::Igp),
            path(&[asn(1)]),
            PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
            PathAttribute::OnlyToCustomer(Asn(64500)),
        ],
        "10.1.0.0/16",
    );
    rig.taken_in(one, &leak).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.1.0.0/16"));
    let counted = counters(&mut rig).await;
    let of_one = counted.iter().find(|p| p.peer == ONE).unwrap();
    assert_eq!((of_one.route_leaks, of_one.as_loops, of_one.treated_as_withdraw), (1, 0, 0));
    rig.logged("\"only_to_customer\":64500").await;
    rig.logged("\"prefix\":\"10.1.0.0/16\"").await;
    rig.logged("route leak: not used").await;
}

/// RFC 8326 §4.1, of a peer whose session goes on while its configuration changes.
#[tokio::test]
async fn what_graceful_shutdown_means_changes_without_a_session_noticing() {
    const PREFIX: &str = "10.1.0.0/16";
    let with = |on: bool| vec![RdePeer { graceful_shutdown: on, ..peer(1) }, peer(2), peer(3)];
    let mut rig = Rig::start(with(true)).await;
    let (one, two) = (source(1, 1), source(2, 1));
    rig.up(one).await;
    rig.up(two).await;
    let going = announcement(
        vec![
            PathAttribute::Origin(Origin::Igp),
            path(&[asn(1)]),
            PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
            PathAttribute::Communities(vec![Community(well_known::GRACEFUL_SHUTDOWN)]),
        ],
        PREFIX,
    );
    rig.taken_in(one, &going).await;
    rig.taken_in(two, &route(2, PREFIX)).await;
    const THREE: ipc::PeerId = ipc::PeerId(3);
    assert_eq!(rig.up(source(3, 1)).await, [passed_on(2, PREFIX)]);
    rig.configure(2, with(false)).await;
    assert_eq!(rig.next(THREE).await, marked(1, PREFIX));
    rig.configure(3, with(true)).await;
    assert_eq!(rig.next(THREE).await, passed_on(2, PREFIX));
}
