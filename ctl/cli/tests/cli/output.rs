//! What is printed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use grpc::v1::{
    AsPathSegment, FamilyPrefixes, GetNeighborErrorsResponse, GracefulRestartState, MessageCounts,
    NeighborConfig, NeighborError, NeighborErrorCount, NeighborState, NotificationState, Route,
};
use serde_json::json;

use crate::server::Daemon;

pub(crate) fn neighbor(address: &str, state: i32) -> NeighborState {
    let config = NeighborConfig {
        address: address.into(),
        remote_asn: 65001,
        description: "a transit provider".into(),
        hold_time: 90,
        families: vec!["ipv4_unicast".into()],
        md5: true,
        add_path_send_max: 4,
        role: "customer".into(),
        role_strict: true,
        ..NeighborConfig::default()
    };
    NeighborState {
        config: Some(config),
        state,
        uptime_seconds: 3_700,
        prefixes_received: 1_178_137,
        prefixes_sent: 12,
        last_error: "hold timer expired".into(),
        negotiated_hold_time: 30,
        send_hold_time: 480,
        keepalive_interval: 10,
        negotiated_capabilities: vec!["four_octet_as".into(), "graceful_restart".into()],
        peer_restart_time: 120,
        graceful_restart_families: vec!["ipv4_unicast".into()],
        last_notification_received: Some(NotificationState {
            time_ms: 1_795_402_800_500,
            code: 6,
            subcode: 2,
            message: "Cease/Administrative Shutdown (6/2)".into(),
        }),
        router_id: "10.9.9.9".into(),
        peer_role: "provider".into(),
        capabilities_sent: vec!["route refresh".into()],
        capabilities_received: vec!["4-octet AS 65001".into()],
        add_path_send_families: vec!["ipv4_unicast".into()],
        messages_received: Some(MessageCounts { keepalive: 44, ..MessageCounts::default() }),
        prefixes: vec![FamilyPrefixes { family: "ipv4_unicast".into(), received: 1_178_137, sent: 12 }],
        ..NeighborState::default()
    }
}

pub(crate) fn route(n: usize) -> Route {
    Route {
        prefix: format!("10.{}.{}.0", n >> 8, n & 255),
        prefix_length: 24,
        next_hop: "192.0.2.1".into(),
        peer_address: "192.0.2.1".into(),
        as_path: vec![65001, 65010],
        best: true,
        med: 5,
        has_med: true,
        communities: vec![65001 << 16 | 100, 0xffff_ff01],
        large_communities: vec!["65001:1:2".into()],
        ..Route::default()
    }
}

