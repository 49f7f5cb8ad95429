//! Graceful restart with each of the other daemons: a third speaker, which speaks BGP byte by byte, sees no
//! withdrawal while somebody restarts in time, and sees it when not. RFC 4724, RFC 8538.

use std::net::{IpAddr, SocketAddr};

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use bgpbench::bgp;

const US: u32 = 65001;
const PEER: u32 = 65002;
const WATCHER: u32 = 65003;

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

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    }
}

const STAYS: &str = "10.81.0.0/24";
const GOES: &str = "10.82.0.0/24";

/// The address of the peer that restarts.
fn restarter() -> IpAddr {
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
            bgp::routes(&body, |p, announced| {
                let [a, b, c, d, ..] = p.bits.to_be_bytes();
                seen.push((format!("{a}.{b}.{c}.{d}/{}", p.len), announced));
            })?;
        }
        Ok(seen)
    }

    /// The peer's daemon dies, and we notice.
    fn crash(&mut self) -> Result<()> {
        self.peer.crash()?;
        wait("the session to be down", 10, || Ok(!self.daemon.neighbor(restarter())?.established))
    }
}

fn announced(seen: &[(String, bool)], prefix: &str) -> bool {
    seen.iter().any(|(p, announced)| p == prefix && *announced)
}

fn withdrawn(seen: &[(String, bool)], prefix: &str) -> bool {
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
        watched.peer = watched.kind.start(&watched.pairs.peer, &watched.setup)?;
        watched.daemon.wait_established(&[restarter()])?;
        wait("the end of the restart", 20, || Ok(watched.state()?.is_null()))?;
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

const MARKER: &str = "/run/rustbgpd/gr-restart.toml";
/// Who originates what we pass on to the peer, which passes it on to the watcher.
const SOURCE: u32 = 65004;

/// An OPEN that offers graceful restart of IPv4 unicast, without the N bit.
fn open_with_restart(asn: u32, id: [u8; 4]) -> Vec<u8> {
    let mut open = bgp::open(asn, 90, id, false);
    let parameter = [2, 8, 64, 6, 0, 60, 0, 1, 1, 0x80];
    open.extend(parameter);
    open[28] += parameter.len() as u8;
    let len = (open.len() as u16).to_be_bytes();
    open[16..18].copy_from_slice(&len);
    open
}

/// We restart between a source of routes and a daemon that keeps them, and the watcher is that one's neighbor.
struct Ours {
    pairs: Pairs,
    config: String,
    daemon: Option<Rustbgpd>,
    peer: Box<dyn Peer>,
    source: Speaker,
    watcher: Speaker,
    marks: u8,
}

impl Ours {
    const HELPER: u8 = 1;
    const WATCHER: u8 = 2;
    const SOURCE: u8 = 3;

    fn start(lab: &Lab, kind: Kind, restart_time: u16) -> Result<Self> {
        let pairs = Pairs::new(lab, &[Self::HELPER, Self::WATCHER, Self::SOURCE])?;
        let session = |n, asn| Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), asn);
        let mut to_us = session(Self::HELPER, US)?.hold_time(90);
        if kind == Kind::GoBgp {
            // It does not help without it.
            to_us = to_us.restart_time(60);
        }
        let sessions = vec![to_us, session(Self::WATCHER, WATCHER)?.hold_time(90).transit()];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: Vec::new() };
        let peer = kind.start(&pairs.peer, &setup)?;
        let neighbor = |n, asn| {
            let neighbor = Neighbor::new(&Pairs::theirs(n).to_string(), asn).set("hold_time", 90);
            neighbor.set("gr_restart_time", restart_time)
        };
        let neighbors = [neighbor(Self::HELPER, PEER), neighbor(Self::SOURCE, SOURCE).set("passive", true)];
        let config = Rustbgpd::configuration(US, "10.0.1.1", &neighbors);
        let daemon = Rustbgpd::start(&pairs.us, &config)?;
        let source = Self::source(&pairs)?;
        let helper: SocketAddr = (Pairs::theirs(Self::WATCHER), 179).into();
        // FRR refuses everybody until it has read its configuration.
        let watcher = wait_for("the watcher's session", 15, || {
            Speaker::establish(&pairs.us, helper, WATCHER, 90, [10, 0, 2, 1]).map(Some)
        })?;
        let mut ours = Ours { pairs, config, daemon: Some(daemon), peer, source, watcher, marks: 0 };
        ours.daemon()?.wait_established(&[Pairs::theirs(Self::HELPER), Pairs::theirs(Self::SOURCE)])?;
        ours.announce(&[81, 82])?;
        let mut seen = Vec::new();
        while !announced(&seen, STAYS) || !announced(&seen, GOES) {
            ours.see(&mut seen)?;
        }
        Ok(ours)
    }

    fn source(pairs: &Pairs) -> Result<Speaker> {
        let mut source = Speaker::connect(&pairs.peer, Pairs::port(Self::SOURCE))?;
        source.send(&open_with_restart(SOURCE, [10, 0, 3, 2]))?;
        source.expect(bgp::OPEN)?;
        source.send(&bgp::keepalive())?;
        source.expect(bgp::KEEPALIVE)?;
        Ok(source)
    }

    fn daemon(&mut self) -> Result<&mut Rustbgpd> {
        self.daemon.as_mut().ok_or_else(|| Error::new("it does not run"))
    }

    /// The source announces 10.N.0.0/24 for each number, and that this is all.
    fn announce(&mut self, numbers: &[u64]) -> Result<()> {
        let prefix = |n: &u64| bgp::Prefix { bits: (10 << 56) | (n << 48), len: 24, v6: false };
        let prefixes: Vec<bgp::Prefix> = numbers.iter().map(prefix).collect();
        let mut updates = Vec::new();
        bgp::announce(&mut updates, SOURCE, Pairs::theirs(Self::SOURCE), &bgp::Attrs::default(), &prefixes);
        self.source.send(&updates)?;
        self.source.send(&bgp::end_of_rib(false))
    }

    /// The next UPDATE that the watcher gets.
    fn see(&mut self, seen: &mut Vec<(String, bool)>) -> Result<()> {
        let body = self.watcher.expect(bgp::UPDATE)?.body;
        Ok(bgp::routes(&body, |p, announced| {
            let [a, b, c, d, ..] = p.bits.to_be_bytes();
            seen.push((format!("{a}.{b}.{c}.{d}/{}", p.len), announced));
        })?)
    }

    /// What the watcher was sent since the last call: a route of the peer marks the end.
    fn changes(&mut self) -> Result<Vec<(String, bool)>> {
        self.marks += 1;
        let mark = format!("10.99.{}.0/24", self.marks);
        self.peer.announce(&route(&mark))?;
        let mut seen = Vec::new();
        while !announced(&seen, &mark) {
            self.see(&mut seen)?;
        }
        Ok(seen)
    }

    /// An orderly end, with status 0.
    fn stop(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().ok_or_else(|| Error::new("it does not run"))?;
        daemon.process().signal(Signal::SIGTERM)?;
        let status = daemon.process().wait_end(10)?;
        assert!(status.success(), "{status}");
        Ok(())
    }
}

