//! A restart of ours with each of the other daemons: they keep our routes, and their own neighbors, one of which speaks
//! BGP byte by byte, hear nothing of it. RFC 4724 §4.1, and RFC 9494 where we stay away for longer.

use std::net::SocketAddr;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, wait, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use bgpbench::bgp;

use crate::restart::{GOES, PEER, STAYS, US, WATCHER, announced, prefix, route, withdrawn};

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
        Self::start_with(lab, kind, restart_time, None)
    }

    /// `long_lived`: for how many seconds more the peer is to keep our routes.
    fn start_with(lab: &Lab, kind: Kind, restart_time: u16, long_lived: Option<u32>) -> Result<Self> {
        let pairs = Pairs::new(lab, &[Self::HELPER, Self::WATCHER, Self::SOURCE])?;
        let session = |n, asn| Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), asn);
        let mut to_us = session(Self::HELPER, US)?.hold_time(90);
        if kind == Kind::GoBgp {
            // It does not help without it.
            to_us = to_us.restart_time(60);
        }
        if let Some(seconds) = long_lived {
            to_us = to_us.restart_time(60).long_lived(seconds);
        }
        // Where the watcher is, we listen: FRR would take our refusal for the watcher's.
        let to_watcher = session(Self::WATCHER, WATCHER)?.hold_time(90).transit().passive();
        let sessions = vec![to_us, to_watcher];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: Vec::new() };
        let peer = kind.start(&pairs.peer, &setup)?;
        let neighbor = |n, asn| {
            let neighbor = Neighbor::new(&Pairs::theirs(n).to_string(), asn).set("hold_time", 90);
            let neighbor = neighbor.set("gr_restart_time", restart_time);
            match long_lived {
                Some(seconds) => neighbor.set("llgr_stale_time", seconds),
                None => neighbor,
            }
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
        let number = |n: &u64| bgp::Prefix { bits: (10 << 56) | (n << 48), len: 24, v6: false };
        let prefixes: Vec<bgp::Prefix> = numbers.iter().map(number).collect();
        let mut updates = Vec::new();
        bgp::announce(&mut updates, SOURCE, Pairs::theirs(Self::SOURCE), &bgp::Attrs::default(), &prefixes);
        self.source.send(&updates)?;
        self.source.send(&bgp::end_of_rib(false))
    }

    /// The next UPDATE that the watcher gets.
    fn see(&mut self, seen: &mut Vec<(String, bool)>) -> Result<()> {
        let body = self.watcher.expect(bgp::UPDATE)?.body;
        Ok(bgp::routes(&body, |p, announced| seen.push((prefix(&p), announced)))?)
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

/// LLGR_STALE as BIRD shows it; FRR has a name for it.
const LLGR_STALE: &str = "65535:6";

/// RFC 9494 §4.2, from the other side: the peer keeps our routes when we stay away for longer than a restart takes, and
/// those that we send when we are back take their place.
fn our_routes_are_kept_for_longer(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut ours = Ours::start_with(lab, kind, 3, Some(300))?;
        let helper = Pairs::theirs(Ours::HELPER);
        let state = ours.daemon()?.json(&["neighbor", &helper.to_string()])?;
        let shown = |name: &str, text: &str| {
            let list = state[name].as_array().cloned().unwrap_or_default();
            list.iter().any(|c| c.as_str() == Some(text))
        };
        let capability = "long-lived-graceful-restart ipv4_unicast:300s:forwarding";
        assert!(shown("capabilities_sent", capability), "{state}");
        ours.stop()?;
        let marked = |ours: &Ours, prefix: &str| -> Result<Option<bool>> {
            let route = ours.peer.route(prefix)?;
            Ok(route.map(|r| r.communities.iter().any(|c| c == LLGR_STALE || c == "llgr-stale")))
        };
        for prefix in [STAYS, GOES] {
            wait("a long-lived stale route", 30, || Ok(marked(&ours, prefix)? == Some(true)))?;
        }
        // Nobody waits for our routes of before any more: this is an ordinary start.
        ours.daemon = Some(Rustbgpd::start(&ours.pairs.us, &ours.config)?);
        ours.source = Ours::source(&ours.pairs)?;
        ours.announce(&[81])?;
        wait("the end of the stale routes", 40, || {
            Ok(marked(&ours, STAYS)? == Some(false) && marked(&ours, GOES)?.is_none())
        })
    })
}

#[test]
fn rfc9494_bird_keeps_our_routes_for_longer() -> Result<()> {
    our_routes_are_kept_for_longer(Kind::Bird)
}

#[test]
fn rfc9494_frr_keeps_our_routes_for_longer() -> Result<()> {
    our_routes_are_kept_for_longer(Kind::Frr)
}

#[test]
fn rfc9494_gobgp_keeps_our_routes_for_longer() -> Result<()> {
    our_routes_are_kept_for_longer(Kind::GoBgp)
}
