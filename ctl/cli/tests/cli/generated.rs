//! What the command says of itself to shells and in manual pages, and of the daemon's processes.

use std::process::Command;

use serde_json::json;

use crate::server::{Daemon, ctl, text};

#[test]
fn processes_as_table_and_json() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.ok(&["processes"]),
        "\
Process  PID  Uptime  Restarts     CPU   Memory  Threads  Sandbox without
parent    70  1h 01m         0       -        -        -  -
rde       77  1m 30s         2  1m 01s  1.5 GiB        5  landlock_network memory_limit
"
    );
    let unknown = json!(null);
    assert_eq!(
        daemon.json(&["processes"]),
        json!([
            { "name": "parent", "pid": 70, "uptime_seconds": 3_700, "restarts": 0, "cpu_milliseconds": unknown,
              "resident_bytes": unknown, "threads": unknown, "sandbox": {} },
            { "name": "rde", "pid": 77, "uptime_seconds": 90, "restarts": 2, "cpu_milliseconds": 61_500,
              "resident_bytes": 1_610_612_736_u64, "threads": 5,
              "sandbox": { "seccomp": true, "landlock_network": false, "memory_limit": false } },
        ])
    );
}

/// Without a daemon: what a shell has to know is in the command.
#[test]
fn bash_completes_commands_and_options() {
    let script = ctl().args(["completions", "bash"]).output().unwrap();
    assert!(script.status.success());
    let script = text(&script.stdout);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ask.bash");
    for (typed, expected) in [
        (&["rustbgpctl", "neigh"][..], "neighbor neighbor-set"),
        (&["rustbgpctl", "rib", "sum"], "summary"),
        (&["rustbgpctl", "rib", "--orig"], "--origin-asn"),
        (&["rustbgpctl", "completions", "f"], "fish"),
        (&["rustbgpctl", "to"], "top"),
        (&["rustbgpctl", "mrt"], "mrt-dump"),
        (&["rustbgpctl", "top", "--int"], "--interval"),
        (&["rustbgpctl", "flow"], ""),
    ] {
        let last = typed.len() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({}) COMP_CWORD={last}\n_rustbgpctl rustbgpctl {} {}\necho \"${{COMPREPLY[@]}}\"",
            typed.join(" "),
            typed[last],
            typed[last - 1],
        );
        // Too long for an argument.
        std::fs::write(&file, &ask).unwrap();
        let answer = Command::new("bash").arg(&file).output().unwrap();
        assert_eq!(text(&answer.stdout).trim(), expected, "{typed:?}: {}", text(&answer.stderr));
    }
    for (shell, begins) in [("zsh", "#compdef rustbgpctl"), ("fish", "# Print an optspec")] {
        let script = ctl().args(["completions", shell]).output().unwrap();
        assert!(script.status.success() && text(&script.stdout).starts_with(begins), "{shell}");
    }
    let unknown = ctl().args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn manual_pages_of_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let done = ctl().arg("man").arg(&pages).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    let whole = page("rustbgpctl.1");
    assert!(whole.contains(".TH rustbgpctl 1") && whole.contains("RUSTBGPD_ADDR"), "{whole}");
    assert!(page("rustbgpctl-rib-inject.1").contains(".TH rustbgpctl-rib-inject 1"));
    assert!(page("rustbgpctl-neighbor-disable.1").contains("RFC 9003"));
    let elsewhere = ctl().args(["man", "/dev/null/man1"]).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(text(&elsewhere.stderr).contains("/dev/null/man1"));
}
