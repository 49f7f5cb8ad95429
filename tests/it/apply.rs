//! `rustbgpctl config`: another file for a daemon that runs; for good, or until it is confirmed.

use lab::peers::{Bird, Session, Setup};
use lab::{Error, Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, wait};
use nix::sys::signal::Signal;

const US: u32 = 65001;
const PEER: u32 = 65002;
const FILE: &str = "config.toml";
const ASIDE: &str = ".config.toml.new";
const NEW: &str = "new.toml";
const NEW_PATH: &str = "/run/lab/new.toml";

/// BIRD's, which no change here may touch, and a speaker's.
const STABLE: u8 = 71;
const OTHER: u8 = 72;

fn configuration(others: &[Neighbor]) -> String {
    let stable = Neighbor::new(&Pairs::theirs(STABLE).to_string(), PEER).set("graceful_restart", false);
    let neighbors: Vec<Neighbor> = [stable].into_iter().chain(others.iter().cloned()).collect();
    format!("# by hand\n{}", Rustbgpd::configuration(US, "10.0.71.1", &neighbors))
}

fn other() -> Neighbor {
    let neighbor = Neighbor::new(&Pairs::theirs(OTHER).to_string(), PEER);
    neighbor.set("passive", true).set("graceful_restart", false).set("md5_password", "\"hunter2\"")
}

fn refused(result: Result<String>) -> Result<String> {
    match result {
        Ok(said) => Error::fail(format!("not refused: {said}")),
        Err(error) => Ok(error.to_string()),
    }
}

fn untouched(daemon: &Rustbgpd) -> Result<()> {
    let state = daemon.neighbor(Pairs::theirs(STABLE))?;
    assert_eq!((state.established, state.flaps, state.notifications_sent), (true, 0, 0));
    Ok(())
}

fn has_other(daemon: &Rustbgpd) -> bool {
    daemon.neighbor(Pairs::theirs(OTHER)).is_ok()
}

fn bird(pairs: &Pairs) -> Result<Bird> {
    let session = Session::new(&Pairs::theirs(STABLE).to_string(), &Pairs::ours(STABLE).to_string(), US)?;
    Bird::start(
        &pairs.peer,
        &Setup { asn: PEER, router_id: "10.0.71.2", sessions: vec![session], routes: vec![] },
    )
}

#[test]
fn a_file_is_applied_as_a_whole_or_not_at_all() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[STABLE, OTHER])?;
        let us = &pairs.us;
        let _bird = bird(&pairs)?;
        let old = configuration(&[]);
        let mut daemon = Rustbgpd::start(us, &old)?;
        us.sh("chmod 0640 /run/lab/config.toml", &[])?;
        daemon.wait_established(&[Pairs::theirs(STABLE)])?;

        // All that is wrong, with places in the file that was given, and without secrets.
        let two_errors = configuration(&[other().set("hold_time", 2), other().set("hold_tim", 30)]);
        us.write(NEW, &two_errors)?;
        let error = refused(daemon.ctl(&["config", "apply", NEW_PATH]))?;
        let line = two_errors.lines().position(|l| l == "hold_time = 2").unwrap_or_default() + 1;
        let expected = format!(
            "error: invalid hold_time 2: must be 0 or >= 3\n  --> {NEW_PATH}:{line}:13\n   |\n{line} | hold_time = 2\n   |             \
             ^ must be 0 or >= 3\n"
        );
        assert!(error.contains(&expected), "{error}");
        assert!(error.contains("did you mean `hold_time`?") && error.contains("3 errors"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (old.clone(), false));

        // What waits for a restart is named, and the rest is in force.
        let new = configuration(&[other()]).replace("listen_port = 179", "listen_port = 1179");
        us.write(NEW, &new)?;
        let diff = daemon.json(&["config", "diff", NEW_PATH])?;
        assert_eq!(diff["added"][0], Pairs::theirs(OTHER).to_string());
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (old, false));
        let applied = daemon.json(&["config", "apply", NEW_PATH])?;
        assert_eq!((&applied["restart"][0], &applied["added"]), (&"listen_port".into(), &diff["added"]));
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (new.clone(), true));
        assert_eq!(us.sh("stat -c '%a %U' /run/lab/config.toml", &[])?.trim(), "640 root");
        assert!(us.read(ASIDE).is_err());
        daemon.process().wait_log("\"message\":\"config reloaded\"", 5)?;
        daemon.process().wait_log("listen_port was changed in the configuration file", 5)?;
        assert_eq!(daemon.json(&["global"])?["listen_port"], 179);

        // Shown, it has no secret, and so it is no file.
        let shown = daemon.ctl(&["config", "show"])?;
        assert_eq!(shown, new.replace("hunter2", "<set>"));
        us.write(NEW, &shown)?;
        let error = refused(daemon.ctl(&["config", "apply", NEW_PATH]))?;
        assert!(error.contains("must be the key itself: <set> stands where a key is not shown"), "{error}");
        // Nor does a client give rights on the machine.
        us.write(NEW, new.replace("listen_port", "user = \"root\"\nlisten_port"))?;
        for command in ["apply", "diff", "check"] {
            let error = refused(daemon.ctl(&["config", command, NEW_PATH]))?;
            assert!(error.contains("global.user is not the one of the file that is in force"), "{error}");
        }
        // What was edited by hand is not overwritten.
        us.write(NEW, configuration(&[]))?;
        let edited = format!("{new}# edited\n");
        us.write(FILE, &edited)?;
        let error = refused(daemon.ctl(&["config", "apply", NEW_PATH]))?;
        assert!(error.contains("was edited since it was read"), "{error}");
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (edited, true));
        assert!(!daemon.process().log().contains("hunter2"));
        untouched(&daemon)
    })
}

