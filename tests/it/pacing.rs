//! When changes leave.

use bgpbench::bgp;
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker};

const US: u32 = 65001;
const PEER: u32 = 65002;

fn route(prefix: &str, med: u32) -> Route {
    let (communities, large) = (Vec::new(), Vec::new());
    Route { prefix: prefix.into(), origin: Origin::Igp, med, local_pref: None, communities, large }
}

/// The next UPDATE that is no End-of-RIB.
fn update(speaker: &mut Speaker) -> Result<Vec<u8>> {
    while let Some(message) = speaker.receive(30)? {
        if message.kind == bgp::UPDATE && message.body.len() > 4 {
            return Ok(message.body);
        }
    }
    lab::Error::fail("the session has ended".to_owned())
}

/// MULTI_EXIT_DISC.
fn med(n: u32) -> Vec<u8> {
    [&[0x80, 4, 4], n.to_be_bytes().as_slice()].concat()
}

/// RFC 4271 §9.2.1.1, on the wire.
#[test]
fn rfc4271_9_2_1_1_a_burst_leaves_as_one_announcement_and_a_withdrawal_at_once() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let neighbor = Neighbor::new(&Pairs::theirs(1).to_string(), PEER).set("passive", true);
        let neighbor = neighbor.set("advertisement_interval", 5);
        let us = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 0, [10, 0, 0, 2])?;
        us.wait_established(&[Pairs::theirs(1)])?;
        // In one part of the tables the second one waits for an interval; in another one it does not.
        for (prefix, octets) in [("10.30.0.0/16", [16, 10, 30]), ("10.31.0.0/16", [16, 10, 31])] {
            us.add(&route(prefix, 1), "10.0.1.1".parse()?, "")?;
            let first = update(&mut speaker)?;
            assert!(first.ends_with(&octets), "{first:?}");
        }
        for n in 2..=10 {
            us.add(&route("10.31.0.0/16", n), "10.0.1.1".parse()?, "")?;
        }
        us.delete("10.30.0.0/16")?;
        assert_eq!(update(&mut speaker)?, [0, 3, 16, 10, 30, 0, 0], "the withdrawal of 10.30.0.0/16");
        let last = update(&mut speaker)?;
        assert!(last.ends_with(&[16, 10, 31]), "{last:?}");
        assert!(last.windows(7).any(|w| w == med(10)), "the last of the burst: {last:?}");
        Ok(())
    })
}
