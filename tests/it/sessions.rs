//! What sessions are told and what they carry: shutdown communication, extended messages, and the end of one whose
//! peer does not read.

use lab::peers::{Kind, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Seen, Speaker, wait};
use serde_json::Value;

use bgpbench::bgp;

const US: u32 = 65001;
const PEER: u32 = 65002;
/// Who originates what the others are sent.
const SOURCE: u32 = 65003;

fn session(n: u8) -> Result<Session> {
    Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), US)
}

fn neighbor(n: u8) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), PEER)
}

/// RFC 9003: either side says why, and the other one shows it.
fn shutdown_communication(kind: Kind) -> Result<()> {
    const THEIRS: &str = "moving racks T-1";
    const OURS: &str = "spare parts B-2";
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[1, 2])?;
        let sessions = vec![session(1)?, session(2)?];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: Vec::new() };
        let mut other = kind.start(&peer, &setup)?;
        let config = Rustbgpd::configuration(US, "10.0.1.1", &[neighbor(1), neighbor(2)]);
        let mut daemon = Rustbgpd::start(&us, &config)?;
        daemon.wait_established(&[Pairs::theirs(1), Pairs::theirs(2)])?;
        wait("both sessions at the peer", 5, || {
            Ok(other.established(Pairs::ours(1))? && other.established(Pairs::ours(2))?)
        })?;

        other.shut_down(Pairs::ours(1), THEIRS)?;
        // Of a peer that has the N bit, in a Hard Reset (RFC 8538 §5.2).
        let shown = format!("Cease/Administrative Shutdown (6/2): \"{THEIRS}\"");
        wait("what the peer said", 5, || {
            let said = daemon.neighbor(Pairs::theirs(1))?.last_error;
            Ok(said.starts_with("received NOTIFICATION Cease/") && said.contains(&shown))
        })
        .map_err(|e| format!("{e}: {:?}", daemon.neighbor(Pairs::theirs(1))))?;
        daemon.process().wait_log(&format!("\"communication\":\"{THEIRS}\""), 5)?;

        daemon.ctl(&["neighbor", &Pairs::theirs(2).to_string(), "disable", "--reason", OURS])?;
        other.process().wait_log(OURS, 5)?;
        assert!(daemon.neighbor(Pairs::theirs(2))?.last_error.contains(OURS));
        // In each direction for itself.
        let state = |n| daemon.json(&["neighbor", &Pairs::theirs(n).to_string()]);
        let (theirs, ours) = (state(1)?, state(2)?);
        let text = |value: &Value| value["message"].as_str().unwrap_or_default().to_owned();
        assert!(text(&theirs["last_notification_received"]).contains(THEIRS), "{theirs}");
        assert!(text(&ours["last_notification_sent"]).contains(OURS), "{ours}");
        assert_eq!(theirs["last_notification_sent"], Value::Null);
        Ok(())
    })
}

#[test]
fn rfc9003_shutdown_communication_with_frr() -> Result<()> {
    shutdown_communication(Kind::Frr)
}

#[test]
fn rfc9003_shutdown_communication_with_bird() -> Result<()> {
    shutdown_communication(Kind::Bird)
}

#[test]
fn rfc9003_shutdown_communication_with_openbgpd() -> Result<()> {
    shutdown_communication(Kind::OpenBgpd)
}

#[test]
fn rfc9003_shutdown_communication_with_gobgp() -> Result<()> {
    shutdown_communication(Kind::GoBgp)
}

/// How many large communities make a route too long for 4096 octets.
const MANY: u16 = 400;

/// An UPDATE of a speaker for 10.`n`.0.0/24 with so many large communities.
fn update(n: u8, from: u8, communities: u16) -> Vec<u8> {
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    attributes.extend(SOURCE.to_be_bytes());
    attributes.extend([0x40, 3, 4, 10, 0, from, 2]);
    let large = (1..=u32::from(communities)).flat_map(|c| [PEER, c, 7]).flat_map(u32::to_be_bytes);
    attributes.extend([0xd0, 32]);
    attributes.extend((12 * communities).to_be_bytes());
    attributes.extend(large);
    let body =
        [&[0, 0], (attributes.len() as u16).to_be_bytes().as_slice(), &attributes, &[24, 10, n, 0]].concat();
    let len = (bgp::HEADER + body.len()) as u16;
    [&[0xff; 16], len.to_be_bytes().as_slice(), &[bgp::UPDATE], &body].concat()
}

