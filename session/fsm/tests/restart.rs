//! Graceful restart: what is announced, and which ends of a session leave the peer's routes in place. RFC 4724,
//! RFC 8538.
#![allow(clippy::panic, reason = "a test's own tools fail loudly")]

mod common;

use std::time::{Duration, Instant};

use bgp::capability::{Capability, GracefulFamily};
use bgp::notification::{cease, update_error};
use bgp::{Afi, Family, FamilySet, Notification, Safi};
use common::*;
use fsm::{ConnId, Input, Outgoing, Output, Peer, Reason, Settings, State};

fn graceful(notification: bool, families: &[(Family, bool)]) -> Capability {
    let of = |(f, forwarding): &(Family, bool)| GracefulFamily {
        afi: f.afi(),
        safi: f.safi(),
        forwarding: *forwarding,
    };
    let families = families.iter().map(of).collect();
    Capability::GracefulRestart { restarting: false, notification, restart_time: 77, families }
}

fn ours() -> Settings {
    let families = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    Settings { restart_time: Some(120), families, ..settings() }
}

/// A session, Established on connection 0, with a peer that announces these capabilities as well.
fn session(settings: Settings, more: &[Capability], now: Instant) -> Peer {
    let mut peer = accepted(settings, now);
    let mut open = peer_open();
    open.capabilities.extend_from_slice(more);
    receive(&mut peer, now, 0, OPEN, &body(&open));
    receive(&mut peer, now, 0, KEEPALIVE, &[]);
    assert_eq!(peer.state(), State::Established);
    peer
}

/// Whether the routes are kept, and the reason; the outputs end an Established session.
fn end(outputs: &[Output]) -> (bool, &Reason) {
    let mut ends = outputs.iter().filter_map(|o| match o {
        Output::End { restarting, reason, established: true, .. } => Some((*restarting, reason)),
        _ => None,
    });
    let end = ends.next();
    assert!(ends.next().is_none());
    end.unwrap_or_else(|| panic!("{outputs:?}"))
}

#[test]
fn rfc4724_3_the_capability_names_all_families_with_their_forwarding_state() {
    let capability = |settings: &Settings| {
        let open = fsm::negotiate::our_open(settings, false);
        open.capabilities.into_iter().find(|c| matches!(c, Capability::GracefulRestart { .. }))
    };
    let all = [(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, true)];
    let mut expected = graceful(true, &all);
    if let Capability::GracefulRestart { restart_time, .. } = &mut expected {
        *restart_time = 120;
    }
    assert_eq!(capability(&ours()), Some(expected));
    assert_eq!(capability(&Settings { restart_time: None, ..ours() }), None);
    // It is in the OPEN: another one needs another session.
    assert!(ours().needs_reset(&Settings { restart_time: None, ..ours() }, None));
}

#[test]
fn rfc4724_3_what_counts_of_the_peers_capability() {
    let now = Instant::now();
    let restart = |settings: Settings, more: &[Capability]| {
        let peer = session(settings, more, now);
        peer.established().and_then(|(_, s)| s.restart)
    };
    let v4 = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    // Only the last instance, and of it only what was negotiated: the peer announces no IPv6.
    let strange = GracefulFamily { afi: Afi(25), safi: Safi(65), forwarding: true };
    let mut last = graceful(true, &[(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, true)]);
    if let Capability::GracefulRestart { families, .. } = &mut last {
        families.push(strange);
    }
    let found = restart(ours(), &[graceful(false, &[(Family::Ipv4Unicast, false)]), last]).unwrap();
    assert_eq!((found.families, found.forwarding, found.restart_time), (v4, v4, 77));
    assert!(found.notification && !found.restarting);
    let found = restart(ours(), &[graceful(false, &[(Family::Ipv4Unicast, false)])]).unwrap();
    assert_eq!((found.families, found.forwarding, found.notification), (v4, FamilySet::EMPTY, false));
    assert_eq!(restart(ours(), &[]), None);
    let off = Settings { restart_time: None, ..ours() };
    assert_eq!(restart(off, &[graceful(true, &[(Family::Ipv4Unicast, true)])]), None);
}

