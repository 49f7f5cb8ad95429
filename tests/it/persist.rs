//! Changes through the API: in force, in the configuration file, and there after a restart; or not made at all.

use std::rc::Rc;
use std::time::{Duration, Instant};

use lab::peers::{Bird, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, binary, wait};
use nix::sys::signal::Signal;

const US: u32 = 65001;
const PEER: u32 = 65002;
const FILE: &str = "config.toml";
const ASIDE: &str = ".config.toml.new";

/// There all along, added, and a speaker's.
const FIRST: u8 = 61;
const ADDED: u8 = 62;
const SPEAKER: u8 = 63;

fn configuration() -> String {
    let first = Neighbor::new(&Pairs::theirs(FIRST).to_string(), PEER);
    let text = Rustbgpd::configuration(US, "10.0.61.1", &[first.set("graceful_restart", false)]);
    format!("# Kept by hand\n{text}# connect_retry = 5, if it is back\n")
}

/// What the file gets for a neighbor that is added with its AS number and a description.
fn written(n: u8, description: &str) -> String {
    let address = Pairs::theirs(n);
    format!(
        "\n[[neighbors]]\naddress = \"{address}\"\nremote_asn = {PEER}\ndescription = \"{description}\"\n\
         families = [\"ipv4_unicast\"]\n"
    )
}

fn add(daemon: &Rustbgpd, n: u8, description: &str) -> Result<String> {
    let (address, asn) = (Pairs::theirs(n).to_string(), PEER.to_string());
    daemon.ctl(&["neighbor", &address, "add", "--asn", &asn, "--description", description])
}

fn delete(daemon: &Rustbgpd, n: u8) -> Result<String> {
    daemon.ctl(&["neighbor", &Pairs::theirs(n).to_string(), "delete"])
}

/// What a refusal says.
fn refused(result: Result<String>) -> Result<String> {
    match result {
        Ok(said) => Error::fail(format!("not refused: {said}")),
        Err(error) => Ok(error.to_string()),
    }
}

fn sessions_end(daemon: &Rustbgpd, n: u8) -> Result<(bool, u64)> {
    let state = daemon.neighbor(Pairs::theirs(n))?;
    Ok((state.established, state.flaps))
}

fn bird(peer: &Rc<Host>) -> Result<Bird> {
    let session = |n: u8| Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), US);
    let sessions = vec![session(FIRST)?, session(ADDED)?];
    Bird::start(peer, &Setup { asn: PEER, router_id: "10.0.61.2", sessions, routes: vec![] })
}

#[test]
fn a_neighbor_that_is_added_is_in_the_file_and_there_after_a_restart() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, ADDED, SPEAKER])?;
        let _bird = bird(&peer)?;
        let config = configuration();
        let mut daemon = Rustbgpd::start(&us, &config)?;
        us.sh("chown 1234:1234 /run/lab/config.toml", &[])?;
        let [first, added, speakers] = [FIRST, ADDED, SPEAKER].map(Pairs::theirs);
        daemon.wait_established(&[first])?;
        // Somebody else's file is not given away: root has no right to that any more.
        assert!(refused(add(&daemon, ADDED, "new"))?.contains("cannot give the owner and mode"));
        us.sh("chown 0:0 /run/lab/config.toml && chmod 0640 /run/lab/config.toml", &[])?;

        add(&daemon, ADDED, "new")?;
        daemon.wait_established(&[added])?;
        assert_eq!(daemon.json(&["neighbor", &added.to_string()])?["config"]["description"], "new");
        let with_added = format!("{config}{}", written(ADDED, "new"));
        assert_eq!(us.read(FILE)?, with_added);
        assert_eq!(us.sh("stat -c '%a %U' /run/lab/config.toml", &[])?.trim(), "640 root");
        us.run(&[&binary("rustbgpd")?.to_string_lossy(), "--check", "/run/lab/config.toml"])?;

        let error = refused(add(&daemon, ADDED, "again"))?;
        assert!(error.contains("there is a neighbor 10.0.62.2 already"), "{error}");
        let asn = US.to_string();
        let internal = ["neighbor", "10.0.99.2", "add", "--asn", &asn, "--route-server-client"];
        let error = refused(daemon.ctl(&internal))?;
        assert!(error.contains("route_server_client true: is for eBGP neighbors only"), "{error}");
        assert_eq!(us.read(FILE)?, with_added);

        daemon.start_again()?;
        daemon.wait_established(&[first, added])?;

        // RFC 4486 §4: Peer De-configured, and nobody else notices.
        add(&daemon, SPEAKER, "short")?;
        let mut speaker = Speaker::establish(&peer, Pairs::port(SPEAKER), PEER, 0, [10, 0, 61, 3])?;
        daemon.wait_established(&[speakers])?;
        delete(&daemon, SPEAKER)?;
        assert_eq!(speaker.farewell(5)?.and_then(|m| m.notification()), Some((6, 3)));
        assert_eq!(us.read(FILE)?, with_added);
        assert!(refused(delete(&daemon, SPEAKER))?.contains("there is no neighbor 10.0.63.2"));
        delete(&daemon, ADDED)?;
        assert_eq!(us.read(FILE)?, config);
        assert!(daemon.neighbor(added).is_err());
        assert_eq!(sessions_end(&daemon, FIRST)?, (true, 0));
        Ok(())
    })
}

