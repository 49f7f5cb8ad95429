//! Graceful restart with each of the other daemons: a third speaker, which speaks BGP byte by byte, sees no
//! withdrawal while somebody restarts in time, and sees it when not. RFC 4724, RFC 8538.

use std::net::IpAddr;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait};
use serde_json::Value;

use bgpbench::bgp;

pub(crate) const US: u32 = 65001;
pub(crate) const PEER: u32 = 65002;
pub(crate) const WATCHER: u32 = 65003;

/// Who restarts, and what the watcher sees of it.
struct Watched {
    pairs: Pairs,
    daemon: Rustbgpd,
    peer: Box<dyn Peer>,
    setup: Setup,
    kind: Kind,
    watcher: Speaker,
    marks: u8,
}

pub(crate) fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    }
}

/// An IPv4 prefix as text.
pub(crate) fn prefix(p: &bgp::Prefix) -> String {
    let [a, b, c, d, ..] = p.bits.to_be_bytes();
    format!("{a}.{b}.{c}.{d}/{}", p.len)
}

pub(crate) const STAYS: &str = "10.81.0.0/24";
pub(crate) const GOES: &str = "10.82.0.0/24";

/// The address of the peer that restarts.
pub(crate) fn restarter() -> IpAddr {
    Pairs::theirs(1)
}

impl Watched {
    /// Our daemon with the peer on one side, which has two routes and asks for so many seconds, and the watcher on
    /// the other.
    fn start(lab: &Lab, kind: Kind, restart_time: u16) -> Result<Self> {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let session = Session::new(&restarter().to_string(), &Pairs::ours(1).to_string(), US)?;
        let setup = Setup {
            asn: PEER,
            router_id: "10.0.1.2",
            sessions: vec![session.restart_time(restart_time).hold_time(90)],
            routes: vec![route(STAYS), route(GOES)],
        };
        let peer = kind.start(&pairs.peer, &setup)?;
        let neighbors = [
            Neighbor::new(&restarter().to_string(), PEER).set("hold_time", 90),
            Neighbor::new(&Pairs::theirs(2).to_string(), WATCHER).set("passive", true).set("hold_time", 90),
        ];
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        let watcher = Speaker::establish(&pairs.peer, Pairs::port(2), WATCHER, 90, [10, 0, 2, 2])?;
        daemon.wait_established(&[restarter(), Pairs::theirs(2)])?;
        let mut watched = Watched { pairs, daemon, peer, setup, kind, watcher, marks: 0 };
        wait("the peer's routes", 20, || {
            Ok([STAYS, GOES].iter().all(|p| matches!(watched.daemon.best(p), Ok(Some(_)))))
        })?;
        let seen = watched.changes()?;
        assert!(announced(&seen, STAYS) && announced(&seen, GOES), "{seen:?}");
        Ok(watched)
    }

    fn state(&self) -> Result<Value> {
        Ok(self.daemon.json(&["neighbor", &restarter().to_string()])?["graceful_restart"].clone())
    }

    /// The sum of a metric's samples.
    fn metric(&self, name: &str) -> Result<u64> {
        let all = self.daemon.json(&["metrics"])?;
        let samples = all.as_array().into_iter().flatten().filter(|s| s["name"] == name);
        Ok(samples.filter_map(|s| s["value"].as_u64()).sum())
    }

    /// What the watcher was sent since the last call, prefix by prefix: announced or withdrawn. A route of our own
    /// marks the end: what was before it is before it on the wire.
    fn changes(&mut self) -> Result<Vec<(String, bool)>> {
        self.marks += 1;
        let mark = format!("10.99.{}.0/24", self.marks);
        self.daemon.add(&route(&mark), Pairs::ours(2), "")?;
        let mut seen = Vec::new();
        while !announced(&seen, &mark) {
            let body = self.watcher.expect(bgp::UPDATE)?.body;
            bgp::routes(&body, |p, announced| seen.push((prefix(&p), announced)))?;
        }
        Ok(seen)
    }

    /// The peer's daemon dies, and we notice.
    fn crash(&mut self) -> Result<()> {
        self.peer.crash()?;
        wait("the session to be down", 10, || Ok(!self.daemon.neighbor(restarter())?.established))
    }
}

