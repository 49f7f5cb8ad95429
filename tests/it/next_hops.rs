//! IPv4 over sessions that have no IPv4 address (RFC 8950): a route of FRR reaches BIRD through us, and one of BIRD
//! reaches FRR, each with an IPv6 next hop.

use lab::peers::{Kind, Session, Setup};
use lab::{Error, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, wait};

const US: u32 = 65001;
const FRR: u32 = 65002;
const BIRD: u32 = 65003;

fn route(prefix: &str, asn: u32) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 50,
        local_pref: None,
        communities: vec![format!("{asn}:100")],
        large: vec![format!("{asn}:1:2")],
    }
}

/// Waits until somebody shows the route with this next hop and path.
fn expect(
    what: &str,
    next_hop: &str,
    path: &[u32],
    mut probe: impl FnMut() -> Result<Option<Seen>>,
) -> Result<()> {
    let next_hop: std::net::IpAddr = next_hop.parse()?;
    let mut last = None;
    let outcome = wait(what, 10, || {
        last = probe()?;
        Ok(last.as_ref().is_some_and(|seen| seen.next_hop == next_hop && seen.as_path == path))
    });
    outcome.map_err(|e| Error::new(format!("{e}: {last:?}")))
}

#[test]
fn rfc8950_ipv4_routes_with_ipv6_next_hops_between_frr_and_bird() -> Result<()> {
    Lab::run(|lab| {
        let (us, frr, bird) = (lab.host("us")?, lab.host("frr")?, lab.host("bird")?);
        lab.link(&us, &frr, &["fd00:1::1/64"], &["fd00:1::2/64"])?;
        lab.link(&us, &bird, &["fd00:2::1/64"], &["fd00:2::2/64"])?;
        let routes =
            |n: u8, asn| vec![route(&format!("10.{n}.0.0/24"), asn), route(&format!("fd{n}::/48"), asn)];
        let setup = |asn, router_id, local: &str, remote: &str, n| -> Result<Setup> {
            let session = Session::new(local, remote, US)?.extended_next_hop();
            Ok(Setup { asn, router_id, sessions: vec![session], routes: routes(n, asn) })
        };
        let frr = Kind::Frr.start(&frr, &setup(FRR, "10.0.1.2", "fd00:1::2", "fd00:1::1", 20)?)?;
        let bird = Kind::Bird.start(&bird, &setup(BIRD, "10.0.2.2", "fd00:2::2", "fd00:2::1", 30)?)?;
        let both = "[\"ipv4_unicast\", \"ipv6_unicast\"]";
        let neighbors = [("fd00:1::2", FRR), ("fd00:2::2", BIRD)];
        let neighbors = neighbors.map(|(address, asn)| Neighbor::new(address, asn).set("families", both));
        let us = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        us.wait_established(&["fd00:1::2".parse()?, "fd00:2::2".parse()?])?;
        for (prefix, asn, next_hop) in [
            ("10.20.0.0/24", FRR, "fd00:1::2"),
            ("fd20::/48", FRR, "fd00:1::2"),
            ("10.30.0.0/24", BIRD, "fd00:2::2"),
            ("fd30::/48", BIRD, "fd00:2::2"),
        ] {
            expect(&format!("{prefix} here"), next_hop, &[asn], || us.best(prefix))?;
        }
        expect("FRR's IPv4 route at BIRD", "fd00:2::1", &[US, FRR], || bird.route("10.20.0.0/24"))?;
        expect("FRR's IPv6 route at BIRD", "fd00:2::1", &[US, FRR], || bird.route("fd20::/48"))?;
        expect("BIRD's IPv4 route at FRR", "fd00:1::1", &[US, BIRD], || frr.route("10.30.0.0/24"))?;
        expect("BIRD's IPv6 route at FRR", "fd00:1::1", &[US, BIRD], || frr.route("fd30::/48"))
    })
}
