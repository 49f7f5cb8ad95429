//! The configuration file is read again while the daemon runs: what differs is put in force, and nobody else notices.

use std::net::IpAddr;

use lab::peers::{Bird, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const US: u32 = 65001;
const PEER: u32 = 65002;

/// BIRD's three sessions and the speakers'.
const BIRD: [u8; 3] = [51, 52, 53];
const FIRST: u8 = 54;
const SECOND: u8 = 55;

fn neighbor(n: u8) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), PEER).set("graceful_restart", false)
}

fn passive(n: u8) -> Neighbor {
    neighbor(n).set("passive", true)
}

fn configuration(neighbors: &[Neighbor]) -> String {
    Rustbgpd::configuration(US, "10.0.51.1", neighbors)
}

fn route() -> Route {
    Route {
        prefix: "10.81.1.0/24".into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    }
}

fn bird_setup() -> Result<Setup> {
    let session = |n: &u8| Session::new(&Pairs::theirs(*n).to_string(), &Pairs::ours(*n).to_string(), US);
    let sessions = BIRD.iter().map(session).collect::<Result<_>>()?;
    Ok(Setup { asn: PEER, router_id: "10.0.51.2", sessions, routes: vec![route()] })
}

/// Has the daemon read this file; waits until it has said so as often as before and once more.
fn reload(daemon: &mut Rustbgpd, config: &str, says: &str) -> Result<()> {
    let said = |daemon: &mut Rustbgpd| daemon.process().log().matches(says).count();
    let before = said(daemon);
    daemon.process().host().write("config.toml", config)?;
    daemon.process().signal(Signal::SIGHUP)?;
    wait(&format!("{says:?} in the log"), 20, || Ok(said(daemon) > before))
        .map_err(|e| format!("{e}\n{}", daemon.process().log_tail()).into())
}

/// What must not change at a neighbor that a reload does not concern.
fn traces(daemon: &Rustbgpd, n: u8) -> Result<(bool, u64, u64, u64)> {
    let state = daemon.neighbor(Pairs::theirs(n))?;
    Ok((state.established, state.flaps, state.notifications_sent, state.notifications_received))
}

const UNTOUCHED: (bool, u64, u64, u64) = (true, 0, 0, 0);

