//! The daemon under a real systemd, by the units that are shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lab::{Error, Host, Lab, Neighbor, Result, Rustbgpd, Speaker, binary, wait, wait_for};
use serde_json::Value;

const US: u32 = 65001;
const PEER: u32 = 65002;
const PROGRAMS: [&str; 5] =
    ["rustbgpd", "rustbgpd-session", "rustbgpd-rde", "rustbgpd-control", "rustbgpctl"];
const ENGINES: [&str; 3] = ["session", "rde", "control"];
const STATE: &str = "/var/lib/rustbgpd";

/// The folder `systemd` of the project.
pub(crate) fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(file)
}

/// Where a file of a machine is seen from outside.
pub(crate) fn in_machine(machine: &Host, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", machine.init_pid()))
}

/// A configuration in the default place, with the default state directory.
pub(crate) fn configure(machine: &Host, neighbors: &[Neighbor]) -> Result<()> {
    let text = Rustbgpd::configuration(US, "10.0.0.1", neighbors).replace("/run/rustbgpd", STATE);
    let file = in_machine(machine, "/etc/rustbgpd/config.toml");
    fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
    fs::write(file, text)?;
    Ok(())
}

pub(crate) fn neighbor() -> Neighbor {
    Neighbor::new("10.0.0.2", PEER).set("passive", true).set("hold_time", 90)
}

/// What `systemctl show` says of the service.
pub(crate) fn show(machine: &Host, property: &str) -> Result<String> {
    Ok(machine.run(&["systemctl", "show", "-P", property, "rustbgpd"])?.trim().to_owned())
}

/// Starts the service; where that fails, the error has its log.
pub(crate) fn start(machine: &Host) -> Result<()> {
    machine.run(&["systemctl", "start", "rustbgpd"]).map(drop).map_err(|e| with_log(machine, &e))
}

pub(crate) fn with_log(machine: &Host, error: &Error) -> Error {
    let log = machine.run(&["journalctl", "-u", "rustbgpd", "-o", "cat", "--no-pager", "-n", "60"]);
    Error::new(format!("{error}\n{}", log.unwrap_or_default()))
}

pub(crate) fn json(machine: &Host, args: &[&str]) -> Result<Value> {
    let socket = format!("unix://{STATE}/grpc.sock");
    let argv = [["rustbgpctl", "-s", &socket, "-j"].as_slice(), args].concat();
    Ok(serde_json::from_str(&machine.run(&argv)?)?)
}

pub(crate) fn wait_established(machine: &Host) -> Result<()> {
    wait("an Established session", 15, || {
        let neighbor = json(machine, &["neighbor", "10.0.0.2"])?;
        Ok(neighbor["state"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("established")))
    })
    .map_err(|e| with_log(machine, &e))
}

/// A process of the daemon, as it is told by the daemon itself.
fn process(machine: &Host, name: &str) -> Result<Value> {
    let all = json(machine, &["processes"])?;
    let found = all.as_array().into_iter().flatten().find(|p| p["name"] == name).cloned();
    found.ok_or_else(|| Error::new(format!("no {name} among {all}")))
}

/// A machine with everything where `systemd/README.md` says, and a peer beside it.
fn installed(lab: &Lab) -> Result<(Rc<Host>, Rc<Host>)> {
    let (machine, peer) = (lab.machine("us")?, lab.host("peer")?);
    lab.link(&machine, &peer, &["10.0.0.1/24"], &["10.0.0.2/24"])?;
    for program in PROGRAMS {
        fs::copy(binary(program)?, in_machine(&machine, &format!("/usr/local/bin/{program}")))?;
    }
    for (file, folder) in [
        ("rustbgpd.service", "/etc/systemd/system"),
        ("sysusers.d/rustbgpd.conf", "/etc/sysusers.d"),
        ("tmpfiles.d/rustbgpd.conf", "/etc/tmpfiles.d"),
    ] {
        let folder = in_machine(&machine, folder);
        fs::create_dir_all(&folder)?;
        let from = shipped(file);
        fs::copy(&from, folder.join(from.file_name().unwrap_or_default()))?;
    }
    machine.sh("systemd-sysusers; systemd-tmpfiles --create rustbgpd.conf", &[])?;
    Ok((machine, peer))
}

/// Puts a drop-in beside the unit, and has systemd read it.
fn drop_in(machine: &Host, name: &str, text: &str) -> Result<()> {
    let folder = in_machine(machine, "/etc/systemd/system/rustbgpd.service.d");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.conf")), text)?;
    machine.run(&["systemctl", "daemon-reload"]).map(drop)
}

