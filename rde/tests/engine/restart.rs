//! Peers that restart: RFC 4724 §4.2 and RFC 8538 §4.1, seen from a peer that is sent their routes.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp::{Family, FamilySet};
use ipc::PeerId;
use ipc::QueryId;
use ipc::config::{RdeGlobal, RdePeer};
use ipc::control_rde::{ControlToRde, PeerCounters, RdeToControl, RouteFilter, Table};
use ipc::session_rde::{DownReason, GracefulRestart, Negotiated, SessionToRdeBulk};

use crate::rig::*;
use crate::{ONE, TWO, passed_on, read_context, route, withdrawal};

fn v4() -> FamilySet {
    FamilySet::EMPTY.with(Family::Ipv4Unicast)
}

/// The capability of a peer that may be away for so many seconds.
pub(crate) fn graceful(restart_time: u16) -> GracefulRestart {
    let (families, forwarding) = (v4(), v4());
    let (restarting, notification) = (false, false);
    GracefulRestart { restarting, notification, restart_time, families, forwarding, long_lived: None }
}

pub(crate) fn announces(g: GracefulRestart) -> impl FnOnce(&mut Negotiated) {
    move |negotiated| negotiated.graceful = Some(g)
}

fn end_of_rib() -> Vec<u8> {
    rib::end_of_rib(Family::Ipv4Unicast)
}

/// Peer 1 with two routes that peer 2 has.
async fn two_routes(peers: Vec<RdePeer>, g: GracefulRestart) -> Rig {
    let mut rig = Rig::start(peers).await;
    rig.up(source(2, 1)).await;
    rig.up_with(source(1, 1), announces(g)).await;
    for prefix in ["10.1.0.0/16", "10.2.0.0/16"] {
        rig.taken_in(source(1, 1), &route(1, prefix)).await;
        assert_eq!(rig.next(TWO).await, passed_on(1, prefix));
    }
    rig
}

impl Rig {
    /// The peer's routes and whether they are stale.
    async fn marks(&mut self, peer: PeerId) -> Vec<(String, bool)> {
        let (routes, ..) = self.page(Table::AdjRibIn(Some(peer)), RouteFilter::default(), None, 1000).await;
        routes.iter().map(|r| (r.prefix.to_string(), r.stale)).collect()
    }

    pub(crate) async fn counters_of(&mut self, peer: PeerId) -> PeerCounters {
        self.queries.send(&ControlToRde::Counters { id: QueryId(9) }).await.unwrap();
        match self.answer().await {
            RdeToControl::CountersReply { peers, .. } => {
                peers.into_iter().find(|p| p.peer == peer).expect("a peer that was there")
            }
            other => panic!("{other:?}"),
        }
    }

    /// So many prefixes that peer 2 is sent next, all of them withdrawn.
    async fn withdrawn(&mut self, count: usize) -> Vec<String> {
        let mut prefixes = Vec::new();
        while prefixes.len() < count {
            let message = self.next(TWO).await;
            let update = bgp::update::parse(&message[bgp::header::HEADER_LEN..], &read_context()).unwrap();
            assert!(update.announced.is_empty(), "{message:?}");
            prefixes.extend(update.withdrawn.ipv4().map(|(_, net)| net.to_string()));
        }
        prefixes.sort_unstable();
        prefixes
    }

    /// Peer 2 is sent nothing but this next: what comes from peer 3 is behind all that was said before.
    async fn nothing_but(&mut self, n: u8, prefix: &str) {
        self.taken_in(source(n, 1), &route(n, prefix)).await;
        assert_eq!(self.next(TWO).await, passed_on(n, prefix));
    }
}

fn marks(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(prefix, stale)| ((*prefix).to_owned(), *stale)).collect()
}