#[test]
fn only_what_differs_is_touched() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[&BIRD[..], &[FIRST]].concat())?;
        let bird = Bird::start(&peer, &bird_setup()?)?;
        let [a, b, c] = BIRD;
        let first = configuration(&[neighbor(a), neighbor(b), passive(FIRST)]);
        let mut daemon = Rustbgpd::start(&us, &first)?;
        let mut speaker = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 51, 3])?;
        daemon.wait_established(&[a, b, FIRST].map(Pairs::theirs))?;

        // The same again, with something written out that is the default.
        let written_out = configuration(&[neighbor(a).set("port", 179), neighbor(b), passive(FIRST)]);
        for same in [&first, &written_out] {
            reload(&mut daemon, same, "\"message\":\"config reloaded\"")?;
            assert_eq!([a, b, FIRST].map(|n| traces(&daemon, n).ok()), [Some(UNTOUCHED); 3]);
        }

        // One that costs nothing, one that resets, one that is gone and one that is new.
        let second = configuration(&[
            neighbor(a).set("description", "\"core\"").set("connect_retry", 7),
            neighbor(b).set("hold_time", 30),
            neighbor(c),
        ]);
        reload(&mut daemon, &second, "\"message\":\"config reloaded\"")?;
        daemon.wait_established(&BIRD.map(Pairs::theirs))?;
        assert_eq!(traces(&daemon, a)?, UNTOUCHED);
        assert_eq!(
            daemon.json(&["neighbor", &Pairs::theirs(a).to_string()])?["config"]["description"],
            "core"
        );
        assert_eq!(traces(&daemon, b)?, (true, 1, 1, 0));
        assert_eq!(daemon.json(&["neighbor", &Pairs::theirs(b).to_string()])?["config"]["hold_time"], 30);
        // RFC 4486 §4: Peer De-configured.
        let farewell = speaker.farewell(5)?.and_then(|m| m.notification());
        assert_eq!(farewell, Some((6, 3)));
        let list = daemon.json(&["neighbor"])?;
        let listed = |n: u8| list.to_string().contains(&format!("\"{}\"", Pairs::theirs(n)));
        assert!(listed(c) && !listed(FIRST), "{list}");
        wait("BIRD's route over the new session", 10, || {
            Ok(daemon.received(Pairs::theirs(c), "10.81.1.0/24")?.is_some())
        })?;

        // One that comes back is a new neighbor.
        reload(&mut daemon, &written_out, "\"message\":\"config reloaded\"")?;
        let _speaker = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 51, 3])?;
        daemon.wait_established(&[a, b, FIRST].map(Pairs::theirs))?;
        assert_eq!(traces(&daemon, a)?, UNTOUCHED);
        drop(bird);
        Ok(())
    })
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, SECOND])?;
        let good = configuration(&[passive(FIRST)]);
        let mut daemon = Rustbgpd::start(&us, &good)?;
        let _speaker = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 51, 3])?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;

        let bad = configuration(&[passive(FIRST), passive(SECOND).set("hold_time", 1)]);
        reload(&mut daemon, &bad, "\"message\":\"config reload failed\"")?;
        assert!(daemon.process().log().contains("must be 0 or >= 3"), "{}", daemon.process().log_tail());
        assert_eq!(traces(&daemon, FIRST)?, UNTOUCHED);
        assert!(daemon.neighbor(Pairs::theirs(SECOND)).is_err());

        // What needs a restart waits for it; the rest of the file does not.
        let other =
            configuration(&[passive(FIRST), passive(SECOND)]).replacen("asn = 65001", "asn = 65009", 1);
        reload(&mut daemon, &other, "\"message\":\"config reloaded\"")?;
        daemon.process().wait_log("asn was changed in the configuration file: that needs a restart", 5)?;
        let _second = Speaker::establish(&peer, Pairs::port(SECOND), PEER, 0, [10, 0, 51, 4])?;
        daemon.wait_established(&[FIRST, SECOND].map(Pairs::theirs))?;
        assert_eq!(daemon.json(&["global"])?["asn"], US);
        Ok(())
    })
}

/// An engine that ends before it has answered takes the reload with it, and nothing else than what always goes with it.
#[test]
fn a_reload_that_an_engine_does_not_answer_changes_nothing() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, SECOND])?;
        let mut daemon = Rustbgpd::start(&us, &configuration(&[passive(FIRST)]))?;
        let _speaker = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 51, 3])?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;
        let control = Pid::from_raw(i32::try_from(daemon.engine("control")?)?);
        kill(control, Signal::SIGSTOP)?;
        daemon.process().host().write("config.toml", configuration(&[passive(FIRST), passive(SECOND)]))?;
        daemon.process().signal(Signal::SIGHUP)?;
        // It is killed for its silence, and the one that takes its place knows the neighbors of before.
        daemon.process().wait_log("control ended meanwhile", 60)?;
        wait("another control", 30, || Ok(daemon.json(&["health"]).is_ok_and(|h| h["healthy"] == true)))?;
        assert_eq!(traces(&daemon, FIRST)?, UNTOUCHED);
        assert!(daemon.neighbor(Pairs::theirs(SECOND)).is_err());
        // The next one finds all of them.
        reload(&mut daemon, &configuration(&[passive(FIRST), passive(SECOND)]), "\"config reloaded\"")?;
        let _second = Speaker::establish(&peer, Pairs::port(SECOND), PEER, 0, [10, 0, 51, 4])?;
        daemon.wait_established(&[FIRST, SECOND].map(Pairs::theirs))
    })
}

