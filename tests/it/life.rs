//! Orders to stop, engines that die, many sessions at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bgpbench::bgp;
use lab::peers::{Bird, Peer, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, engine_threads, is_running, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const US: u32 = 65001;
const PEER: u32 = 65002;
const ROUTE: &str = "10.77.0.0/24";

fn passive(n: u8) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), PEER).set("passive", true).set("hold_time", 90)
}

/// RFC 4486: Cease, Administrative Shutdown, to every neighbor, and then an end with status 0.
#[test]
fn an_order_to_stop_says_goodbye_to_every_neighbor() -> Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        Lab::run(|lab| {
            let numbers: Vec<u8> = (1..=5).collect();
            let pairs = Pairs::new(lab, &numbers)?;
            let neighbors: Vec<Neighbor> = numbers.iter().map(|n| passive(*n)).collect();
            let mut daemon =
                Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
            let mut speakers = Vec::new();
            for n in &numbers {
                speakers.push(Speaker::establish(&pairs.peer, Pairs::port(*n), PEER, 90, [10, 0, 0, *n])?);
            }
            for n in &numbers {
                daemon.wait_established(&[Pairs::theirs(*n)])?;
            }
            let started = Instant::now();
            daemon.process().signal(signal)?;
            for speaker in &mut speakers {
                let farewell = speaker.farewell(5)?.and_then(|message| message.notification());
                assert_eq!(farewell, Some((6, 2)));
            }
            let status = daemon.process().wait_end(6)?;
            assert!(status.success(), "{status}");
            assert!(started.elapsed() < Duration::from_secs(6));
            assert!(pairs.us.run(&["ls", "/run/rustbgpd/grpc.sock"]).is_err(), "the socket is gone");
            Ok(())
        })?;
    }
    Ok(())
}

/// A daemon with BIRD on one side and a speaker on the other, and a route of BIRD's.
struct Stage {
    daemon: Rustbgpd,
    bird: Bird,
    speaker: Speaker,
    pairs: Pairs,
}

impl Stage {
    const BIRD: u8 = 1;
    const SPEAKER: u8 = 2;

    fn start(lab: &Lab) -> Result<Self> {
        let pairs = Pairs::new(lab, &[Self::BIRD, Self::SPEAKER])?;
        let (local, remote) = (Pairs::theirs(Self::BIRD), Pairs::ours(Self::BIRD));
        let route = Route {
            prefix: ROUTE.into(),
            origin: Origin::Igp,
            med: 1,
            local_pref: None,
            communities: vec!["65003:1".into()],
            large: vec![],
        };
        let setup = Setup {
            asn: 65003,
            router_id: "10.0.1.2",
            sessions: vec![Session::new(&local.to_string(), &remote.to_string(), US)?.hold_time(90)],
            routes: vec![route],
        };
        let bird = Bird::start(&pairs.peer, &setup)?;
        let to_bird = Neighbor::new(&local.to_string(), 65003).set("hold_time", 90);
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[to_bird, passive(Self::SPEAKER)]);
        let daemon = Rustbgpd::start(&pairs.us, &config)?;
        let speaker = Speaker::establish(&pairs.peer, Pairs::port(Self::SPEAKER), PEER, 90, [10, 0, 0, 2])?;
        daemon.wait_established(&[local, Pairs::theirs(Self::SPEAKER)])?;
        wait("BIRD's route", 5, || Ok(daemon.best(ROUTE)?.is_some()))?;
        Ok(Stage { daemon, bird, speaker, pairs })
    }

    /// Kills an engine and waits until another one has taken its place.
    fn kill(&mut self, role: &str) -> Result<()> {
        let pid = self.daemon.engine(role)?;
        kill(Pid::from_raw(i32::try_from(pid).map_err(|e| e.to_string())?), Signal::SIGKILL)?;
        wait("the engine to die", 5, || Ok(!is_running(pid)))?;
        assert_ne!(self.daemon.engine(role)?, pid);
        wait("the daemon to be healthy", 15, || Ok(self.daemon.json(&["health"])?["healthy"] == true))
    }

    /// Everything is as it was: session, and the route on its way from one side to the other.
    fn wait_recovered(&mut self) -> Result<()> {
        let bird = Pairs::theirs(Self::BIRD);
        self.daemon.wait_established(&[bird])?;
        wait("BIRD's route", 15, || Ok(self.daemon.best(ROUTE)?.is_some()))?;
        assert!(self.bird.established(Pairs::ours(Self::BIRD))?);
        assert!(self.daemon.process().alive());
        Ok(())
    }
}

