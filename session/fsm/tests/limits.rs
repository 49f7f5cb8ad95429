//! Prefix limits: how a session ends that exceeded one, and when the peer may come back (RFC 4486 §4).

mod common;

use std::time::{Duration, Instant};

use bgp::{Family, Notification};
use common::*;
use fsm::{ConnId, Direction, Exceeded, Input, Output, Peer, PrefixLimits, Settings, State};

const MINUTES: Duration = Duration::from_secs(600);

fn limited(received: Option<u32>, restart: Option<Duration>) -> Settings {
    Settings { prefix_limits: PrefixLimits { received, advertised: None, restart }, ..settings() }
}

fn exceeded(limit: u32) -> Exceeded {
    Exceeded { direction: Direction::Received, family: Family::Ipv6Unicast, limit }
}

/// A peer that exceeded its limit of 1000 prefixes.
fn held(restart: Option<Duration>, now: Instant) -> Peer {
    let mut peer = established(limited(Some(1000), restart), now);
    let outputs = handle(&mut peer, now, Input::OverLimit(exceeded(1000)));
    // AFI 2, SAFI 1, 1000.
    let told = Notification { code: 6, subcode: 1, data: vec![0, 2, 1, 0, 0, 3, 0xe8] };
    assert_eq!(notifications(&outputs), [told]);
    assert!(matches!(outputs.last(), Some(Output::End { established: true, .. })), "{outputs:?}");
    assert!(peer.is_held());
    peer
}

fn connects(outputs: &[Output]) -> bool {
    matches!(outputs, [Output::Connect { .. }])
}

#[test]
fn rfc4486_4_a_peer_over_its_limit_stays_down_until_the_operator_says_otherwise() {
    let now = Instant::now();
    let mut peer = held(None, now);
    assert_eq!((peer.state(), peer.next_deadline(), peer.next_attempt()), (State::Idle, None, None));
    // It connects, time passes, the routing engine comes back, a limit is lowered: nothing changes.
    let outputs = handle(&mut peer, now, Input::Accepted(ConnId(9)));
    assert_eq!((notifications(&outputs)[0].code, notifications(&outputs)[0].subcode), (6, 5));
    for input in [Input::Timer, Input::Start, Input::Configure(limited(Some(999), None))] {
        assert_eq!(handle(&mut peer, now + 2 * MINUTES, input), []);
    }
    handle(&mut peer, now, Input::Stop(Notification::cease(2)));
    assert_eq!(handle(&mut peer, now, Input::Start), []);
    assert_eq!(peer.state(), State::Idle);
    assert!(connects(&handle(&mut peer, now, Input::Release)));
    assert!(!peer.is_held());
}

#[test]
fn a_peer_over_its_limit_comes_back_when_its_time_is_over() {
    let now = Instant::now();
    let mut peer = held(Some(MINUTES), now);
    assert_eq!((peer.next_deadline(), peer.next_attempt()), (Some(now + MINUTES), Some(now + MINUTES)));
    assert_eq!(handle(&mut peer, now + MINUTES - Duration::from_secs(1), Input::Timer), []);
    assert_eq!(peer.state(), State::Idle);
    assert!(connects(&handle(&mut peer, now + MINUTES, Input::Timer)));
    assert_eq!(peer.state(), State::Connect);
    // One that the operator has stopped meanwhile does not.
    let mut peer = held(Some(MINUTES), now);
    handle(&mut peer, now, Input::Stop(Notification::cease(2)));
    assert_eq!(handle(&mut peer, now + MINUTES, Input::Timer), []);
    assert_eq!(peer.state(), State::Idle);
}

#[test]
fn raising_or_removing_the_limit_lets_the_peer_come_back_at_once() {
    let now = Instant::now();
    for raised in [Some(1001), None] {
        let mut peer = held(None, now);
        assert!(connects(&handle(&mut peer, now, Input::Configure(limited(raised, None)))), "{raised:?}");
    }
    // A limit of the other direction is another one.
    let mut peer = held(None, now);
    let mut other = limited(Some(1000), None);
    other.prefix_limits.advertised = Some(5000);
    assert_eq!(handle(&mut peer, now, Input::Configure(other)), []);
    assert!(peer.is_held());
    // Raised before the news of the old one came: the session ends, the next one is tried as after any refusal.
    let mut peer = established(limited(Some(2000), None), now);
    let outputs = handle(&mut peer, now, Input::OverLimit(exceeded(1000)));
    assert_eq!((notifications(&outputs).len(), peer.is_held()), (1, false));
    assert!(peer.next_attempt().is_some());
}

/// Prefixes are counted from the beginning of a session on.
#[test]
fn a_limit_where_there_was_none_begins_with_a_new_session() {
    let now = Instant::now();
    let mut peer = established(limited(None, None), now);
    let outputs = handle(&mut peer, now, Input::Configure(limited(Some(10), None)));
    assert_eq!((notifications(&outputs)[0].code, notifications(&outputs)[0].subcode), (6, 6));
    for limit in [Some(9), Some(11), None] {
        let mut peer = established(limited(Some(10), None), now);
        assert_eq!(handle(&mut peer, now, Input::Configure(limited(limit, None))), [], "{limit:?}");
    }
}
