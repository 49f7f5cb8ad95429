//! What is printed on a terminal: it fits, and colours have meanings.

use std::process::Command;

use grpc::v1::{GetNeighborErrorsResponse, NeighborErrorCount, Route};

use crate::output::{neighbor, route};
use crate::server::{Daemon, program, text};

/// The output of a command on a terminal of so many columns, made by script(1).
fn on_terminal(daemon: &Daemon, columns: u16, environment: &[(&str, &str)], line: &str) -> String {
    let command = format!("stty cols {columns} rows 50; {} {line}", program());
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("RUSTBGPD_ADDR", daemon.socket())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    text(&output.stdout).replace('\r', "")
}

fn without_colors(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

/// Everything is as long as it may be.
fn long() -> Daemon {
    let daemon = Daemon::start();
    let address = "2001:db8:1111:2222:3333:4444:5555:6666";
    let mut n = neighbor(address, 6);
    n.draining = true;
    n.over_prefix_limit = true;
    let config = n.config.as_mut().unwrap();
    config.remote_asn = 4_200_000_000;
    config.description = "a description that is longer than anybody would make it on a good day".into();
    n.negotiated_capabilities =
        ["four_octet_as", "route_refresh", "enhanced_route_refresh", "extended_messages"]
            .map(String::from)
            .to_vec();
    n.capabilities_sent = vec![["ipv4_unicast:forwarding"; 8].join(" ")];
    let long_route = Route {
        prefix: "2001:db8:1111:2222::".into(),
        prefix_length: 64,
        next_hop: address.into(),
        peer_address: address.into(),
        as_path: (1..40).map(|n| 4_200_000_000 + n).collect(),
        communities: (0..40).map(|n| 65001 << 16 | n).collect(),
        ..route(1)
    };
    let count = NeighborErrorCount {
        kind: "internal_attribute_from_external_peer".into(),
        attribute: 10,
        attribute_name: "CLUSTER_LIST".into(),
        verdict: "attribute_discard".into(),
        count: 1_000_000,
    };
    let mut world = daemon.world();
    world.neighbors = vec![neighbor("192.0.2.1", 6), n];
    world.routes = vec![route(0), long_route];
    world.errors = GetNeighborErrorsResponse { counts: vec![count], errors: vec![] };
    drop(world);
    daemon
}

#[test]
fn everything_fits_the_terminal() {
    let daemon = long();
    for columns in [80, 200] {
        for line in [
            "global",
            "neighbor",
            "neighbor 2001:db8:1111:2222:3333:4444:5555:6666",
            "neighbor 192.0.2.1 errors",
            "rib",
            "rib -p 2001:db8:1111:2222::/64",
            "rib summary",
            "processes",
            "health",
            "policy-chain",
        ] {
            let shown = without_colors(&on_terminal(&daemon, columns, &[], line));
            assert!(shown.lines().count() >= 2, "{line}: {shown}");
            for l in shown.lines() {
                assert!(l.chars().count() <= usize::from(columns), "{line} at {columns}: {l:?}\n{shown}");
            }
        }
    }
    // An ordinary route is whole in 80 columns.
    let ordinary = Daemon::start();
    ordinary.world().routes = vec![route(0)];
    let shown = on_terminal(&ordinary, 80, &[], "rib");
    assert!(shown.contains("10.0.0.0/24") && shown.contains("65001 65010 i"), "{shown}");
    // Into a pipe nothing is cut.
    assert!(daemon.ok(&["rib"]).contains("2001:db8:1111:2222:3333:4444:5555:6666  2001"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let daemon = long();
    let green = "\x1b[32mEstablished\x1b[0m";
    assert!(on_terminal(&daemon, 100, &[], "neighbor").contains(green));
    for (environment, line) in
        [(&[("NO_COLOR", "1")][..], "neighbor"), (&[], "--no-color neighbor"), (&[], "-j neighbor")]
    {
        let shown = on_terminal(&daemon, 100, environment, line);
        assert!(!shown.contains('\x1b') && shown.contains("Established"), "{line}: {shown}");
    }
    assert!(!daemon.ok(&["neighbor"]).contains('\x1b'), "nor into a pipe");
}