pub(crate) fn announced(seen: &[(String, bool)], prefix: &str) -> bool {
    seen.iter().any(|(p, announced)| p == prefix && *announced)
}

pub(crate) fn withdrawn(seen: &[(String, bool)], prefix: &str) -> bool {
    seen.iter().any(|(p, announced)| p == prefix && !announced)
}

/// RFC 4724 §4.2: the peer dies and comes back with one of its two routes.
fn a_peer_comes_back(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut watched = Watched::start(lab, kind, 60)?;
        watched.crash()?;
        let state = watched.state()?;
        assert_eq!(
            (&state["back"], &state["stale_routes"]),
            (&Value::from(false), &Value::from(2)),
            "{state}"
        );
        let rib = watched.daemon.json(&["rib", "received", &restarter().to_string()])?;
        assert!(
            rib.as_array().is_some_and(|r| r.len() == 2 && r.iter().all(|r| r["stale"] == true)),
            "{rib}"
        );
        assert_eq!(watched.metric("bgp_gr_active_peers")?, 1);
        assert_eq!(watched.metric("bgp_gr_stale_routes")?, 2);
        watched.setup.routes.pop();
        // GoBGP is told its routes when it runs already: it must not reach us before.
        watched.pairs.peer.block(&[Pairs::ours(1)])?;
        watched.peer = watched.kind.start(&watched.pairs.peer, &watched.setup)?;
        watched.pairs.peer.unblock()?;
        watched.daemon.wait_established(&[restarter()])?;
        wait("the end of the restart", 40, || Ok(watched.state()?.is_null()))?;
        let seen = watched.changes()?;
        assert!(!withdrawn(&seen, STAYS), "{seen:?}");
        assert!(withdrawn(&seen, GOES), "{seen:?}");
        let rib = watched.daemon.json(&["rib", "received", &restarter().to_string()])?;
        assert!(rib.as_array().is_some_and(|r| r.len() == 1 && r[0]["stale"] == false), "{rib}");
        assert_eq!(watched.metric("bgp_gr_timer_expired_total")?, 0);
        Ok(())
    })
}

#[test]
fn rfc4724_frr_comes_back_in_time() -> Result<()> {
    a_peer_comes_back(Kind::Frr)
}

#[test]
fn rfc4724_bird_comes_back_in_time() -> Result<()> {
    a_peer_comes_back(Kind::Bird)
}

#[test]
fn rfc4724_gobgp_comes_back_in_time() -> Result<()> {
    a_peer_comes_back(Kind::GoBgp)
}

/// RFC 4724 §3: OpenBGPD announces the capability without any family, which says no more than that it sends
/// End-of-RIB. Nothing of its routes is kept.
#[test]
fn rfc4724_3_openbgpd_asks_for_nothing_to_be_kept() -> Result<()> {
    Lab::run(|lab| {
        let mut watched = Watched::start(lab, Kind::OpenBgpd, 60)?;
        let state = watched.daemon.json(&["neighbor", &restarter().to_string()])?;
        let received = state["capabilities_received"].as_array().cloned().unwrap_or_default();
        let graceful: Vec<&str> =
            received.iter().filter_map(Value::as_str).filter(|c| c.starts_with("graceful-restart")).collect();
        assert!(graceful.len() == 1 && !graceful[0].contains("unicast"), "{received:?}");
        watched.crash()?;
        wait("the end of the routes", 10, || Ok(watched.daemon.best(STAYS)?.is_none()))?;
        assert!(watched.state()?.is_null());
        let seen = watched.changes()?;
        assert!(withdrawn(&seen, STAYS) && withdrawn(&seen, GOES), "{seen:?}");
        // It is as ever when it is there again.
        watched.peer = watched.kind.start(&watched.pairs.peer, &watched.setup)?;
        wait("its routes", 30, || {
            Ok([STAYS, GOES].iter().all(|p| matches!(watched.daemon.best(p), Ok(Some(_)))))
        })?;
        let seen = watched.changes()?;
        assert!(announced(&seen, STAYS) && announced(&seen, GOES), "{seen:?}");
        Ok(())
    })
}

