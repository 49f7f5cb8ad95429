//! Neighbors that break the rules, and a second daemon that is not wanted.

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::{Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
/// The neighbor that keeps to the rules, and must not notice any of it.
const GOOD: u8 = 99;
const ID: [u8; 4] = [10, 0, 0, 2];

/// What breaks the rules, when, and the code and subcode that must answer it.
struct Case {
    name: &'static str,
    after: After,
    bytes: Vec<u8>,
    answer: (u8, u8),
}

/// How far the session is when the bytes are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Connect,
    Open,
    Established,
}

/// A message with any header.
fn message(length: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// A correct OPEN with one octet changed; the offsets are those of RFC 4271 §4.2.
fn open_with(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bgp::open(PEER, 90, ID, false);
    for (offset, value) in changes {
        bytes[bgp::HEADER + offset] = *value;
    }
    bytes
}

/// An UPDATE with these octets as its attributes, for 10.66.0.0/16.
fn update(attributes: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(u16::try_from(attributes.len()).unwrap_or_default().to_be_bytes());
    body.extend(attributes);
    body.extend([16, 10, 66]);
    let length = u16::try_from(bgp::HEADER + body.len()).unwrap_or_default();
    message(length, bgp::UPDATE, &body)
}

fn cases() -> Vec<Case> {
    let case = |name, after, bytes, answer| Case { name, after, bytes, answer };
    let garbage = b"GET / HTTP/1.1\r\nHost: bgp.example.net\r\n\r\n".to_vec();
    vec![
        // RFC 4271 §6.1
        case("no marker", After::Connect, garbage, (1, 1)),
        case("length 18", After::Connect, message(18, bgp::OPEN, &[]), (1, 2)),
        case("length 4097", After::Connect, message(4097, bgp::OPEN, &[4]), (1, 2)),
        case("a KEEPALIVE with a body", After::Open, message(20, bgp::KEEPALIVE, &[0]), (1, 2)),
        case("type 9", After::Connect, message(19, 9, &[]), (1, 3)),
        // §6.2
        case("version 3", After::Connect, open_with(&[(0, 3)]), (2, 1)),
        case("another AS", After::Connect, bgp::open(65099, 90, ID, false), (2, 2)),
        case("identifier 0.0.0.0", After::Connect, bgp::open(PEER, 90, [0; 4], false), (2, 3)),
        case("hold time 1", After::Connect, open_with(&[(3, 0), (4, 1)]), (2, 6)),
        case("optional parameters too long", After::Connect, open_with(&[(9, 255)]), (2, 0)),
        // §6.6 and RFC 6608 §3
        case("KEEPALIVE for OPEN", After::Connect, bgp::keepalive(), (5, 1)),
        case("UPDATE for KEEPALIVE", After::Open, bgp::end_of_rib(false), (5, 2)),
        case("a second OPEN", After::Established, bgp::open(PEER, 90, ID, false), (5, 3)),
        // §6.3, as far as RFC 7606 leaves it
        case(
            "attributes beyond the message",
            After::Established,
            message(25, bgp::UPDATE, &[0, 0, 0xff, 0xff, 16, 10]),
            (3, 1),
        ),
        case(
            "an IPv4 prefix of 33 bits",
            After::Established,
            message(24, bgp::UPDATE, &[0, 0, 0, 0, 33]),
            (3, 10),
        ),
    ]
}

fn speaker(pairs: &Pairs, n: u8, after: After) -> Result<Speaker> {
    let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(n))?;
    match after {
        After::Connect => {}
        After::Open => {
            speaker.send(&bgp::open(PEER, 90, ID, false))?;
            speaker.expect(bgp::OPEN)?;
        }
        After::Established => speaker.handshake(PEER, 90, ID, false)?,
    }
    Ok(speaker)
}

#[test]
fn what_breaks_the_rules_is_answered_with_the_right_notification() -> Result<()> {
    Lab::run(|lab| {
        let cases = cases();
        let numbers: Vec<u8> = (1..).take(cases.len()).chain([GOOD]).collect();
        let pairs = Pairs::new(lab, &numbers)?;
        let neighbors: Vec<Neighbor> = numbers
            .iter()
            .map(|n| {
                Neighbor::new(&Pairs::theirs(*n).to_string(), PEER).set("passive", true).set("hold_time", 90)
            })
            .collect();
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut good = speaker(&pairs, GOOD, After::Established)?;
        let mut announcement = Vec::new();
        let prefix = Prefix { bits: 0x0a63_0000 << 32, len: 16, v6: false };
        bgp::announce(&mut announcement, PEER, Pairs::theirs(GOOD), &Attrs::default(), &[prefix]);
        good.send(&announcement)?;
        for (case, n) in cases.iter().zip(&numbers) {
            let mut bad = speaker(&pairs, *n, case.after)?;
            bad.send(&case.bytes)?;
            let farewell = bad.farewell(5).map_err(|e| format!("{}: {e}", case.name))?;
            let answer = farewell.and_then(|message| message.notification());
            assert_eq!(answer, Some(case.answer), "{}", case.name);
            let state = daemon.neighbor(Pairs::theirs(*n))?;
            assert!(!state.established && state.notifications_sent == 1, "{}: {state:?}", case.name);
        }
        // The others never noticed.
        let state = daemon.neighbor(Pairs::theirs(GOOD))?;
        assert!(state.established && state.flaps == 0, "{state:?}");
        wait("the good neighbor's route", 5, || Ok(daemon.best("10.99.0.0/16")?.is_some()))
    })
}

