//! Commands that change the configuration.

use grpc::v1::{DynamicNeighborRange, NeighborConfig, PeerGroupDefinition};

use crate::server::{Daemon, write};

#[test]
fn a_neighbor_is_added_with_what_was_said_and_deleted() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.ok(&["neighbor", "192.0.2.9", "add", "--asn", "65009"]),
        "neighbor 192.0.2.9 (AS 65009) added and written to the configuration file\n"
    );
    let all = "neighbor 2001:db8::9 add --asn 4200000000 --description core --hold-time 30 --max-prefixes 5 \
               --max-prefixes-out 6 --max-prefixes-action restart --max-prefixes-restart-minutes 7 \
               --families ipv4_unicast,ipv6_unicast --peer-group g --remove-private-as all --ttl-security \
               --role peer --role-strict --route-server-client --add-path-receive --add-path-send \
               --add-path-send-max 3";
    let args: Vec<&str> = all.split_whitespace().collect();
    assert!(daemon.json(&args)["message"].as_str().unwrap().starts_with("neighbor 2001:db8::9"));
    let plain =
        NeighborConfig { address: "192.0.2.9".into(), remote_asn: 65009, ..NeighborConfig::default() };
    let whole = NeighborConfig {
        address: "2001:db8::9".into(),
        remote_asn: 4_200_000_000,
        description: "core".into(),
        hold_time: 30,
        max_prefixes: 5,
        families: vec!["ipv4_unicast".into(), "ipv6_unicast".into()],
        remove_private_as: "all".into(),
        peer_group: "g".into(),
        route_server_client: true,
        add_path_receive: true,
        add_path_send: true,
        add_path_send_max: 3,
        ttl_security: true,
        role: "peer".into(),
        role_strict: true,
        max_prefixes_out: 6,
        max_prefixes_action: "restart".into(),
        max_prefixes_restart_minutes: 7,
        ..NeighborConfig::default()
    };
    assert_eq!(daemon.world().added, [plain, whole]);
    daemon.world().added.clear();
    let key = write(daemon.dir.path(), "key", b"s3cret\n");
    let file =
        write(daemon.dir.path(), "more.toml", b"hold_time = 9\nport = 1\nadd_path = { send = true }\n");
    let all = format!(
        "neighbor 192.0.2.9 add --asn 65009 --md5-password-file {key} --settings {file} --import-policy-chain a,b \
         --export-policy-chain c --local-address 192.0.2.1 --local-asn 65010 --port 1179 --passive --multihop 3 \
         --graceful-restart false --llgr-stale-time 60 --route-reflector-client --default-originate --shutdown"
    );
    daemon.ok(&all.split_whitespace().collect::<Vec<&str>>());
    let settings = PeerGroupDefinition {
        hold_time: Some(9),
        add_path_send: Some(true),
        md5_password: Some("s3cret".into()),
        import_policy_chain: vec!["a".into(), "b".into()],
        export_policy_chain: vec!["c".into()],
        local_address: Some("192.0.2.1".into()),
        local_asn: Some(65010),
        port: Some(1179),
        passive: Some(true),
        multihop: Some(3),
        graceful_restart: Some(false),
        llgr_stale_time: Some(60),
        route_reflector_client: Some(true),
        default_originate: Some(true),
        shutdown: Some(true),
        ..PeerGroupDefinition::default()
    };
    assert_eq!(daemon.world().added[0].settings, Some(settings));
    assert!(daemon.ok(&["neighbor", "192.0.2.9", "delete"]).contains("also from the configuration file"));
    assert_eq!(daemon.world().done, ["delete 192.0.2.9"]);
}

