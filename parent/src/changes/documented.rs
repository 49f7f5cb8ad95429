//! Each row of "What a change costs" in docs/CONFIGURATION.md is what a reload makes of it, and each key has a row.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::{changeable_keys, from_text};

const DOCUMENT: &str = include_str!("../../../docs/CONFIGURATION.md");

/// The rows: what is changed, and what that costs.
fn documented() -> Vec<(String, String)> {
    let section = DOCUMENT.split("\n### What a change costs\n").nth(1).unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter_map(|l| l.strip_prefix("| `"));
    let cells = rows.map(|row| row.trim_end().trim_end_matches('|').rsplit_once(" | ").unwrap());
    cells.map(|(what, cost)| (format!("`{}", what.trim()), cost.trim().to_owned())).collect()
}

/// The key of a row.
fn key(what: &str) -> &str {
    what.split('`').nth(1).unwrap()
}

/// A file: lines of `[global]`, of `[global.telemetry]`, and of a neighbor.
type Parts = [&'static str; 3];

fn file([global, telemetry, neighbor]: Parts) -> Config {
    let given = |key: &str| global.lines().any(|l| l.starts_with(key));
    let mut text = format!("[global]\n{global}\n");
    for (key, value) in [("asn", "65001"), ("router_id", "\"10.0.0.1\""), ("listen_port", "179")] {
        if !given(key) {
            text += &format!("{key} = {value}\n");
        }
    }
    let asn = if neighbor.contains("remote_asn") { "" } else { "remote_asn = 65002\n" };
    text += &format!(
        "[global.telemetry]\n{telemetry}\n[policy.definitions.p]\ndefault_action = \"deny\"\n[peer_groups.g]\n\
         [[neighbors]]\naddress = \"10.0.0.2\"\n{asn}{neighbor}\n"
    );
    from_text(Path::new("c.toml"), &text).unwrap_or_else(|e| panic!("{text}\n{e}")).config
}

/// What is written before and after, for a row: with the key at first and then without, or with two values of it.
fn example(what: &str) -> (Parts, Parts) {
    let neighbor = |before: &'static str, after: &'static str| (["", "", before], ["", "", after]);
    let global = |line: &'static str| (["", "", ""], [line, "", ""]);
    let telemetry = |line: &'static str| (["", "", ""], ["", line, ""]);
    let statement = "[[neighbors.import_policy]]\naction = \"deny\"\nmatch_med_ge = 5";
    let condition = what.rsplit_once('`').unwrap().1.trim();
    match (key(what), condition) {
        ("description", _) => neighbor("", "description = \"core\""),
        ("peer_group", _) => neighbor("", "peer_group = \"g\""),
        ("send_hold_time", _) => neighbor("", "send_hold_time = 600"),
        ("connect_retry", _) => neighbor("", "connect_retry = 9"),
        ("port", _) => neighbor("", "port = 1179"),
        ("passive", _) => neighbor("", "passive = true"),
        ("shutdown", _) => neighbor("", "shutdown = true"),
        ("gr_stale_routes_time", _) => neighbor("", "gr_stale_routes_time = 9"),
        ("max_prefixes", c) if c.starts_with("where") => neighbor("", "max_prefixes = 5"),
        ("max_prefixes", _) => neighbor("max_prefixes = 5", "max_prefixes = 6"),
        ("max_prefixes_out", c) if c.starts_with("where") => neighbor("", "max_prefixes_out = 5"),
        ("max_prefixes_out", _) => neighbor("max_prefixes_out = 5", ""),
        ("max_prefixes_action", _) if what.contains("from `warn`") => {
            neighbor("max_prefixes_action = \"warn\"", "max_prefixes_action = \"shutdown\"")
        }
        ("max_prefixes_action", _) => neighbor("", "max_prefixes_action = \"warn\""),
        ("max_prefixes_restart_minutes", _) => neighbor(
            "max_prefixes_action = \"restart\"\nmax_prefixes_restart_minutes = 1",
            "max_prefixes_action = \"restart\"\nmax_prefixes_restart_minutes = 2",
        ),
        ("import_policy_chain", _) => neighbor("", "import_policy_chain = [\"p\"]"),
        ("export_policy_chain", _) => neighbor("", "export_policy_chain = [\"p\"]"),
        ("import_policy", _) if what.contains("ebgp_requires_policy") => {
            let required = "ebgp_requires_policy = true";
            ([required, "", ""], [required, "", statement])
        }
        ("import_policy", _) => neighbor("", statement),
        ("export_policy", _) => {
            neighbor("", "[[neighbors.export_policy]]\naction = \"deny\"\nmatch_med_ge = 5")
        }
        ("graceful_shutdown", _) => neighbor("", "graceful_shutdown = false"),
        ("remote_asn", _) => neighbor("", "remote_asn = 65009"),
        ("local_asn", _) => neighbor("", "local_asn = 65009"),
        ("hold_time", _) => neighbor("", "hold_time = 30"),
        ("keepalive", _) => neighbor("", "keepalive = 9"),
        ("families", _) => neighbor("", "families = [\"ipv6_unicast\"]"),
        ("local_address", _) => neighbor("", "local_address = \"10.0.0.1\""),
        ("multihop", _) => neighbor("", "multihop = 2"),
        ("ttl_security", _) => neighbor("", "ttl_security = true"),
        ("md5_password", _) => neighbor("md5_password = \"a\"", "md5_password = \"b\""),
        ("max_prefixes_count", _) => neighbor("", "max_prefixes_count = \"accepted\""),
        ("keep_rejected", _) => neighbor("", "keep_rejected = false"),
        ("graceful_restart", _) => neighbor("", "graceful_restart = false"),
        ("gr_restart_time", _) => neighbor("", "gr_restart_time = 9"),
        ("llgr_stale_time", _) => neighbor("", "llgr_stale_time = 9"),
        ("route_server_client", _) => neighbor("", "route_server_client = true"),
        ("route_reflector_client", _) => {
            neighbor("remote_asn = 65001", "remote_asn = 65001\nroute_reflector_client = true")
        }
        ("remove_private_as", _) => neighbor("", "remove_private_as = \"all\""),
        ("local_ipv6_nexthop", _) => neighbor("", "local_ipv6_nexthop = \"2001:db8::1\""),
        ("enforce_first_as", _) => neighbor("", "enforce_first_as = false"),
        ("allow_own_as", _) => neighbor("", "allow_own_as = 1"),
        ("default_originate", _) => neighbor("", "default_originate = true"),
        ("advertisement_interval", _) => neighbor("", "advertisement_interval = 5"),
        ("role", _) => neighbor("", "role = \"customer\""),
        ("role_strict", _) => neighbor("role = \"customer\"", "role = \"customer\"\nrole_strict = true"),
        ("add_path", _) => neighbor("", "add_path = { receive = true }"),
        ("log_level", ", the one for all") => telemetry("log_level = \"debug\""),
        ("log_level", _) => neighbor("", "log_level = \"debug\""),
        ("asn", _) => global("asn = 65009"),
        ("router_id", _) => global("router_id = \"10.0.0.9\""),
        ("listen_port", _) => global("listen_port = 1179"),
        ("listen_addresses", _) => global("listen_addresses = [\"127.0.0.1\"]"),
        ("dynamic_neighbor_limit", _) => global("dynamic_neighbor_limit = 5"),
        ("runtime_state_dir", _) => global("runtime_state_dir = \"/run/other\""),
        ("cluster_id", _) => global("cluster_id = \"10.0.0.9\""),
        ("user", _) => global("user = \"root\""),
        ("group", _) => global("group = \"root\""),
        ("med_always_compare", _) => global("med_always_compare = true"),
        ("rde_threads", _) => global("rde_threads = 63"),
        ("ebgp_requires_policy", _) => global("ebgp_requires_policy = true"),
        ("reject_as_sets", _) => global("reject_as_sets = true"),
        ("engine_memory_limit", _) => global("engine_memory_limit = 64"),
        ("prometheus_addr", _) => telemetry("prometheus_addr = \"127.0.0.1:9179\""),
        ("log_format", _) => telemetry("log_format = \"text\""),
        ("looking_glass", _) => telemetry("looking_glass = { addr = \"127.0.0.1:8080\" }"),
        ("grpc_uds", _) => telemetry("grpc_uds = { mode = 0o660 }"),
        ("grpc_tcp", _) => telemetry("grpc_uds = {}\ngrpc_tcp = { address = \"127.0.0.1:1\" }"),
        _ => panic!("there is no example of {what}"),
    }
}

fn cost(changes: &Changes) -> &'static str {
    match changes.changed.first().map(|c| c.cost) {
        None if !changes.restart.is_empty() => "restart",
        None => "no change",
        Some(Cost::Nothing) => "nothing",
        Some(Cost::Reevaluation) => "evaluation",
        Some(Cost::Reset) => "reset",
    }
}

