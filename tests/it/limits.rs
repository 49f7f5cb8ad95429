//! Prefix limits with four other daemons: the peer that announces more than it may, and the peer that would be announced
//! more than it should (RFC 4486 §4).

use std::io::Read;

use lab::peers::{Kind, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;

/// The cases, by the number of their pair of addresses.
const SHUTDOWN: u8 = 31;
const RESTART: u8 = 32;
const WARN: u8 = 33;
const ENOUGH: u8 = 34;

/// How many routes the peer announces on each of its sessions.
const ROUTES: u8 = 6;
/// Cease, Maximum Number of Prefixes Reached: IPv4 unicast, 5.
const CEASE: [u8; 12] = [0, 28, 3, 6, 1, 0, 1, 1, 0, 0, 0, 5];

fn route(n: u8) -> Route {
    Route {
        prefix: format!("10.80.{n}.0/24"),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    }
}

fn setup(cases: &[u8], routes: u8) -> Result<Setup> {
    let session =
        |case: &u8| Session::new(&Pairs::theirs(*case).to_string(), &Pairs::ours(*case).to_string(), US);
    let sessions = cases.iter().map(session).collect::<Result<_>>()?;
    Ok(Setup { asn: PEER, router_id: "10.0.31.2", sessions, routes: (1..=routes).map(route).collect() })
}

fn neighbor(case: u8) -> Neighbor {
    // With graceful restart the NOTIFICATION would come in a Hard Reset (RFC 8538 §5.2).
    Neighbor::new(&Pairs::theirs(case).to_string(), PEER).set("graceful_restart", false)
}

/// The metric of one neighbor.
fn times_exceeded(daemon: &Rustbgpd, case: u8) -> Result<u64> {
    let name = format!("bgp_max_prefix_exceeded_total{{peer=\"{}\"}} ", Pairs::theirs(case));
    let metrics = daemon.ctl(&["metrics"])?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    Ok(line.ok_or_else(|| format!("no {name} in {metrics}"))?.parse()?)
}

fn received(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let cases = [SHUTDOWN, RESTART, WARN, ENOUGH];
        let Pairs { us, peer } = Pairs::new(lab, &cases)?;
        let _capture = peer.capture("shutdown", Pairs::ours(SHUTDOWN))?;
        let mut other = kind.start(&peer, &setup(&cases, ROUTES)?)?;
        let limited = |case, action: &str| {
            neighbor(case).set("max_prefixes", ROUTES - 1).set("max_prefixes_action", format!("\"{action}\""))
        };
        let neighbors = [
            limited(SHUTDOWN, "shutdown"),
            limited(RESTART, "restart").set("max_prefixes_restart_minutes", 60),
            limited(WARN, "warn"),
            neighbor(ENOUGH).set("max_prefixes", ROUTES),
        ];
        let mut daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.31.1", &neighbors))?;
        let shown = |case| daemon.json(&["neighbor", &Pairs::theirs(case).to_string()]);
        for case in [SHUTDOWN, RESTART] {
            wait("the limit to end the session", 30, || Ok(shown(case)?["over_prefix_limit"] == true))?;
        }
        // It knows why, also as the peer itself read it, and goes on to say so while the peer tries again.
        wait("the exact NOTIFICATION on the wire", 5, || {
            let mut packets = Vec::new();
            peer.open("shutdown.pcap")?.read_to_end(&mut packets)?;
            Ok(packets.windows(CEASE.len()).any(|window| window == CEASE))
        })?;
        let state = shown(SHUTDOWN)?;
        let error = state["last_error"].as_str().unwrap_or_default();
        assert!(
            error.contains("Maximum Number of Prefixes Reached (6/1): the peer announced more than 5"),
            "{state}"
        );
        assert!(error.ends_with("down until enabled"), "{state}");
        assert_eq!(state["state"], "Idle");
        assert_eq!(state["next_attempt_seconds"].as_u64(), None);
        let state = shown(RESTART)?;
        assert!(
            (3500..=3600).contains(&state["next_attempt_seconds"].as_u64().unwrap_or_default()),
            "{state}"
        );
        // Those that may announce more are not disturbed.
        daemon.wait_established(&[Pairs::theirs(WARN), Pairs::theirs(ENOUGH)])?;
        for case in [WARN, ENOUGH] {
            wait("all routes", 10, || {
                Ok(daemon.neighbor(Pairs::theirs(case))?.prefixes_received == u64::from(ROUTES))
            })?;
        }
        for (case, times) in [(SHUTDOWN, 1), (RESTART, 1), (WARN, 1), (ENOUGH, 0)] {
            assert_eq!(times_exceeded(&daemon, case)?, times, "{case}");
        }
        // The peer goes on to connect; it is not let in, and its routes are gone. OpenBGPD waits twice as long after each
        // refusal.
        if kind != Kind::OpenBgpd {
            wait("the peer to try again", 60, || {
                Ok(daemon.neighbor(Pairs::theirs(SHUTDOWN))?.notifications_sent > 1)
            })?;
        }
        let state = shown(SHUTDOWN)?;
        assert!(state["over_prefix_limit"] == true && state["prefixes_received"] == 0, "{state}");
        assert!(state["last_error"].as_str().unwrap_or_default().ends_with("down until enabled"), "{state}");

        other.withdraw(&route(1).prefix)?;
        for case in [SHUTDOWN, RESTART] {
            daemon.ctl(&["neighbor", &Pairs::theirs(case).to_string(), "enable"])?;
            wait("a session after the peer was enabled", 90, || {
                let state = daemon.neighbor(Pairs::theirs(case))?;
                Ok(state.established && state.prefixes_received == u64::from(ROUTES) - 1)
            })?;
        }
        assert_eq!(times_exceeded(&daemon, SHUTDOWN)?, 1);
        let flaps =
            daemon.neighbor(Pairs::theirs(ENOUGH))?.flaps + daemon.neighbor(Pairs::theirs(WARN))?.flaps;
        assert_eq!(flaps, 0, "nobody else was disturbed");
        let log = daemon.process().log();
        assert_eq!(log.matches("max-prefix limit exceeded").count(), 3, "{log}");
        Ok(())
    })
}

