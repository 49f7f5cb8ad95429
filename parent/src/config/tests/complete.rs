//! What an accepted file means: every key, every default, inheritance, warnings.

use std::io::Write;

use bgp::{BgpRole, Family, FamilySet};
use ipc::config::{Access, PeerRole};

use super::super::keys::TABLES;
use super::super::*;
use super::{SHORTEST, TLS, accepted, warnings};

const COMPLETE: &str = include_str!("complete.toml");

/// The file with every key, and the token file that it names.
fn complete() -> (String, tempfile::NamedTempFile) {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"token\n").unwrap();
    let text = COMPLETE.replace("@TOKEN@", token.path().to_str().unwrap()).replace("@TLS@", TLS);
    (text, token)
}

#[test]
fn the_complete_file_has_every_key() {
    let written: Vec<&str> = COMPLETE
        .lines()
        .map(|line| line.split(['=', ']']).next().unwrap_or_default().trim_matches(['[', ' ']))
        .flat_map(|key| key.split('.'))
        .chain(["asn", "count"])
        .collect();
    for key in TABLES.iter().flat_map(|t| t.keys).copied().flatten() {
        assert!(written.contains(&key.name), "{} is missing", key.name);
    }
}

#[test]
fn what_the_file_says_is_what_is_meant() {
    let (text, _token) = complete();
    let config = accepted(&text);
    assert_eq!(config.global.listen_port, 1790);
    assert_eq!(config.global.cluster_id.to_string(), "10.0.0.9");
    assert_eq!(config.global.user.as_deref(), Some("root"));
    assert_eq!(config.global.rde_threads, 4);
    assert_eq!(config.global.engine_memory_limit, Some(4 << 30));
    assert_eq!(config.telemetry.log_format.name(), "text");
    assert_eq!(config.telemetry.log_level.name(), "debug");
    let [upstream, client, plain] = config.neighbors.as_slice() else { panic!("{:?}", config.neighbors) };
    assert_eq!((upstream.hold_time, upstream.passive, upstream.connect_retry), (180, true, 10));
    assert_eq!((upstream.local_asn, upstream.port, upstream.multihop), (65010, 1179, Some(3)));
    assert_eq!(upstream.local_address.map(|a| a.to_string()).as_deref(), Some("10.0.0.1"));
    assert_eq!(upstream.families, Family::ALL.into_iter().collect());
    assert_eq!(upstream.max_prefixes_action, MaxPrefixesAction::Restart { minutes: 15 });
    assert_eq!(upstream.role, Some(PeerRole { role: BgpRole::Customer, strict: true }));
    assert!(!upstream.graceful_shutdown);
    assert_eq!(upstream.add_path, AddPath { receive: true, send: true, send_max: Some(4) });
    // From the group: what the neighbor does not say itself.
    assert_eq!((client.hold_time, client.ttl_security, client.route_reflector_client), (30, true, true));
    assert_eq!(client.description, "a client");
    assert_eq!(client.md5_password.as_ref().map(Secret::expose), Some(b"group-key".as_slice()));
    assert_eq!(client.peer_group.as_deref(), Some("clients"));
    assert_eq!((plain.peer_group.as_deref(), plain.md5_password.is_none()), (None, true));
    assert_eq!(config.rpki.unwrap().cache_servers[0].expire_interval, 120);
    assert_eq!(config.bmp.unwrap().collectors[0].monitor.len(), 5);
    assert_eq!(config.mrt.unwrap().file_prefix, "edge1");
    assert_eq!(config.dynamic_neighbors[0].prefix.to_string(), "198.51.100.0/24");
}

