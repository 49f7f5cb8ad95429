//! A configuration in several files: read together, and each changed for itself.

use lab::{Error, Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, binary, wait};
use nix::sys::signal::Signal;

const US: u32 = 65001;
const PEER: u32 = 65002;
const FIRST: u8 = 76;
const SECOND: u8 = 77;

fn neighbor(n: u8) -> Neighbor {
    let neighbor = Neighbor::new(&Pairs::theirs(n).to_string(), PEER);
    neighbor.set("passive", true).set("graceful_restart", false)
}

/// The text of a neighbor alone.
fn alone(n: u8) -> String {
    let with = Rustbgpd::configuration(US, "10.0.76.1", &[neighbor(n)]);
    with.replace(&Rustbgpd::configuration(US, "10.0.76.1", &[]), "")
}

#[test]
fn files_are_reloaded_together_and_changed_each_for_itself() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, SECOND])?;
        let main = Rustbgpd::configuration(US, "10.0.76.1", &[neighbor(FIRST)]);
        let main = format!("include = [\"conf.d/*.toml\"]\n{main}");
        us.sh("mkdir -p /run/lab/conf.d", &[])?;
        let mut daemon = Rustbgpd::start(&us, &main)?;
        let _first = Speaker::establish(&peer, Pairs::port(FIRST), PEER, 0, [10, 0, 76, 3])?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;
        let check = binary("rustbgpd")?;
        let check = check.to_string_lossy();

        // A generator's file comes.
        let generated = format!("# generated\n{}", alone(SECOND));
        us.write("conf.d/a.toml", &generated)?;
        us.run(&[&check, "--check", "/run/lab/config.toml"])?;
        // A change of the API's waits for it to be read.
        let second = Pairs::theirs(SECOND).to_string();
        let edit =
            |daemon: &Rustbgpd, what: &[&str]| daemon.ctl(&[&["neighbor", &second][..], what].concat());
        let error = match edit(&daemon, &["add", "--asn", "65002"]) {
            Ok(said) => return Error::fail(format!("not refused: {said}")),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("conf.d/a.toml was edited since it was read"), "{error}");
        daemon.process().signal(Signal::SIGHUP)?;
        daemon.process().wait_log("\"message\":\"config reloaded\"", 20)?;
        let _second = Speaker::establish(&peer, Pairs::port(SECOND), PEER, 0, [10, 0, 76, 4])?;
        daemon.wait_established(&[FIRST, SECOND].map(Pairs::theirs))?;

        // Wrong there: shown there, and nothing changes.
        us.write("conf.d/a.toml", format!("{generated}hold_time = 2\n"))?;
        daemon.process().signal(Signal::SIGHUP)?;
        daemon.process().wait_log("conf.d/a.toml:", 20)?;
        daemon.process().wait_log("\"message\":\"config reload failed\"", 20)?;
        us.write("conf.d/a.toml", &generated)?;

        // What is in the generator's file is changed there, and nothing elsewhere.
        edit(&daemon, &["delete"])?;
        assert!(!us.read("conf.d/a.toml")?.contains("neighbors"), "{}", us.read("conf.d/a.toml")?);
        assert_eq!(us.read("config.toml")?, main);
        // What is new is in the main file.
        edit(&daemon, &["add", "--asn", "65002"])?;
        assert!(us.read("config.toml")?.starts_with(&main) && us.read("config.toml")?.contains(&second));
        let shown = daemon.ctl(&["config", "show"])?;
        assert!(shown.contains("# --- included: /run/lab/conf.d/a.toml ---\n# generated\n"), "{shown}");
        daemon.start_again()?;
        wait("both neighbors after a restart", 10, || {
            Ok([FIRST, SECOND].iter().all(|n| daemon.neighbor(Pairs::theirs(*n)).is_ok()))
        })
    })
}