#[test]
fn rfc4486_4_more_prefixes_than_allowed_from_frr() -> Result<()> {
    received(Kind::Frr)
}

#[test]
fn rfc4486_4_more_prefixes_than_allowed_from_bird() -> Result<()> {
    received(Kind::Bird)
}

#[test]
fn rfc4486_4_more_prefixes_than_allowed_from_openbgpd() -> Result<()> {
    received(Kind::OpenBgpd)
}

#[test]
fn rfc4486_4_more_prefixes_than_allowed_from_gobgp() -> Result<()> {
    received(Kind::GoBgp)
}

fn advertised(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[SHUTDOWN, ENOUGH])?;
        let _capture = peer.capture("shutdown", Pairs::ours(SHUTDOWN))?;
        let other = kind.start(&peer, &setup(&[SHUTDOWN, ENOUGH], 0)?)?;
        let neighbors = [neighbor(SHUTDOWN).set("max_prefixes_out", 5), neighbor(ENOUGH)];
        let mut daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.31.1", &neighbors))?;
        daemon.wait_established(&[Pairs::theirs(SHUTDOWN), Pairs::theirs(ENOUGH)])?;
        for n in 1..=5 {
            daemon.add(&route(n), Pairs::ours(SHUTDOWN), "")?;
        }
        wait("the routes at the peer", 10, || Ok(other.route(&route(5).prefix)?.is_some()))?;
        daemon.add(&route(6), Pairs::ours(SHUTDOWN), "")?;
        wait("the limit to end the session", 10, || {
            Ok(daemon.json(&["neighbor", &Pairs::theirs(SHUTDOWN).to_string()])?["over_prefix_limit"] == true)
        })?;
        wait("the exact NOTIFICATION on the wire", 5, || {
            let mut packets = Vec::new();
            peer.open("shutdown.pcap")?.read_to_end(&mut packets)?;
            Ok(packets.windows(CEASE.len()).any(|window| window == CEASE))
        })?;
        wait("the end of the session at the peer", 10, || Ok(!other.established(Pairs::ours(SHUTDOWN))?))?;
        daemon.process().wait_log("outbound prefix limit exceeded", 5)?;
        daemon.delete(&route(6).prefix)?;
        daemon.ctl(&["neighbor", &Pairs::theirs(SHUTDOWN).to_string(), "enable"])?;
        wait("a session after the peer was enabled", 90, || {
            Ok(daemon.neighbor(Pairs::theirs(SHUTDOWN))?.established
                && other.established(Pairs::ours(SHUTDOWN))?)
        })?;
        assert_eq!(daemon.neighbor(Pairs::theirs(ENOUGH))?.flaps, 0);
        assert_eq!(times_exceeded(&daemon, SHUTDOWN)?, 0, "it is not the peer that exceeded anything");
        Ok(())
    })
}

#[test]
fn more_prefixes_than_should_go_to_frr() -> Result<()> {
    advertised(Kind::Frr)
}

#[test]
fn more_prefixes_than_should_go_to_bird() -> Result<()> {
    advertised(Kind::Bird)
}

#[test]
fn more_prefixes_than_should_go_to_openbgpd() -> Result<()> {
    advertised(Kind::OpenBgpd)
}

#[test]
fn more_prefixes_than_should_go_to_gobgp() -> Result<()> {
    advertised(Kind::GoBgp)
}
