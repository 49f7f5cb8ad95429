//! Each error leads to exactly one NOTIFICATION with its code, subcode and data, and to Idle.
#![allow(clippy::type_complexity, reason = "tables of cases")]

mod common;

use std::time::{Duration, Instant};

use bgp::capability::{AddPathMode, Capability};
use bgp::{Afi, BgpRole, Family, FamilySet, RouterId, Safi};
use common::*;
use fsm::{AddPath, ConnId, HoldTime, Input, Outgoing, Output, Peer, SendHold, Settings, State};

/// An external peer that we connect to, so that Idle is told from Active.
fn expect_refused(mut peer: Peer, now: Instant, kind: u8, body: &[u8], expected: (u8, u8, &[u8])) {
    let outputs = receive(&mut peer, now, 0, kind, body);
    let sent = notifications(&outputs);
    assert_eq!(sent.len(), 1, "{outputs:?}");
    assert_eq!((sent[0].code, sent[0].subcode, sent[0].data.as_slice()), expected);
    assert_eq!(ends(&outputs), 1, "{outputs:?}");
    assert_eq!(peer.state(), State::Idle);
    assert!(receive(&mut peer, now, 0, kind, body).is_empty(), "nothing follows on that connection");
}

#[test]
fn rfc4271_6_2_open_errors() {
    let now = Instant::now();
    let with = |change: &dyn Fn(&mut bgp::open::Open)| {
        let mut open = peer_open();
        change(&mut open);
        body(&open)
    };
    let mut unknown_parameter = peer_open();
    unknown_parameter.capabilities.clear();
    let mut unknown_parameter = body(&unknown_parameter);
    *unknown_parameter.last_mut().unwrap() = 2;
    unknown_parameter.extend_from_slice(&[1, 0]);
    let mut trailing = body(&peer_open());
    trailing.push(0);
    let mp_ipv4 = [1, 4, 0, 1, 0, 1];
    let cases: Vec<(&str, Vec<u8>, (u8, u8, &[u8]))> = vec![
        ("version 3", with(&|o| o.version = 3), (2, 1, &[0, 4])),
        ("another AS", with(&|o| o.capabilities = vec![Capability::FourOctetAs(64999)]), (2, 2, &[])),
        ("another 2-octet AS", with(&|o| (o.my_as, o.capabilities) = (64999, vec![])), (2, 2, &[])),
        ("RFC 7607: AS 0", with(&|o| o.capabilities = vec![Capability::FourOctetAs(0)]), (2, 2, &[])),
        ("RFC 6286: identifier 0", with(&|o| o.router_id = RouterId::from(0)), (2, 3, &[])),
        ("unknown parameter", unknown_parameter, (2, 4, &[])),
        ("hold time 1", with(&|o| o.hold_time = 1), (2, 6, &[])),
        ("hold time 2", with(&|o| o.hold_time = 2), (2, 6, &[])),
        (
            "RFC 5492: no common family",
            with(&|o| o.capabilities[0] = Capability::multi_protocol(Family::Ipv6Unicast)),
            (2, 7, &mp_ipv4),
        ),
        ("octets behind the parameters", trailing, (2, 0, &[])),
        ("nothing", vec![], (2, 0, &[])),
    ];
    for (name, body, expected) in cases {
        println!("{name}");
        expect_refused(accepted(settings(), now), now, OPEN, &body, expected);
    }
}

#[test]
fn rfc6286_2_2_an_internal_peer_with_our_own_identifier_is_refused() {
    let now = Instant::now();
    let internal = Settings { remote_asn: settings().local_asn, ..settings() };
    let mut open = peer_open();
    open.capabilities = vec![Capability::FourOctetAs(64512)];
    open.router_id = internal.router_id;
    expect_refused(accepted(internal, now), now, OPEN, &body(&open), (2, 3, &[]));
    // The same identifier in another AS is fine.
    let mut open = peer_open();
    open.router_id = settings().router_id;
    let mut external = accepted(settings(), now);
    receive(&mut external, now, 0, OPEN, &body(&open));
    assert_eq!(external.state(), State::OpenConfirm);
}