/// A process that does not go on and does not end.
fn freeze(machine: &Host, pid: &str) -> Result<()> {
    machine.run(&["kill", "-STOP", pid]).map(drop)
}

fn establish(machine: &Host, peer: &Host) -> Result<Speaker> {
    let speaker = wait_for("a session", 10, || {
        Ok(Some(Speaker::establish(peer, "10.0.0.1:179".parse()?, PEER, 90, [10, 0, 0, 2])?))
    })?;
    wait_established(machine)?;
    Ok(speaker)
}

#[test]
fn the_shipped_unit_starts_reloads_restarts_and_stops_the_daemon() -> Result<()> {
    Lab::run(|lab| {
        let (machine, peer) = installed(lab)?;
        configure(&machine, &[neighbor()])?;
        start(&machine)?;
        assert_eq!((&*show(&machine, "ActiveState")?, &*show(&machine, "SubState")?), ("active", "running"));
        assert_eq!(show(&machine, "StatusText")?, "AS 65001: running");
        let mut speaker = establish(&machine, &peer)?;
        // What the unit takes away is nothing that the daemon needs: figures, protections.
        wait("what the engines say of themselves", 10, || {
            Ok(ENGINES.iter().all(|e| process(&machine, e).is_ok_and(|p| p["sandbox"]["seccomp"] == true)))
        })?;
        for name in ENGINES.into_iter().chain(["parent"]) {
            let process = process(&machine, name)?;
            assert!(process["resident_bytes"].as_u64().is_some_and(|n| n > 0), "{process}");
            for protection in ["capabilities", "no_new_privs", "not_dumpable", "seccomp", "limits"] {
                assert_eq!(process["sandbox"][protection], true, "{protection}: {process}");
            }
            let is_engine = name != "parent";
            assert_eq!(process["sandbox"]["account"], is_engine, "{process}");
            assert_eq!(process["sandbox"]["empty_root"], is_engine, "{process}");
        }

        configure(&machine, &[neighbor(), Neighbor::new("10.0.0.3", 65003).set("passive", true)])?;
        machine.run(&["systemctl", "reload", "rustbgpd"])?;
        wait("the new neighbor", 10, || Ok(json(&machine, &["neighbor", "10.0.0.3"]).is_ok()))
            .map_err(|e| with_log(&machine, &e))?;
        assert_eq!(json(&machine, &["neighbor", "10.0.0.2"])?["flap_count"], 0);
        // And through the API: the unit lets the parent write its file.
        json(&machine, &["neighbor", "10.0.0.4", "add", "--asn", "65004"])
            .map_err(|e| with_log(&machine, &e))?;
        let file = fs::read_to_string(in_machine(&machine, "/etc/rustbgpd/config.toml"))?;
        assert!(file.contains("10.0.0.4"), "{file}");

        let before = show(&machine, "MainPID")?;
        machine.run(&["systemctl", "restart", "rustbgpd"])?;
        assert_ne!(show(&machine, "MainPID")?, before);
        assert_eq!(speaker.farewell(10)?.and_then(|m| m.notification()), Some((6, 2)));
        let mut speaker = establish(&machine, &peer)?;

        machine.run(&["systemctl", "stop", "rustbgpd"])?;
        assert_eq!((&*show(&machine, "ActiveState")?, &*show(&machine, "Result")?), ("inactive", "success"));
        assert_eq!(speaker.farewell(10)?.and_then(|m| m.notification()), Some((6, 2)));
        assert!(!in_machine(&machine, &format!("{STATE}/grpc.sock")).exists());
        let kept = machine.run(&["journalctl", "-u", "rustbgpd", "-o", "cat", "--no-pager"])?;
        assert!(kept.contains("\"rustbgpd ended\""), "{kept}");
        Ok(())
    })
}

