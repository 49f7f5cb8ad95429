//! Long-lived graceful restart: what is announced, and what counts of what the peer announces. RFC 9494 §3.1, §4.1
//! and §4.2.
#![allow(clippy::panic, reason = "a test's own tools fail loudly")]

mod common;

use std::time::Instant;

use bgp::capability::{Capability, GracefulFamily, LongLivedFamily};
use bgp::{Afi, Family, FamilySet, Safi};
use common::*;
use fsm::{ConnId, Input, LongLived, Output, Peer, Settings, State};

/// RFC 4724 for these families.
fn graceful(families: &[Family]) -> Capability {
    let of = |f: &Family| GracefulFamily { afi: f.afi(), safi: f.safi(), forwarding: true };
    let families = families.iter().map(of).collect();
    Capability::GracefulRestart { restarting: false, notification: false, restart_time: 0, families }
}

fn one(family: Family, stale_time: u32, forwarding: bool) -> LongLivedFamily {
    LongLivedFamily { afi: family.afi(), safi: family.safi(), forwarding, stale_time }
}

fn ours() -> Settings {
    let families = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    Settings { restart_time: Some(120), llgr_stale_time: 3600, families, ..settings() }
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

#[test]
fn rfc9494_3_1_the_capability_names_all_families_with_the_time_and_their_forwarding_state() {
    let capability = |settings: &Settings| {
        let open = fsm::negotiate::our_open(settings, false);
        open.capabilities.into_iter().find(|c| matches!(c, Capability::LongLivedGracefulRestart(_)))
    };
    let all = vec![one(Family::Ipv4Unicast, 3600, true), one(Family::Ipv6Unicast, 3600, true)];
    assert_eq!(capability(&ours()), Some(Capability::LongLivedGracefulRestart(all)));
    // §4.1: not without graceful restart.
    assert_eq!(capability(&Settings { restart_time: None, ..ours() }), None);
    assert_eq!(capability(&Settings { llgr_stale_time: 0, ..ours() }), None);
    // It is in the OPEN: another one needs another session.
    assert!(ours().needs_reset(&Settings { llgr_stale_time: 60, ..ours() }, None));
}

#[test]
fn rfc9494_4_1_and_4_2_what_counts_of_the_peers_capability() {
    let now = Instant::now();
    let said = |settings: Settings, more: &[Capability]| {
        let peer = session(settings, more, now);
        peer.established().and_then(|(_, s)| s.restart).and_then(|r| r.long_lived)
    };
    let v4 = Family::Ipv4Unicast;
    let with = |list: &[LongLivedFamily]| Capability::LongLivedGracefulRestart(list.to_vec());
    let expected = |seconds, forwarding| {
        let mut stale_times = [0; 4];
        stale_times[v4 as usize] = seconds;
        Some(LongLived { stale_times, forwarding })
    };
    let kept = FamilySet::EMPTY.with(v4);
    let announced = with(&[one(v4, 600, true)]);
    assert_eq!(said(ours(), &[graceful(&[v4]), announced.clone()]), expected(600, kept));
    assert_eq!(
        said(ours(), &[graceful(&[]), announced.clone()]),
        expected(600, kept),
        "in no family beside it"
    );
    assert_eq!(
        said(ours(), &[graceful(&[v4]), with(&[one(v4, 600, false)])]),
        expected(600, FamilySet::EMPTY)
    );
    // §4.2: reduced by the configuration.
    assert_eq!(said(ours(), &[graceful(&[v4]), with(&[one(v4, 86_400, true)])]), expected(3600, kept));
    // Only what was negotiated: the peer announces no IPv6.
    let strange = LongLivedFamily { afi: Afi(25), safi: Safi(65), forwarding: true, stale_time: 5 };
    let more = with(&[one(Family::Ipv6Unicast, 9, true), strange, one(v4, 600, true)]);
    assert_eq!(said(ours(), &[graceful(&[v4]), more]), expected(600, kept));
    // Of several instances, the last one.
    let last = [graceful(&[v4]), announced.clone(), with(&[])];
    assert_eq!(
        said(ours(), &last),
        Some(LongLived::default()),
        "it knows what it means, and wants nothing kept"
    );
    // §4.1: without the other capability it is not there.
    assert_eq!(said(ours(), std::slice::from_ref(&announced)), None);
    for off in [Settings { restart_time: None, ..ours() }, Settings { llgr_stale_time: 0, ..ours() }] {
        assert_eq!(said(off, &[graceful(&[v4]), announced.clone()]), None);
    }
}

/// RFC 9494 §4.1: graceful restart may be announced for no family, and the routes outlive the session all the same.
#[test]
fn rfc9494_4_1_routes_are_kept_in_families_without_graceful_restart() {
    let now = Instant::now();
    let v4 = Family::Ipv4Unicast;
    let keeps = |settings: Settings, list: Vec<LongLivedFamily>| {
        let more = [graceful(&[]), Capability::LongLivedGracefulRestart(list)];
        let mut peer = session(settings, &more, now);
        let outputs = handle(&mut peer, now, Input::Lost { conn: ConnId(0), error: "reset".into() });
        let end = outputs.iter().find_map(|o| match o {
            Output::End { restarting, established: true, .. } => Some(*restarting),
            _ => None,
        });
        end.unwrap_or_else(|| panic!("{outputs:?}"))
    };
    assert!(keeps(ours(), vec![one(v4, 600, true)]));
    assert!(!keeps(ours(), vec![one(v4, 0, true)]), "for no time at all");
    assert!(!keeps(ours(), vec![one(Family::Ipv6Unicast, 600, true)]), "a family that is not carried");
    assert!(!keeps(ours(), vec![]));
    assert!(!keeps(Settings { llgr_stale_time: 0, ..ours() }, vec![one(v4, 600, true)]));
}