#[test]
fn rfc6286_2_2_who_has_our_identifier_inside_our_as_is_refused() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let neighbor = Neighbor::new(&Pairs::theirs(1).to_string(), US).set("passive", true);
        let _daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let mut speaker = speaker(&pairs, 1, After::Connect)?;
        speaker.send(&bgp::open(US, 90, [10, 0, 0, 1], false))?;
        let answer = speaker.farewell(30)?.and_then(|message| message.notification());
        assert_eq!(answer, Some((2, 3)));
        Ok(())
    })
}

/// RFC 7606: the session stays, the route does not get in.
#[test]
fn malformed_attributes_withdraw_a_route_and_keep_the_session() -> Result<()> {
    let origin = [0x40, 1, 1, 0];
    let path = [0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea];
    let hop = [0x40, 3, 4, 10, 0, 1, 2];
    let good = [origin.as_slice(), &path, &hop].concat();
    let malformed: &[(&str, Vec<u8>)] = &[
        ("§7.1: ORIGIN 3", [&[0x40, 1, 1, 3], path.as_slice(), &hop].concat()),
        ("§7.1: ORIGIN of two octets", [&[0x40, 1, 2, 0, 0], path.as_slice(), &hop].concat()),
        (
            "§7.2: AS_PATH that overruns",
            [origin.as_slice(), &[0x40, 2, 6, 2, 2, 0, 0, 0xfd, 0xea], &hop].concat(),
        ),
        ("§7.3: NEXT_HOP of three octets", [origin.as_slice(), &path, &[0x40, 3, 3, 10, 0, 1]].concat()),
        ("§7.4: MED of three octets", [good.as_slice(), &[0x80, 4, 3, 0, 0, 1]].concat()),
        ("§7.8: communities of five octets", [good.as_slice(), &[0xc0, 8, 5, 0, 0, 0, 0, 1]].concat()),
        ("§3(d): no ORIGIN", [path.as_slice(), &hop].concat()),
        (
            "RFC 4271 §9.1.2: our own AS",
            [origin.as_slice(), &[0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xea, 0, 0, 0xfd, 0xe9], &hop].concat(),
        ),
    ];
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let peer = Pairs::theirs(1);
        let neighbor = Neighbor::new(&peer.to_string(), PEER).set("passive", true).set("hold_time", 90);
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let mut speaker = speaker(&pairs, 1, After::Established)?;
        for (name, attributes) in malformed {
            speaker.send(&update(&good))?;
            wait("the good route", 5, || Ok(daemon.best("10.66.0.0/16")?.is_some()))?;
            speaker.send(&update(attributes))?;
            wait(&format!("the end of the route: {name}"), 5, || Ok(daemon.best("10.66.0.0/16")?.is_none()))?;
            assert!(daemon.neighbor(peer)?.established, "{name}");
        }
        Ok(())
    })
}

/// An address that is no neighbor's learns nothing, and costs nothing.
#[test]
fn strangers_are_turned_away() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let neighbor = Neighbor::new(&Pairs::theirs(1).to_string(), PEER).set("passive", true);
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let mut stranger = Speaker::connect(&pairs.peer, Pairs::port(2))?;
        while let Some(message) = stranger.receive(5)? {
            assert_ne!(message.kind, bgp::OPEN);
        }
        let _good = speaker(&pairs, 1, After::Established)?;
        daemon.wait_established(&[Pairs::theirs(1)])
    })
}

#[test]
fn a_second_daemon_ends_and_leaves_the_first_alone() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let neighbor =
            Neighbor::new(&Pairs::theirs(1).to_string(), PEER).set("passive", true).set("hold_time", 90);
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]);
        let mut daemon = Rustbgpd::start(&pairs.us, &config)?;
        let _speaker = speaker(&pairs, 1, After::Established)?;
        daemon.wait_established(&[Pairs::theirs(1)])?;
        // The same port with another state folder; the same state folder with another port; all the same.
        for (port, folder) in [("179", "/run/other"), ("1790", "/run/rustbgpd"), ("179", "/run/rustbgpd")] {
            let other = config.replace("listen_port = 179", &format!("listen_port = {port}"));
            let other = other.replace("\"/run/rustbgpd\"", &format!("\"{folder}\""));
            let mut second = Rustbgpd::spawn(&pairs.us, &other)?;
            let status = second.wait_end(10)?;
            assert_eq!(status.code(), Some(1), "{}", second.log());
            let log = second.log();
            let named = if port == "179" { log.contains("179") } else { log.contains("grpc.sock") };
            assert!(named, "the log names what is taken: {log}");
        }
        assert!(daemon.process().alive());
        let state = daemon.neighbor(Pairs::theirs(1))?;
        assert!(state.established && state.flaps == 0, "{state:?}");
        Ok(())
    })
}
