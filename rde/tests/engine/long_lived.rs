//! Peers that stay away for longer than a restart takes: RFC 9494 §4.2 and §4.3, seen from a peer that knows what
//! long-lived stale routes are (2) and from one that does not (3).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, well_known};
use bgp::{Family, FamilySet};
use ipc::PeerId;
use ipc::config::RdePeer;
use ipc::control_rde::Restart;
use ipc::session_rde::{DownReason, GracefulRestart, LongLived, Negotiated};

use crate::rig::*;
use crate::{ONE, TWO, announcement, passed_on, path, read_context, route, withdrawal};

const THREE: PeerId = PeerId(3);
const PREFIX: &str = "10.1.0.0/16";

fn v4() -> FamilySet {
    FamilySet::EMPTY.with(Family::Ipv4Unicast)
}

/// The capabilities of a peer that may be away for so many seconds, and whose routes are kept for so many more.
fn graceful(restart_time: u16, stale_time: u32) -> GracefulRestart {
    let mut stale_times = [0; 4];
    stale_times[Family::Ipv4Unicast as usize] = stale_time;
    let long_lived = Some(LongLived { stale_times, forwarding: v4() });
    let (families, forwarding) = (v4(), v4());
    GracefulRestart { restarting: false, notification: false, restart_time, families, forwarding, long_lived }
}

fn announces(g: GracefulRestart) -> impl FnOnce(&mut Negotiated) {
    move |negotiated| negotiated.graceful = Some(g)
}

fn end_of_rib() -> Vec<u8> {
    rib::end_of_rib(Family::Ipv4Unicast)
}

/// A route of peer 1 with a community.
fn with_community(community: u32, prefix: &str) -> Vec<u8> {
    let next_hop = PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1));
    let list = PathAttribute::Communities(vec![Community(community)]);
    announcement(vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1)]), next_hop, list], prefix)
}

/// A plain route of peer 1 as another one is sent it when it is long-lived stale.
fn marked(prefix: &str) -> Vec<u8> {
    let next_hop = PathAttribute::NextHop(LOCAL);
    let list = PathAttribute::Communities(vec![Community(well_known::LLGR_STALE)]);
    announcement(vec![PathAttribute::Origin(Origin::Igp), path(&[OUR_AS, asn(1)]), next_hop, list], prefix)
}

/// Peer 1 with a route that the others have.
async fn one_route(g: GracefulRestart) -> Rig {
    let long_lived = |n| RdePeer { long_lived: true, ..peer(n) };
    let mut rig = Rig::start(vec![long_lived(1), long_lived(2), peer(3)]).await;
    rig.up_with(source(2, 1), announces(graceful(0, 0))).await;
    rig.up(source(3, 1)).await;
    rig.up_with(source(1, 1), announces(g)).await;
    rig.taken_in(source(1, 1), &route(1, PREFIX)).await;
    assert_eq!([rig.next(TWO).await, rig.next(THREE).await], [passed_on(1, PREFIX), passed_on(1, PREFIX)]);
    rig
}

impl Rig {
    /// The others have heard that the route is long-lived stale.
    async fn has_become_long_lived(&mut self) {
        assert_eq!(self.next(TWO).await, marked(PREFIX));
        assert_eq!(self.next(THREE).await, withdrawal(PREFIX));
    }

    /// What is kept of peer 1, once its session has ended, and whether it is back.
    async fn kept(&mut self, back: bool) -> Restart {
        for _ in 0..1000 {
            if let Some(restart) = self.counters_of(ONE).await.restart.filter(|r| r.back == back) {
                return restart;
            }
        }
        panic!("nothing is kept");
    }

    /// The prefixes that a peer is told of next, so many, whatever it is told.
    async fn hears_of(&mut self, peer: PeerId, count: usize) {
        let mut heard = 0;
        while heard < count {
            let message = self.next(peer).await;
            let update = bgp::update::parse(&message[bgp::header::HEADER_LEN..], &read_context()).unwrap();
            heard += update.announced.iter().chain(update.withdrawn.iter()).count();
        }
        assert_eq!(heard, count);
    }

    async fn is_gone(&mut self) {
        assert_eq!(self.next(TWO).await, withdrawal(PREFIX));
    }
}