#[test]
fn rfc6608_messages_in_the_wrong_state() {
    let now = Instant::now();
    for kind in [UPDATE, KEEPALIVE, REFRESH] {
        expect_refused(accepted(settings(), now), now, kind, &[], (5, 1, &[kind]));
    }
    for kind in [OPEN, UPDATE, REFRESH] {
        let mut peer = accepted(settings(), now);
        receive(&mut peer, now, 0, OPEN, &body(&peer_open()));
        expect_refused(peer, now, kind, &body(&peer_open()), (5, 2, &[kind]));
    }
    expect_refused(established(settings(), now), now, OPEN, &body(&peer_open()), (5, 3, &[OPEN]));
}

#[test]
fn rfc4271_4_2_hold_time_is_the_smaller_one_and_0_means_none() {
    let now = Instant::now();
    for (ours, theirs, agreed) in [(90, 30, 30), (9, 30, 9), (90, 0, 0), (0, 30, 0), (3, 3, 3)] {
        let ours = Settings { hold_time: HoldTime::new(ours).unwrap(), ..settings() };
        let mut peer = accepted(ours, now);
        let mut open = peer_open();
        open.hold_time = theirs;
        receive(&mut peer, now, 0, OPEN, &body(&open));
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        let (_, session) = peer.established().unwrap();
        assert_eq!(session.hold_time.seconds(), agreed);
        assert_eq!(peer.next_deadline().is_none(), agreed == 0);
    }
}

#[test]
fn rfc4271_6_5_silence_ends_the_session_and_keepalives_come_every_third() {
    let start = Instant::now();
    let mut peer = established(settings(), start);
    let mut keepalives = 0;
    let (end, now) = loop {
        let now = peer.next_deadline().unwrap();
        let outputs = handle(&mut peer, now, Input::Timer);
        match notifications(&outputs).first() {
            Some(n) => break (n.clone(), now),
            None => keepalives += outputs.len(),
        }
    };
    assert_eq!((end.code, end.subcode, end.data.len()), (4, 0, 0));
    assert_eq!(now - start, Duration::from_secs(30));
    assert!((2..=4).contains(&keepalives), "{keepalives}");
    assert_eq!(peer.state(), State::Active, "silence is no refusal");
}

#[test]
fn rfc4271_4_4_keepalives_come_as_configured_but_not_less_often_than_every_third_of_the_hold_time() {
    // Configured, most seconds between two: the peer's hold time of 30 s is agreed on.
    for (keepalive, most) in [(None, 10), (Some(4), 4), (Some(25), 10)] {
        let mut now = Instant::now();
        let ours = Settings { keepalive: keepalive.map(Duration::from_secs), ..settings() };
        let mut peer = established(ours, now);
        for _ in 0..20 {
            let next = peer.next_deadline().unwrap();
            let wait = (next - now).as_secs_f64();
            assert!((0.75 * f64::from(most)..=f64::from(most)).contains(&wait), "{keepalive:?}: {wait}");
            now = next;
            handle(&mut peer, now, Input::Alive(ConnId(0)));
            let sent = handle(&mut peer, now, Input::Timer);
            assert!(matches!(sent[..], [Output::Send { message: Outgoing::Keepalive, .. }]), "{sent:?}");
        }
    }
}