/// The words of the line that begins with `first`.
fn words(output: &str, first: &str) -> Vec<String> {
    let line = output.lines().find(|l| l.trim_start().starts_with(first));
    line.unwrap_or_else(|| panic!("no {first:?} in\n{output}"))
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn global_in_words_and_json() {
    let daemon = Daemon::start();
    assert_eq!(words(&daemon.ok(&["global"]), "AS:"), ["AS:", "64999"]);
    assert_eq!(words(&daemon.ok(&["global"]), "BGP port:")[2..], ["not", "listening"]);
    let expected =
        json!({ "asn": 64999, "router_id": "192.0.2.254", "listen_port": 0, "version": "rustbgpd 1.2.3" });
    assert_eq!(daemon.json(&["global"]), expected);
}

#[test]
fn neighbors_as_table_and_one_in_full() {
    let daemon = Daemon::start();
    assert!(daemon.ok(&["neighbor"]).contains("no neighbors"));
    assert_eq!(daemon.json(&["neighbor"]), json!([]));
    let mut down = neighbor("2001:db8::1", 1);
    down.disabled = true;
    down.next_attempt_seconds = Some(12);
    down.graceful_restart = Some(GracefulRestartState {
        back: false,
        seconds_left: 57,
        families: vec!["ipv4_unicast".into()],
        stale_routes: 1_234,
        long_lived_families: vec!["ipv4_unicast".into()],
    });
    let mut draining = neighbor("192.0.2.7", 6);
    draining.draining = true;
    daemon.world().neighbors = vec![neighbor("192.0.2.1", 6), down, draining];
    let table = daemon.ok(&["neighbor"]);
    let up = words(&table, "192.0.2.1");
    assert_eq!(
        up,
        ["192.0.2.1", "65001", "Established", "1h", "01m", "1178137", "12", "a", "transit", "provider"]
    );
    assert_eq!(words(&table, "2001:db8::1")[2..5], ["Idle", "(disabled)", "-"]);
    assert_eq!(words(&table, "192.0.2.7")[2..4], ["Established", "(draining)"]);
    assert!(!table.contains('\x1b'), "no colours into a pipe");

    let one = daemon.ok(&["neighbor", "192.0.2.1"]);
    for expected in [
        "Established for 1h 01m",
        "30 s negotiated, 90 s configured",
        "Send hold time:       480 s",
        "Keepalive:            every 10 s",
        "Both sides have:      four_octet_as, graceful_restart",
        "Kept over a restart:  ipv4_unicast, if the peer is back within 120 s",
        "NOTIFICATION Cease/Administrative Shutdown (6/2) at 2026-11-23 03:00:00",
        "10.9.9.9",
        "TCP-MD5",
        "role customer (strict)",
        "Peer's role:          provider",
        "route refresh",
        "4-octet AS 65001",
        "hold timer expired",
        "Several paths to it:  ipv4_unicast (at most 4 of a prefix)",
    ] {
        assert!(one.contains(expected), "{expected} in\n{one}");
    }
    for absent in ["Next attempt", "Restart:", "Several paths from it", "Last sent"] {
        assert!(!one.contains(absent), "{absent} in\n{one}");
    }
    let away = daemon.ok(&["neighbor", "2001:db8::1"]);
    assert!(
        away.contains(
            "is away; 1234 stale routes of ipv4_unicast (long-lived: ipv4_unicast) for 57 s at most"
        ),
        "{away}"
    );
    assert_eq!(daemon.json(&["neighbor", "2001:db8::1"])["graceful_restart"]["stale_routes"], 1_234);
    assert!(daemon.ok(&["neighbor", "2001:db8::1"]).contains("Next attempt:         in 12 s"));
    assert_eq!(words(&one, "KEEPALIVE"), ["KEEPALIVE", "44", "0"]);
    let json = daemon.json(&["neighbor", "192.0.2.1"]);
    assert_eq!(json["state"], "Established");
    assert_eq!(json["config"]["remote_asn"], 65001);
    assert_eq!(json["last_notification_received"]["subcode"], 2);
    assert_eq!(json["last_notification_sent"], json!(null));
    assert_eq!(json["negotiated_capabilities"], json!(["four_octet_as", "graceful_restart"]));
    assert_eq!(json["prefixes"][0], json!({ "family": "ipv4_unicast", "received": 1_178_137, "sent": 12 }));
}

#[test]
fn a_neighbor_that_is_kept_down_by_its_limit_says_so() {
    let daemon = Daemon::start();
    let mut held = neighbor("192.0.2.1", 1);
    held.over_prefix_limit = true;
    held.prefix_limit_exceeded = 3;
    let config = held.config.as_mut().unwrap();
    (config.max_prefixes, config.max_prefixes_out) = (1000, 20);
    (config.max_prefixes_action, config.max_prefixes_restart_minutes) = ("restart".into(), 15);
    daemon.world().neighbors = vec![held];
    assert!(daemon.ok(&["neighbor"]).contains("Idle (prefix limit)"));
    let one = daemon.ok(&["neighbor", "192.0.2.1"]);
    let options = "at most 1000 prefixes, at most 20 prefixes announced, else restart after 15 min";
    for expected in ["Idle (prefix limit)", options, "Over prefix limit:    3"] {
        assert!(one.contains(expected), "{expected} in\n{one}");
    }
    let json = daemon.json(&["neighbor", "192.0.2.1"]);
    assert_eq!(
        (&json["over_prefix_limit"], &json["config"]["max_prefixes_action"]),
        (&json!(true), &json!("restart"))
    );
}

#[test]
fn errors_are_shown_with_their_octets() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ok(&["neighbor", "192.0.2.1", "errors"]), "the neighbor has made no errors\n");
    assert_eq!(daemon.json(&["neighbor", "192.0.2.1", "errors"]), json!({ "errors": [], "counts": [] }));
    let count = |attribute, name: &str, count| NeighborErrorCount {
        kind: "attribute_length".into(),
        attribute,
        attribute_name: name.into(),
        verdict: "attribute_discard".into(),
        count,
    };
    let error = NeighborError {
        time_ms: 1_795_402_800_500,
        kind: "attribute_length".into(),
        attribute: 6,
        attribute_name: "ATOMIC_AGGREGATE".into(),
        verdict: "attribute_discard".into(),
        message: "ATOMIC_AGGREGATE: attribute length".into(),
        octets: (0..20).collect(),
        octet_count: 300,
        ..NeighborError::default()
    };
    daemon.world().errors = GetNeighborErrorsResponse {
        counts: vec![count(6, "ATOMIC_AGGREGATE", 12), count(99, "", 1)],
        errors: vec![error],
    };
    let shown = daemon.ok(&["neighbor", "192.0.2.1", "errors"]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["attribute_length", "ATOMIC_AGGREGATE", "attribute_discard", "12"]);
    assert_eq!(rows[2], ["attribute_length", "99", "attribute_discard", "1"]);
    assert!(
        shown.ends_with(
            "\n2026-11-23 03:00:00.500  attribute_discard  ATOMIC_AGGREGATE: attribute length\n    \
             00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n    10 11 12 13\n    and 280 octets more\n"
        ),
        "{shown}"
    );
    let json = daemon.json(&["neighbor", "192.0.2.1", "errors"]);
    assert_eq!(json["errors"][0]["octets"], "000102030405060708090a0b0c0d0e0f10111213");
    assert_eq!(json["counts"][1]["attribute"], 99);
}