#[test]
fn a_change_that_cannot_be_written_is_not_made() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, ADDED])?;
        let _bird = bird(&peer)?;
        let config = configuration();
        let mut daemon = Rustbgpd::start(&us, &config)?;
        daemon.wait_established(&[Pairs::theirs(FIRST)])?;
        us.sh("chmod 0555 /run/lab", &[])?;
        let error = refused(add(&daemon, ADDED, "new"))?;
        assert!(error.contains("the change is not made: cannot create"), "{error}");
        assert!(daemon.neighbor(Pairs::theirs(ADDED)).is_err());
        daemon.process().wait_log("a change of the configuration cannot be written", 10)?;
        us.sh("chmod 0755 /run/lab", &[])?;

        // Edited by hand, it is to be read first.
        let edited = config.replace("Kept by hand", "Edited by hand");
        us.write(FILE, &edited)?;
        let error = refused(add(&daemon, ADDED, "new"))?;
        assert!(error.contains("was edited since it was read"), "{error}");
        assert_eq!(us.read(FILE)?, edited);
        daemon.process().signal(Signal::SIGHUP)?;
        daemon.process().wait_log("\"message\":\"config reloaded\"", 20)?;
        add(&daemon, ADDED, "new")?;
        daemon.wait_established(&[Pairs::theirs(ADDED)])?;
        let file = us.read(FILE)?;
        assert!(file.contains("# Edited by hand") && file.contains(&written(ADDED, "new")), "{file}");
        assert!(us.read(ASIDE).is_err());
        assert_eq!(sessions_end(&daemon, FIRST)?, (true, 0));
        Ok(())
    })
}

/// An engine that does not answer takes the change with it.
#[test]
fn a_change_that_an_engine_does_not_take_is_not_in_the_file() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, .. } = Pairs::new(lab, &[FIRST, ADDED])?;
        let config = configuration();
        let mut daemon = Rustbgpd::start(&us, &config)?;
        let session = nix::unistd::Pid::from_raw(i32::try_from(daemon.engine("session")?)?);
        nix::sys::signal::kill(session, Signal::SIGSTOP)?;
        // The parent gives it half a minute.
        let error = refused(add(&daemon, ADDED, "new"))?;
        assert!(error.contains("session ended meanwhile: try again"), "{error}");
        assert_eq!(us.read(FILE)?, config);
        assert!(us.read(ASIDE).is_err());
        wait("another session engine", 30, || Ok(daemon.json(&["health"])?["healthy"] == true))?;
        assert!(daemon.neighbor(Pairs::theirs(ADDED)).is_err());
        add(&daemon, ADDED, "new")?;
        assert!(us.read(FILE)?.contains(&written(ADDED, "new")));
        Ok(())
    })
}