#[test]
fn defaults() {
    let text = format!(
        "{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n\
         [[neighbors]]\naddress = \"2001:db8::2\"\nremote_asn = 65001\nroute_server_client = false\n"
    );
    let config = accepted(&text);
    let listen: Vec<String> = config.global.listen_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0", "::"]);
    assert_eq!(config.global.runtime_state_dir.to_str(), Some("/var/lib/rustbgpd"));
    assert_eq!(config.global.cluster_id, config.global.router_id);
    assert_eq!((&config.global.user, &config.global.group), (&None, &None));
    assert!(!config.global.med_always_compare && !config.global.ebgp_requires_policy);
    assert!(!config.global.reject_as_sets);
    assert!((1..=8).contains(&config.global.rde_threads));
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.telemetry.log_level, LogLevel::Info);
    assert_eq!((config.telemetry.prometheus_addr, config.telemetry.grpc_tcp), (None, None));
    let uds = config.telemetry.grpc_uds.unwrap();
    assert_eq!(uds.path.to_str(), Some("/var/lib/rustbgpd/grpc.sock"));
    assert_eq!((uds.mode, uds.access, uds.token_file), (0o600, Access::ReadWrite, None));
    let [v4, v6] = config.neighbors.as_slice() else { panic!("{:?}", config.neighbors) };
    assert_eq!((v4.hold_time, v4.port, v4.connect_retry), (90, 179, 5));
    assert_eq!((v4.description.as_str(), v4.local_asn), ("10.0.0.2", 65001));
    assert_eq!((v4.passive, v4.shutdown, v4.ttl_security, v4.multihop), (false, false, false, None));
    assert_eq!((v4.enforce_first_as, v4.allow_own_as, v4.max_prefixes), (true, 0, None));
    assert_eq!((v4.role, v4.graceful_shutdown), (None, true));
    assert_eq!(v4.families, FamilySet::EMPTY.with(Family::Ipv4Unicast));
    assert_eq!(v6.families, v4.families.with(Family::Ipv6Unicast));
    let restart = v4.graceful_restart;
    assert_eq!((restart.enabled, restart.restart_time, restart.stale_routes_time), (true, 120, 360));
}

/// A route-server client's paths begin with others' AS numbers (RFC 7947 §2.2.2).
#[test]
fn route_server_clients_need_not_send_their_own_as_first() {
    let text = format!(
        "{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\nroute_server_client = true\n"
    );
    assert!(!accepted(&text).neighbors[0].enforce_first_as);
    assert!(warnings(&text).is_empty(), "it has an effect");
}

#[test]
fn which_control_listeners_are_on() {
    let on = |tables: &str| {
        let telemetry = accepted(&format!("{SHORTEST}{tables}")).telemetry;
        (telemetry.grpc_uds.is_some(), telemetry.grpc_tcp.is_some())
    };
    let tcp = "[global.telemetry.grpc_tcp]\naddress = \"127.0.0.1:50051\"\n";
    let uds = "[global.telemetry.grpc_uds]\n";
    assert_eq!(on(""), (true, false));
    assert_eq!(on(tcp), (false, true));
    assert_eq!(on(uds), (true, false));
    assert_eq!(on(&format!("{tcp}{uds}")), (true, true));
    assert_eq!(on(&format!("{tcp}{uds}enabled = false\n")), (false, true));
    assert_eq!(on(&format!("{tcp}enabled = false\n{uds}")), (true, false));
}

#[test]
fn the_socket_is_for_its_owner_unless_the_file_names_a_group_or_does_not_mention_it() {
    let uds = |tables: &str| {
        let uds = accepted(&format!("{SHORTEST}{tables}")).telemetry.grpc_uds.unwrap();
        (uds.mode, uds.for_service_group)
    };
    assert_eq!(uds(""), (0o600, true));
    assert_eq!(uds("[global.telemetry.grpc_uds]\n"), (0o600, false));
    assert_eq!(uds("[global.telemetry.grpc_uds]\ngroup = \"root\"\n"), (0o660, false));
    assert_eq!(uds("[global.telemetry.grpc_uds]\ngroup = \"root\"\nmode = 0o600\n"), (0o600, false));
    assert_eq!(uds("[global.telemetry.grpc_uds]\nmode = 0o666\n"), (0o666, false));
}