#[test]
fn changes_say_what_was_done() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ok(&["neighbor", "192.0.2.1", "enable"]), "neighbor 192.0.2.1 enabled\n");
    daemon.ok(&["neighbor", "192.0.2.1", "disable", "--reason", "moving racks"]);
    let one = "routes of neighbor 192.0.2.1 are evaluated anew";
    assert_eq!(daemon.ok(&["neighbor", "192.0.2.1", "softreset"]), format!("{one}\n"));
    let asked = daemon.ok(&["neighbor", "192.0.2.1", "softreset", "-a", "ipv6", "--refresh"]);
    assert_eq!(asked, format!("{one}, and it is asked for them again\n"));
    let json = daemon.json(&["shutdown", "--reason", "upgrade"]);
    assert_eq!(json, json!({ "message": "rustbgpd is shutting down" }));
    assert_eq!(daemon.ok(&["neighbor", "192.0.2.1", "drain"]), "neighbor 192.0.2.1 is being drained\n");
    let undone = daemon.ok(&["neighbor", "192.0.2.1", "undrain"]);
    assert_eq!(undone, "neighbor 192.0.2.1 is not drained any more\n");
    let done = [
        "enable 192.0.2.1",
        "disable 192.0.2.1 moving racks",
        "softreset 192.0.2.1 [] false",
        "softreset 192.0.2.1 [\"ipv6_unicast\"] true",
        "shutdown upgrade",
        "drain 192.0.2.1 false",
        "drain 192.0.2.1 true",
    ];
    assert_eq!(daemon.world().done, done);
}

#[test]
fn routes_in_table_detail_and_json() {
    let daemon = Daemon::start();
    assert!(daemon.ok(&["rib"]).contains("no such routes"));
    assert_eq!(daemon.json(&["rib"]), json!([]));
    let mut sets = route(1);
    sets.as_path_segments =
        vec![AsPathSegment { set: false, asns: vec![65001] }, AsPathSegment { set: true, asns: vec![7, 8] }];
    (sets.peer_address, sets.best, sets.has_med) = ("0.0.0.0".into(), false, false);
    (sets.local_pref, sets.has_local_pref, sets.origin) = (200, true, 2);
    sets.only_to_customer = 65002;
    daemon.world().routes = vec![route(0), sets];
    let table = daemon.ok(&["rib"]);
    assert_eq!(
        words(&table, "*"),
        ["*", "10.0.0.0/24", "192.0.2.1", "192.0.2.1", "-", "5", "65001", "65010", "i"]
    );
    assert_eq!(words(&table, "10.0.1.0/24")[2..], ["injected", "200", "-", "65001", "{7,8}", "?"]);
    let details = daemon.ok(&["rib", "-p", "10.0.0.0/24"]);
    assert_eq!(words(&details, "Communities:")[1..], ["65001:100", "NO_EXPORT"]);
    assert!(details.starts_with("10.0.0.0/24 from 192.0.2.1, best\n"), "{details}");
    let json = daemon.json(&["rib"]);
    assert_eq!(json[0]["communities"], json!(["65001:100", "65535:65281"]));
    assert_eq!((&json[0]["med"], json[0].get("local_pref")), (&json!(5), None));
    assert_eq!((json[1].get("med"), &json[1]["local_pref"]), (None, &json!(200)));
    assert_eq!((json[0].get("only_to_customer"), &json[1]["only_to_customer"]), (None, &json!(65002)));
}

