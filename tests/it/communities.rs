//! Well-known communities: who is still sent a route that carries one, with a neighbor of another AS as its source,
//! and BIRD inside of our AS, FRR outside, and GoBGP as a lateral peer.

use std::net::IpAddr;

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Lab, Neighbor, Result, Rustbgpd, Speaker, wait};

use crate::lan::lan;

const US: u32 = 65001;
const SOURCE: u32 = 65005;
const NO_EXPORT: &str = "65535:65281";

/// A community, and whether a route with it is for neighbors inside, outside, and for lateral peers.
const CASES: [(u32, [bool; 3]); 6] = [
    // RFC 7999 §3.2
    (0xffff_029a, [true, false, false]),
    // RFC 1997: NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED
    (0xffff_ff01, [true, false, false]),
    (0xffff_ff02, [false, false, false]),
    (0xffff_ff03, [true, false, false]),
    // RFC 3765 §2: NOPEER
    (0xffff_ff04, [true, true, false]),
    // One that means nothing.
    (0xfded_0001, [true, true, true]),
];

fn prefix(n: u64) -> (Prefix, String) {
    (Prefix { bits: (0x0a5a_0000 + (n << 8)) << 32, len: 24, v6: false }, format!("10.90.{n}.0/24"))
}

#[test]
fn rfc1997_rfc3765_rfc7999_communities_keep_a_route_in() -> Result<()> {
    Lab::run(|lab| {
        let [us, inside, outside, lateral, source] =
            lan(lab, ["us", "inside", "outside", "lateral", "source"])?;
        let start = |kind: Kind, host, n: u8, asn, router_id| -> Result<(IpAddr, Box<dyn Peer>)> {
            let address = format!("10.0.1.{n}");
            let sessions = vec![Session::new(&address, "10.0.1.1", US)?];
            let daemon = kind.start(host, &Setup { asn, router_id, sessions, routes: Vec::new() })?;
            Ok((address.parse()?, daemon))
        };
        let peers = [
            start(Kind::Bird, &inside, 2, US, "10.0.0.2")?,
            start(Kind::Frr, &outside, 3, 65003, "10.0.0.3")?,
            start(Kind::GoBgp, &lateral, 4, 65004, "10.0.0.4")?,
        ];
        let neighbor = |n: u8, asn| Neighbor::new(&format!("10.0.1.{n}"), asn);
        let neighbors = [
            neighbor(2, US),
            neighbor(3, 65003),
            neighbor(4, 65004).set("role", "\"peer\""),
            neighbor(5, SOURCE).set("passive", true),
        ];
        let daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut speaker = Speaker::establish(&source, "10.0.1.1:179".parse()?, SOURCE, 0, [10, 0, 0, 5])?;
        daemon.wait_established(&[peers[0].0, peers[1].0, peers[2].0])?;
        let mut updates = Vec::new();
        for (n, (community, _)) in (1..).zip(CASES) {
            let attrs = Attrs { communities: vec![community], ..Attrs::default() };
            bgp::announce(&mut updates, SOURCE, "10.0.1.5".parse()?, &attrs, &[prefix(n).0]);
        }
        speaker.send(&updates)?;

        for (i, (address, peer)) in peers.iter().enumerate() {
            for (n, (community, goes_to)) in (1..).zip(CASES).filter(|(_, (_, goes_to))| goes_to[i]) {
                let (_, text) = prefix(n);
                wait(&format!("{text}, {community:x}, at {address}"), 30, || {
                    Ok(peer.route(&text)?.is_some())
                })
                .map_err(|e| format!("{e} {goes_to:?}"))?;
            }
        }
        for (i, (address, peer)) in peers.iter().enumerate() {
            for (n, (community, _)) in (1..).zip(CASES).filter(|(_, (_, goes_to))| !goes_to[i]) {
                let (_, text) = prefix(n);
                assert_eq!(daemon.advertised(*address, &text)?, None, "{community:x} to {address}");
                assert_eq!(peer.route(&text)?, None, "{community:x} at {address}");
            }
        }
        // What is to be dropped stays inside, whoever passes it on.
        let blackhole = peers[0].1.route(&prefix(1).1)?.map(|seen| seen.communities);
        assert!(blackhole.as_ref().is_some_and(|all| all.iter().any(|c| c == NO_EXPORT)), "{blackhole:?}");
        Ok(())
    })
}