#[test]
fn an_exposed_control_api_is_warned_of() {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    let tcp = |address: &str, rest: &str| {
        warnings(&format!("{SHORTEST}[global.telemetry.grpc_tcp]\naddress = \"{address}\"\n{rest}\n"))
    };
    assert!(tcp("127.0.0.1:1", "").is_empty());
    assert!(tcp("[::1]:1", "").is_empty());
    assert!(tcp("0.0.0.0:1", "enabled = false\n[global.telemetry.grpc_uds]").is_empty());
    let what = "gRPC TCP listener bound to a non-loopback address: 0.0.0.0:1";
    assert_eq!(
        tcp("0.0.0.0:1", ""),
        [format!("{what}, with neither token nor TLS: whoever reaches it controls this daemon")]
    );
    let path = format!("token_file = {:?}", token.path());
    let empty =
        super::errors(&format!("{SHORTEST}[global.telemetry.grpc_tcp]\naddress = \"[::]:1\"\n{path}\n"));
    assert!(empty[0].ends_with("must not be empty"), "{empty:?}");
    token.write_all(b"token\n").unwrap();
    assert_eq!(tcp("0.0.0.0:1", &path), [format!("{what}, and the token crosses the network in clear text")]);
    let tls = format!("tls_cert = \"{TLS}/server.pem\"\ntls_key = \"{TLS}/server.key\"");
    let neither =
        "with TLS but neither token nor client certificates: whoever reaches it controls this daemon";
    assert_eq!(tcp("0.0.0.0:1", &tls), [format!("{what}, {neither}")]);
    for more in [path, format!("tls_client_ca = \"{TLS}/ca.pem\"")] {
        assert_eq!(tcp("0.0.0.0:1", &format!("{tls}\n{more}")), [what]);
    }
}

/// One warning names what has no effect, by table and neighbor.
#[test]
fn settings_without_effect_are_named_once() {
    let (text, _token) = complete();
    let warnings = warnings(&text);
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    assert!(
        warnings[1].starts_with("remove_private_as has no effect on the neighbor 10.0.0.2: "),
        "{warnings:#?}"
    );
    let long_lived = "llgr_stale_time has no effect on the neighbor 10.0.0.2: graceful_restart is off";
    assert_eq!(warnings[2], long_lived);
    let named = warnings[3].strip_prefix("these settings have no effect in this version: ").unwrap();
    let named: Vec<&str> = named.split(", ").collect();
    for name in ["rpki", "bmp", "mrt"] {
        assert!(named.contains(&name), "{name}: {named:#?}");
    }
    assert!(!named.iter().any(|n| n.ends_with(".hold_time")), "{named:#?}");
}

/// What the reference daemon's files hold: other notations of integers, empty lists, a table a neighbor.
#[test]
fn files_of_the_reference_daemon_load() {
    accepted(
        "[global]\nasn = 0xFDE9\nrouter_id = \"10.0.0.1\"\nlisten_port = 0o263\n\
         [global.telemetry]\nprometheus_addr = \"0.0.0.0:9179\"\nlog_format = \"json\"\n\
         [global.telemetry.grpc_uds]\nmode = 0o600\n\
         [[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65_002\nfamilies = []\nimport_policy = []\n\
         import_policy_chain = []\nadd_path = { send = true, send_max = 0 }\n\
         [[dynamic_neighbors]]\nprefix = \"10.0.0.0/24\"\npeer_group = \"ix-members\"\n\
         [peer_groups.ix-members]\nhold_time = 90\n\
         [policy]\nimport_chain = [\"deny-long\"]\n\
         [policy.definitions.deny-long]\n[[policy.definitions.deny-long.statements]]\n\
         prefix = \"0.0.0.0/0\"\nge = 25\nle = 32\naction = \"deny\"\n\
         [rpki]\n[bmp]\nsys_descr = \"\"\n",
    );
}