/// RFC 4724 §4.2 and §5, RFC 8538 §4 and §5.1: which ends keep the peer's routes.
#[test]
fn the_end_of_a_session_decides_about_the_routes() {
    type Event = fn(&mut Peer, Instant) -> Vec<Output>;
    fn notified(peer: &mut Peer, now: Instant, n: &Notification) -> Vec<Output> {
        receive(peer, now, 0, NOTIFICATION, &n.encode()[bgp::header::HEADER_LEN..])
    }
    // What happens; kept by a plain RFC 4724 peer; kept by one with the N bit.
    let cases: [(&str, Event, bool, bool); 11] = [
        (
            "TCP breaks",
            |p, t| handle(p, t, Input::Lost { conn: ConnId(0), error: "reset".into() }),
            true,
            true,
        ),
        (
            "Administrative Shutdown of the peer",
            |p, t| notified(p, t, &Notification::cease(cease::ADMINISTRATIVE_SHUTDOWN)),
            false,
            true,
        ),
        (
            "an error that the peer found",
            |p, t| notified(p, t, &Notification::update(1, vec![])),
            false,
            true,
        ),
        ("the peer's hold timer", |p, t| notified(p, t, &Notification::hold_timer_expired()), false, true),
        (
            "a Hard Reset of the peer",
            |p, t| {
                notified(p, t, &Notification::hard_reset(&Notification::cease(cease::ADMINISTRATIVE_RESET)))
            },
            false,
            false,
        ),
        ("our hold timer", |p, t| handle(p, t + Duration::from_secs(31), Input::Timer), false, true),
        (
            "an error that we found",
            |p, t| {
                let notification = Notification::update(update_error::INVALID_NETWORK_FIELD, vec![]);
                handle(p, t, Input::Fault { conn: ConnId(0), notification, detail: String::new() })
            },
            false,
            true,
        ),
        (
            "the operator",
            |p, t| handle(p, t, Input::Stop(Notification::cease(cease::ADMINISTRATIVE_SHUTDOWN))),
            false,
            false,
        ),
        (
            "too many prefixes",
            |p, t| {
                let notification = Notification::cease(cease::MAXIMUM_PREFIXES);
                handle(p, t, Input::Fault { conn: ConnId(0), notification, detail: String::new() })
            },
            false,
            false,
        ),
        (
            "the end of the configuration",
            |p, t| handle(p, t, Input::Stop(Notification::cease(cease::PEER_DECONFIGURED))),
            false,
            false,
        ),
        (
            "another configuration",
            |p, t| handle(p, t, Input::Configure(Settings { restart_time: Some(60), ..ours() })),
            false,
            true,
        ),
    ];
    let now = Instant::now();
    for (name, event, plain, with_n) in cases {
        for (n, expected) in [(false, plain), (true, with_n)] {
            let mut peer = session(ours(), &[graceful(n, &[(Family::Ipv4Unicast, false)])], now);
            assert_eq!(end(&event(&mut peer, now)).0, expected, "{name}, N bit {n}");
            // A peer that keeps no routes over its restart has none kept, and so has one that does without.
            for more in [vec![graceful(n, &[])], vec![]] {
                let mut peer = session(ours(), &more, now);
                assert!(!end(&event(&mut peer, now)).0, "{name}, {more:?}");
            }
            let off = Settings { restart_time: None, ..ours() };
            let mut peer = session(off, &[graceful(n, &[(Family::Ipv4Unicast, true)])], now);
            assert!(!end(&event(&mut peer, now)).0, "{name}, switched off");
        }
    }
}

#[test]
fn rfc8538_5_1_what_is_meant_for_good_is_sent_as_a_hard_reset() {
    let now = Instant::now();
    let sent = |n: bool, notification: &Notification| {
        let mut peer = session(ours(), &[graceful(n, &[])], now);
        let outputs = handle(&mut peer, now, Input::Stop(notification.clone()));
        let all = notifications(&outputs);
        assert_eq!(all.len(), 1);
        // What is shown is what was sent (§6).
        assert!(matches!(end(&outputs).1, Reason::Sent { notification, .. } if *notification == all[0]));
        all[0].clone()
    };
    let shutdown = Notification::cease_with_text(cease::ADMINISTRATIVE_SHUTDOWN, "bye");
    assert_eq!(sent(true, &shutdown), Notification::hard_reset(&shutdown));
    assert_eq!(sent(false, &shutdown), shutdown);
    for subcode in [cease::MAXIMUM_PREFIXES, cease::PEER_DECONFIGURED] {
        let plain = Notification::cease(subcode);
        assert_eq!(sent(true, &plain), Notification::hard_reset(&plain));
    }
    for subcode in [cease::ADMINISTRATIVE_RESET, cease::OTHER_CONFIGURATION_CHANGE, cease::OUT_OF_RESOURCES] {
        let plain = Notification::cease(subcode);
        assert_eq!(sent(true, &plain), plain);
    }
    // Before there is a session there is nothing to be kept.
    let mut peer = accepted(ours(), now);
    let outputs = handle(&mut peer, now, Input::Stop(shutdown.clone()));
    assert_eq!(notifications(&outputs), [shutdown]);
}

