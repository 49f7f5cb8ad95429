//! Graceful shutdown (RFC 8326) between BIRD and FRR: what a neighbor that is being drained is told, what becomes
//! of its routes, and what becomes of routes that carry the community.

use std::net::IpAddr;
use std::rc::Rc;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, wait};

const US: u32 = 65001;
const GRACEFUL_SHUTDOWN: &str = "65535:0";

/// Announced by both neighbors, by the first alone, by both where the first is about to go.
const SHARED: &str = "10.80.0.0/24";
const ALONE: &str = "10.81.0.0/24";
const GOING: &str = "10.82.0.0/24";
const OURS: &str = "10.83.0.0/24";

fn route(prefix: &str, asn: u32, more: &[&str]) -> Route {
    let communities = [format!("{asn}:1")].into_iter().chain(more.iter().map(|c| (*c).to_owned()));
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: communities.collect(),
        large: vec![format!("{asn}:1:1")],
    }
}

/// A neighbor behind a link of its own.
struct Other {
    address: IpAddr,
    daemon: Box<dyn Peer>,
}

impl Other {
    /// Starts it with this address, which ends in 2; ours ends in 1.
    fn start(
        lab: &Lab,
        us: &Rc<Host>,
        kind: Kind,
        address: &'static str,
        asn: u32,
        routes: Vec<Route>,
    ) -> Result<Other> {
        let host = lab.host(&format!("as{asn}"))?;
        let ours = format!("{}1", address.trim_end_matches('2'));
        lab.link(us, &host, &[&format!("{ours}/24")], &[&format!("{address}/24")])?;
        if asn == US {
            // An internal peer is told external next hops and needs a way to them.
            host.sh(
                &format!("ip route add 10.0.1.0/24 via {ours}; ip route add 10.0.2.0/24 via {ours}"),
                &[],
            )?;
        }
        let sessions = vec![Session::new(address, &ours, US)?];
        let setup = Setup { asn, router_id: address, sessions, routes };
        Ok(Other { address: address.parse()?, daemon: kind.start(&host, &setup)? })
    }

    /// Waits until it has our route like that.
    fn expect(&self, what: &str, prefix: &str, is: impl Fn(&Seen) -> bool) -> Result<()> {
        wait(what, 10, || Ok(self.daemon.route(prefix)?.as_ref().is_some_and(&is)))
            .map_err(|e| format!("{e}: {:?}", self.daemon.route(prefix)).into())
    }
}

/// Whether it has the community; OpenBGPD has a word for it.
fn is_going(seen: &Seen) -> bool {
    seen.communities.iter().any(|c| c == GRACEFUL_SHUTDOWN || c == "GRACEFUL_SHUTDOWN")
}

/// Waits until our best route is the one of this neighbor.
fn best_is_of(us: &Rustbgpd, prefix: &str, of: &Other) -> Result<()> {
    wait(&format!("{prefix} by {}", of.address), 10, || {
        Ok(us.best(prefix)?.is_some_and(|seen| seen.next_hop == of.address))
    })
    .map_err(|e| format!("{e}: {:?}", us.best(prefix)).into())
}

fn drain(us: &Rustbgpd, of: &Other, command: &str) -> Result<String> {
    us.ctl(&["neighbor", &of.address.to_string(), command])
}

