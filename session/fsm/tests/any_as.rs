//! Peers of any AS: what they are follows from their OPEN (RFC 4271 §6.2).

mod common;

use std::time::Instant;

use bgp::capability::Capability;
use bgp::open::Open;
use bgp::{Asn, BgpRole};
use common::*;
use fsm::{Input, Kind, Output, Settings, State};

fn any(only: Option<Kind>) -> Settings {
    Settings { remote_asn: Asn(0), only, passive: true, ..settings() }
}

fn open_of(asn: u32) -> Open {
    let mut open = peer_open();
    open.my_as = Asn(asn).to_two_octets();
    open.capabilities.retain(|c| !matches!(c, Capability::FourOctetAs(_)));
    open.capabilities.push(Capability::FourOctetAs(asn));
    open
}

/// Our own AS in these tests.
const OURS: u32 = 64512;

#[test]
fn a_peer_may_be_of_any_as_that_its_settings_make_sense_for() {
    let now = Instant::now();
    for (only, asn, taken) in [
        (None, OURS, true),
        (None, 65001, true),
        (None, 0, false),
        (Some(Kind::External), 65001, true),
        (Some(Kind::External), OURS, false),
        (Some(Kind::External), 0, false),
        (Some(Kind::Internal), OURS, true),
        (Some(Kind::Internal), 65001, false),
        (Some(Kind::Internal), 0, false),
    ] {
        let mut peer = accepted(any(only), now);
        let outputs = receive(&mut peer, now, 0, OPEN, &body(&open_of(asn)));
        if taken {
            assert_eq!(peer.state(), State::OpenConfirm, "{only:?} {asn}");
            let up = receive(&mut peer, now, 0, KEEPALIVE, &[]);
            let session = up.iter().find_map(|o| match o {
                Output::Up { session, .. } => Some(session.remote_asn),
                _ => None,
            });
            assert_eq!(session, Some(Asn(asn)));
        } else {
            let sent: Vec<_> = notifications(&outputs).iter().map(|n| (n.code, n.subcode)).collect();
            assert_eq!(sent, [(2, 2)], "{only:?} {asn}: Bad Peer AS");
        }
    }
}

/// RFC 9234 §4: there are no roles within an AS. RFC 6286 §2.2: nor two speakers with one identifier.
#[test]
fn whether_it_is_internal_is_told_by_its_open() {
    let now = Instant::now();
    let role = Settings { role: Some(BgpRole::Provider), role_strict: true, ..any(None) };
    for (asn, refused) in [(65001, Some((2, 11))), (OURS, None)] {
        let mut peer = accepted(role.clone(), now);
        let outputs = receive(&mut peer, now, 0, OPEN, &body(&open_of(asn)));
        assert_eq!(notifications(&outputs).first().map(|n| (n.code, n.subcode)), refused, "{asn}");
    }
    for (asn, refused) in [(65001, None), (OURS, Some((2, 3)))] {
        let mut peer = accepted(any(None), now);
        let open = Open { router_id: settings().router_id, ..open_of(asn) };
        let outputs = receive(&mut peer, now, 0, OPEN, &body(&open));
        assert_eq!(notifications(&outputs).first().map(|n| (n.code, n.subcode)), refused, "{asn}");
    }
}

#[test]
fn only_a_session_of_an_as_that_is_not_right_any_more_ends() {
    let now = Instant::now();
    let fixed = |asn| Settings { remote_asn: Asn(asn), ..any(None) };
    for (before, after, stays) in [
        (any(None), fixed(64513), true),
        (any(None), fixed(65009), false),
        (fixed(64513), any(None), true),
        (fixed(64513), any(Some(Kind::External)), true),
        (fixed(64513), any(Some(Kind::Internal)), false),
        (any(None), any(Some(Kind::External)), true),
        (any(None), any(Some(Kind::Internal)), false),
    ] {
        let mut peer = established(before.clone(), now);
        let outputs = handle(&mut peer, now, Input::Configure(after.clone()));
        let told: Vec<_> = notifications(&outputs).iter().map(|n| (n.code, n.subcode)).collect();
        let expected: &[(u8, u8)] = if stays { &[] } else { &[(6, 6)] };
        assert_eq!(told, expected, "{before:?} -> {after:?}");
    }
}
