//! What the tests of the state machine share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::Ipv4Addr;
use std::time::Instant;

use bgp::capability::Capability;
use bgp::header::HEADER_LEN;
use bgp::open::Open;
use bgp::{Asn, Family, Notification, RouterId};
use fsm::{ConnId, Input, Outgoing, Output, Peer, Settings};

pub(crate) const OPEN: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const NOTIFICATION: u8 = 3;
pub(crate) const KEEPALIVE: u8 = 4;
pub(crate) const REFRESH: u8 = 5;

pub(crate) fn peer_open() -> Open {
    Open {
        version: 4,
        my_as: 64513,
        hold_time: 30,
        router_id: RouterId(Ipv4Addr::new(192, 0, 2, 2)),
        capabilities: vec![Capability::multi_protocol(Family::Ipv4Unicast), Capability::FourOctetAs(64513)],
    }
}

pub(crate) fn body(open: &Open) -> Vec<u8> {
    open.encode()[HEADER_LEN..].to_vec()
}

pub(crate) fn settings() -> Settings {
    Settings::default()
}

/// The settings of the other side.
pub(crate) fn mirrored(settings: &Settings, router_id: Ipv4Addr) -> Settings {
    Settings {
        local_asn: settings.remote_asn,
        remote_asn: settings.local_asn,
        router_id: RouterId(router_id),
        ..settings.clone()
    }
}

pub(crate) fn handle(peer: &mut Peer, now: Instant, input: Input<'_>) -> Vec<Output> {
    let mut out = Vec::new();
    peer.handle(now, input, &mut out);
    out
}

pub(crate) fn receive(peer: &mut Peer, now: Instant, conn: u32, kind: u8, body: &[u8]) -> Vec<Output> {
    handle(peer, now, Input::Received { conn: ConnId(conn), kind, body })
}

/// A peer that has accepted connection 0.
pub(crate) fn accepted(settings: Settings, now: Instant) -> Peer {
    let mut peer = Peer::new(settings, 7);
    handle(&mut peer, now, Input::Start);
    handle(&mut peer, now, Input::Accepted(ConnId(0)));
    peer
}

pub(crate) fn established(settings: Settings, now: Instant) -> Peer {
    let mut peer = accepted(settings, now);
    receive(&mut peer, now, 0, OPEN, &body(&peer_open()));
    let up = receive(&mut peer, now, 0, KEEPALIVE, &[]);
    assert!(up.iter().any(|o| matches!(o, Output::Up { .. })), "{up:?}");
    peer
}

pub(crate) fn notifications(outputs: &[Output]) -> Vec<Notification> {
    outputs
        .iter()
        .filter_map(|o| match o {
            Output::Send { message: Outgoing::Notification(n), .. } => Some(n.clone()),
            _ => None,
        })
        .collect()
}

pub(crate) fn ends(outputs: &[Output]) -> usize {
    outputs.iter().filter(|o| matches!(o, Output::End { .. })).count()
}

pub(crate) fn other_asn() -> Asn {
    Asn(64999)
}