#[test]
fn rfc4724_5_a_further_connection_of_a_peer_takes_the_place_of_its_session() {
    let now = Instant::now();
    let later = now + Duration::from_secs(5);
    let mut peer = session(ours(), &[graceful(false, &[(Family::Ipv4Unicast, true)])], now);
    let outputs = handle(&mut peer, later, Input::Accepted(ConnId(1)));
    // The old connection is closed without a word, and its routes are kept.
    assert_eq!(notifications(&outputs), []);
    assert_eq!(end(&outputs), (true, &Reason::Superseded));
    let opened = |o: &Output| matches!(o, Output::Send { conn: ConnId(1), .. });
    assert!(outputs.iter().any(opened), "{outputs:?}");
    receive(&mut peer, later, 1, OPEN, &body(&peer_open()));
    receive(&mut peer, later, 1, KEEPALIVE, &[]);
    assert_eq!(peer.established().map(|(conn, _)| conn), Some(ConnId(1)));

    // Not one that was under way when the session began, and not that of a peer that keeps no routes.
    let refused = |peer: &mut Peer, at| {
        let outputs = handle(peer, at, Input::Accepted(ConnId(1)));
        assert_eq!(notifications(&outputs), [Notification::cease(cease::CONNECTION_COLLISION)]);
        assert_eq!(peer.established().map(|(conn, _)| conn), Some(ConnId(0)));
    };
    let mut young = session(ours(), &[graceful(false, &[(Family::Ipv4Unicast, true)])], now);
    refused(&mut young, now + Duration::from_secs(1));
    for more in [vec![], vec![graceful(true, &[])]] {
        refused(&mut session(ours(), &more, now), later);
    }
}

/// The R bit of our OPENs in these outputs.
fn told(outputs: &[Output]) -> Vec<bool> {
    let r_bit = |o: &Output| match o {
        Output::Send { message: Outgoing::Open(open), .. } => {
            open.capabilities.iter().find_map(|c| match c {
                Capability::GracefulRestart { restarting, .. } => Some(*restarting),
                _ => None,
            })
        }
        _ => None,
    };
    outputs.iter().filter_map(r_bit).collect()
}

#[test]
fn rfc4724_4_1_after_a_restart_of_ours_the_r_bit_is_set_until_there_is_a_session() {
    let now = Instant::now();
    let mut peer = Peer::new(ours(), 7);
    peer.restarted(now + Duration::from_secs(60));
    handle(&mut peer, now, Input::Start);
    assert_eq!(told(&handle(&mut peer, now, Input::Accepted(ConnId(0)))), [true]);
    handle(&mut peer, now, Input::Lost { conn: ConnId(0), error: "reset".into() });
    assert_eq!(told(&handle(&mut peer, now, Input::Accepted(ConnId(1)))), [true]);
    receive(&mut peer, now, 1, OPEN, &body(&peer_open()));
    receive(&mut peer, now, 1, KEEPALIVE, &[]);
    assert_eq!(peer.state(), State::Established);
    handle(&mut peer, now, Input::Lost { conn: ConnId(1), error: "reset".into() });
    assert_eq!(told(&handle(&mut peer, now, Input::Accepted(ConnId(2)))), [false]);
    // Nor when the time is over, and never without a restart.
    let mut late = Peer::new(ours(), 7);
    late.restarted(now + Duration::from_secs(60));
    handle(&mut late, now, Input::Start);
    let later = now + Duration::from_secs(61);
    assert_eq!(told(&handle(&mut late, later, Input::Accepted(ConnId(0)))), [false]);
    let mut other = Peer::new(ours(), 7);
    handle(&mut other, now, Input::Start);
    assert_eq!(told(&handle(&mut other, now, Input::Accepted(ConnId(0)))), [false]);
}

/// RFC 4724 §4: a NOTIFICATION would end it; RFC 8538 §4: not where both have the N bit.
#[test]
fn a_session_is_left_for_a_restart_so_that_the_peer_keeps_our_routes() {
    let now = Instant::now();
    let text = "upgrade";
    let with_n = Notification::cease_with_text(cease::ADMINISTRATIVE_RESET, text);
    let without = Notification::cease_with_text(cease::ADMINISTRATIVE_SHUTDOWN, text);
    let cases = [
        (vec![graceful(true, &[])], vec![with_n]),
        (vec![graceful(false, &[])], vec![]),
        (vec![], vec![without.clone()]),
    ];
    for (more, expected) in cases {
        let mut peer = session(ours(), &more, now);
        let outputs = handle(&mut peer, now, Input::Leave(text));
        assert_eq!(notifications(&outputs), expected, "{more:?}");
        assert!(!end(&outputs).0);
        assert_eq!(peer.state(), State::Idle);
    }
    // Nothing is kept before there is a session.
    let mut peer = accepted(ours(), now);
    assert_eq!(notifications(&handle(&mut peer, now, Input::Leave(text))), [without]);
}