#[test]
fn opens_of_every_shape_lead_to_a_session() {
    let now = Instant::now();
    let head = body(&peer_open())[..9].to_vec();
    let known = [65, 4, 0, 0, 0xfc, 1, 1, 4, 0, 1, 0, 1];
    let filled = |octets: usize| {
        let rest = octets - known.len() - 2;
        [known.as_slice(), &[250, rest as u8], &vec![7; rest]].concat()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("RFC 4271: no parameter", vec![0]),
        ("RFC 5492 §4: one parameter", [&[14, 2, 12], known.as_slice()].concat()),
        ("a parameter for each", [&[16, 2, 6], &known[..6], &[2, 6], &known[6..]].concat()),
        ("255 octets of parameters", [&[255, 2, 253], filled(253).as_slice()].concat()),
        ("RFC 9072 §2: needed", [&[255, 255, 1, 3, 2, 1, 0], filled(256).as_slice()].concat()),
        ("RFC 9072 §2: not needed", [&[15, 255, 0, 15, 2, 0, 12], known.as_slice()].concat()),
        ("RFC 5492 §3: unknown ones", [&[20, 2, 18], known.as_slice(), &[251, 0, 252, 2, 1, 2]].concat()),
        ("the same twice", [&[26, 2, 24], known.as_slice(), &known].concat()),
    ];
    for (name, parameters) in cases {
        let mut peer = accepted(settings(), now);
        receive(&mut peer, now, 0, OPEN, &[head.clone(), parameters].concat());
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        assert_eq!(peer.state(), State::Established, "{name}");
    }
}

#[test]
fn rfc8950_4_ipv6_next_hops_for_ipv4_are_agreed_on_by_both() {
    let both = FamilySet::EMPTY.with(Family::Ipv4Unicast).with(Family::Ipv6Unicast);
    let ipv4_over_ipv6 = Capability::ExtendedNextHop(vec![(Afi::IPV4, Safi::UNICAST, Afi::IPV6)]);
    let of_another_family = Capability::ExtendedNextHop(vec![(Afi::IPV4, Safi(2), Afi::IPV6)]);
    let now = Instant::now();
    let ipv6 = Capability::multi_protocol(Family::Ipv6Unicast);
    let cases = [
        (both, vec![ipv4_over_ipv6.clone()], true),
        (both, vec![ipv6.clone(), ipv4_over_ipv6.clone()], true),
        (both, vec![ipv6, of_another_family], false),
        (both, vec![], false),
        (settings().families, vec![ipv4_over_ipv6], false),
    ];
    for (families, theirs, agreed) in cases {
        let ours = Settings { families, ..settings() };
        let mut peer = accepted(ours, now);
        let mut open = peer_open();
        open.capabilities.extend(theirs.clone());
        receive(&mut peer, now, 0, OPEN, &body(&open));
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        let (_, session) = peer.established().unwrap();
        assert_eq!(session.extended_next_hop, agreed, "{families:?} {theirs:?}");
    }
}

#[test]
fn rfc9687_a_peer_that_takes_nothing_is_given_up_and_one_that_takes_something_is_not() {
    let seconds = Duration::from_secs;
    // Our hold time and the time that is configured; the peer proposes 30 s, or what ours is if that is more.
    let cases = [
        (90, SendHold::Standard, Some(480)),
        (300, SendHold::Standard, Some(600)),
        (90, SendHold::After(seconds(100)), Some(100)),
        (90, SendHold::Never, None),
        (0, SendHold::After(seconds(100)), None),
    ];
    for (hold, send_hold, expected) in cases {
        let start = Instant::now();
        let ours = Settings { hold_time: HoldTime::new(hold).unwrap(), send_hold, ..settings() };
        let mut peer = accepted(ours, start);
        let mut open = peer_open();
        open.hold_time = hold.max(30);
        receive(&mut peer, start, 0, OPEN, &body(&open));
        receive(&mut peer, start, 0, KEEPALIVE, &[]);
        // What is taken after a while begins the time anew; what is told late counts from when it was.
        let taken = start + seconds(50);
        handle(&mut peer, taken + seconds(20), Input::Taken { conn: ConnId(0), at: taken });
        let mut now = taken;
        let end = loop {
            let Some(next) = peer.next_deadline().filter(|next| *next < start + seconds(2000)) else {
                break None;
            };
            now = next.max(now);
            // It is not silent: only what we send goes nowhere.
            handle(&mut peer, now, Input::Alive(ConnId(0)));
            if let Some(n) = notifications(&handle(&mut peer, now, Input::Timer)).first() {
                break Some(n.clone());
            }
        };
        assert_eq!(end.as_ref().map(|n| (n.code, n.subcode, n.data.len())), expected.map(|_| (8, 0, 0)));
        if let Some(expected) = expected {
            assert_eq!(now - taken, seconds(expected));
            assert_eq!(peer.state(), State::Active, "an expired timer is no refusal");
        }
    }
}

