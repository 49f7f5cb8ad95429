//! What each process may do, as the kernel tells it in `/proc`.

use std::collections::BTreeSet;
use std::fs;

use lab::{Error, Lab, Neighbor, Result, Rustbgpd, Speaker, engine_threads, is_running, wait};

use crate::access::programs_for_all;

const ENGINES: [&str; 3] = ["session", "rde", "control"];

/// `nobody`, which the engines become where the service account does not exist.
const NOBODY: &str = "65534";

/// What the parent keeps as root, as bits of a capability set (capabilities(7)).
const PARENT_CAPABILITIES: u64 = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18;

/// A field of `/proc/PID/status`, its words joined by single spaces.
fn status(pid: u32, field: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let line = line.ok_or_else(|| Error::new(format!("no {field} in the status of {pid}")))?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The hard limit of a resource, from `/proc/PID/limits`.
fn limit(pid: u32, resource: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(resource));
    let hard = line.and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
    hard.ok_or_else(|| Error::new(format!("no {resource} in the limits of {pid}: {text}")))
}

/// What the daemon says of its protections is what the kernel says, for every process and in all three places.
#[test]
fn each_process_says_what_holds() -> Result<()> {
    Lab::run(|lab| {
        let (mut daemon, _speaker) = start(lab)?;
        wait("what the engines say of themselves", 10, || {
            let all = daemon.json(&["processes"])?;
            let told = |p: &serde_json::Value| p["sandbox"].as_object().is_some_and(|s| !s.is_empty());
            Ok(all.as_array().is_some_and(|all| all.len() == 4 && all.iter().all(told)))
        })?;
        let all = daemon.json(&["processes"])?;
        let metrics = daemon.ctl(&["metrics"])?;
        let log = daemon.process().log();
        for process in all.as_array().into_iter().flatten() {
            let name = process["name"].as_str().unwrap_or_default();
            let is_engine = name != "parent";
            for (protection, on) in process["sandbox"].as_object().into_iter().flatten() {
                let series = format!(
                    "rustbgpd_engine_sandbox{{engine=\"{name}\",protection=\"{protection}\"}} {}",
                    u8::from(on == true)
                );
                assert!(metrics.contains(&series), "{series}: {metrics}");
                // The kernel of whoever runs this may be too old for some.
                match protection.as_str() {
                    "landlock_files" | "landlock_network" | "landlock_signals" => {}
                    "account" | "empty_root" | "memory_limit" => {
                        assert_eq!(on, is_engine, "{name} {protection}")
                    }
                    _ => assert_eq!(on, true, "{name} {protection}"),
                }
            }
            let entered = log.lines().filter(|l| l.contains("sandbox entered"));
            let entered = entered.filter(|l| l.contains(&format!("\"engine\":\"{name}\""))).count();
            assert_eq!(entered, 1, "{name}: {log}");
        }
        Ok(())
    })
}

/// The id that the engines should have: the service account's, where it exists.
fn account(field: usize) -> Result<String> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("_rustbgpd:"));
    Ok(line.and_then(|line| line.split(':').nth(field)).unwrap_or(NOBODY).to_string())
}

/// What the open fds of a process lead to.
fn open_fds(pid: u32) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        targets.push(fs::read_link(entry?.path())?.to_string_lossy().into_owned());
    }
    Ok(targets)
}

/// Inodes of all internet sockets in the network of a process.
fn internet_sockets(pid: u32) -> Result<BTreeSet<String>> {
    let mut inodes = BTreeSet::new();
    for (table, column) in
        [("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("raw", 9), ("raw6", 9), ("packet", 8)]
    {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}"))?;
        let rows = text.lines().skip(1).filter_map(|row| row.split_whitespace().nth(column));
        inodes.extend(rows.map(|inode| format!("socket:[{inode}]")));
    }
    Ok(inodes)
}

/// A daemon with one Established session, so that every engine has its usual fds.
fn start(lab: &Lab) -> Result<(Rustbgpd, Speaker)> {
    let (us, peer) = (lab.host("us")?, lab.host("peer")?);
    lab.link(&us, &peer, &["10.0.0.1/24"], &["10.0.0.2/24"])?;
    let config =
        Rustbgpd::configuration(65001, "10.0.0.1", &[Neighbor::new("10.0.0.2", 65002).set("passive", true)]);
    let config = config.replace("listen_port = 179", "listen_port = 179\nengine_memory_limit = 1024");
    let daemon = Rustbgpd::start(&us, &config)?;
    let speaker = Speaker::establish(&peer, "10.0.0.1:179".parse()?, 65002, 90, [10, 0, 0, 2])?;
    daemon.wait_established(&["10.0.0.2".parse()?])?;
    Ok((daemon, speaker))
}

/// Field 19 of its line in /proc, the 17th behind the name in parentheses.
fn niceness(pid: u32) -> Result<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let nice = fields.split(' ').nth(16).and_then(|field| field.parse().ok());
    nice.ok_or_else(|| Error::new(format!("no niceness of {pid}: {stat}")))
}

