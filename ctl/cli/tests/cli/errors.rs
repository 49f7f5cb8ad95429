//! Wrong command lines and daemons that cannot be reached: status and advice.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use crate::server::{Daemon, ctl, refused, write};

#[test]
fn wrong_usage_is_status_2() {
    let daemon = Daemon::start();
    for (args, says) in [
        (&["nonsense"][..], "unrecognized subcommand"),
        (&[], "Usage"),
        (&["neighbor", "not-an-address"], "not-an-address"),
        (&["neighbor", "enable"], "which neighbor"),
        (&["neighbor", "softreset"], "which neighbor"),
        (&["neighbor", "192.0.2.1", "softreset", "-a", "vpnv4"], "ipv4_unicast, ipv6_unicast"),
        (&["rib", "-p", "10.0.0.1/8"], "the prefix is 10.0.0.0/8"),
        (&["rib", "-l"], "-l needs -p"),
        (&["rib", "-a", "ipv6_unicast", "-p", "10.0.0.0/8"], "not of the family"),
        (&["rib", "-c", "65536:1"], "such as 65001:100"),
        (&["rib", "--large-community", "1:2"], "such as 65001:1:2"),
        (&["rib", "--origin-asn", "0"], "--origin-asn"),
        (&["rib", "summary", "-p", "10.0.0.0/8"], "select routes to show"),
        (&["rib", "add", "10.0.0.0/8"], "--nexthop"),
        (&["rib", "add", "10.0.0.0/8", "--nexthop", "192.0.2.1", "--as-path", "1 x"], "is not an AS number"),
        (&["rib", "received"], "<ADDR>"),
        (&["config", "apply"], "<FILE>"),
        (&["config", "apply", "c.toml", "--confirm", "0"], "0 is not in 1..=86400"),
        (&["-s", "localhost:50051", "global"], "unix:///path, http://host:port or https://host:port"),
        (&["-s", "https://localhost:50051", "global"], "--tls-ca FILE"),
        (
            &["-s", "https://localhost:50051", "--tls-ca", "/dev/null", "--tls-cert", "/dev/null", "global"],
            "belong together",
        ),
    ] {
        let message = daemon.fails(2, args);
        assert!(message.contains(says), "{args:?}: {message}");
    }
}

#[test]
fn a_daemon_that_does_not_run_is_named_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let missing = format!("unix://{}/grpc.sock", dir.path().display());
    let message = refused(1, ctl().args(["-s", &missing, "global"]).output().unwrap());
    assert!(message.contains(&missing) && message.contains("Is rustbgpd running"), "{message}");

    // A socket that nobody listens on any more.
    let path = dir.path().join("stale.sock");
    drop(UnixListener::bind(&path).unwrap());
    let stale = format!("unix://{}", path.display());
    let message = refused(1, ctl().args(["-s", &stale, "global"]).output().unwrap());
    assert!(message.contains("Nobody listens there"), "{message}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let message = refused(1, ctl().args(["-s", &format!("http://{port}"), "global"]).output().unwrap());
    assert!(message.contains("Nobody listens there"), "{message}");
}

/// Whom the listener does not let in is not told so: the connection is closed, sooner or later than the first octet.
#[test]
fn a_connection_that_is_closed_at_once_comes_with_what_may_be_the_reason() {
    use std::io::Read;

    for octets in [0, 1, 24] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grpc.sock");
        let listener = UnixListener::bind(&path).unwrap();
        // However often it tries; the end of the test ends it.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // It may be gone by then.
                let _ = client.unwrap().read_exact(&mut vec![0; octets]);
            }
        });
        let address = format!("unix://{}", path.display());
        let message = refused(1, ctl().args(["-s", &address, "global"]).output().unwrap());
        assert!(message.contains("allow_uids, allow_gids"), "{octets}: {message}");
    }
}

/// Root may use every socket; the check needs an ordinary user.
#[test]
fn a_socket_without_permission_is_named_with_advice() {
    let daemon = Daemon::start();
    std::fs::set_permissions(daemon.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let socket = daemon.dir.path().join("grpc.sock");
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = ctl();
    if std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0 {
        // The build directory may be closed to others: run a copy.
        let copy = daemon.dir.path().join("rustbgpctl");
        std::fs::copy(env!("CARGO_BIN_EXE_rustbgpctl"), &copy).unwrap();
        command = std::process::Command::new(copy);
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
    } else {
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let message = refused(1, command.args(["-s", &daemon.socket(), "global"]).output().unwrap());
    assert!(message.contains("You may not use this socket"), "{message}");
}

#[test]
fn an_unknown_neighbor_is_refused_with_the_daemons_suggestion() {
    let message = Daemon::start().fails(1, &["neighbor", "192.0.2.2"]);
    assert_eq!(message, "rustbgpctl: there is no neighbor; did you mean 192.0.2.1?\n");
}

#[test]
fn the_token_is_read_from_its_file_and_missed_with_advice() {
    let daemon = Daemon::start();
    daemon.world().token = Some("s3cret".into());
    let file = write(daemon.dir.path(), "token", b"s3cret\n");
    assert!(daemon.ok(&["--token-file", &file, "global"]).contains("64999"));
    assert!(daemon.command(&["global"]).env("RUSTBGPD_TOKEN_FILE", &file).status().unwrap().success());
    let message = daemon.fails(1, &["global"]);
    assert!(message.contains("--token-file"), "{message}");
    let empty = write(daemon.dir.path(), "empty", b"\n");
    assert!(daemon.fails(1, &["--token-file", &empty, "global"]).contains("empty"));
    assert!(daemon.fails(1, &["--token-file", "/nonexistent", "global"]).contains("/nonexistent"));
}

#[test]
fn a_daemon_that_is_not_healthy_is_status_1() {
    let daemon = Daemon::start();
    daemon.world().health.unavailable = vec!["rde".into()];
    assert!(daemon.fails(1, &["health"]).contains("not at work: rde"));
    daemon.world().health.healthy = true;
    assert!(daemon.ok(&["health"]).contains("Healthy:            yes"));
}

/// What people know from elsewhere, and what the daemon cannot do yet: not taken for a slip of the pen.
#[test]
fn what_is_not_there_yet_says_so() {
    let daemon = Daemon::start();
    for (args, says) in [
        (&["flowspec"][..], "FlowSpec is not there yet"),
        (
            &["flowspec", "add", "-a", "ipv4_flowspec", "--match", "dest=10.0.0.0/24"],
            "FlowSpec is not there yet",
        ),
        (&["rpki"], "RPKI is not there yet"),
        (&["bmp", "--help"], "BMP is not there yet"),
        (&["mrt-dump"], "TriggerMrtDump: not in this test"),
    ] {
        let message = daemon.fails(1, args);
        assert!(message.contains(says), "{args:?}: {message}");
    }
    let help = daemon.ok(&["--help"]);
    for hidden in ["flowspec", "rpki", "bmp"] {
        assert!(!help.contains(hidden), "{hidden} is no command yet");
    }
    daemon.world().dump = "/var/lib/rustbgpd/mrt/rib.1.gz".into();
    assert_eq!(daemon.ok(&["mrt-dump"]), "the tables are written to /var/lib/rustbgpd/mrt/rib.1.gz\n");
    assert_eq!(daemon.json(&["mrt-dump"])["file_path"], "/var/lib/rustbgpd/mrt/rib.1.gz");
}
