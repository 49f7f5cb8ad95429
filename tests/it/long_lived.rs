//! Long-lived graceful restart with each of the daemons that have it: it stays away for longer than a restart takes. Of two
//! neighbors who watch, byte by byte, one knows what a long-lived stale route is, and the other does not. RFC 9494.

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, wait};
use serde_json::Value;

use bgpbench::bgp;

use crate::restart::{GOES, PEER, STAYS, US, WATCHER, prefix, restarter, route};

const OTHER: u32 = 65004;

/// What a watcher was sent of a prefix: announced with LLGR_STALE, without it, or withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Marked,
    Plain,
    Withdrawn,
}

/// A neighbor who speaks BGP byte by byte.
struct Watcher {
    speaker: Speaker,
    pair: u8,
    marks: u8,
}

impl Watcher {
    /// `capabilities`: what its OPEN has beside those of every OPEN.
    fn establish(pairs: &Pairs, pair: u8, asn: u32, capabilities: &[u8]) -> Result<Self> {
        let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(pair))?;
        let mut open = bgp::open(asn, 90, [10, 0, pair, 2], false);
        if !capabilities.is_empty() {
            open.extend([2, capabilities.len() as u8]);
            open.extend(capabilities);
            open[28] += 2 + capabilities.len() as u8;
            let len = (open.len() as u16).to_be_bytes();
            open[16..18].copy_from_slice(&len);
        }
        speaker.send(&open)?;
        speaker.expect(bgp::OPEN)?;
        speaker.send(&bgp::keepalive())?;
        speaker.expect(bgp::KEEPALIVE)?;
        Ok(Watcher { speaker, pair, marks: 0 })
    }

    /// What it was sent since the last call. A route of our own marks the end.
    fn told(&mut self, daemon: &Rustbgpd) -> Result<Vec<(String, Told)>> {
        self.marks += 1;
        let mark = format!("10.{}.{}.0/24", 90 + self.pair, self.marks);
        daemon.add(&route(&mark), Pairs::ours(self.pair), "")?;
        let mut told = Vec::new();
        while !told.iter().any(|(p, _)| *p == mark) {
            self.next(&mut told)?;
        }
        told.retain(|(p, _)| p == STAYS || p == GOES);
        told.sort_by(|a: &(String, Told), b| a.0.cmp(&b.0));
        Ok(told)
    }

    /// Takes in the next UPDATE.
    fn next(&mut self, told: &mut Vec<(String, Told)>) -> Result<()> {
        let body = self.speaker.expect(bgp::UPDATE)?.body;
        // LLGR_STALE is the last of its communities.
        let marked = body.windows(4).any(|w| w == [0xff, 0xff, 0, 6]);
        bgp::routes(&body, |p, announced| {
            let how = match (announced, marked) {
                (false, _) => Told::Withdrawn,
                (true, true) => Told::Marked,
                (true, false) => Told::Plain,
            };
            told.push((prefix(&p), how));
        })?;
        Ok(())
    }
}

/// Graceful restart and long-lived graceful restart of IPv4 unicast: 60 and 600 seconds, F bits.
const BOTH: [u8; 17] = [64, 6, 0, 60, 0, 1, 1, 0x80, 71, 7, 0, 1, 1, 0x80, 0, 2, 88];

struct LongLived {
    pairs: Pairs,
    daemon: Rustbgpd,
    peer: Box<dyn Peer>,
    setup: Setup,
    kind: Kind,
    knows: Watcher,
    other: Watcher,
}

impl LongLived {
    /// The peer has two routes, asks for `restart_time` and for so many seconds more.
    fn start(lab: &Lab, kind: Kind, restart_time: u16, stale_time: u32) -> Result<Self> {
        let pairs = Pairs::new(lab, &[1, 2, 3])?;
        let session = Session::new(&restarter().to_string(), &Pairs::ours(1).to_string(), US)?;
        let session = session.restart_time(restart_time).long_lived(stale_time).hold_time(90);
        let routes = vec![route(STAYS), route(GOES)];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions: vec![session], routes };
        let peer = kind.start(&pairs.peer, &setup)?;
        let neighbor = |n, asn| {
            let neighbor = Neighbor::new(&Pairs::theirs(n).to_string(), asn).set("hold_time", 90);
            neighbor.set("passive", n != 1).set("llgr_stale_time", 500)
        };
        let neighbors = [neighbor(1, PEER), neighbor(2, WATCHER), neighbor(3, OTHER)];
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        let knows = Watcher::establish(&pairs, 2, WATCHER, &BOTH)?;
        let other = Watcher::establish(&pairs, 3, OTHER, &[])?;
        daemon.wait_established(&[restarter(), Pairs::theirs(2), Pairs::theirs(3)])?;
        let mut all = LongLived { pairs, daemon, peer, setup, kind, knows, other };
        wait("the peer's routes", 30, || {
            Ok([STAYS, GOES].iter().all(|p| matches!(all.daemon.best(p), Ok(Some(_)))))
        })?;
        let plain = all_are(Told::Plain);
        assert_eq!(all.knows.told(&all.daemon)?, plain);
        assert_eq!(all.other.told(&all.daemon)?, plain);
        Ok(all)
    }

    fn neighbor(&self) -> Result<Value> {
        self.daemon.json(&["neighbor", &restarter().to_string()])
    }

    fn state(&self) -> Result<Value> {
        Ok(self.neighbor()?["graceful_restart"].clone())
    }

    /// The sum of a metric's samples.
    fn metric(&self, name: &str) -> Result<u64> {
        let all = self.daemon.json(&["metrics"])?;
        let samples = all.as_array().into_iter().flatten().filter(|s| s["name"] == name);
        Ok(samples.filter_map(|s| s["value"].as_u64()).sum())
    }

    /// The peer's daemon dies, and its time is over.
    fn stays_away(&mut self) -> Result<()> {
        self.peer.crash()?;
        wait("the time beyond the restart", 40, || {
            let state = self.state()?;
            Ok(state["long_lived_families"].as_array().is_some_and(|l| !l.is_empty()))
        })
    }
}

