//! As a route reflector (RFC 4456): two clients, BIRD and FRR, and two other internal neighbors, BIRD and a speaker that
//! says what no router would.

use std::net::IpAddr;
use std::rc::Rc;

use bgpbench::bgp::{self, Prefix};
use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Reflection, Result, Route, Rustbgpd, Seen, Speaker, wait};

use crate::lan::lan;

const US: u32 = 65001;
const US_AT: [&str; 2] = ["10.0.1.1", "fd00:1::1"];
const ROUTER_ID: &str = "10.0.0.1";
const CLUSTER: &str = "10.9.9.9";
const SPEAKER: &str = "10.0.1.5";

/// A router of our AS.
struct Router {
    addresses: [String; 2],
    router_id: &'static str,
    /// What it announces, IPv4 and IPv6.
    routes: [Route; 2],
    daemon: Box<dyn Peer>,
}

fn route(prefix: &str, n: u8) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 50,
        local_pref: Some(200),
        communities: vec![format!("65001:{n}")],
        large: vec![format!("65001:{n}:2")],
    }
}

impl Router {
    fn start(kind: Kind, host: &Rc<Host>, n: u8, router_id: &'static str) -> Result<Self> {
        let addresses = [format!("10.0.1.{n}"), format!("fd00:1::{n}")];
        let routes = [route(&format!("10.{n}.0.0/24"), n), route(&format!("fd{n}0::/48"), n)];
        let sessions = addresses.iter().zip(US_AT).map(|(a, us)| Session::new(a, us, US));
        let sessions = sessions.collect::<Result<_>>()?;
        let daemon = kind.start(host, &Setup { asn: US, router_id, sessions, routes: routes.to_vec() })?;
        Ok(Router { addresses, router_id, routes, daemon })
    }

    /// Its routes with the next hops that it gives them, as another router must have them: RFC 4456 §10.
    fn as_announced(&self) -> Result<Vec<(&str, Seen)>> {
        let seen = |(route, next_hop): (&Route, &String)| -> Result<Seen> {
            Ok(Seen {
                next_hop: next_hop.parse()?,
                as_path: vec![],
                origin: route.origin,
                med: Some(route.med),
                local_pref: route.local_pref,
                communities: route.communities.clone(),
                large: route.large.clone(),
            })
        };
        let all = self.routes.iter().zip(&self.addresses);
        all.map(|pair| Ok((pair.0.prefix.as_str(), seen(pair)?))).collect()
    }