#[test]
fn ranges_of_dynamic_neighbors_are_listed_added_and_deleted() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ok(&["dynamic-neighbor"]), "no ranges of dynamic neighbors are configured\n");
    assert_eq!(
        daemon.ok(&["dynamic-neighbor", "add", "192.0.2.0/24", "--peer-group", "ix"]),
        "dynamic neighbors 192.0.2.0/24 (any AS) added and written to the configuration file\n"
    );
    let more = ["--peer-group", "ix", "--asn", "65009", "--description", "v6 members"];
    daemon.ok(&[&["dynamic-neighbor", "add", "2001:db8::/32"][..], &more].concat());
    let range = |prefix: &str, remote_asn, description: &str| DynamicNeighborRange {
        prefix: prefix.into(),
        peer_group: "ix".into(),
        remote_asn,
        description: description.into(),
    };
    assert_eq!(
        daemon.world().ranges,
        [range("192.0.2.0/24", 0, ""), range("2001:db8::/32", 65009, "v6 members")]
    );
    let table = daemon.ok(&["dynamic-neighbor", "list"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1..],
        [vec!["192.0.2.0/24", "any", "ix"], vec!["2001:db8::/32", "65009", "ix", "v6", "members"]]
    );
    let listed = daemon.json(&["dynamic-neighbor"]);
    assert_eq!(listed[1]["remote_asn"], 65009);
    assert!(
        daemon
            .ok(&["dynamic-neighbor", "delete", "192.0.2.0/24"])
            .contains("also from the configuration file")
    );
    assert_eq!(daemon.world().done, ["delete 192.0.2.0/24"]);
}

#[test]
fn what_makes_no_sense_is_said_before_the_daemon_is_asked() {
    let daemon = Daemon::start();
    for (args, says) in [
        (&["neighbor", "192.0.2.9", "add"][..], "--asn"),
        (&["neighbor", "add", "--asn", "1"], "which neighbor"),
        (&["neighbor", "192.0.2.9", "add", "--asn", "0"], "0 is not in"),
        (&["neighbor", "192.0.2.9", "add", "--asn", "1", "--hold-time", "2"], "2 is not in 3..=65535"),
        (&["neighbor", "192.0.2.9", "add", "--asn", "1", "--add-path-send-max", "2"], "--add-path-send"),
        (&["neighbor", "delete"], "which neighbor"),
        (&["dynamic-neighbor", "add", "192.0.2.0/24"], "--peer-group"),
        (&["dynamic-neighbor", "add", "192.0.2.0/33", "--peer-group", "g"], "192.0.2.0/33"),
    ] {
        let said = daemon.fails(2, args);
        assert!(said.contains(says), "{args:?}: {said}");
    }
    assert!(daemon.world().added.is_empty() && daemon.world().done.is_empty());
}

#[test]
fn chains_are_shown_set_and_cleared() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ok(&["policy-chain"]), "Import:  a, b\nExport:  none\n");
    assert_eq!(daemon.ok(&["policy-chain", "192.0.2.9"]), "Import:  none\nExport:  of-192.0.2.9\n");
    let all = serde_json::json!({ "import_policy_names": ["a", "b"], "export_policy_names": [] });
    assert_eq!(daemon.json(&["policy-chain"]), all);
    assert_eq!(daemon.json(&["policy-chain", "192.0.2.9"])["address"], "192.0.2.9");
    assert_eq!(
        daemon.ok(&["policy-chain", "set", "import", "a", "b"]),
        "import chain for all neighbors: a, b, also in the configuration file\n"
    );
    for args in
        ["set export c", "192.0.2.9 set import a", "192.0.2.9 set export a b", "clear import", "clear export"]
    {
        let args: Vec<&str> = ["policy-chain"].into_iter().chain(args.split(' ')).collect();
        daemon.ok(&args);
    }
    daemon.ok(&["policy-chain", "192.0.2.9", "clear", "import"]);
    assert_eq!(
        daemon.ok(&["policy-chain", "192.0.2.9", "clear", "export"]),
        "export chain for neighbor 192.0.2.9 cleared, also in the configuration file\n"
    );
    let done = [
        "set global import [\"a\", \"b\"]",
        "set global export [\"c\"]",
        "set 192.0.2.9 import [\"a\"]",
        "set 192.0.2.9 export [\"a\", \"b\"]",
        "clear global import",
        "clear global export",
        "clear 192.0.2.9 import",
        "clear 192.0.2.9 export",
    ];
    assert_eq!(daemon.world().done, done);
    for (args, says) in [
        (&["policy-chain", "set", "import"][..], "<POLICY>"),
        (&["policy-chain", "set", "both", "a"], "[possible values: import, export]"),
    ] {
        let said = daemon.fails(2, args);
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