#[test]
fn rfc4760_8_ipv4_is_implied_only_where_no_family_is_announced() {
    let now = Instant::now();
    let both: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    let v4 = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let v6 = FamilySet::EMPTY.with(Family::Ipv6Unicast);
    let mp = Capability::multi_protocol;
    let vpn = Capability::MultiProtocol(Afi(1), Safi(128));
    let cases = [
        (both, vec![], v4),
        (both, vec![mp(Family::Ipv6Unicast)], v6),
        (both, vec![mp(Family::Ipv6Unicast), mp(Family::Ipv4Unicast)], both),
        (v4, vec![vpn.clone(), mp(Family::Ipv4Unicast)], v4),
        (both, vec![vpn], FamilySet::EMPTY),
    ];
    for (ours, capabilities, agreed) in cases {
        let mut peer = accepted(Settings { families: ours, ..settings() }, now);
        let mut open = peer_open();
        open.capabilities = capabilities;
        receive(&mut peer, now, 0, OPEN, &body(&open));
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        let got = peer.established().map_or(FamilySet::EMPTY, |(_, s)| s.families);
        assert_eq!(got, agreed, "{:?}", open.capabilities);
    }
}

#[test]
fn rfc7911_4_each_way_needs_both_sides_in_a_family_that_both_have() {
    use AddPathMode::{Both, Receive, Send};
    let set = |families: &[Family]| families.iter().copied().collect::<FamilySet>();
    let (v4, v6) = (Family::Ipv4Unicast, Family::Ipv6Unicast);
    let says = |list: &[(Family, AddPathMode)]| {
        Capability::AddPath(list.iter().map(|(f, mode)| (f.afi(), f.safi(), *mode)).collect())
    };
    let (none, both) = (set(&[]), set(&[v4, v6]));
    let cases = [
        ((true, true), vec![says(&[(v4, Both), (v6, Both)])], both, both),
        ((true, true), vec![says(&[(v4, Send), (v6, Receive)])], set(&[v4]), set(&[v6])),
        ((true, false), vec![says(&[(v4, Both), (v6, Receive)])], set(&[v4]), none),
        ((false, true), vec![says(&[(v4, Both), (v6, Send)])], none, set(&[v4])),
        ((false, false), vec![says(&[(v4, Both), (v6, Both)])], none, none),
        ((true, true), vec![], none, none),
        ((true, true), vec![says(&[(Family::Ipv4Flowspec, Both), (v6, Both)])], set(&[v6]), set(&[v6])),
        // Something else than 1, 2 and 3: ignored as a whole.
        (
            (true, true),
            vec![Capability::Unknown { code: 69, value: vec![0, 1, 1, 3, 0, 2, 1, 4] }],
            none,
            none,
        ),
    ];
    for ((takes, sends), said, from, to) in cases {
        let now = Instant::now();
        let add_path = AddPath { receive: takes, send: sends };
        let ours = Settings { families: both, add_path, ..settings() };
        let offered = fsm::negotiate::our_open(&ours, false).capabilities;
        let offered: Vec<_> = offered.iter().filter(|c| matches!(c, Capability::AddPath(_))).collect();
        let mode = match (takes, sends) {
            (true, true) => vec![says(&[(v4, Both), (v6, Both)])],
            (true, false) => vec![says(&[(v4, Receive), (v6, Receive)])],
            (false, true) => vec![says(&[(v4, Send), (v6, Send)])],
            (false, false) => vec![],
        };
        assert_eq!(offered, mode.iter().collect::<Vec<_>>(), "all families in one capability");
        let mut peer = accepted(ours, now);
        let mut open = peer_open();
        open.capabilities = vec![Capability::multi_protocol(v4), Capability::multi_protocol(v6)];
        open.capabilities.extend(said);
        receive(&mut peer, now, 0, OPEN, &body(&open));
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        let (_, session) = peer.established().unwrap();
        let agreed = (session.add_path_receive, session.add_path_send);
        assert_eq!(agreed, (from, to), "{takes} {sends} {:?}", open.capabilities);
    }
    // A family that one side only has is none of the session.
    let ours =
        Settings { families: set(&[v4]), add_path: AddPath { receive: true, send: true }, ..settings() };
    let now = Instant::now();
    let mut peer = accepted(ours, now);
    let mut open = peer_open();
    open.capabilities = vec![Capability::multi_protocol(v4), says(&[(v4, Both), (v6, Both)])];
    receive(&mut peer, now, 0, OPEN, &body(&open));
    receive(&mut peer, now, 0, KEEPALIVE, &[]);
    let (_, session) = peer.established().unwrap();
    assert_eq!((session.add_path_receive, session.add_path_send), (set(&[v4]), set(&[v4])));
}

