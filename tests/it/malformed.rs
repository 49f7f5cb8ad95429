//! What no daemon sends: malformed UPDATEs (RFC 7606), what becomes of the route, what another peer hears of it, and
//! what the operator is shown.

use lab::{Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker};
use serde_json::Value;

use bgpbench::bgp;

const US: u32 = 65001;
const PEER: u32 = 65002;
const OBSERVER: u32 = 65003;

/// An attribute as it is sent.
type Raw = Vec<u8>;

fn attribute(flags: u8, code: u8, value: &[u8]) -> Raw {
    [&[flags, code, value.len() as u8], value].concat()
}

/// An UPDATE of the peer for 10.90.0.0/24 with `extra` in the place of the attribute of its type, or behind the
/// others.
fn update(extra: Option<&Raw>) -> Vec<u8> {
    let path = [&[2, 1], PEER.to_be_bytes().as_slice()].concat();
    let mut list =
        vec![attribute(0x40, 1, &[0]), attribute(0x40, 2, &path), attribute(0x40, 3, &[10, 0, 1, 2])];
    if let Some(extra) = extra {
        match list.iter_mut().find(|a| a[1] == extra[1]) {
            Some(place) => place.clone_from(extra),
            None => list.push(extra.clone()),
        }
    }
    let attributes = list.concat();
    let len = (attributes.len() as u16).to_be_bytes();
    message(&[&[0, 0], len.as_slice(), &attributes, &[24, 10, 90, 0]].concat())
}

fn message(body: &[u8]) -> Vec<u8> {
    let len = (bgp::HEADER + body.len()) as u16;
    [&[0xff; 16], len.to_be_bytes().as_slice(), &[bgp::UPDATE], body].concat()
}

/// The withdrawal of the route.
const WITHDRAWN: [u8; 8] = [0, 4, 24, 10, 90, 0, 0, 0];

fn errors(daemon: &Rustbgpd, n: u8) -> Result<Value> {
    daemon.json(&["neighbor", &Pairs::theirs(n).to_string(), "errors"])
}