#[test]
fn a_higher_limit_lets_a_peer_come_back_at_once() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST])?;
        let setup = Setup {
            asn: PEER,
            router_id: "10.0.51.2",
            sessions: vec![Session::new(
                &Pairs::theirs(FIRST).to_string(),
                &Pairs::ours(FIRST).to_string(),
                US,
            )?],
            routes: (1..=3).map(|n| Route { prefix: format!("10.81.{n}.0/24"), ..route() }).collect(),
        };
        let _bird = Bird::start(&peer, &setup)?;
        let limited = |limit: u32| configuration(&[neighbor(FIRST).set("max_prefixes", limit)]);
        let mut daemon = Rustbgpd::start(&us, &limited(2))?;
        let address = Pairs::theirs(FIRST).to_string();
        let shown = |daemon: &Rustbgpd| daemon.json(&["neighbor", &address]);
        wait("the limit to end the session", 30, || Ok(shown(&daemon)?["over_prefix_limit"] == true))?;
        reload(&mut daemon, &limited(3), "\"message\":\"config reloaded\"")?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;
        wait("all routes", 10, || Ok(daemon.neighbor(Pairs::theirs(FIRST))?.prefixes_received == 3))
    })
}

/// RFC 2385: the listener has the key of each neighbor from a reload on.
#[test]
fn keys_change_with_a_reload() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, SECOND])?;
        let mut daemon = Rustbgpd::start(&us, &configuration(&[passive(FIRST), passive(SECOND)]))?;
        let establish = |n: u8| Speaker::establish(&peer, Pairs::port(n), PEER, 0, [10, 0, 51, n]);
        let mut first = establish(FIRST)?;
        let _second = establish(SECOND)?;
        let both: [IpAddr; 2] = [FIRST, SECOND].map(Pairs::theirs);
        daemon.wait_established(&both)?;
        let with_key = configuration(&[passive(FIRST).set("md5_password", "\"hunter2\""), passive(SECOND)]);
        reload(&mut daemon, &with_key, "\"message\":\"config reloaded\"")?;
        // RFC 4486 §4: Other Configuration Change.
        assert_eq!(first.farewell(5)?.and_then(|m| m.notification()), Some((6, 6)));
        assert!(Speaker::connect(&peer, Pairs::port(FIRST)).is_err(), "a connection without the key");
        assert_eq!(traces(&daemon, SECOND)?, UNTOUCHED);
        reload(
            &mut daemon,
            &configuration(&[passive(FIRST), passive(SECOND)]),
            "\"message\":\"config reloaded\"",
        )?;
        let _first = wait_for("the session without a key", 20, || Ok(establish(FIRST).ok()))?;
        daemon.wait_established(&both)?;
        assert_eq!(traces(&daemon, SECOND)?, UNTOUCHED);
        assert!(!daemon.process().log().contains("hunter2"));
        Ok(())
    })
}

/// FlowSpec has no tables here: a neighbor that has nothing else stays down, keeps nobody from starting, and comes up when a
/// reload gives it a family that is served.
#[test]
fn a_neighbor_without_a_family_that_is_served_stays_down_until_it_has_one() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST])?;
        let with = |family: &str| configuration(&[passive(FIRST).set("families", format!("[\"{family}\"]"))]);
        let mut daemon = Rustbgpd::start(&us, &with("ipv4_flowspec"))?;
        let address = Pairs::theirs(FIRST).to_string();
        assert_eq!(daemon.json(&["neighbor", &address])?["disabled"], true);
        // Our OPEN would stand for IPv4 unicast.
        let refused = daemon.ctl(&["neighbor", &address, "enable"]).err().map(|e| e.to_string());
        assert!(refused.as_ref().is_some_and(|e| e.contains("no family")), "{refused:?}");

        reload(&mut daemon, &with("ipv4_unicast"), "\"message\":\"config reloaded\"")?;
        let mut speaker = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 51, 3])?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;
        reload(&mut daemon, &with("ipv4_flowspec"), "\"message\":\"config reloaded\"")?;
        assert_eq!(speaker.farewell(5)?.and_then(|m| m.notification()).map(|(code, _)| code), Some(6));
        assert_eq!(daemon.json(&["neighbor", &address])?["disabled"], true);
        Ok(())
    })
}