#[tokio::test]
async fn rfc4724_4_2_routes_stay_until_the_peer_is_back_and_has_sent_its_own() {
    let mut rig = two_routes(vec![peer(1), peer(2), peer(3)], graceful(100)).await;
    rig.up(source(3, 1)).await;
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    rig.nothing_but(3, "10.30.0.0/16").await;
    assert_eq!(rig.marks(ONE).await, marks(&[("10.1.0.0/16", true), ("10.2.0.0/16", true)]));
    let counters = rig.counters_of(ONE).await;
    let restart = counters.restart.unwrap();
    assert_eq!((counters.received, counters.stale), ([2, 0, 0, 0], [2, 0, 0, 0]));
    assert!(!restart.back && (95..=100).contains(&restart.seconds_left), "{restart:?}");
    assert_eq!(restart.families, v4());
    assert_eq!(rig.prefixes(Table::AdjRibOut(ONE)).await, [""; 0]);
    // What new peers are sent has the stale routes in it, and the peer itself is not sent its own.
    rig.down(source(2, 1)).await;
    rig.up(source(2, 2)).await;
    let all = ["10.1.0.0/16", "10.2.0.0/16", "10.30.0.0/16"];
    assert_eq!(rig.prefixes(Table::AdjRibOut(TWO)).await, all);

    let initial = rig.up_with(source(1, 2), announces(graceful(100))).await;
    assert_eq!(initial, [passed_on(3, "10.30.0.0/16")]);
    let restart = rig.counters_of(ONE).await.restart.unwrap();
    assert!(restart.back && (295..=300).contains(&restart.seconds_left), "{restart:?}");
    // The same route again is nothing new to anybody; what is new is passed on at once.
    rig.taken_in(source(1, 2), &route(1, "10.1.0.0/16")).await;
    rig.taken_in(source(1, 2), &route(1, "10.3.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.3.0.0/16"));
    let expected = [("10.1.0.0/16", false), ("10.2.0.0/16", true), ("10.3.0.0/16", false)];
    assert_eq!(rig.marks(ONE).await, marks(&expected));
    rig.taken_in(source(1, 2), &end_of_rib()).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
    assert_eq!(rig.marks(ONE).await, marks(&[("10.1.0.0/16", false), ("10.3.0.0/16", false)]));
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.stale, counters.restarts_expired), (None, [0; 4], 0));
    // Later ones mean nothing.
    rig.taken_in(source(1, 2), &end_of_rib()).await;
    rig.nothing_but(3, "10.31.0.0/16").await;
}

#[tokio::test]
async fn rfc4724_4_2_without_forwarding_state_the_family_is_flushed_at_once() {
    let none = FamilySet::EMPTY;
    let lost = GracefulRestart { forwarding: none, ..graceful(100) };
    let gone = GracefulRestart { families: none, forwarding: none, ..graceful(100) };
    for capability in [Some(lost), Some(gone), None] {
        let mut rig = two_routes(vec![peer(1), peer(2)], graceful(100)).await;
        rig.down_for(source(1, 1), DownReason::Restarting).await;
        rig.up_with(source(1, 2), |negotiated| negotiated.graceful = capability).await;
        assert_eq!(rig.withdrawn(2).await, ["10.1.0.0/16", "10.2.0.0/16"], "{capability:?}");
        assert_eq!(rig.prefixes(Table::AdjRibIn(Some(ONE))).await, [""; 0], "{capability:?}");
        assert_eq!(rig.counters_of(ONE).await.restart, None);
    }
}

#[tokio::test]
async fn rfc4724_4_2_a_peer_that_does_not_come_back_in_time_loses_its_routes() {
    let mut rig = two_routes(vec![peer(1), peer(2)], graceful(1)).await;
    let begun = Instant::now();
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    assert_eq!(rig.withdrawn(2).await, ["10.1.0.0/16", "10.2.0.0/16"]);
    // The engine's clock has whole milliseconds.
    assert!(begun.elapsed() >= Duration::from_millis(990), "{:?}", begun.elapsed());
    assert_eq!(rig.prefixes(Table::LocRib).await, [""; 0]);
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.restarts_expired, counters.stale), (None, 1, [0; 4]));
    // It is a peer like any other when it comes later.
    rig.up_with(source(1, 2), announces(graceful(1))).await;
    rig.taken_in(source(1, 2), &route(1, "10.4.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.4.0.0/16"));
}