#[tokio::test]
async fn rfc9494_4_2_when_the_restart_takes_too_long_routes_stay_as_long_lived_stale_ones() {
    let mut rig = one_route(graceful(1, 2)).await;
    let no_llgr = "10.2.0.0/16";
    rig.taken_in(source(1, 1), &with_community(well_known::NO_LLGR, no_llgr)).await;
    rig.next(TWO).await;
    rig.next(THREE).await;
    let begun = Instant::now();
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    let restart = rig.kept(false).await;
    assert_eq!((restart.families, restart.long_lived), (v4(), FamilySet::EMPTY));
    let mut told = [rig.next(TWO).await, rig.next(TWO).await];
    told.sort_by_key(|message| *message != marked(PREFIX));
    assert_eq!(told, [marked(PREFIX), withdrawal(no_llgr)]);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    let counters = rig.counters_of(ONE).await;
    let restart = counters.restart.unwrap();
    assert_eq!((restart.families, restart.long_lived, restart.back), (v4(), v4(), false));
    assert_eq!((counters.stale[0], counters.restarts_expired), (1, 1));
    // Its own time runs from there on.
    rig.is_gone().await;
    assert!(begun.elapsed() >= Duration::from_millis(2_900), "{:?}", begun.elapsed());
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.stale, counters.restarts_expired), (None, [0; 4], 2));
}

#[tokio::test]
async fn rfc9494_4_2_at_once_where_there_is_no_time_for_a_restart() {
    let none = FamilySet::EMPTY;
    let cases =
        [graceful(0, 100), GracefulRestart { families: none, forwarding: none, ..graceful(100, 100) }];
    for capability in cases {
        let mut rig = one_route(capability).await;
        rig.down_for(source(1, 1), DownReason::Restarting).await;
        rig.has_become_long_lived().await;
        let counters = rig.counters_of(ONE).await;
        assert_eq!(counters.restart.map(|r| r.long_lived), Some(v4()), "{capability:?}");
        assert_eq!(counters.restarts_expired, 0, "nothing took longer than it was to take");
    }
}

#[tokio::test]
async fn rfc9494_4_2_a_peer_that_is_back_replaces_what_was_long_lived() {
    let mut rig = one_route(graceful(0, 100)).await;
    let other = "10.2.0.0/16";
    rig.taken_in(source(1, 1), &route(1, other)).await;
    assert_eq!([rig.next(TWO).await, rig.next(THREE).await], [passed_on(1, other), passed_on(1, other)]);
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    rig.hears_of(TWO, 2).await;
    rig.hears_of(THREE, 2).await;
    rig.up_with(source(1, 2), announces(graceful(0, 100))).await;
    assert_eq!(rig.kept(true).await.long_lived, v4());
    rig.taken_in(source(1, 2), &route(1, PREFIX)).await;
    assert_eq!([rig.next(TWO).await, rig.next(THREE).await], [passed_on(1, PREFIX), passed_on(1, PREFIX)]);
    rig.taken_in(source(1, 2), &end_of_rib()).await;
    assert_eq!(rig.next(TWO).await, withdrawal(other));
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.stale, counters.restarts_expired), (None, [0; 4], 0));
}

#[tokio::test]
async fn rfc9494_4_2_without_capability_or_forwarding_state_the_family_is_flushed_at_once() {
    let lost = LongLived { forwarding: FamilySet::EMPTY, ..graceful(0, 100).long_lived.unwrap() };
    let lost = GracefulRestart { long_lived: Some(lost), ..graceful(0, 100) };
    let gone = GracefulRestart { long_lived: None, ..graceful(0, 100) };
    for capability in [Some(lost), Some(gone), None] {
        let mut rig = one_route(graceful(0, 100)).await;
        rig.down_for(source(1, 1), DownReason::Restarting).await;
        rig.has_become_long_lived().await;
        rig.up_with(source(1, 2), |negotiated| negotiated.graceful = capability).await;
        rig.is_gone().await;
        assert_eq!(rig.counters_of(ONE).await.restart, None, "{capability:?}");
    }
}

/// RFC 9494 §4.2: the clock goes on when the peer is back, and is not set anew when it goes away again before it has sent its
/// End-of-RIB.
#[tokio::test]
async fn rfc9494_4_2_the_time_of_long_lived_stale_routes_is_not_set_anew() {
    let mut rig = one_route(graceful(0, 4)).await;
    let begun = Instant::now();
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    rig.has_become_long_lived().await;
    rig.up_with(source(1, 2), announces(graceful(100, 1000))).await;
    rig.down_for(source(1, 2), DownReason::Restarting).await;
    rig.up_with(source(1, 3), announces(graceful(100, 1000))).await;
    let restart = rig.kept(true).await;
    assert!(restart.seconds_left <= 4, "{restart:?}");
    rig.is_gone().await;
    assert!(begun.elapsed() >= Duration::from_millis(3_900), "{:?}", begun.elapsed());
    let counters = rig.counters_of(ONE).await;
    assert_eq!((counters.restart, counters.restarts_expired), (None, 1));
}
