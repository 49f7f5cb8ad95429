//! What configuration makes of what neighbors are sent, as BIRD, FRR and GoBGP see it: private AS numbers, default
//! routes.

use std::net::IpAddr;
use std::rc::Rc;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, wait};

use crate::lan::lan;

/// Private, as the numbers in some of the paths.
const US: u32 = 65001;
const US_AT: [&str; 2] = ["10.0.1.1", "fd00:1::1"];
/// The next hop of injected routes.
const ELSEWHERE: [&str; 2] = ["10.0.1.9", "fd00:1::9"];
/// The peers' ASes, none of them private.
const PEERS: [u32; 3] = [64497, 64498, 64499];
const DEFAULTS: [&str; 2] = ["0.0.0.0/0", "::/0"];

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 0,
        local_pref: None,
        communities: vec![],
        large: vec![],
    }
}

fn expect(
    what: &str,
    expected: Option<(IpAddr, &[u32])>,
    mut probe: impl FnMut() -> Result<Option<Seen>>,
) -> Result<()> {
    let mut last = None;
    let outcome = wait(what, 10, || {
        last = probe()?.map(|seen| (seen.next_hop, seen.as_path));
        Ok(last.as_ref().map(|(next_hop, path)| (*next_hop, path.as_slice())) == expected)
    });
    outcome.map_err(|e| Error::new(format!("{e}\n  should be {expected:?}\n  but is   {last:?}")))
}

/// The daemon with neighbors on one LAN, each over IPv4 and IPv6 with these settings.
fn start(lab: &Lab, settings: [&[(&str, &str)]; 3]) -> Result<(Rustbgpd, [Box<dyn Peer>; 3])> {
    let [us, a, b, c] = lan(lab, ["us", "a", "b", "c"])?;
    let addresses = |n: u8| [format!("10.0.1.{n}"), format!("fd00:1::{n}")];
    let peer = |kind: Kind, host: &Rc<Host>, n: u8, asn: u32, router_id: &'static str| {
        let sessions = addresses(n).into_iter().zip(US_AT).map(|(a, us)| Session::new(&a, us, US));
        let sessions = sessions.collect::<Result<_>>()?;
        kind.start(host, &Setup { asn, router_id, sessions, routes: vec![] })
    };
    let [first, second, third] = PEERS;
    let peers = [
        peer(Kind::Bird, &a, 2, first, "10.0.0.2")?,
        peer(Kind::Frr, &b, 3, second, "10.0.0.3")?,
        peer(Kind::GoBgp, &c, 4, third, "10.0.0.4")?,
    ];
    let mut neighbors = Vec::new();
    for ((n, asn), settings) in (2..).zip(PEERS).zip(settings) {
        for address in addresses(n) {
            let neighbor = Neighbor::new(&address, asn);
            neighbors.push(settings.iter().fold(neighbor, |all, (key, value)| all.set(key, value)));
        }
    }
    let us = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
    for address in (2..5).flat_map(addresses) {
        us.wait_established(&[address.parse()?])?;
    }
    Ok((us, peers))
}

#[test]
fn rfc6996_private_as_numbers_are_removed_or_replaced() -> Result<()> {
    Lab::run(|lab| {
        let modes: [&[(&str, &str)]; 3] = [
            &[("remove_private_as", "\"remove\"")],
            &[("remove_private_as", "\"all\"")],
            &[("remove_private_as", "\"replace\"")],
        ];
        let (us, peers) = start(lab, modes)?;
        for (n, (path, expected)) in (1..).zip([
            (
                "64512 3356 4200000001",
                [&[US, 64512, 3356, 4_200_000_001][..], &[US, 3356], &[US, US, 3356, US]],
            ),
            ("64512 65534", [&[US][..], &[US], &[US, US, US]]),
            ("3356 64511", [&[US, 3356, 64511][..]; 3]),
        ]) {
            for (prefix, next_hop) in [format!("10.{n}.0.0/24"), format!("fd{n}0::/48")].iter().zip(ELSEWHERE)
            {
                let next_hop: IpAddr = next_hop.parse()?;
                us.add(&route(prefix), next_hop, path)?;
                for (peer, path) in peers.iter().zip(expected) {
                    expect("a path with private numbers", Some((next_hop, path)), || peer.route(prefix))?;
                }
            }
        }
        Ok(())
    })
}

#[test]
fn a_default_route_is_announced_whatever_the_table_has() -> Result<()> {
    Lab::run(|lab| {
        let with: &[(&str, &str)] = &[("default_originate", "true")];
        let (us, [bird, frr, plain]) = start(lab, [with, with, &[]])?;
        let everywhere = |of_table: Option<&[u32]>| -> Result<()> {
            for ((prefix, ours), elsewhere) in DEFAULTS.into_iter().zip(US_AT).zip(ELSEWHERE) {
                let (ours, elsewhere): (IpAddr, IpAddr) = (ours.parse()?, elsewhere.parse()?);
                let of_table = of_table.map(|path| (elsewhere, path));
                expect("the table's default route", of_table, || plain.route(prefix))?;
                for (peer, n) in [(&bird, 2), (&frr, 3)] {
                    expect("a default route", Some((ours, &[US])), || peer.route(prefix))?;
                    let at =
                        if prefix.contains("::") { format!("fd00:1::{n}") } else { format!("10.0.1.{n}") };
                    let listed = us.json(&["rib", "advertised", &at])?;
                    let routes = listed.as_array().or_else(|| listed["routes"].as_array());
                    let paths: Vec<_> = routes.into_iter().flatten().map(|r| &r["as_path"]).collect();
                    assert_eq!(paths, [&serde_json::json!([US])], "one route, and it is ours: {listed}");
                }
            }
            Ok(())
        };
        everywhere(None)?;
        for (prefix, next_hop) in DEFAULTS.into_iter().zip(ELSEWHERE) {
            us.add(&route(prefix), next_hop.parse()?, "3356")?;
        }
        everywhere(Some(&[US, 3356]))?;
        DEFAULTS.into_iter().try_for_each(|prefix| us.delete(prefix))?;
        everywhere(None)
    })
}