/// Killed whenever: what is started next finds the old file or the new one.
#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, .. } = Pairs::new(lab, &[FIRST])?;
        let old = configuration();
        let mut daemon = Rustbgpd::start(&us, &old)?;
        let ctl = binary("rustbgpctl")?;
        let ctl = ctl.to_string_lossy();
        let check = binary("rustbgpd")?;
        type Moment = fn(&Host, &str) -> bool;
        let moments: [Moment; 5] = [
            |_, _| true,
            |us, _| us.read(ASIDE).is_ok(),
            |us, _| us.read(ASIDE).is_ok_and(|text| text.contains("10.0.99.2")),
            |us, old| us.read(FILE).is_ok_and(|text| text != old),
            |us, old| us.read(ASIDE).is_err() && us.read(FILE).is_ok_and(|text| text != old),
        ];
        for (n, moment) in moments.into_iter().enumerate() {
            us.write(FILE, &old)?;
            daemon.start_again()?;
            let argv =
                [&*ctl, "-s", "unix:///run/rustbgpd/grpc.sock", "neighbor", "10.0.99.2", "add", "--asn", "1"];
            let _client = us.spawn(&format!("client-{n}"), &argv)?;
            // Without a pause: the moment is short. One that is missed is over when the file is the new one.
            let until = Instant::now() + Duration::from_secs(30);
            while !moment(&us, &old) && us.read(FILE)? == old && Instant::now() < until {}
            daemon.process().kill()?;
            let file = us.read(FILE)?;
            let added = file.strip_prefix(&*old).unwrap_or_default();
            let new = added.contains("10.0.99.2") && added.ends_with("\nfamilies = [\"ipv4_unicast\"]\n");
            assert!(file == old || new, "{file}");
            us.run(&[&check.to_string_lossy(), "--check", "/run/lab/config.toml"])?;
        }
        us.write(FILE, &old)?;
        daemon.start_again()?;
        // What is left of one that was killed is in nobody's way.
        us.write(ASIDE, "[[neigh")?;
        add(&daemon, ADDED, "new")?;
        assert!(us.read(ASIDE).is_err());
        assert!(us.read(FILE)?.contains(&written(ADDED, "new")));
        Ok(())
    })
}

/// Chains that are set decide at once, without a reset, and are there after a restart.
#[test]
fn a_chain_that_is_set_is_in_force_in_the_file_and_there_after_a_restart() -> Result<()> {
    const DENIED: &str = "10.1.0.0/16";
    const OTHER: &str = "10.2.0.0/16";
    const LINE: &str = "export_policy_chain = [\"p\"]\n";
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, ADDED])?;
        let _bird = bird(&peer)?;
        let statement =
            format!("[[policy.definitions.p.statements]]\naction = \"deny\"\nprefix = \"{DENIED}\"\n");
        let config = format!("{}\n# not to the fast one\n{statement}", configuration());
        let mut daemon = Rustbgpd::start(&us, &config)?;
        let first = Pairs::theirs(FIRST);
        let address = first.to_string();
        let sent = |daemon: &Rustbgpd, denied: bool| -> Result<()> {
            daemon.wait_established(&[first])?;
            for prefix in [DENIED, OTHER] {
                daemon.ctl(&["rib", "add", prefix, "--nexthop", "10.0.61.9"])?;
            }
            wait("what the chain permits", 30, || {
                let has = |prefix: &str| daemon.advertised(first, prefix).map(|route| route.is_some());
                Ok(has(OTHER)? && has(DENIED)? != denied)
            })
        };
        sent(&daemon, false)?;
        daemon.ctl(&["policy-chain", &address, "set", "export", "p"])?;
        sent(&daemon, true)?;
        let file = us.read(FILE)?;
        assert!(file.contains(LINE) && file.replace(LINE, "") == config, "{file}");
        let check = binary("rustbgpd")?;
        us.run(&[&check.to_string_lossy(), "--check", "/run/lab/config.toml"])?;
        let error = refused(daemon.ctl(&["policy-chain", "set", "import", "q"]))?;
        assert!(error.contains("invalid import_chain \"q\": there is no such policy"), "{error}");
        let error = refused(daemon.ctl(&["policy-chain", "10.0.99.2", "clear", "export"]))?;
        assert!(error.contains("10.0.99.2"), "{error}");
        assert_eq!(us.read(FILE)?, file);
        assert_eq!(sessions_end(&daemon, FIRST)?, (true, 0));

        daemon.start_again()?;
        let shown = daemon.json(&["policy-chain", &address])?;
        assert_eq!(
            (&shown["export_policy_names"][0], &shown["import_policy_names"][0]),
            (&"p".into(), &().into())
        );
        sent(&daemon, true)?;
        // For all, and no more for the one.
        daemon.ctl(&["policy-chain", "set", "export", "p"])?;
        daemon.ctl(&["policy-chain", &address, "clear", "export"])?;
        sent(&daemon, true)?;
        daemon.ctl(&["policy-chain", "clear", "export"])?;
        sent(&daemon, false)?;
        let file = us.read(FILE)?;
        assert!(!file.contains("export_chain") && !file.contains(LINE), "{file}");
        assert_eq!(sessions_end(&daemon, FIRST)?, (true, 0));
        Ok(())
    })
}