#[test]
fn rfc8326_4_drained_neighbors_are_told_and_their_routes_are_the_last_choice() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("us")?;
        let of_first = [(SHARED, &[][..]), (ALONE, &[]), (GOING, &[GRACEFUL_SHUTDOWN])];
        let of_first = of_first.into_iter().map(|(prefix, more)| route(prefix, 65002, more)).collect();
        let of_second = [SHARED, GOING].into_iter().map(|prefix| route(prefix, 65003, &[])).collect();
        let first = Other::start(lab, &host, Kind::Bird, "10.0.1.2", 65002, of_first)?;
        let second = Other::start(lab, &host, Kind::Frr, "10.0.2.2", 65003, of_second)?;
        let internal = Other::start(lab, &host, Kind::Bird, "10.0.3.2", US, Vec::new())?;
        let neighbors = [(&first, 65002), (&second, 65003), (&internal, US)];
        let neighbors = neighbors.map(|(o, asn)| Neighbor::new(&o.address.to_string(), asn));
        let us = Rustbgpd::start(&host, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        us.wait_established(&[first.address, second.address, internal.address])?;
        us.add(&route(OURS, US, &[]), "10.0.1.1".parse()?, "")?;

        // §4.1: who says that it is going has the last choice, whoever would be better otherwise.
        best_is_of(&us, SHARED, &first)?;
        best_is_of(&us, GOING, &second)?;
        let received = us.received(first.address, GOING)?;
        assert!(received.is_some_and(|seen| is_going(&seen) && seen.local_pref.is_none()));
        internal.expect("a route before", ALONE, |s| s.local_pref == Some(100) && !is_going(s))?;

        // §4.2: the neighbor is told of every route, and its own ones are used where there is no other.
        for again in [false, true] {
            if again {
                // It outlives the session.
                drain(&us, &first, "disable")?;
                wait("the end of the session", 5, || Ok(!us.neighbor(first.address)?.established))?;
                drain(&us, &first, "enable")?;
                us.wait_established(&[first.address])?;
            } else {
                drain(&us, &first, "drain")?;
            }
            first.expect("our route at the drained neighbor", OURS, is_going)?;
            best_is_of(&us, SHARED, &second)?;
            let at_us = |s: Seen| s.local_pref == Some(0) && is_going(&s);
            wait("its only route here", 5, || Ok(us.best(ALONE)?.is_some_and(at_us)))?;
            internal.expect("its only route inside", ALONE, |s| s.local_pref == Some(0) && is_going(s))?;
            // FRR obeys the community, too.
            second.expect("its only route outside", ALONE, |s| s.local_pref == Some(0) && is_going(s))?;
            let state = us.json(&["neighbor", &first.address.to_string()])?;
            assert_eq!((&state["draining"], &state["flap_count"]), (&true.into(), &i32::from(again).into()));
            let sent = us.advertised(first.address, OURS)?;
            assert!(sent.is_some_and(|seen| is_going(&seen)));
            assert!(!us.advertised(second.address, OURS)?.is_some_and(|seen| is_going(&seen)));
        }
        drain(&us, &first, "undrain")?;
        first.expect("our route again", OURS, |s| !is_going(s))?;
        best_is_of(&us, SHARED, &first)?;
        internal.expect("its only route again", ALONE, |s| s.local_pref == Some(100) && !is_going(s))?;
        assert_eq!(us.json(&["neighbor", &first.address.to_string()])?["draining"], false);

        // A neighbor that obeys the community by itself.
        drain(&us, &second, "drain")?;
        second.expect("our route, of the least preference", OURS, |s| s.local_pref == Some(0))?;
        drain(&us, &second, "undrain")?;
        second.expect("our route as before", OURS, |s| s.local_pref != Some(0) && !is_going(s))?;
        assert_eq!(us.neighbor(second.address)?.flaps, 0);

        let refused = drain(&us, &internal, "drain").map_err(|e| e.to_string());
        assert!(refused.as_ref().is_err_and(|e| e.contains("is internal")), "{refused:?}");
        Ok(())
    })
}

#[test]
fn rfc8326_4_1_the_community_counts_nothing_where_it_is_not_wanted() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("us")?;
        let going = vec![route(GOING, 65002, &[GRACEFUL_SHUTDOWN])];
        let first = Other::start(lab, &host, Kind::Bird, "10.0.1.2", 65002, going)?;
        let second = Other::start(lab, &host, Kind::Frr, "10.0.2.2", 65003, vec![route(GOING, 65003, &[])])?;
        let deaf = Neighbor::new(&first.address.to_string(), 65002).set("graceful_shutdown", false);
        let neighbors = [deaf, Neighbor::new(&second.address.to_string(), 65003)];
        let us = Rustbgpd::start(&host, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        us.wait_established(&[first.address, second.address])?;
        wait("both routes", 10, || {
            Ok(us.received(first.address, GOING)?.is_some() && us.received(second.address, GOING)?.is_some())
        })?;
        best_is_of(&us, GOING, &first)
    })
}

/// Each of the others: its routes with the community are our last choice, and it is told of ours while it is drained.
#[test]
fn rfc8326_4_with_frr_openbgpd_and_gobgp() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("us")?;
        let others = [
            (Kind::Frr, "10.0.1.2", 65002, "10.84.1.0/24"),
            (Kind::OpenBgpd, "10.0.2.2", 65003, "10.84.2.0/24"),
            (Kind::GoBgp, "10.0.3.2", 65004, "10.84.3.0/24"),
        ];
        let others = others.map(|(kind, address, asn, prefix)| {
            let routes = vec![route(prefix, asn, &[GRACEFUL_SHUTDOWN])];
            Ok((Other::start(lab, &host, kind, address, asn, routes)?, asn, prefix))
        });
        let others = others.into_iter().collect::<Result<Vec<_>>>()?;
        let neighbors: Vec<Neighbor> =
            others.iter().map(|(other, asn, _)| Neighbor::new(&other.address.to_string(), *asn)).collect();
        let us = Rustbgpd::start(&host, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        for (other, _, prefix) in &others {
            us.wait_established(&[other.address])?;
            let last_choice = |s: Seen| s.local_pref == Some(0) && is_going(&s);
            wait("its route", 30, || Ok(us.best(prefix)?.is_some_and(last_choice)))
                .map_err(|e| format!("{e}: {:?}", us.best(prefix)))?;
        }
        us.add(&route(OURS, US, &[]), "10.0.1.1".parse()?, "")?;
        for (other, _, _) in &others {
            other.expect("our route", OURS, |s| !is_going(s))?;
            drain(&us, other, "drain")?;
            other.expect("our route while it is drained", OURS, is_going)?;
            drain(&us, other, "undrain")?;
            other.expect("our route as before", OURS, |s| !is_going(s))?;
            assert_eq!(us.neighbor(other.address)?.flaps, 0);
        }
        Ok(())
    })
}
