//! As a route server on an exchange's LAN, between clients in two other ASes: what one announces, the other gets
//! as it was announced (RFC 7947 §2.2), and routes from elsewhere come to clients unchanged, too. What one of them may
//! not have hides nothing from it (§2.3).

use std::net::IpAddr;
use std::rc::Rc;

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, Speaker, wait};

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

/// Of the speaker's session: it sends no KEEPALIVE, and is over long before.
const HOLD_TIME: u16 = 90;

/// A route with it stays in our AS (RFC 1997).
const NO_EXPORT: u32 = 0xffff_ff01;

/// Clients announce the same prefix; what each has of it is told by the AS that it is from.
#[test]
fn rfc7947_2_3_what_one_client_may_not_have_hides_nothing_from_it() -> Result<()> {
    Lab::run(|lab| {
        let [us, a, b, c] = lan(lab, ["us", "a", "b", "c"])?;
        let mut clients = [client(Kind::Bird, &a, 2)?, client(Kind::Frr, &b, 3)?];
        let (third, third_asn): (IpAddr, u32) = ("10.0.1.4".parse()?, 65004);
        let neighbors = clients.iter().map(|c| (c.addresses[0], c.asn)).chain([("10.0.1.4", third_asn)]);
        let neighbors: Vec<Neighbor> =
            neighbors.map(|(a, asn)| Neighbor::new(a, asn).set("route_server_client", true)).collect();
        let neighbors: Vec<Neighbor> = neighbors.into_iter().map(|n| n.set("hold_time", HOLD_TIME)).collect();
        let us = Rustbgpd::start(&us, &Rustbgpd::configuration(US, SERVER[0], &neighbors))?;
        let mut speaker = Speaker::establish(
            &c,
            (SERVER[0].parse::<IpAddr>()?, 179).into(),
            third_asn,
            HOLD_TIME,
            [10, 0, 0, 4],
        )?;
        let at: [IpAddr; 3] = ["10.0.1.2".parse()?, "10.0.1.3".parse()?, third];
        us.wait_established(&at)?;

        let prefix = "10.70.0.0/24";
        // By which AS each client has the prefix: BIRD, FRR (beside their own), and what the speaker was sent.
        let first = |seen: Seen| seen.as_path.first().copied();
        let has = |what: &str, clients: &[Client; 2], expected: [Option<u32>; 3]| -> Result<()> {
            let mut last = [None; 3];
            let outcome = wait(what, 60, || {
                for (client, last) in clients.iter().zip(&mut last) {
                    *last = client.daemon.paths(prefix)?.into_iter().find_map(first);
                }
                last[2] = us.advertised(third, prefix)?.and_then(first);
                Ok(last == expected)
            });
            outcome.map_err(|e| Error::new(format!("{e}\n  should be {expected:?}\n  but is   {last:?}")))
        };
        let (bird, frr) = (Some(clients[0].asn), Some(clients[1].asn));
        let own = clients.each_ref().map(|c| route(prefix, c.asn, 0));
        clients[1].daemon.announce(&own[1])?;
        has("the only one", &clients, [frr, None, frr])?;
        // By its identifier, BIRD's goes before FRR's.
        clients[0].daemon.announce(&own[0])?;
        has("BIRD's, and FRR's for itself", &clients, [frr, bird, bird])?;
        clients[0].daemon.withdraw(prefix)?;
        has("FRR's alone", &clients, [frr, None, frr])?;
        clients[0].daemon.announce(&own[0])?;
        has("both again", &clients, [frr, bird, bird])?;
        clients[1].daemon.withdraw(prefix)?;
        // FRR passes it on, and BIRD refuses what has its own AS in its path.
        has("BIRD's alone", &clients, [None, bird, bird])?;
        clients[1].daemon.announce(&own[1])?;
        has("both once more", &clients, [frr, bird, bird])?;

        // The best of all may go to nobody, then to others.
        let says = |communities: Vec<u32>| {
            let (mut update, attrs) = (Vec::new(), Attrs { communities, ..Attrs::default() });
            bgp::announce(&mut update, third_asn, third, &attrs, &[nlri()]);
            update
        };
        speaker.send(&says(vec![NO_EXPORT]))?;
        let best = || Ok(us.best(prefix)?.is_some_and(|seen| seen.as_path == [third_asn]));
        wait("the speaker's route to be the best", 60, best)?;
        has("both, which the best one does not hide", &clients, [frr, bird, bird])?;
        speaker.send(&says(vec![]))?;
        has("the best one, and BIRD's for the speaker", &clients, [Some(third_asn), Some(third_asn), bird])?;
        let mut withdrawal = Vec::new();
        bgp::withdraw(&mut withdrawal, &[nlri()]);
        speaker.send(&withdrawal)?;
        has("both in the end", &clients, [frr, bird, bird])
    })
}

/// The prefix of the clients' routes.
fn nlri() -> Prefix {
    Prefix { bits: 0x0a46_0000 << 32, len: 24, v6: false }
}
