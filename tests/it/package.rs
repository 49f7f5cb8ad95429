//! The Debian package: what is in it, what lintian says, and its life on a machine from install to purge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{Error, Lab, Result, Speaker, binary, wait};

use crate::service::{
    configure, in_machine, json, neighbor, shipped, show, start, wait_established, with_log,
};

/// A package of the programs that the lab tests.
fn build() -> Result<PathBuf> {
    let programs = binary("rustbgpd")?.parent().map(PathBuf::from).unwrap_or_default();
    let out = std::env::temp_dir().join(format!("rustbgpd-package-{}", std::process::id()));
    let mut script = Command::new(shipped("deb.sh"));
    // Small is for those who download it.
    script.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip").env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    let output = script.arg(&programs).arg(&out).output()?;
    if !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn run(program: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(program).args(arguments).output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text))
}

/// No error and no warning, and all that a user looks for.
fn look_at(package: &Path) -> Result<()> {
    let path = package.to_string_lossy();
    let (fine, said) = run("lintian", &["--fail-on", "error,warning", "--allow-root", &path])?;
    assert!(fine, "{said}");
    let (_, list) = run("dpkg-deb", &["--contents", &path])?;
    for file in [
        "/usr/sbin/rustbgpd",
        "/usr/bin/rustbgpctl",
        "/usr/libexec/rustbgpd/rustbgpd-rde",
        "/lib/systemd/system/rustbgpd.service",
        "/usr/lib/sysusers.d/rustbgpd.conf",
        "/usr/lib/sysctl.d/60-rustbgpd.conf",
        "/usr/share/man/man8/rustbgpd.8.gz",
        "/usr/share/man/man1/rustbgpctl-neighbor.1.gz",
        "/usr/share/bash-completion/completions/rustbgpctl",
        "/usr/share/doc/rustbgpd/examples/route-server.toml",
    ] {
        assert!(list.lines().any(|line| line.ends_with(&format!(".{file}"))), "{file} is missing:\n{list}");
    }
    Ok(())
}

#[test]
fn the_examples_are_valid_to_the_last_warning() -> Result<()> {
    let daemon = binary("rustbgpd")?;
    let mut examples = 0;
    for entry in fs::read_dir(shipped("examples"))? {
        let file = entry?.path();
        let (fine, said) = run(&daemon.to_string_lossy(), &["--check", &file.to_string_lossy()])?;
        assert!(fine && said.contains("config OK"), "{}: {said}", file.display());
        assert!(!said.contains("warning"), "{}: {said}", file.display());
        examples += 1;
    }
    assert_eq!(examples, 5);
    Ok(())
}

/// Files that a package or a daemon could leave, and accounts.
const TRACES: &str = "
    find /etc /usr /var /srv /opt -xdev -iname '*rustbgp*' -print
    grep rustbgpd /etc/passwd /etc/group /etc/shadow /etc/gshadow || true";

#[test]
fn from_install_to_purge() -> Result<()> {
    Lab::run(|lab| {
        let (machine, peer) = (lab.machine("us")?, lab.host("peer")?);
        lab.link(&machine, &peer, &["10.0.0.1/24"], &["10.0.0.2/24"])?;
        let package = build()?;
        look_at(&package)?;
        let inside = "/root/rustbgpd.deb";
        fs::copy(&package, in_machine(&machine, inside))?;
        fs::remove_dir_all(package.parent().unwrap_or(&package))?;
        // The machines of the lab are those on which packages start nothing.
        machine.sh("rm -f /usr/sbin/policy-rc.d", &[])?;
        let before = machine.sh(TRACES, &[])?;

        // Nothing runs, nothing is enabled, and a start without a configuration is no failure.
        machine.run(&["dpkg", "--install", inside])?;
        machine.run(&["systemctl", "start", "rustbgpd"])?;
        assert_eq!(show(&machine, "ActiveState")?, "inactive");
        assert_eq!(show(&machine, "UnitFileState")?, "disabled");
        assert!(machine.run(&["systemctl", "--failed", "--plain", "--no-legend"])?.is_empty());

        configure(&machine, &[neighbor()])?;
        machine.run(&["rustbgpd", "--check"])?;
        machine.run(&["systemctl", "enable", "--quiet", "rustbgpd"])?;
        start(&machine)?;
        let mut speaker = Speaker::establish(&peer, "10.0.0.1:179".parse()?, 65002, 90, [10, 0, 0, 2])?;
        wait_established(&machine)?;

        // An upgrade, to the same version.
        let pid = show(&machine, "MainPID")?;
        machine.run(&["dpkg", "--install", inside])?;
        assert_ne!(show(&machine, "MainPID")?, pid);
        assert_eq!(show(&machine, "ActiveState")?, "active");
        assert_eq!(speaker.farewell(10)?.and_then(|m| m.notification()), Some((6, 2)));
        wait("the daemon", 10, || Ok(json(&machine, &["health"]).is_ok()))
            .map_err(|e| with_log(&machine, &e))?;

        machine.run(&["dpkg", "--remove", "rustbgpd"])?;
        assert_eq!(show(&machine, "LoadState")?, "not-found");
        assert!(in_machine(&machine, "/etc/rustbgpd/config.toml").exists(), "the configuration stays");
        assert!(machine.run(&["pgrep", "-l", "rustbgpd"]).is_err(), "nothing runs");

        machine.run(&["dpkg", "--purge", "rustbgpd"])?;
        assert_eq!(machine.sh(TRACES, &[])?, before);
        Ok(())
    })
}