#[test]
fn rfc7606_malformed_updates_are_handled_counted_and_shown_and_nobody_else_is_disturbed() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let neighbor = |n, asn| {
            let address = Pairs::theirs(n).to_string();
            Neighbor::new(&address, asn).set("hold_time", 90).set("passive", true)
        };
        let neighbors = [neighbor(1, PEER), neighbor(2, OBSERVER)];
        let mut daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut observer = Speaker::establish(&pairs.peer, Pairs::port(2), OBSERVER, 90, [10, 0, 2, 2])?;
        let mut peer = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 90, [10, 0, 1, 2])?;
        daemon.wait_established(&[Pairs::theirs(1), Pairs::theirs(2)])?;
        assert_eq!(observer.expect(bgp::UPDATE)?.body, [0; 4], "the End-of-RIB");
        assert_eq!(errors(&daemon, 1)?, serde_json::json!({ "errors": [], "counts": [] }));

        let withdraw = [
            ("undefined_origin", attribute(0x40, 1, &[7])),
            ("attribute_length", attribute(0x40, 3, &[10, 0, 1])),
            ("attribute_flags", attribute(0xc0, 4, &[0, 0, 0, 1])),
            ("attribute_length", attribute(0xc0, 8, &[1, 2, 3])),
            ("malformed_as_path", attribute(0x40, 2, &[2, 9, 0, 0])),
            ("as_zero", attribute(0x40, 2, &[2, 2, 0, 0, 0xfd, 0xea, 0, 0, 0, 0])),
            ("first_as", attribute(0x40, 2, &[2, 1, 0, 0, 0xfd, 0xeb])),
            ("attribute_overrun", vec![0xc0, 32, 12, 0, 0]),
        ];
        for (kind, wrong) in &withdraw {
            peer.send(&update(None))?;
            assert!(observer.expect(bgp::UPDATE)?.body.ends_with(&[24, 10, 90, 0]), "{kind}");
            peer.send(&update(Some(wrong)))?;
            assert_eq!(observer.expect(bgp::UPDATE)?.body, WITHDRAWN, "the old route goes: {kind}");
        }
        let discard = [
            ("attribute_length", attribute(0x40, 6, &[1])),
            ("attribute_length", attribute(0xc0, 7, &[1, 2])),
            ("internal_attribute_from_external_peer", attribute(0x40, 5, &[0, 0, 0, 200])),
        ];
        for (kind, wrong) in &discard {
            peer.send(&update(Some(wrong)))?;
            // Whatever was wrong is not passed on: with the first one the route is back, then nothing changes.
            let seen = daemon.received(Pairs::theirs(1), "10.90.0.0/24");
            lab::wait("the route", 5, || Ok(daemon.received(Pairs::theirs(1), "10.90.0.0/24")?.is_some()))
                .map_err(|e| format!("{e}: {kind} {seen:?}"))?;
        }
        let back = observer.expect(bgp::UPDATE)?.body;
        assert!(back.ends_with(&[24, 10, 90, 0]) && !back.windows(2).any(|w| w == [0x40, 6]), "{back:?}");

        let shown = errors(&daemon, 1)?;
        let list = shown["errors"].as_array().cloned().unwrap_or_default();
        let all = withdraw.iter().map(|w| (w, "treat_as_withdraw"));
        let all: Vec<_> = all.chain(discard.iter().map(|d| (d, "attribute_discard"))).collect();
        assert_eq!(list.len(), all.len(), "{shown}");
        for (error, ((kind, octets), verdict)) in list.iter().zip(all) {
            assert_eq!((&error["kind"], &error["verdict"]), (&Value::from(*kind), &Value::from(verdict)));
            // The attribute with its head, except where the value is what is wrong with it.
            let hex: String = octets.iter().map(|o| format!("{o:02x}")).collect();
            let shown = error["octets"].as_str().unwrap_or_default();
            assert!(!shown.is_empty() && hex.ends_with(shown), "{kind}: {error}");
        }
        let count = |kind: &str| -> u64 {
            let counts = shown["counts"].as_array().cloned().unwrap_or_default();
            counts.iter().filter(|c| c["kind"] == kind).filter_map(|c| c["count"].as_u64()).sum()
        };
        assert_eq!((count("attribute_length"), count("as_zero")), (4, 1));
        let metrics = daemon.ctl(&["metrics"])?;
        assert!(metrics.contains("bgp_update_errors_total{kind=\"attribute_length\"} 4\n"), "{metrics}");

        // A prefix of 33 bits: what was meant can't be known, and the session ends.
        peer.send(&message(&[0, 0, 0, 0, 33, 10, 90, 0, 0, 0]))?;
        assert_eq!(peer.farewell(5)?.and_then(|message| message.notification()), Some((3, 10)));
        assert_eq!(observer.expect(bgp::UPDATE)?.body, WITHDRAWN);
        let mut peer = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 90, [10, 0, 1, 2])?;
        daemon.wait_established(&[Pairs::theirs(1)])?;
        let list = errors(&daemon, 1)?["errors"].as_array().cloned().unwrap_or_default();
        let [.., update_error, ended] = list.as_slice() else { return Err(format!("{list:?}").into()) };
        assert_eq!(
            (&update_error["kind"], &update_error["verdict"]),
            (&"malformed_nlri".into(), &"session_reset".into())
        );
        assert_eq!(update_error["octets"], "210a5a000000");
        assert_eq!((&ended["kind"], &ended["notification_code"]), (&"notification".into(), &3.into()));
        assert_eq!(ended["notification_subcode"], 10);
        let words = daemon.ctl(&["neighbor", &Pairs::theirs(1).to_string(), "errors"])?;
        assert!(words.contains("21 0a 5a 00 00 00") && words.contains("UPDATE: malformed nlri"), "{words}");

        // Many of them do not fill memory or the log, and the observer has noticed nothing but routes.
        let wrong = update(Some(&attribute(0x40, 1, &[7])));
        for _ in 0..50 {
            peer.send(&wrong.repeat(100))?;
        }
        lab::wait("all of them", 10, || {
            Ok(daemon
                .ctl(&["metrics"])?
                .contains("bgp_update_errors_total{kind=\"undefined_origin\"} 5001\n"))
        })?;
        let list = errors(&daemon, 1)?["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(list, 16 + 1);
        assert!(daemon.process().log().matches("malformed attribute").count() <= 20);
        let state = daemon.neighbor(Pairs::theirs(2))?;
        assert!(state.established && state.flaps == 0 && state.notifications_sent == 0, "{state:?}");
        assert_eq!(errors(&daemon, 2)?, serde_json::json!({ "errors": [], "counts": [] }));
        Ok(())
    })
}