#[test]
fn rfc7313_3_1_enhanced_route_refresh_is_announced_and_used_with_who_announces_it() {
    let now = Instant::now();
    let ours = fsm::negotiate::our_open(&settings(), false).capabilities;
    assert!(ours.contains(&Capability::RouteRefresh) && ours.contains(&Capability::EnhancedRouteRefresh));
    let restart = Capability::GracefulRestart {
        restarting: false,
        notification: false,
        restart_time: 120,
        families: vec![],
    };
    for theirs in [vec![], vec![Capability::RouteRefresh], vec![Capability::EnhancedRouteRefresh, restart]] {
        let mut open = peer_open();
        open.capabilities.extend(theirs.clone());
        let mut peer = accepted(settings(), now);
        receive(&mut peer, now, 0, OPEN, &body(&open));
        receive(&mut peer, now, 0, KEEPALIVE, &[]);
        let (_, session) = peer.established().unwrap();
        assert_eq!(session.route_refresh, theirs.contains(&Capability::RouteRefresh));
        assert_eq!(session.enhanced_refresh, theirs.contains(&Capability::EnhancedRouteRefresh));
        // Without graceful restart on both sides there is no End-of-RIB that a refresh would have to wait for.
        let ours = ours.iter().any(|c| matches!(c, Capability::GracefulRestart { .. }));
        assert_eq!(session.refresh_after_end_of_rib, ours && theirs.len() == 2);
    }
}

#[test]
fn rfc6793_an_as_beyond_two_octets() {
    let big = bgp::Asn(4_200_000_000);
    let ours = Settings { local_asn: big, ..settings() };
    let open = fsm::negotiate::our_open(&ours, false);
    assert_eq!((open.my_as, open.asn()), (bgp::AS_TRANS, big));
    let now = Instant::now();
    let theirs = Settings { remote_asn: big, ..settings() };
    let mut peer = accepted(theirs, now);
    receive(&mut peer, now, 0, OPEN, &body(&open));
    receive(&mut peer, now, 0, KEEPALIVE, &[]);
    assert!(peer.established().unwrap().1.four_octet_as);
}

