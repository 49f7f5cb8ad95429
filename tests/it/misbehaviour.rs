//! Engines that do what an engine must not do: the parent says which one, kills it, starts it again with
//! longer and longer waits, and at last ends in order.

use std::rc::Rc;
use std::time::{Duration, Instant};

use lab::{Host, Lab, Neighbor, Pairs, Proc, Result, Rustbgpd, Speaker, binary, wait};
use serde_json::Value;

const US: u32 = 65001;
const PEER: u32 = 65002;
/// Programs of a daemon, one of them not what it should be.
const FOLDER: &str = "/run/lab/bin";
/// So many deaths in a minute, each with its wait before the next life: 0.1, 0.2, 0.4 and 0.8 seconds.
const DEATHS: usize = 5;
const WAITS: Duration = Duration::from_millis(1500);

/// Starts a daemon whose engine `role` is a stand-in with these arguments.
fn start(host: &Rc<Host>, role: &str, arguments: &str, config: &str) -> Result<Proc> {
    host.sh(&format!("mkdir {FOLDER}"), &[])?;
    let stand_in = env!("CARGO_BIN_EXE_misbehaving-engine");
    for program in ["rustbgpd", "rustbgpd-session", "rustbgpd-rde", "rustbgpd-control"] {
        let file = format!("{FOLDER}/{program}");
        if program.ends_with(&format!("-{role}")) {
            // Engines find their channel at fd 3.
            let script = format!("#!/bin/sh\nexec {stand_in} {arguments} <&3\n");
            host.write(&format!("bin/{program}"), &script)?;
            host.run(&["chmod", "755", &file])?;
        } else {
            let real = binary(program)?;
            host.sh("touch \"$2\"; mount --bind \"$1\" \"$2\"", &[&real.to_string_lossy(), &file])?;
        }
    }
    let config = host.write("config.toml", config)?;
    host.spawn("rustbgpd", &[&format!("{FOLDER}/rustbgpd"), &config])
}

/// The lines of a log that say `message` about the engine `role`.
fn lines(log: &str, message: &str, role: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|l| l["message"] == message && l["engine"] == role).collect()
}

/// What the log must say about an engine that misbehaved in its every life, each time with these words.
fn assert_logged(log: &str, role: &str, words: &str) {
    let misbehaved = lines(log, "engine misbehaved: killing it", role);
    assert_eq!(misbehaved.len(), DEATHS, "{role}: {log}");
    for line in &misbehaved {
        let error = line["error"].as_str().unwrap_or_default();
        assert!(error.starts_with(&format!("{role} misbehaved: ")) && error.contains(words), "{line}");
    }
    let ended = lines(log, "engine ended unexpectedly", role);
    assert_eq!(ended.len(), DEATHS, "{role}: {log}");
    assert!(
        ended.iter().all(|line| line["status"].as_str().unwrap_or_default().contains("SIGKILL")),
        "{log}"
    );
    assert_eq!(log.matches("starting engines again").count(), DEATHS - 1, "{role}: {log}");
}

#[test]
fn an_engine_that_misbehaves_from_the_start_is_killed_and_given_up_at_last() -> Result<()> {
    let cases = [
        ("rde", "wrong-hello", "it says hello as control"),
        ("rde", "garbage", "a message of 40 octets does not decode"),
        ("session", "fds", "a message of 0 fds carries 1"),
        ("session", "out-of-state", "ShutdownDone without a shutdown"),
    ];
    Lab::run(|lab| {
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[Neighbor::new("127.0.0.2", PEER)]);
        let started = Instant::now();
        let mut daemons = Vec::new();
        for (n, (role, what, _)) in cases.iter().enumerate() {
            daemons.push(start(&lab.host(&format!("us{n}"))?, role, what, &config)?);
        }
        for (daemon, (role, _, words)) in daemons.iter_mut().zip(cases) {
            let status = daemon.wait_end(15)?;
            assert_eq!(status.code(), Some(1), "{status}\n{}", daemon.log());
            assert!(started.elapsed() >= WAITS);
            assert_logged(&daemon.log(), role, words);
            assert!(!daemon.log().contains("starting rustbgpd"), "it was never ready");
        }
        Ok(())
    })
}

/// Peers do not notice while there is hope, and are told when there is none (RFC 4486 §4).
#[test]
fn an_engine_that_misbehaves_later_ends_the_daemon_in_order() -> Result<()> {
    const GO: &str = "/run/lab/go";
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let neighbor = Neighbor::new(&Pairs::theirs(1).to_string(), PEER).set("passive", true);
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[neighbor.set("hold_time", 90)]);
        let mut daemon = start(&pairs.us, "control", &format!("committed-twice {GO}"), &config)?;
        daemon.wait_log("starting rustbgpd", 10)?;
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 90, [10, 0, 0, 2])?;
        daemon.wait_log("peer session established", 5)?;
        let begun = Instant::now();
        pairs.us.run(&["touch", GO])?;
        wait("the first death", 5, || {
            Ok(!lines(&daemon.log(), "engine ended unexpectedly", "control").is_empty())
        })?;
        let farewell = speaker.farewell(10)?.and_then(|message| message.notification());
        assert_eq!(farewell, Some((6, 2)));
        assert!(begun.elapsed() >= WAITS, "only when it was given up");
        let status = daemon.wait_end(6)?;
        assert_eq!(status.code(), Some(1), "{status}\n{}", daemon.log());
        let log = daemon.log();
        assert_logged(&log, "control", "Committed of a configuration that it was not asked about");
        assert_eq!(log.matches("starting rustbgpd").count(), 1);
        assert_eq!(log.matches("all engines run again").count(), DEATHS - 1, "{log}");
        assert_eq!(log.matches("gRPC server exited unexpectedly").count(), 1, "{log}");
        Ok(())
    })
}