/// Both prefixes, in order.
fn all_are(how: Told) -> Vec<(String, Told)> {
    [STAYS, GOES].map(|p| (p.to_owned(), how)).to_vec()
}

/// RFC 9494 §4.2 and §4.3: the peer stays away until its time is over.
fn a_peer_stays_away_for_long(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut all = LongLived::start(lab, kind, 3, 12)?;
        let received = all.neighbor()?["capabilities_received"].as_array().cloned().unwrap_or_default();
        let shown = |c: &Value| {
            let text = c.as_str().unwrap_or_default();
            text.starts_with("long-lived-graceful-restart") && text.contains("ipv4_unicast:12s")
        };
        assert!(received.iter().any(shown), "{received:?}");
        all.stays_away()?;
        assert_eq!(all.knows.told(&all.daemon)?, all_are(Told::Marked));
        assert_eq!(all.other.told(&all.daemon)?, all_are(Told::Withdrawn));
        let rib = all.daemon.json(&["rib", "received", &restarter().to_string()])?;
        assert!(
            rib.as_array().is_some_and(|r| r.len() == 2 && r.iter().all(|r| r["stale"] == true)),
            "{rib}"
        );
        assert_eq!(all.metric("bgp_gr_active_peers")?, 1);
        assert_eq!(all.metric("bgp_gr_stale_routes")?, 2);
        assert_eq!(all.metric("bgp_gr_timer_expired_total")?, 1);
        wait("the end of the time", 40, || Ok(all.state()?.is_null()))?;
        wait("the end of the routes", 10, || Ok(all.daemon.best(STAYS)?.is_none()))?;
        assert_eq!(all.knows.told(&all.daemon)?, all_are(Told::Withdrawn));
        assert_eq!(all.other.told(&all.daemon)?, []);
        assert_eq!(all.metric("bgp_gr_timer_expired_total")?, 2);
        assert_eq!(all.metric("bgp_gr_active_peers")?, 0);
        Ok(())
    })
}

#[test]
fn rfc9494_frr_stays_away_for_long() -> Result<()> {
    a_peer_stays_away_for_long(Kind::Frr)
}

#[test]
fn rfc9494_bird_stays_away_for_long() -> Result<()> {
    a_peer_stays_away_for_long(Kind::Bird)
}

#[test]
fn rfc9494_gobgp_stays_away_for_long() -> Result<()> {
    a_peer_stays_away_for_long(Kind::GoBgp)
}

/// RFC 9494 §4.2: the peer comes back late, with one of its two routes.
fn a_peer_comes_back_late(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut all = LongLived::start(lab, kind, 3, 400)?;
        all.stays_away()?;
        assert_eq!(all.knows.told(&all.daemon)?, all_are(Told::Marked));
        assert_eq!(all.other.told(&all.daemon)?, all_are(Told::Withdrawn));
        all.setup.routes.pop();
        // GoBGP is told its routes when it runs already: it must not reach us before.
        all.pairs.peer.block(&[Pairs::ours(1)])?;
        all.peer = all.kind.start(&all.pairs.peer, &all.setup)?;
        all.pairs.peer.unblock()?;
        all.daemon.wait_established(&[restarter()])?;
        wait("the end of the restart", 40, || Ok(all.state()?.is_null()))?;
        let back = (STAYS.to_owned(), Told::Plain);
        assert_eq!(all.knows.told(&all.daemon)?, [back.clone(), (GOES.to_owned(), Told::Withdrawn)]);
        assert_eq!(all.other.told(&all.daemon)?, [back]);
        Ok(())
    })
}

#[test]
fn rfc9494_frr_comes_back_late() -> Result<()> {
    a_peer_comes_back_late(Kind::Frr)
}

#[test]
fn rfc9494_bird_comes_back_late() -> Result<()> {
    a_peer_comes_back_late(Kind::Bird)
}

#[test]
fn rfc9494_gobgp_comes_back_late() -> Result<()> {
    a_peer_comes_back_late(Kind::GoBgp)
}