/// An engine that hangs is the parent's business, a parent that hangs is systemd's.
#[test]
fn what_hangs_is_started_again() -> Result<()> {
    Lab::run(|lab| {
        let (machine, peer) = installed(lab)?;
        configure(&machine, &[neighbor()])?;
        // The parent gives an engine a third of it.
        drop_in(&machine, "hurry", "[Service]\nWatchdogSec=12s\n")?;
        start(&machine)?;
        let mut speaker = establish(&machine, &peer)?;

        freeze(&machine, &process(&machine, "control")?["pid"].to_string())?;
        wait("another control", 15, || Ok(process(&machine, "control")?["restarts"] == 1))
            .map_err(|e| with_log(&machine, &e))?;
        assert_eq!(json(&machine, &["neighbor", "10.0.0.2"])?["flap_count"], 0);
        freeze(&machine, &process(&machine, "rde")?["pid"].to_string())?;
        wait("another rde", 15, || Ok(process(&machine, "rde")?["restarts"] == 1))
            .map_err(|e| with_log(&machine, &e))?;
        let log = machine.run(&["journalctl", "-u", "rustbgpd", "-o", "cat", "--no-pager"])?;
        assert_eq!(log.matches("engine hangs: killing it").count(), 2, "{log}");
        assert_eq!(show(&machine, "NRestarts")?, "0", "{log}");
        assert_eq!(speaker.farewell(10)?, None, "its connection went with the session engine");
        let _speaker = establish(&machine, &peer)?;

        let before = show(&machine, "MainPID")?;
        freeze(&machine, &before)?;
        wait("a restart by systemd", 30, || {
            Ok(show(&machine, "NRestarts")? == "1" && show(&machine, "ActiveState")? == "active")
        })
        .map_err(|e| with_log(&machine, &e))?;
        assert_ne!(show(&machine, "MainPID")?, before);
        let _speaker = establish(&machine, &peer)?;
        Ok(())
    })
}

#[test]
fn the_unprivileged_unit_runs_without_root() -> Result<()> {
    Lab::run(|lab| {
        let (machine, peer) = installed(lab)?;
        configure(&machine, &[neighbor()])?;
        machine.sh("chown -R _rustbgpd:_rustbgpd /etc/rustbgpd", &[])?;
        drop_in(&machine, "unprivileged", &fs::read_to_string(shipped("rustbgpd-unprivileged.conf"))?)?;
        start(&machine)?;
        let mut speaker = establish(&machine, &peer)?;
        wait("what the engines say of themselves", 10, || {
            Ok(ENGINES.iter().all(|e| process(&machine, e).is_ok_and(|p| p["sandbox"]["seccomp"] == true)))
        })?;
        let account = machine.run(&["id", "-u", "_rustbgpd"])?;
        for name in ENGINES.into_iter().chain(["parent"]) {
            let process = process(&machine, name)?;
            assert!(process["resident_bytes"].as_u64().is_some_and(|n| n > 0), "{process}");
            assert_eq!(process["sandbox"]["account"], true, "{process}");
            assert_eq!(process["sandbox"]["empty_root"], false, "{process}");
            let status = machine.run(&["cat", &format!("/proc/{}/status", process["pid"])])?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(field("Uid:"), [account.trim(); 4], "{name}");
            let may = if name == "parent" { "0000000000000400" } else { "0000000000000000" };
            assert_eq!(
                (field("CapEff:"), field("CapAmb:")),
                (vec![may.into()], vec!["0".repeat(16)]),
                "{name}"
            );
        }
        json(&machine, &["neighbor", "10.0.0.4", "add", "--asn", "65004"])
            .map_err(|e| with_log(&machine, &e))?;
        machine.run(&["systemctl", "stop", "rustbgpd"])?;
        assert_eq!(show(&machine, "Result")?, "success");
        assert_eq!(speaker.farewell(10)?.and_then(|m| m.notification()), Some((6, 2)));
        Ok(())
    })
}

/// `systemd-analyze security`: 0 is nothing to gain, 10 everything.
#[test]
fn the_exposure_of_the_units_is_low() -> Result<()> {
    let unit = fs::read_to_string(shipped("rustbgpd.service"))?;
    let more = fs::read_to_string(shipped("rustbgpd-unprivileged.conf"))?;
    let more = more.split("[Service]").nth(1).unwrap_or_default();
    let both = unit.replace("\n[Install]", &format!("\n{more}\n[Install]"));
    let folder = std::env::temp_dir().join(format!("rustbgpd-units-{}", std::process::id()));
    for (name, text, most) in [("default", &unit, "24"), ("unprivileged", &both, "15")] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("rustbgpd.service");
        fs::write(&file, text)?;
        let file = file.to_string_lossy();
        let argv = ["security", "--offline=true", "--no-pager", "--threshold", most, &file];
        let output = std::process::Command::new("systemd-analyze").args(argv).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Overall exposure level"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {said}");
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