    /// Waits until its route for a prefix has this in it.
    fn expect_reflection(&self, prefix: &str, expected: Option<&Reflection>) -> Result<()> {
        expect("ORIGINATOR_ID and CLUSTER_LIST", expected, || self.daemon.reflection(prefix))
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: Option<&T>,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<()> {
    let mut last = None;
    let outcome = wait(what, 10, || {
        last = probe()?;
        Ok(last.as_ref() == expected)
    });
    outcome.map_err(|e| Error::new(format!("{e}\n  should be {expected:?}\n  but is   {last:?}")))
}

fn reflection(originator: &str, clusters: &[&str]) -> Reflection {
    let clusters = clusters.iter().map(|c| (*c).to_string()).collect();
    Reflection { originator: Some(originator.into()), clusters }
}

/// An UPDATE of the speaker for 10.6.N.0/24, with more attributes behind LOCAL_PREF.
fn update(n: u8, more: &[u8]) -> Vec<u8> {
    let mandatory = [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 10, 0, 1, 5, 0x40, 5, 4, 0, 0, 0, 100];
    let attributes = [&mandatory, more].concat();
    let length = u16::try_from(attributes.len()).unwrap_or_default().to_be_bytes();
    let body = [&[0, 0], length.as_slice(), &attributes, &[24, 10, 6, n]].concat();
    let whole = u16::try_from(bgp::HEADER + body.len()).unwrap_or_default().to_be_bytes();
    [&[0xff; 16], whole.as_slice(), &[bgp::UPDATE], &body].concat()
}

/// What routers announce and who gets it: from clients all, from others the clients.
fn check_routers([a, b, c]: [&Router; 3], us: &Rustbgpd) -> Result<()> {
    for (from, to) in [(a, b), (b, a), (a, c), (b, c), (c, a), (c, b)] {
        for (prefix, seen) in from.as_announced()? {
            expect("a reflected route", Some(&seen), || to.daemon.route(prefix))?;
            to.expect_reflection(prefix, Some(&reflection(from.router_id, &[CLUSTER])))?;
        }
    }
    for router in [a, b, c] {
        for ((prefix, _), address) in router.as_announced()?.into_iter().zip(&router.addresses) {
            assert_eq!(us.advertised(address.parse()?, prefix)?, None, "nobody gets its own route back");
        }
    }
    Ok(())
}

/// The prefixes that the speaker is told of, until it has heard of all these.
fn heard(speaker: &mut Speaker, until: &[Prefix]) -> Result<Vec<Prefix>> {
    let mut list = Vec::new();
    while !until.iter().all(|p| list.contains(p)) {
        let message = speaker.expect(bgp::UPDATE)?;
        bgp::routes(&message.body, |prefix, announced| list.extend(announced.then_some(prefix)))?;
    }
    Ok(list)
}

fn prefix(a: u8, b: u8, c: u8) -> Prefix {
    Prefix { bits: u64::from(u32::from_be_bytes([a, b, c, 0])) << 32, len: 24, v6: false }
}

/// What the speaker says, and who gets it: clients.
fn check_speaker(speaker: &mut Speaker, [a, b, c]: [&Router; 3], us: &Rustbgpd) -> Result<()> {
    let of_clients = [prefix(10, 2, 0), prefix(10, 3, 0)];
    let told = heard(speaker, &of_clients)?;
    assert!(told.iter().all(|p| of_clients.contains(p)), "only what clients say: {told:?}");
    speaker.send(&update(1, &[]))?;
    let others = [0x80, 9, 4, 10, 7, 7, 7, 0x80, 10, 4, 10, 8, 8, 8];
    speaker.send(&update(2, &others))?;
    for client in [a, b] {
        client.expect_reflection("10.6.1.0/24", Some(&reflection("10.0.0.5", &[CLUSTER])))?;
        // RFC 4456 §8: an originator stays, our cluster comes in front.
        client.expect_reflection("10.6.2.0/24", Some(&reflection("10.7.7.7", &[CLUSTER, "10.8.8.8"])))?;
    }
    for own in ["10.6.1.0/24", "10.6.2.0/24"] {
        assert_eq!(us.advertised(c.addresses[0].parse()?, own)?, None);
        assert_eq!(c.daemon.route(own)?, None);
    }
    Ok(())
}

/// What has been here before is refused, and what was announced before it goes.
fn check_loops(speaker: &mut Speaker, client: &Router, us: &Rustbgpd) -> Result<()> {
    let at: IpAddr = SPEAKER.parse()?;
    let loops: [&[u8]; 2] = [&[0x80, 9, 4, 10, 0, 0, 1], &[0x80, 10, 8, 10, 8, 8, 8, 10, 9, 9, 9]];
    for back in loops {
        speaker.send(&update(3, &[]))?;
        client.expect_reflection("10.6.3.0/24", Some(&reflection("10.0.0.5", &[CLUSTER])))?;
        speaker.send(&update(3, back))?;
        client.expect_reflection("10.6.3.0/24", None)?;
        assert_eq!(us.received(at, "10.6.3.0/24")?, None);
    }
    assert!(us.neighbor(at)?.established);
    assert_eq!(us.json(&["neighbor", SPEAKER])?["reflection_loops"], 2);
    let counter = format!("bgp_rr_loop_detected_total{{peer=\"{SPEAKER}\"}} 2");
    let metrics = us.ctl(&["metrics"])?;
    assert!(metrics.lines().any(|line| line == counter), "{metrics}");
    Ok(())
}

#[test]
fn rfc4456_a_reflector_between_clients_and_others() -> Result<()> {
    Lab::run(|lab| {
        let [us, a, b, c, d] = lan(lab, ["us", "a", "b", "c", "d"])?;
        let a = Router::start(Kind::Bird, &a, 2, "10.0.0.2")?;
        let b = Router::start(Kind::Frr, &b, 3, "10.0.0.3")?;
        let c = Router::start(Kind::Bird, &c, 4, "10.0.0.4")?;
        let of = |r: &Router, client: bool| {
            r.addresses.each_ref().map(|a| Neighbor::new(a, US).set("route_reflector_client", client))
        };
        let mut neighbors = [of(&a, true), of(&b, true), of(&c, false)].concat();
        neighbors.push(Neighbor::new(SPEAKER, US).set("passive", true).set("hold_time", 90));
        let config = Rustbgpd::configuration(US, ROUTER_ID, &neighbors);
        let config = config.replacen("[global]", &format!("[global]\ncluster_id = \"{CLUSTER}\""), 1);
        let us = Rustbgpd::start(&us, &config)?;
        let routers = [&a, &b, &c];
        for address in routers.iter().flat_map(|r| &r.addresses) {
            us.wait_established(&[address.parse()?])?;
        }
        check_routers(routers, &us)?;
        let [at, _] = US_AT;
        let mut speaker = Speaker::establish(&d, (at.parse::<IpAddr>()?, 179).into(), US, 90, [10, 0, 0, 5])?;
        check_speaker(&mut speaker, routers, &us)?;
        check_loops(&mut speaker, &a, &us)?;
        // RFC 4456 §8: only what is reflected gets the attributes.
        us.add(&route("10.9.0.0/24", 9), at.parse()?, "64999")?;
        for router in routers {
            router.expect_reflection("10.9.0.0/24", Some(&Reflection::default()))?;
        }
        Ok(())
    })
}