#[test]
fn routing_does_not_notice_the_death_of_control() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        stage.kill("control")?;
        for n in [Stage::BIRD, Stage::SPEAKER] {
            let state = stage.daemon.neighbor(Pairs::theirs(n))?;
            assert!(state.established && state.flaps == 0, "{state:?}");
        }
        // The connection is still the same, and still works.
        stage.speaker.send(&bgp::keepalive())?;
        stage.wait_recovered()
    })
}

#[test]
fn the_death_of_rde_is_recovered_from() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        stage.kill("rde")?;
        stage.wait_recovered()
    })
}

#[test]
fn the_death_of_session_is_recovered_from() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        stage.kill("session")?;
        stage.wait_recovered()?;
        // The speaker's connection was lost with the engine; it may come back.
        let again =
            Speaker::establish(&stage.pairs.peer, Pairs::port(Stage::SPEAKER), PEER, 90, [10, 0, 0, 2])?;
        stage.speaker = again;
        stage.daemon.wait_established(&[Pairs::theirs(Stage::SPEAKER)])
    })
}

/// RFC 4271 sessions with a thousand neighbors at once, all dialled by the daemon, without a thread each.
#[test]
fn a_thousand_sessions() -> Result<()> {
    const SESSIONS: u32 = 1000;
    let address = |n: u32| Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 1).to_bits() + n);
    Lab::run(|lab| {
        let (us, peer) = (lab.host("us")?, lab.host("peer")?);
        // One neighbor of the link layer: a thousand would be more than the kernel keeps.
        lab.link(&us, &peer, &["10.0.0.1/24"], &["10.0.0.2/24"])?;
        us.run(&["ip", "route", "add", "10.1.0.0/16", "via", "10.0.0.2"])?;
        let commands: String =
            (0..SESSIONS).map(|n| format!("addr add {}/32 dev lo\n", address(n))).collect();
        peer.feed(&["ip", "-batch", "-"], &commands)?;
        let listener = peer.listen("0.0.0.0:179".parse()?)?;
        let neighbors: Vec<Neighbor> = (0..SESSIONS)
            .map(|n| Neighbor::new(&address(n).to_string(), PEER).set("hold_time", 90))
            .collect();
        let mut daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut speakers = HashMap::new();
        while speakers.len() < SESSIONS as usize {
            let (stream, _) = listener.accept()?;
            let IpAddr::V4(own) = stream.local_addr()?.ip() else { continue };
            let mut speaker = Speaker::over(stream)?;
            speaker.handshake(PEER, 90, own.octets(), false)?;
            speakers.insert(own, speaker);
        }
        wait("all sessions", 20, || Ok(daemon.json(&["health"])?["active_peers"] == SESSIONS))?;
        for role in ["session", "rde", "control"] {
            let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.engine(role)?))?;
            assert!(status.contains(&format!("Threads:\t{}\n", engine_threads(role)?)), "{role}");
        }
        daemon.process().signal(Signal::SIGTERM)?;
        for (own, speaker) in &mut speakers {
            let farewell = speaker.farewell(5).map_err(|e| format!("{own}: {e}"))?;
            assert_eq!(farewell.and_then(|message| message.notification()), Some((6, 2)));
        }
        assert!(daemon.process().wait_end(6)?.success());
        Ok(())
    })
}
