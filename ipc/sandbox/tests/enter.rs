//! What a process can still do after `sandbox::enter`, tried from outside with the example `probe`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::libc;

const ROLES: [&str; 3] = ["session", "rde", "control"];

struct Probe {
    child: Child,
    channel: OwnedFd,
}

/// The example is built with the tests, into a folder beside theirs.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/probe");
    assert!(program.exists(), "{} is not built", program.display());
    program
}

fn command(role: &str, act: &str, theirs: OwnedFd) -> Command {
    let mut command = sys::engine_command(&program(), theirs).unwrap();
    command.args([role, act]).env(sandbox::ENV_LOG, "json:info");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(role: &str, act: &str) -> Probe {
    start_with(role, act, &[])
}

fn start_with(role: &str, act: &str, environment: &[(&str, &str)]) -> Probe {
    let (channel, theirs) = ipc::channel::pair().unwrap();
    let child = command(role, act, theirs).envs(environment.iter().copied()).spawn().unwrap();
    Probe { child, channel }
}

impl Probe {
    /// What it says on its channel first; empty where it ended before.
    fn said(&self) -> Vec<u8> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(&self.channel, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let mut said = vec![0; 16];
        let len = nix::unistd::read(&self.channel, &mut said).unwrap();
        said.truncate(len);
        said
    }

    fn end(mut self) -> (ExitStatus, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap(), out, err)
    }

    /// `/proc/PID/status`, by key.
    fn status(&self) -> HashMap<String, String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let lines = text.lines().filter_map(|l| l.split_once(':'));
        lines.map(|(k, v)| (k.to_owned(), v.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
    }

    fn fds(&self) -> Vec<u32> {
        let listed = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let mut fds: Vec<u32> =
            listed.map(|f| f.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
        fds.sort_unstable();
        fds
    }
}

/// How the act ended: with an error number, 0 for success, or by a signal.
fn outcome(role: &str, act: &str) -> Result<i32, i32> {
    let probe = start(role, act);
    assert_eq!(probe.said(), b"entered", "{role}: {act}");
    let (status, ..) = probe.end();
    status.code().ok_or_else(|| status.signal().unwrap())
}

#[test]
fn what_no_engine_may_do_kills_it() {
    for role in ROLES {
        for act in [
            "open a file",
            "make a socket",
            "connect",
            "bind",
            "listen",
            "send to an address",
            "fast open",
            "set a TCP-MD5 key",
            "ask for a TCP state",
            "attach a filter",
            "map executable memory",
            "trace",
            "signal the parent",
            "signal the first process",
            "ring",
        ] {
            assert_eq!(outcome(role, act), Err(libc::SIGSYS), "{role}: {act}");
        }
    }
}

#[test]
fn programs_and_threads_of_other_engines_are_refused_with_an_error() {
    for role in ROLES {
        let thread = if role == "rde" { Ok(0) } else { Ok(libc::EAGAIN) };
        assert_eq!(outcome(role, "start a thread"), thread, "{role}");
        assert_eq!(outcome(role, "start a program"), Ok(libc::EAGAIN), "{role}");
        assert_eq!(outcome(role, "fork"), Ok(libc::EAGAIN), "{role}");
    }
}

#[test]
fn rde_may_have_threads_and_no_more_than_that() {
    assert_eq!(outcome("rde", "work in threads"), Ok(0));
    assert_eq!(outcome("rde", "grow and shrink in a thread"), Ok(0));
    // Who waits for the thread is told, or the process aborts where the build says so.
    let panicked = outcome("rde", "panic in a thread");
    assert!(matches!(panicked, Ok(0) | Err(libc::SIGABRT)), "{panicked:?}");
    assert_eq!(outcome("rde", "abort in a thread"), Err(libc::SIGABRT));
    // A thread is under the filter like the one that started it, and takes the process with it.
    assert_eq!(outcome("rde", "open a file in a thread"), Err(libc::SIGSYS));
    assert_eq!(outcome("rde", "clone into a network of its own"), Err(libc::SIGSYS));
}

#[test]
fn an_engine_can_do_its_work_and_end_in_every_way() {
    for role in ROLES {
        assert_eq!(outcome(role, "allocate"), Ok(0), "{role}");
        assert_eq!(outcome(role, "return"), Ok(0), "{role}");
        assert_eq!(outcome(role, "abort"), Err(libc::SIGABRT), "{role}");
        // A panic unwinds to exit status 101, or aborts where the build says so.
        let panicked = outcome(role, "panic");
        assert!(matches!(panicked, Ok(101) | Err(libc::SIGABRT)), "{role}: {panicked:?}");
    }
}

#[test]
fn roles_differ_in_what_they_do_with_sockets() {
    // The channel is no listener and no TCP socket: an error of the kernel's means that it was asked.
    for (role, accept, ttl) in [
        ("session", Ok(libc::EINVAL), Ok(libc::EOPNOTSUPP)),
        ("control", Ok(libc::EINVAL), Err(libc::SIGSYS)),
        ("rde", Err(libc::SIGSYS), Err(libc::SIGSYS)),
    ] {
        assert_eq!(outcome(role, "accept"), accept, "{role}");
        assert_eq!(outcome(role, "set a least TTL"), ttl, "{role}");
        assert_eq!(outcome(role, "ask for a SYN"), ttl, "{role}");
        let groups = if role == "control" { Ok(libc::EFAULT) } else { Err(libc::SIGSYS) };
        assert_eq!(outcome(role, "ask who is at the other end"), groups, "{role}");
    }
}

#[test]
fn nothing_is_left_but_the_channel() {
    for role in ROLES {
        let probe = start(role, "wait");
        assert_eq!(probe.said(), b"entered");
        let status = probe.status();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{role}: {set}");
        }
        assert_eq!(
            (&*status["NoNewPrivs"], &*status["Seccomp"], &*status["Threads"]),
            ("1", "2", "1"),
            "{role}"
        );
        if nix::unistd::geteuid().is_root() {
            // Nobody else may look: the process is not dumpable.
            // The channel, and its figures.
            assert_eq!(probe.fds(), [0, 1, 2, 3, 4], "{role}");
        } else {
            assert!(fs::read_dir(format!("/proc/{}/fd", probe.child.id())).is_err(), "{role}");
        }
        drop(probe.channel);
        let mut child = probe.child;
        assert!(child.wait().unwrap().success(), "{role}");
    }
}

#[test]
fn the_parents_signals_are_the_parents() {
    use nix::sys::signal::{Signal, kill};
    let probe = start("rde", "wait");
    assert_eq!(probe.said(), b"entered");
    let pid = nix::unistd::Pid::from_raw(probe.child.id().cast_signed());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        kill(pid, signal).unwrap();
    }
    let Probe { mut child, channel } = probe;
    drop(channel);
    assert!(child.wait().unwrap().success(), "it ended because of its channel");
}