/// RFC 8654: routes that need more than 4096 octets go to who takes such messages and to nobody else.
fn extended_messages(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[1, 2, 3])?;
        let large = (1..=MANY).map(|n| format!("65002:{n}:7")).collect();
        let communities = vec!["65002:1".into()];
        let route = Route {
            prefix: "10.71.0.0/24".into(),
            origin: Origin::Igp,
            med: 1,
            local_pref: None,
            communities,
            large,
        };
        // FRR's terminal has no room for a line that sets so many.
        let routes = if kind == Kind::Bird { vec![route] } else { Vec::new() };
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions: vec![session(1)?], routes };
        let other = kind.start(&peer, &setup)?;
        let plain = |n, asn| {
            let address = Pairs::theirs(n).to_string();
            Neighbor::new(&address, asn).set("hold_time", 90).set("passive", true)
        };
        let neighbors = [neighbor(1), plain(2, SOURCE), plain(3, PEER)];
        let daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        daemon.wait_established(&[Pairs::theirs(1)])?;
        let state = daemon.json(&["neighbor", &Pairs::theirs(1).to_string()])?;
        for side in ["capabilities_sent", "capabilities_received"] {
            let all = state[side].as_array().cloned().unwrap_or_default();
            assert!(all.iter().any(|c| c == "extended-message"), "{side}: {state}");
        }
        let long = |seen: Option<Seen>| seen.is_some_and(|seen| seen.large.len() == usize::from(MANY));
        if kind == Kind::Bird {
            wait("the peer's long route", 10, || {
                Ok(long(daemon.received(Pairs::theirs(1), "10.71.0.0/24")?))
            })?;
        }
        let mut plain = Speaker::establish(&peer, Pairs::port(3), PEER, 90, [10, 0, 3, 2])?;
        let mut source = Speaker::establish(&peer, Pairs::port(2), SOURCE, 90, [10, 0, 2, 2])?;
        source.send(&update(72, 2, MANY))?;
        wait("the long route at the peer", 10, || {
            let seen = other.route("10.72.0.0/24")?;
            // BIRD shows such a list on many lines, of which the lab reads one.
            Ok(if kind == Kind::Bird { seen.is_some_and(|s| !s.large.is_empty()) } else { long(seen) })
        })?;
        // What comes behind it reaches the other speaker, which is sent none of the long ones.
        source.send(&update(73, 2, 1))?;
        loop {
            let body = plain.expect(bgp::UPDATE)?.body;
            assert!(![71, 72].iter().any(|n| body.ends_with(&[24, 10, *n, 0])));
            if body.ends_with(&[24, 10, 73, 0]) {
                break;
            }
        }
        assert_eq!(daemon.advertised(Pairs::theirs(3), "10.72.0.0/24")?, None);
        assert!(long(daemon.advertised(Pairs::theirs(1), "10.72.0.0/24")?));
        // A long one in the place of a short one: the short one is withdrawn there, not left.
        source.send(&update(73, 2, MANY))?;
        let withdrawn = plain.expect(bgp::UPDATE)?.body;
        assert_eq!(withdrawn, [0, 4, 24, 10, 73, 0, 0, 0]);
        Ok(())
    })
}

#[test]
fn rfc8654_extended_messages_with_frr() -> Result<()> {
    extended_messages(Kind::Frr)
}

#[test]
fn rfc8654_extended_messages_with_bird() -> Result<()> {
    extended_messages(Kind::Bird)
}

/// RFC 9687: a peer that goes on to live and does not read is given up; others do not notice.
#[test]
fn rfc9687_a_peer_that_does_not_read_is_torn_down() -> Result<()> {
    const ROUTES: u64 = 200_000;
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        // Little room in sockets.
        for host in [&pairs.us, &pairs.peer] {
            host.sh(
                "echo 4096 16384 65536 | tee /proc/sys/net/ipv4/tcp_wmem /proc/sys/net/ipv4/tcp_rmem",
                &[],
            )?;
        }
        let stuck = neighbor(1).set("passive", true).set("hold_time", 3).set("send_hold_time", 4);
        let feeding = neighbor(2).set("passive", true).set("hold_time", 90);
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[stuck, feeding]))?;
        let mut stuck = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 3, [10, 0, 1, 2])?;
        let mut feeding = Speaker::establish(&pairs.peer, Pairs::port(2), PEER, 90, [10, 0, 2, 2])?;
        daemon.wait_established(&[Pairs::theirs(1), Pairs::theirs(2)])?;
        let state = daemon.json(&["neighbor", &Pairs::theirs(1).to_string()])?;
        assert_eq!(state["send_hold_time"], 4);

        let prefixes: Vec<bgp::Prefix> = (0..ROUTES)
            .map(|n| bgp::Prefix { bits: (0x1400_0000 + (n << 8)) << 32, len: 24, v6: false })
            .collect();
        let mut updates = Vec::new();
        bgp::announce(&mut updates, PEER, Pairs::theirs(2), &bgp::Attrs::default(), &prefixes);
        feeding.send(&updates)?;
        wait("the end of the session", 20, || {
            // It lives: only what we send does not get through. In the end there is nobody to tell that.
            let _ = stuck.send(&bgp::keepalive());
            Ok(daemon.neighbor(Pairs::theirs(1))?.last_error.contains("Send Hold Timer Expired (8/0)"))
        })?;
        assert_eq!(stuck.farewell(10)?.and_then(|message| message.notification()), Some((8, 0)));
        let state = daemon.neighbor(Pairs::theirs(2))?;
        assert!(state.established && state.flaps == 0 && state.prefixes_received == ROUTES, "{state:?}");
        Ok(())
    })
}