/// RFC 4724 §4.2: the peer does not come back in the time that it asked for.
fn a_peer_stays_away(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut watched = Watched::start(lab, kind, 8)?;
        watched.crash()?;
        let seen = watched.changes()?;
        assert!(!withdrawn(&seen, STAYS) && !withdrawn(&seen, GOES), "{seen:?}");
        wait("the end of the time", 12, || Ok(watched.state()?.is_null()))?;
        wait("the end of the routes", 5, || Ok(watched.daemon.best(STAYS)?.is_none()))?;
        let seen = watched.changes()?;
        assert!(withdrawn(&seen, STAYS) && withdrawn(&seen, GOES), "{seen:?}");
        assert_eq!(watched.metric("bgp_gr_timer_expired_total")?, 1);
        assert_eq!(watched.metric("bgp_gr_stale_routes")?, 0);
        Ok(())
    })
}

#[test]
fn rfc4724_frr_does_not_come_back() -> Result<()> {
    a_peer_stays_away(Kind::Frr)
}

#[test]
fn rfc4724_bird_does_not_come_back() -> Result<()> {
    a_peer_stays_away(Kind::Bird)
}

#[test]
fn rfc4724_gobgp_does_not_come_back() -> Result<()> {
    a_peer_stays_away(Kind::GoBgp)
}

/// RFC 4724 §5: its host dies without a word, and the new daemon's connection is the first that we hear of it.
#[test]
fn rfc4724_5_a_peer_that_restarted_unseen_is_let_in_at_once() -> Result<()> {
    Lab::run(|lab| {
        let mut watched = Watched::start(lab, Kind::Bird, 60)?;
        let us = Pairs::ours(1);
        wait("a session that is not young", 10, || Ok(watched.daemon.neighbor(restarter())?.uptime >= 5))?;
        watched.pairs.peer.block(&[us])?;
        watched.peer.crash()?;
        watched.pairs.peer.unblock()?;
        assert!(watched.daemon.neighbor(restarter())?.established, "it has not been noticed");
        watched.peer = watched.kind.start(&watched.pairs.peer, &watched.setup)?;
        wait("another session", 15, || {
            let state = watched.daemon.neighbor(restarter())?;
            Ok(state.established && state.flaps == 1)
        })?;
        wait("the end of the restart", 20, || Ok(watched.state()?.is_null()))?;
        let seen = watched.changes()?;
        assert!(!withdrawn(&seen, STAYS) && !withdrawn(&seen, GOES), "{seen:?}");
        Ok(())
    })
}

/// The operator's word is stronger than a restart: RFC 8538 §5.1.
#[test]
fn what_is_kept_goes_when_the_neighbor_is_disabled() -> Result<()> {
    Lab::run(|lab| {
        let mut watched = Watched::start(lab, Kind::Bird, 60)?;
        watched.crash()?;
        assert_eq!(watched.state()?["stale_routes"], 2);
        watched.daemon.ctl(&["neighbor", &restarter().to_string(), "disable"])?;
        wait("the end of the routes", 5, || Ok(watched.daemon.best(STAYS)?.is_none()))?;
        assert!(watched.state()?.is_null());
        let seen = watched.changes()?;
        assert!(withdrawn(&seen, STAYS) && withdrawn(&seen, GOES), "{seen:?}");
        Ok(())
    })
}

/// `graceful_restart = false`: nothing is announced and nothing is kept.
#[test]
fn switched_off_the_routes_go_with_the_session() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let session = Session::new(&restarter().to_string(), &Pairs::ours(1).to_string(), US)?;
        let sessions = vec![session.restart_time(60)];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: vec![route(STAYS)] };
        let mut peer = Kind::Bird.start(&pairs.peer, &setup)?;
        let neighbor = Neighbor::new(&restarter().to_string(), PEER).set("graceful_restart", false);
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.1.1", &[neighbor]))?;
        wait("the peer's route", 20, || Ok(daemon.best(STAYS)?.is_some()))?;
        let state = daemon.json(&["neighbor", &restarter().to_string()])?;
        let sent = state["capabilities_sent"].as_array().cloned().unwrap_or_default();
        assert!(!sent.iter().any(|c| c.as_str().is_some_and(|c| c.contains("graceful"))), "{sent:?}");
        peer.crash()?;
        wait("the end of the route", 5, || Ok(daemon.best(STAYS)?.is_none()))?;
        Ok(())
    })
}