#[test]
fn log_lines_are_objects_with_the_message_at_the_top() {
    let probe = start("rde", "return");
    let (_, out, _) = probe.end();
    let line: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["message"], &line["level"], &line["role"]),
        (&"entered".into(), &"INFO".into(), &"rde".into())
    );
    assert!(line["timestamp"].as_str().is_some_and(|t| t.ends_with('Z')), "{line}");
}

#[test]
fn rust_log_wins_and_nonsense_in_it_is_said_and_passed_over() {
    let (_, out, _) = start_with("rde", "return", &[("RUST_LOG", "error")]).end();
    assert_eq!(out, "");
    let (_, out, _) = start_with("rde", "return", &[("RUST_LOG", "a=b=c")]).end();
    // That it makes no sense, what the sandbox is, what the probe says.
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.contains("RUST_LOG makes no sense") && out.contains("entered"), "{out}");
}

#[test]
fn an_engine_cannot_be_started_by_hand() {
    let (_, theirs) = ipc::channel::pair().unwrap();
    for wrong in [
        Command::new(program()),
        {
            let mut without_environment = command("rde", "return", theirs);
            without_environment.env_remove(sandbox::ENV_LOG);
            without_environment
        },
        command("rde", "return", fs::File::open("/dev/null").unwrap().into()),
    ] {
        let mut wrong = wrong;
        let output = wrong.output().unwrap();
        assert_eq!(output.status.code(), Some(200));
        assert!(String::from_utf8(output.stderr).unwrap().contains("is started by it"));
    }
}

/// As root: everything goes. As an ordinary user: the engine refuses to run with less than was asked for.
#[test]
fn root_mode_drops_everything_or_does_not_start() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let empty = root.path().to_str().unwrap();
    let environment =
        [(sandbox::ENV_UID, "64001"), (sandbox::ENV_GID, "64002"), (sandbox::ENV_CHROOT, empty)];
    let probe = start_with("session", "wait", &environment);
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(probe.said(), b"");
        assert_eq!(probe.end().0.code(), Some(200));
        return;
    }
    assert_eq!(probe.said(), b"entered");
    let status = probe.status();
    assert_eq!(status["Uid"], "64001 64001 64001 64001");
    assert_eq!(status["Gid"], "64002 64002 64002 64002");
    assert_eq!(status["Groups"], "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    let process = format!("/proc/{}", probe.child.id());
    assert_eq!(fs::read_link(format!("{process}/root")).unwrap(), root.path());
    assert_eq!(fs::read_link(format!("{process}/cwd")).unwrap(), root.path());
    drop(probe.channel);
    let mut child = probe.child;
    assert!(child.wait().unwrap().success());
}