/// RFC 4724 §4.1: we end in order and start again; the peer and whoever it told keep what they had.
fn we_come_back(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut ours = Ours::start(lab, kind, 60)?;
        ours.stop()?;
        let marker = ours.pairs.us.run(&["cat", MARKER])?;
        for n in [Ours::HELPER, Ours::SOURCE] {
            assert!(marker.contains(&format!("\"{}\"", Pairs::theirs(n))), "{marker}");
        }
        let seen = ours.changes()?;
        assert!(!withdrawn(&seen, STAYS) && !withdrawn(&seen, GOES), "{seen:?}");

        ours.daemon = Some(Rustbgpd::start(&ours.pairs.us, &ours.config)?);
        assert!(ours.pairs.us.run(&["cat", MARKER]).is_err(), "it counts once");
        let helper = Pairs::theirs(Ours::HELPER);
        ours.daemon()?.process().wait_log("GR restart marker read", 5)?;
        ours.daemon()?.wait_established(&[helper])?;
        let state = ours.daemon()?.json(&["neighbor", &helper.to_string()])?;
        let sent = state["capabilities_sent"].as_array().cloned().unwrap_or_default();
        let told = |c: &Value| c.as_str().is_some_and(|c| c.starts_with("graceful-restart 60s restarting"));
        assert!(sent.iter().any(told), "{sent:?}");
        // The source is not back: nobody is sent anything yet, End-of-RIB least of all.
        let seen = ours.changes()?;
        assert!(!withdrawn(&seen, STAYS) && !withdrawn(&seen, GOES), "{seen:?}");

        ours.source = Ours::source(&ours.pairs)?;
        ours.announce(&[81])?;
        let mut seen = Vec::new();
        while !withdrawn(&seen, GOES) {
            ours.see(&mut seen)?;
        }
        assert!(!withdrawn(&seen, STAYS), "{seen:?}");
        let seen = ours.changes()?;
        assert!(!withdrawn(&seen, STAYS), "{seen:?}");
        assert!(ours.peer.route(STAYS)?.is_some() && ours.peer.route(GOES)?.is_none());
        Ok(())
    })
}

#[test]
fn rfc4724_4_1_frr_keeps_our_routes() -> Result<()> {
    we_come_back(Kind::Frr)
}

#[test]
fn rfc4724_4_1_bird_keeps_our_routes() -> Result<()> {
    we_come_back(Kind::Bird)
}

#[test]
fn rfc4724_4_1_openbgpd_keeps_our_routes() -> Result<()> {
    we_come_back(Kind::OpenBgpd)
}

#[test]
fn rfc4724_4_1_gobgp_keeps_our_routes() -> Result<()> {
    we_come_back(Kind::GoBgp)
}

/// RFC 4724 §4.2, from the other side: we do not come back in the time that we asked for.
#[test]
fn our_routes_go_when_we_stay_away_and_a_late_start_is_an_ordinary_one() -> Result<()> {
    Lab::run(|lab| {
        let mut ours = Ours::start(lab, Kind::Bird, 4)?;
        ours.stop()?;
        let mut seen = ours.changes()?;
        assert!(!withdrawn(&seen, STAYS) && !withdrawn(&seen, GOES), "{seen:?}");
        wait("the end of our routes", 15, || {
            ours.see(&mut seen)?;
            Ok(withdrawn(&seen, STAYS) && withdrawn(&seen, GOES))
        })?;
        ours.daemon = Some(Rustbgpd::start(&ours.pairs.us, &ours.config)?);
        ours.daemon()?.process().wait_log("GR restart marker ignored", 5)?;
        assert!(ours.pairs.us.run(&["cat", MARKER]).is_err());
        let helper = Pairs::theirs(Ours::HELPER);
        ours.daemon()?.wait_established(&[helper])?;
        let state = ours.daemon()?.json(&["neighbor", &helper.to_string()])?;
        assert!(!state["capabilities_sent"].to_string().contains("restarting"), "{state}");
        // Nobody is waited for.
        ours.source = Ours::source(&ours.pairs)?;
        ours.announce(&[81])?;
        let mut seen = Vec::new();
        while !announced(&seen, STAYS) {
            ours.see(&mut seen)?;
        }
        Ok(())
    })
}
