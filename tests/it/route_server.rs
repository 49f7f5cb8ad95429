//! As a route server on an exchange's LAN, between clients in two other ASes: what one announces, the other gets
//! as it was announced (RFC 7947 §2.2), and routes from elsewhere come to clients unchanged, too.

use std::net::IpAddr;
use std::rc::Rc;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, wait};

use crate::lan::lan;

const US: u32 = 65001;

/// A client: its host on the LAN, its AS, what it announces.
struct Client {
    asn: u32,
    addresses: [&'static str; 2],
    routes: [Route; 2],
    daemon: Box<dyn Peer>,
}

const SERVER: [&str; 2] = ["10.0.1.1", "fd00:1::1"];

fn route(prefix: &str, asn: u32, med: u32) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med,
        local_pref: None,
        communities: vec![format!("{asn}:100"), "65001:7".into()],
        large: vec![format!("{asn}:1:2")],
    }
}

/// What a client must show of a route.
fn seen(route: &Route, next_hop: &str, as_path: &[u32]) -> Result<Seen> {
    let mut communities = route.communities.clone();
    communities.sort();
    Ok(Seen {
        next_hop: next_hop.parse()?,
        as_path: as_path.to_vec(),
        origin: route.origin,
        med: Some(route.med),
        local_pref: None,
        communities,
        large: route.large.clone(),
    })
}

/// Waits until somebody shows exactly this route, whatever LOCAL_PREF it gives it by itself.
fn expect(what: &str, route: &Seen, mut probe: impl FnMut() -> Result<Option<Seen>>) -> Result<()> {
    let mut last = None;
    let outcome = wait(what, 10, || {
        last = probe()?.map(|seen| Seen { local_pref: None, ..seen });
        Ok(last.as_ref() == Some(route))
    });
    outcome.map_err(|e| Error::new(format!("{e}\n  should be {route:?}\n  but is   {last:?}")))
}

fn client(kind: Kind, host: &Rc<Host>, n: u8) -> Result<Client> {
    let asn = 65000 + u32::from(n);
    let (addresses, router_id) = match n {
        2 => (["10.0.1.2", "fd00:1::2"], "10.0.1.2"),
        _ => (["10.0.1.3", "fd00:1::3"], "10.0.1.3"),
    };
    let routes = [route(&format!("10.{n}.0.0/24"), asn, 50), route(&format!("fd{n}0::/48"), asn, 60)];
    let sessions = addresses.iter().zip(SERVER).map(|(a, s)| Ok(Session::new(a, s, US)?.route_server()));
    let setup = Setup { asn, router_id, sessions: sessions.collect::<Result<_>>()?, routes: routes.to_vec() };
    Ok(Client { asn, addresses, routes, daemon: kind.start(host, &setup)? })
}

#[test]
fn rfc7947_2_2_clients_get_each_others_routes_as_they_were_announced() -> Result<()> {
    Lab::run(|lab| {
        let [us, a, b] = lan(lab, ["us", "a", "b"])?;
        let clients = [client(Kind::Bird, &a, 2)?, client(Kind::Frr, &b, 3)?];
        let neighbors = clients.iter().flat_map(|c| c.addresses.map(|a| (a, c.asn)));
        let neighbors: Vec<Neighbor> =
            neighbors.map(|(a, asn)| Neighbor::new(a, asn).set("route_server_client", true)).collect();
        let us = Rustbgpd::start(&us, &Rustbgpd::configuration(US, SERVER[0], &neighbors))?;
        for client in &clients {
            for address in client.addresses {
                us.wait_established(&[address.parse()?])?;
            }
        }
        let [a, b] = &clients;
        for (from, to) in [(a, b), (b, a)] {
            for ((route, next_hop), at) in from.routes.iter().zip(from.addresses).zip(to.addresses) {
                let same = seen(route, next_hop, &[from.asn])?;
                expect("at the other client", &same, || to.daemon.route(&route.prefix))?;
                let at: IpAddr = at.parse()?;
                expect("what we say that we sent", &same, || us.advertised(at, &route.prefix))?;
                // Nobody gets its own route back.
                assert_eq!(us.advertised(next_hop.parse()?, &route.prefix)?, None);
            }
        }
        // Injected here: the path and the next hop that were asked for, nothing of ours.
        for (prefix, next_hop) in [("10.9.0.0/24", "10.0.1.9"), ("fd90::/48", "fd00:1::9")] {
            let own = route(prefix, 64999, 70);
            us.add(&own, next_hop.parse()?, "64999")?;
            let same = seen(&own, next_hop, &[64999])?;
            for client in &clients {
                expect("an injected route", &same, || client.daemon.route(prefix))?;
            }
        }
        Ok(())
    })
}