#[test]
fn what_is_not_confirmed_is_rolled_back() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[STABLE, OTHER])?;
        let us = &pairs.us;
        let _bird = bird(&pairs)?;
        let (old, new) = (configuration(&[]), configuration(&[other()]));
        let mut daemon = Rustbgpd::start(us, &old)?;
        daemon.wait_established(&[Pairs::theirs(STABLE)])?;
        us.write(NEW, &new)?;
        let address = Pairs::theirs(OTHER).to_string();
        let try_for = |daemon: &Rustbgpd, seconds: &str| {
            daemon.ctl(&["config", "apply", NEW_PATH, "--confirm", seconds])
        };
        let error = refused(daemon.ctl(&["config", "confirm"]))?;
        assert!(error.contains("no configuration waits to be confirmed"), "{error}");

        // By itself, also where control has died meanwhile. The file is the old one all the time.
        try_for(&daemon, "4")?;
        assert!(has_other(&daemon));
        assert_eq!(us.read(FILE)?, old);
        let control = i32::try_from(daemon.engine("control")?)?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(control), Signal::SIGKILL)?;
        daemon.process().wait_log("config rolled back: it was not confirmed", 30)?;
        wait("another control", 30, || Ok(daemon.json(&["health"]).is_ok_and(|h| h["healthy"] == true)))?;
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (old.clone(), false));
        assert!(us.read(ASIDE).is_err());

        // Nothing else changes the configuration meanwhile.
        try_for(&daemon, "600")?;
        assert!(daemon.json(&["config", "show"])?["confirm_within_seconds"].as_u64() > Some(500));
        for other in [
            &["config", "apply", NEW_PATH][..],
            &["config", "apply", NEW_PATH, "--confirm", "9"],
            &["neighbor", &address, "delete"],
        ] {
            let error = refused(daemon.ctl(other))?;
            assert!(error.contains("waits to be confirmed") && error.contains("rollback"), "{error}");
        }
        daemon.process().signal(Signal::SIGHUP)?;
        daemon.process().wait_log("\"message\":\"config reload failed\"", 10)?;
        assert!(has_other(&daemon));
        // By order.
        let rolled_back = daemon.json(&["config", "rollback"])?;
        assert_eq!(rolled_back["removed"][0], address);
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (old.clone(), false));

        // Whatever ends the daemon meanwhile, it starts with the old file.
        try_for(&daemon, "600")?;
        daemon.process().kill()?;
        assert_eq!(us.read(FILE)?, old);
        daemon.start_again()?;
        assert!(!has_other(&daemon));
        daemon.wait_established(&[Pairs::theirs(STABLE)])?;

        // What is confirmed stays.
        try_for(&daemon, "600")?;
        daemon.ctl(&["config", "confirm"])?;
        assert_eq!((us.read(FILE)?, has_other(&daemon)), (new.clone(), true));
        assert!(us.read(ASIDE).is_err());
        daemon.ctl(&["neighbor", &address, "delete"])?;
        assert_eq!(us.read(FILE)?, old);
        untouched(&daemon)?;

        // Not over what was edited by hand: that is said, and the old state comes back in time.
        try_for(&daemon, "5")?;
        let edited = format!("{old}# edited\n");
        us.write(FILE, &edited)?;
        let error = refused(daemon.ctl(&["config", "confirm"]))?;
        assert!(error.contains("was edited since it was read"), "{error}");
        wait("the old configuration", 30, || Ok(!has_other(&daemon)))?;
        assert_eq!(us.read(FILE)?, edited);
        untouched(&daemon)
    })
}

/// The session of what is tried is as real as any other, and ends with it.
#[test]
fn a_neighbor_that_is_only_tried_is_told_that_it_is_gone() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[STABLE, OTHER])?;
        let plain = Neighbor::new(&Pairs::theirs(OTHER).to_string(), PEER);
        let daemon = Rustbgpd::start(&pairs.us, &configuration(&[]))?;
        pairs.us.write(NEW, configuration(&[plain.set("passive", true).set("graceful_restart", false)]))?;
        daemon.ctl(&["config", "apply", NEW_PATH, "--confirm", "6"])?;
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(OTHER), PEER, 0, [10, 0, 71, 3])?;
        // RFC 4486 §4: Peer De-configured.
        assert_eq!(speaker.farewell(30)?.and_then(|m| m.notification()), Some((6, 3)));
        Ok(())
    })
}