#[tokio::test]
async fn rfc8538_4_1_the_stale_timer_bounds_the_wait_for_end_of_rib() {
    let patient = RdePeer { stale_routes_time: 2, ..peer(1) };
    let mut rig = two_routes(vec![patient, peer(2)], graceful(100)).await;
    let begun = Instant::now();
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    rig.up_with(source(1, 2), announces(graceful(100))).await;
    rig.taken_in(source(1, 2), &route(1, "10.1.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
    assert!(begun.elapsed() >= Duration::from_millis(1990), "{:?}", begun.elapsed());
    assert_eq!(rig.marks(ONE).await, marks(&[("10.1.0.0/16", false)]));
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.restarts_expired), (None, 1));
}

#[tokio::test]
async fn rfc4724_4_2_a_second_restart_removes_what_was_stale_and_rfc8538_4_1_does_not() {
    for notification in [false, true] {
        let capability = GracefulRestart { notification, ..graceful(100) };
        let mut rig = two_routes(vec![peer(1), peer(2), peer(3)], capability).await;
        rig.up(source(3, 1)).await;
        rig.down_for(source(1, 1), DownReason::Restarting).await;
        rig.up_with(source(1, 2), announces(capability)).await;
        rig.taken_in(source(1, 2), &route(1, "10.1.0.0/16")).await;
        rig.down_for(source(1, 2), DownReason::Restarting).await;
        if !notification {
            assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
        }
        rig.nothing_but(3, "10.30.0.0/16").await;
        let left: &[&str] = if notification { &["10.1.0.0/16", "10.2.0.0/16"] } else { &["10.1.0.0/16"] };
        let left: Vec<(&str, bool)> = left.iter().map(|p| (*p, true)).collect();
        assert_eq!(rig.marks(ONE).await, marks(&left), "N bit {notification}");
    }
}

#[tokio::test]
async fn routes_that_are_kept_go_when_the_peer_shall_not_come_back_or_another_one_does() {
    for how in 0..3 {
        let mut rig = two_routes(vec![peer(1), peer(2)], graceful(100)).await;
        if how == 0 {
            rig.down_for(source(1, 1), DownReason::Restarting).await;
            rig.session_says(SessionToRdeBulk::Forget(ONE)).await;
        } else if how == 1 {
            // The session ends for good while routes of before are waited for.
            rig.down_for(source(1, 1), DownReason::Restarting).await;
            rig.up_with(source(1, 2), announces(graceful(100))).await;
            rig.down_for(source(1, 2), DownReason::Ended).await;
        } else {
            rig.down_for(source(1, 1), DownReason::Restarting).await;
            rig.up_with(source(1, 2), |n| {
                n.graceful = Some(graceful(100));
                n.router_id = Ipv4Addr::new(10, 0, 0, 77);
            })
            .await;
        }
        assert_eq!(rig.withdrawn(2).await, ["10.1.0.0/16", "10.2.0.0/16"], "{how}");
        assert_eq!(rig.prefixes(Table::AdjRibIn(Some(ONE))).await, [""; 0], "{how}");
        assert_eq!(rig.counters_of(ONE).await.restart, None);
    }
}

#[tokio::test]
async fn a_family_that_the_peer_did_not_name_goes_at_once() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    rig.up(source(2, 1)).await;
    let v6_only = FamilySet::EMPTY.with(Family::Ipv6Unicast);
    let capability = GracefulRestart { families: v6_only, forwarding: v6_only, ..graceful(100) };
    rig.up_with(source(1, 1), announces(capability)).await;
    rig.taken_in(source(1, 1), &route(1, "10.1.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.1.0.0/16"));
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.1.0.0/16"));
    assert_eq!(rig.counters_of(ONE).await.restart.map(|r| r.families), Some(v6_only));
}

/// The first step of the decision process.
#[tokio::test]
async fn a_stale_route_loses_against_any_other_until_it_is_announced_again() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    rig.up(source(2, 1)).await;
    rig.up(source(3, 1)).await;
    rig.up_with(source(1, 1), announces(graceful(100))).await;
    let prefix = "10.1.0.0/16";
    rig.taken_in(source(1, 1), &route(1, prefix)).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, prefix));
    // A longer path.
    let path = crate::path(&[asn(3), 65100]);
    let next_hop = bgp::attr::PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 3));
    let origin = bgp::attr::PathAttribute::Origin(bgp::attr::Origin::Igp);
    rig.taken_in(source(3, 1), &crate::announcement(vec![origin, path, next_hop], prefix)).await;
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    assert_ne!(rig.next(TWO).await, passed_on(1, prefix));
    let best = rig.page(Table::LocRib, RouteFilter::default(), None, 10).await.0;
    assert_eq!(best[0].peer, Some(PeerId(3)));
    rig.up_with(source(1, 2), announces(graceful(100))).await;
    rig.taken_in(source(1, 2), &route(1, prefix)).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, prefix));
}