#[test]
fn each_row_is_what_a_reload_makes_of_it() {
    for (what, expected) in documented() {
        let (before, after) = example(&what);
        let (before, after) = (file(before), file(after));
        assert_eq!(cost(&Changes::between(&before, &after)), expected, "{what}");
        assert_eq!(Changes::between(&before, &before), Changes::default(), "{what}");
    }
}

#[test]
fn each_key_has_a_row() {
    let rows = documented();
    let there: BTreeSet<&str> = rows.iter().map(|(what, _)| key(what)).collect();
    // What a neighbor is, and the table of telemetry itself.
    let keys = changeable_keys().filter(|k| !["address", "telemetry"].contains(k));
    assert_eq!(there, keys.collect::<BTreeSet<_>>());
}

/// What a neighbor has from its group, or by default, is the same when it is written out.
#[test]
fn what_is_written_out_is_no_change() {
    for written_out in [
        "description = \"10.0.0.2\"\nhold_time = 90\nconnect_retry = 5\nport = 179\npassive = false\nshutdown = false",
        "graceful_restart = true\ngr_restart_time = 120\ngr_stale_routes_time = 360\nllgr_stale_time = 0",
        "families = [\"ipv4_unicast\"]\nttl_security = false\nmax_prefixes_count = \"received\"\nlocal_asn = 65001",
        "enforce_first_as = true\nallow_own_as = 0\ndefault_originate = false\ngraceful_shutdown = true\nkeep_rejected = true",
        "max_prefixes_action = \"shutdown\"\nadvertisement_interval = 0\nadd_path = { receive = false, send = false, send_max = 0 }",
        "import_policy_chain = []\nexport_policy_chain = []",
    ] {
        let changes = Changes::between(&file(["", "", ""]), &file(["", "", written_out]));
        assert_eq!(changes, Changes::default(), "{written_out}");
    }
}