#[test]
fn repeated_refusals_back_off_and_an_inbound_connection_is_still_answered() {
    let mut now = Instant::now();
    let mut peer = Peer::new(settings(), 3);
    let mut outputs = handle(&mut peer, now, Input::Start);
    let mut wrong = peer_open();
    wrong.capabilities = vec![Capability::FourOctetAs(other_asn().0)];
    let mut waits = Vec::new();
    for conn in 0..8 {
        let attempt = outputs
            .iter()
            .find_map(|o| match o {
                Output::Connect { attempt } => Some(*attempt),
                _ => None,
            })
            .unwrap();
        handle(&mut peer, now, Input::Connected { attempt, conn: ConnId(conn) });
        receive(&mut peer, now, conn, OPEN, &body(&wrong));
        assert_eq!(peer.state(), State::Idle);
        let next = peer.next_deadline().unwrap();
        waits.push((next - now).as_secs_f64());
        now = next;
        outputs = handle(&mut peer, now, Input::Timer);
    }
    for (i, wait) in waits.iter().enumerate() {
        let most = (5.0 * f64::from(1 << i)).min(120.0);
        assert!((0.75 * most..=most).contains(wait), "{waits:?}");
    }
    // A correct connection from the peer is not locked out meanwhile.
    handle(&mut peer, now, Input::Accepted(ConnId(100)));
    receive(&mut peer, now, 100, OPEN, &body(&peer_open()));
    receive(&mut peer, now, 100, KEEPALIVE, &[]);
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn failures_of_tcp_do_not_back_off() {
    let mut now = Instant::now();
    let mut peer = Peer::new(settings(), 3);
    handle(&mut peer, now, Input::Start);
    for attempt in 1..20 {
        handle(&mut peer, now, Input::ConnectFailed { attempt });
        assert_eq!(peer.state(), State::Active);
        let next = peer.next_deadline().unwrap();
        assert!(next - now <= Duration::from_secs(5) && next - now >= Duration::from_millis(3750));
        now = next;
        assert_eq!(handle(&mut peer, now, Input::Timer), [Output::Connect { attempt: attempt + 1 }]);
    }
}

#[test]
fn rfc4271_6_8_an_established_session_is_kept_and_a_stopped_peer_refuses() {
    let now = Instant::now();
    let mut peer = established(settings(), now);
    let outputs = handle(&mut peer, now, Input::Accepted(ConnId(9)));
    assert_eq!(notifications(&outputs)[0].subcode, 7);
    assert_eq!(peer.state(), State::Established);
    let stop = bgp::Notification::cease_with_text(2, "maintenance");
    let outputs = handle(&mut peer, now, Input::Stop(stop.clone()));
    assert_eq!(notifications(&outputs), [stop]);
    assert!(matches!(outputs.last(), Some(Output::End { established: true, .. })));
    assert_eq!((peer.state(), peer.next_deadline()), (State::Idle, None));
    let outputs = handle(&mut peer, now, Input::Accepted(ConnId(10)));
    assert_eq!((notifications(&outputs)[0].code, notifications(&outputs)[0].subcode), (6, 5));
}

#[test]
fn an_accepted_connection_is_answered_while_our_own_attempt_is_pending() {
    let now = Instant::now();
    let mut peer = Peer::new(settings(), 1);
    handle(&mut peer, now, Input::Start);
    assert_eq!(peer.state(), State::Connect);
    let outputs = handle(&mut peer, now, Input::Accepted(ConnId(0)));
    assert!(matches!(outputs[..], [Output::Send { conn: ConnId(0), .. }]), "the OPEN: {outputs:?}");
    receive(&mut peer, now, 0, OPEN, &body(&peer_open()));
    let outputs = receive(&mut peer, now, 0, KEEPALIVE, &[]);
    assert!(outputs.contains(&Output::Abandon { attempt: 1 }));
    assert_eq!(peer.state(), State::Established);
}

/// Our role, its counterpart (RFC 9234 §4.2, table 2).
const ROLES: [(BgpRole, BgpRole); 5] = [
    (BgpRole::Provider, BgpRole::Customer),
    (BgpRole::Customer, BgpRole::Provider),
    (BgpRole::Rs, BgpRole::RsClient),
    (BgpRole::RsClient, BgpRole::Rs),
    (BgpRole::Peer, BgpRole::Peer),
];

/// The peer's OPEN with these role capabilities.
fn open_with_roles(roles: &[u8]) -> Vec<u8> {
    let mut open = peer_open();
    open.capabilities.extend(roles.iter().map(|r| Capability::Role(*r)));
    body(&open)
}

#[test]
fn rfc9234_4_1_the_role_is_announced_to_external_peers_once() {
    let announced = |settings: &Settings| {
        let open = fsm::negotiate::our_open(settings, false);
        let wire = body(&open);
        let read = bgp::open::Open::decode(&wire).unwrap();
        let roles = read.capabilities.iter().filter(|c| c.code() == 9).cloned();
        roles.collect::<Vec<_>>()
    };
    for (role, value) in [
        (BgpRole::Provider, 0),
        (BgpRole::Rs, 1),
        (BgpRole::RsClient, 2),
        (BgpRole::Customer, 3),
        (BgpRole::Peer, 4),
    ] {
        let external = Settings { role: Some(role), ..settings() };
        assert_eq!(announced(&external), [Capability::Role(value)]);
        let internal = Settings { remote_asn: external.local_asn, ..external };
        assert_eq!(announced(&internal), []);
    }
    assert_eq!(announced(&settings()), []);
}

#[test]
fn rfc9234_4_2_roles_that_do_not_correspond_are_refused() {
    let now = Instant::now();
    for (ours, right) in ROLES {
        let with_role = Settings { role: Some(ours), ..settings() };
        for theirs in 0..=5 {
            let open = open_with_roles(&[theirs]);
            if theirs == right as u8 {
                let mut peer = accepted(with_role.clone(), now);
                receive(&mut peer, now, 0, OPEN, &open);
                receive(&mut peer, now, 0, KEEPALIVE, &[]);
                assert_eq!(peer.established().map(|(_, s)| s.peer_role()), Some(right.to_string()));
            } else {
                println!("{ours} and {theirs}");
                expect_refused(accepted(with_role.clone(), now), now, OPEN, &open, (2, 11, &[]));
            }
        }
    }
}

#[test]
fn rfc9234_4_2_a_peer_without_a_role_is_refused_in_strict_mode_only() {
    let now = Instant::now();
    let plain = body(&peer_open());
    for (ours, _) in ROLES {
        let lenient = Settings { role: Some(ours), ..settings() };
        let strict = Settings { role_strict: true, ..lenient.clone() };
        assert!(lenient.needs_reset(&strict, None), "a session that it would refuse must not stay");
        expect_refused(accepted(strict, now), now, OPEN, &plain, (2, 11, &[]));
        let mut peer = accepted(lenient, now);
        receive(&mut peer, now, 0, OPEN, &plain);
        assert_eq!(peer.state(), State::OpenConfirm);
    }
    // Who has no role takes any, also one that is not assigned.
    for theirs in [0, 4, 200] {
        let mut peer = accepted(settings(), now);
        receive(&mut peer, now, 0, OPEN, &open_with_roles(&[theirs]));
        assert_eq!(peer.state(), State::OpenConfirm);
    }
}

#[test]
fn rfc9234_4_2_several_roles_count_as_one_where_they_are_equal_and_are_refused_where_not() {
    let now = Instant::now();
    let customer = Settings { role: Some(BgpRole::Customer), ..settings() };
    let mut peer = accepted(customer.clone(), now);
    receive(&mut peer, now, 0, OPEN, &open_with_roles(&[0, 0, 0]));
    assert_eq!(peer.state(), State::OpenConfirm);
    // The right one first, last, among others; and where we have no role of our own.
    for roles in [&[0, 3][..], &[3, 0], &[0, 0, 4]] {
        for ours in [customer.clone(), settings()] {
            expect_refused(accepted(ours, now), now, OPEN, &open_with_roles(roles), (2, 11, &[]));
        }
    }
    // Within an AS roles mean nothing.
    let internal = Settings { remote_asn: settings().local_asn, ..settings() };
    let mut open = peer_open();
    open.capabilities = vec![Capability::FourOctetAs(64512), Capability::Role(0), Capability::Role(4)];
    let mut peer = accepted(internal, now);
    receive(&mut peer, now, 0, OPEN, &body(&open));
    assert_eq!(peer.state(), State::OpenConfirm);
}