/// After a restart of ours: peer 1 is waited for, for so many seconds.
async fn restarted(deferral: u16) -> Rig {
    let global = RdeGlobal { deferral, ..global() };
    let peers = vec![RdePeer { awaited: true, ..peer(1) }, peer(2), peer(3)];
    Rig::start_with(global, peers).await
}

#[tokio::test]
async fn rfc4724_4_1_nobody_is_sent_routes_before_those_we_had_have_sent_theirs() {
    let mut rig = restarted(100).await;
    rig.comes_up(source(2, 1), |_| ()).await;
    rig.comes_up(source(3, 1), announces(graceful(100))).await;
    rig.taken_in(source(3, 1), &[route(3, "10.30.0.0/16"), end_of_rib()].concat()).await;
    rig.comes_up(source(1, 1), announces(graceful(100))).await;
    rig.taken_in(source(1, 1), &route(1, "10.1.0.0/16")).await;
    rig.logged("no routes are sent before these peers have sent theirs").await;
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.1.0.0/16", "10.30.0.0/16"]);
    assert_eq!(rig.prefixes(Table::AdjRibOut(TWO)).await, [""; 0]);
    // A family that is over does not wait for another one.
    rig.taken_in(source(1, 1), &end_of_rib()).await;
    let mut first = vec![rig.next(TWO).await, rig.next(TWO).await];
    first.sort_unstable();
    let mut expected = vec![passed_on(1, "10.1.0.0/16"), passed_on(3, "10.30.0.0/16")];
    expected.sort_unstable();
    assert_eq!(first, expected);
    assert_eq!(rig.next(TWO).await, end_of_rib());
    rig.taken_in(source(1, 1), &rib::end_of_rib(Family::Ipv6Unicast)).await;
    assert_eq!(rig.next(TWO).await, rib::end_of_rib(Family::Ipv6Unicast));
    // From now on it is as ever.
    rig.nothing_but(3, "10.31.0.0/16").await;
}

#[tokio::test]
async fn rfc4724_4_1_the_wait_has_an_end() {
    let mut rig = restarted(1).await;
    let begun = Instant::now();
    rig.comes_up(source(3, 1), |_| ()).await;
    rig.taken_in(source(3, 1), &route(3, "10.30.0.0/16")).await;
    assert_eq!(rig.up(source(2, 1)).await, [passed_on(3, "10.30.0.0/16")]);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    rig.logged("not all peers have sent their routes in time").await;
}

/// RFC 4724 §4.1: who restarts as well, or says nothing of restarts, is not waited for; nor is who shall not come.
#[tokio::test]
async fn who_will_not_say_when_it_has_sent_all_is_not_waited_for() {
    for case in 0..4 {
        let mut rig = restarted(100).await;
        rig.comes_up(source(2, 1), |_| ()).await;
        match case {
            0 => rig.comes_up(source(1, 1), |_| ()).await,
            1 => {
                let restarting = GracefulRestart { restarting: true, ..graceful(100) };
                rig.comes_up(source(1, 1), announces(restarting)).await;
            }
            2 => rig.session_says(SessionToRdeBulk::Forget(ONE)).await,
            _ => {
                // A family that it does not carry; the other one ends.
                let change = |n: &mut Negotiated| {
                    n.graceful = Some(graceful(100));
                    n.families = v4();
                };
                rig.comes_up(source(1, 1), change).await;
                rig.taken_in(source(1, 1), &end_of_rib()).await;
            }
        }
        assert_eq!(rig.until_end_of_rib(TWO).await, [] as [Vec<u8>; 0], "{case}");
    }
}

#[tokio::test]
async fn without_a_restart_of_ours_nobody_waits() {
    let mut rig = restarted(0).await;
    assert_eq!(rig.up(source(2, 1)).await, [] as [Vec<u8>; 0]);
}
