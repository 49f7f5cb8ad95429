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
    // The parent starts no programs but those beside it.
    for (program, name) in [(env!("CARGO_BIN_EXE_misbehaving-engine"), "stand-in"), ("/bin/sh", "sh")] {
        host.sh("touch \"$2\"; mount --bind \"$1\" \"$2\"", &[program, &format!("{FOLDER}/{name}")])?;
    }
    for program in ["rustbgpd", "rustbgpd-session", "rustbgpd-rde", "rustbgpd-control"] {
        let file = format!("{FOLDER}/{program}");
        if program.ends_with(&format!("-{role}")) {
            // Engines find their channel at fd 3.
            let script = format!("#!{FOLDER}/sh\nexec {FOLDER}/stand-in {role}-{arguments} <&3\n");
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

/// A key that the parent alone has.
const KEY: &str = "correct-horse-battery-staple";

/// What an engine that was taken over tries, and the words with which the parent ends it: each time, and itself not at all.
const ATTEMPTS: [(&str, &str, &str); 17] = [
    ("rde", "wrong-hello", "it says hello as control"),
    ("rde", "garbage", "a message of 40 octets does not decode"),
    ("rde", "truncated", "a message of 2 octets does not decode"),
    ("rde", "wrong-generation", "Staged of a configuration that it was not asked about"),
    ("session", "fds", "a message of 0 fds carries 1"),
    ("session", "many-fds", "a message carries more than 5 fds"),
    ("session", "oversize", "a message is larger than"),
    ("session", "huge-list", "a message of 12 octets does not decode"),
    ("session", "leftover", "a message announces 0 octets of payload and carries"),
    ("session", "out-of-state", "ShutdownDone without a shutdown"),
    ("session", "unasked", "answers a question that nobody has asked"),
    ("session", "connect-early", "WantConnect before the configuration is in force"),
    ("session", "connect-elsewhere", "WantConnect: no peer"),
    ("session", "outside", "WantPeer: 192.0.2.1 is in no range"),
    ("control", "early-wish", "a wish of a client before it has a listener"),
    ("control", "endless-edit", "is empty or has more than"),
    ("control", "file-name", "cannot be decoded"),
];

fn with_a_key() -> String {
    let neighbor = Neighbor::new("127.0.0.2", PEER).set("md5_password", format!("\"{KEY}\""));
    Rustbgpd::configuration(US, "10.0.0.1", &[neighbor])
}

#[test]
fn an_engine_that_was_taken_over_gets_nothing_but_its_end() -> Result<()> {
    Lab::run(|lab| {
        let started = Instant::now();
        // So many at once, and then as many again: each is a daemon of its own.
        for (half, attempts) in ATTEMPTS.chunks(8).enumerate() {
            let mut daemons = Vec::new();
            for (n, (role, what, _)) in attempts.iter().enumerate() {
                daemons.push(start(&lab.host(&format!("us{half}{n}"))?, role, what, &with_a_key())?);
            }
            for (daemon, (role, what, words)) in daemons.iter_mut().zip(attempts) {
                let status = daemon.wait_end(30)?;
                let log = daemon.log();
                assert_eq!(status.code(), Some(1), "{role} {what}: {status}\n{log}");
                assert!(started.elapsed() >= WAITS);
                assert_logged(&log, role, words);
                assert!(!log.contains("panicked"), "{log}");
                // Some wait until they are trusted.
                let ready = ["connect-elsewhere", "outside", "endless-edit", "file-name"].contains(what);
                assert_eq!(log.contains("starting rustbgpd"), ready, "{role} {what}: {log}");
                // What the stand-ins were told is in the log, as far as they show it; the key is not.
                let shows = ["wrong-generation", "connect-elsewhere", "outside", "endless-edit", "file-name"]
                    .contains(what);
                assert_eq!(log.contains("told: StageBegin"), shows, "{role} {what}: {log}");
                assert!(!log.contains(KEY), "{role} {what} learns the key");
            }
        }
        Ok(())
    })
}

/// Answers that nobody takes are bounded.
#[test]
fn an_engine_that_asks_and_does_not_read_is_killed() -> Result<()> {
    Lab::run(|lab| {
        let mut daemon = start(&lab.host("us")?, "session", "connect-flood", &with_a_key())?;
        let status = daemon.wait_end(60)?;
        let log = daemon.log();
        assert_eq!(status.code(), Some(1), "{status}\n{log}");
        assert_eq!(lines(&log, "engine ended unexpectedly", "session").len(), DEATHS, "{log}");
        assert!(!log.contains("panicked"), "{log}");
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