#[test]
fn engines_of_root_have_nothing_left() -> Result<()> {
    Lab::run(|lab| {
        let (mut daemon, _speaker) = start(lab)?;
        let (uid, gid) = (account(2)?, account(3)?);
        for role in ENGINES {
            let pid = daemon.engine(role)?;
            assert_eq!(status(pid, "Uid")?, [uid.as_str(); 4].join(" "), "{role}");
            assert_eq!(status(pid, "Gid")?, [gid.as_str(); 4].join(" "), "{role}");
            assert_eq!(status(pid, "Groups")?, "", "{role}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(u64::from_str_radix(&status(pid, set)?, 16)?, 0, "{role} {set}");
            }
            assert_eq!(status(pid, "NoNewPrivs")?, "1", "{role}");
            // A filter: what it allows is tested where it is written, in ipc/sandbox.
            assert_eq!(status(pid, "Seccomp")?, "2", "{role}");
            assert_eq!(status(pid, "Threads")?, engine_threads(role)?.to_string(), "{role}");
            assert_eq!(limit(pid, "Max core file size")?, "0", "{role}");
            assert_eq!(limit(pid, "Max data size")?, (1_u64 << 30).to_string(), "{role}");
            match role {
                "rde" => assert_eq!(limit(pid, "Max open files")?, "256"),
                "control" => assert_eq!(limit(pid, "Max open files")?, "4096"),
                _ => {}
            }
            let root = format!("/proc/{pid}/root/");
            assert_eq!(fs::read_dir(&root)?.count(), 0, "{role}: {:?}", fs::read_link(&root));
        }
        let parent = daemon.process().pid()?;
        // Who asks for a table gives way to the routing of it.
        for (role, later) in [("session", 0), ("rde", 0), ("control", 10)] {
            assert_eq!(niceness(daemon.engine(role)?)?, niceness(parent)? + later, "{role}");
        }
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            let has = u64::from_str_radix(&status(parent, set)?, 16)?;
            assert_eq!(has & !PARENT_CAPABILITIES, 0, "parent {set}");
        }
        assert_eq!(status(parent, "NoNewPrivs")?, "1");
        assert_eq!(status(parent, "Seccomp")?, "2");
        assert_eq!(limit(parent, "Max core file size")?, "0");
        Ok(())
    })
}

#[test]
fn engines_hold_only_the_fds_of_their_job() -> Result<()> {
    Lab::run(|lab| {
        let (mut daemon, _speaker) = start(lab)?;
        for role in ENGINES {
            let pid = daemon.engine(role)?;
            let internet = internet_sockets(pid)?;
            for target in open_fds(pid)? {
                let harmless = ["/dev/null", "socket:", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"];
                // Its own figures, by the number that it has in the host.
                let is_figures = target.starts_with("/proc/") && target.ends_with("/stat");
                let is_log = target.starts_with("/run/lab/rustbgpd") || is_figures;
                assert!(is_log || harmless.iter().any(|h| target.starts_with(h)), "{role}: {target}");
                if role != "session" {
                    assert!(!internet.contains(&target), "{role} has an internet socket");
                }
            }
        }
        let session = daemon.engine("session")?;
        let internet = internet_sockets(session)?;
        let of_session = open_fds(session)?.iter().filter(|fd| internet.contains(*fd)).count();
        // The test sees something: two listeners and the connection.
        assert_eq!(of_session, 3);
        Ok(())
    })
}

#[test]
fn all_die_with_the_parent() -> Result<()> {
    Lab::run(|lab| {
        let (mut daemon, mut speaker) = start(lab)?;
        let pids = ENGINES.iter().map(|role| daemon.engine(role)).collect::<Result<Vec<_>>>()?;
        daemon.process().kill()?;
        wait("the end of the engines", 3, || Ok(!pids.iter().any(|pid| is_running(*pid))))?;
        assert_eq!(speaker.farewell(3)?, None, "nobody is left to say anything");
        Ok(())
    })
}

#[test]
fn an_ordinary_user_gets_what_needs_no_privilege() -> Result<()> {
    Lab::run(|lab| {
        let us = lab.host("us")?;
        let folder = programs_for_all(&us)?;
        let config = Rustbgpd::configuration(65001, "10.0.0.1", &[Neighbor::new("127.0.0.2", 65002)]);
        let file = us.write("user.toml", config.replace("listen_port = 179", "listen_port = 1790"))?;
        us.sh("mkdir /run/rustbgpd; chown 65534:65534 /run/rustbgpd", &[])?;
        let user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
        let program = format!("{folder}/rustbgpd");
        let argv: Vec<&str> = user.into_iter().chain([program.as_str(), &file]).collect();
        let mut process = us.spawn("rustbgpd", &argv)?;
        process.wait_log("starting rustbgpd", 10)?;
        let parent = process.pid()?;
        let engines = lab::children_of(parent);
        assert_eq!(engines.len(), ENGINES.len());
        for pid in engines.iter().copied().chain([parent]) {
            assert_eq!(status(pid, "Uid")?, [NOBODY; 4].join(" "));
            assert_eq!(u64::from_str_radix(&status(pid, "CapEff")?, 16)?, 0);
            assert_eq!(status(pid, "NoNewPrivs")?, "1");
        }
        for pid in &engines {
            assert_eq!(status(*pid, "Seccomp")?, "2");
        }
        let log = process.log();
        let lines = log.lines().filter(|line| line.contains("WARN") && line.contains("capabilities"));
        assert_eq!(lines.count(), 1, "one line says what is off: {log}");
        assert!(process.stop()?.success());
        wait("the end of the engines", 3, || Ok(!engines.iter().any(|pid| is_running(*pid))))
    })
}