#[test]
fn conditions_are_sent_as_given_before_or_after_the_subcommand() {
    let daemon = Daemon::start();
    daemon.ok(&["rib", "-p", "10.0.0.0/8", "-l", "received", "192.0.2.1"]);
    daemon.ok(&["rib", "received", "192.0.2.1", "--longer", "--prefix", "10.0.0.0/8"]);
    daemon.ok(&[
        "rib",
        "-a",
        "ipv6_unicast",
        "--origin-asn",
        "7",
        "-c",
        "1:2,NO_EXPORT",
        "--large-community",
        "1:2:3",
        "advertised",
        "192.0.2.1",
    ]);
    let lists = std::mem::take(&mut daemon.world().lists);
    assert_eq!(lists[0], lists[1]);
    let (table, request) = &lists[0];
    assert_eq!((*table, request.neighbor_address.as_str()), ("received", "192.0.2.1"));
    assert_eq!((request.prefix_filter.as_str(), request.prefix_filter_length), ("10.0.0.0", 8));
    assert!(request.longer_prefixes);
    let (table, request) = &lists[2];
    assert_eq!((*table, request.afi_safi, request.origin_asn), ("advertised", 2, 7));
    assert_eq!(request.community_filter, [0x0001_0002, 0xffff_ff01]);
    assert_eq!(request.large_community_filter, ["1:2:3"]);
}

#[test]
fn long_lists_come_whole_and_page_by_page() {
    let daemon = Daemon::start();
    daemon.world().routes = (0..12_999).map(route).collect();
    let table = daemon.ok(&["rib"]);
    assert_eq!(table.lines().count(), 13_000);
    assert!(daemon.world().lists.len() > 2, "in several pages");
    let json = daemon.json(&["rib"]);
    let prefixes: Vec<_> =
        json.as_array().unwrap().iter().map(|r| r["prefix"].as_str().unwrap().to_owned()).collect();
    assert_eq!(prefixes, (0..12_999).map(|n| route(n).prefix).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_in_peace() {
    let daemon = Daemon::start();
    daemon.world().routes = (0..50_000).map(route).collect();
    let mut child = daemon.command(&["rib"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn summary_and_metrics() {
    let daemon = Daemon::start();
    let summary = daemon.ok(&["rib", "summary"]);
    assert_eq!(words(&summary, "ipv4_unicast"), ["ipv4_unicast", "1178137", "2000000", "5"]);
    assert_eq!(words(&summary, "192.0.2.1"), ["192.0.2.1", "ipv4_unicast", "77", "88", "transit"]);
    assert!(summary.contains("99 sets of path attributes"));
    assert_eq!(daemon.json(&["rib", "summary"])["families"][0]["loc_rib_prefixes"], 1_178_137);
    assert!(daemon.ok(&["metrics"]).contains("a{peer=\"192.0.2.1\"} 1"));
    let json = json!([{ "name": "a", "type": "gauge", "labels": { "peer": "192.0.2.1" }, "value": 1 }]);
    assert_eq!(daemon.json(&["metrics"]), json);
}

#[test]
fn routes_are_injected_and_withdrawn_with_every_attribute() {
    let daemon = Daemon::start();
    daemon.ok(&[
        "rib",
        "add",
        "203.0.113.0/24",
        "--nexthop",
        "192.0.2.9",
        "--origin",
        "incomplete",
        "--local-pref",
        "200",
        "--med",
        "0",
        "--as-path",
        "65001 65002",
        "--communities",
        "1:2,NO_EXPORT",
        "--large-communities",
        "1:2:3",
        "--path-id",
        "4",
    ]);
    daemon.ok(&["rib", "delete", "203.0.113.0/24", "--path-id", "4"]);
    let world = daemon.world();
    let r = &world.injected[0];
    assert_eq!((r.prefix.as_str(), r.prefix_length, r.next_hop.as_str()), ("203.0.113.0", 24, "192.0.2.9"));
    assert_eq!((r.origin, r.local_pref, r.med, r.path_id), (2, Some(200), Some(0), 4));
    assert_eq!(
        (r.as_path.as_slice(), r.communities.as_slice()),
        (&[65001, 65002][..], &[0x0001_0002, 0xffff_ff01][..])
    );
    assert_eq!(r.large_communities, ["1:2:3"]);
    let d = &world.deleted[0];
    assert_eq!((d.prefix.as_str(), d.prefix_length, d.path_id), ("203.0.113.0", 24, 4));
}
