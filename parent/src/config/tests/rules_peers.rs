//! One case for each rule of `[[neighbors]]`, `[peer_groups]` and `[[dynamic_neighbors]]`.

use super::rules::{after_shortest, table};
use super::{SHORTEST, accepted, errors};

/// A neighbor with these lines, from line 9.
fn neighbor(lines: &str) -> String {
    format!("{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n{lines}\n")
}

#[test]
fn an_interval_of_announcements_does_not_go_with_several_paths() {
    let text = neighbor("advertisement_interval = 5\n[neighbors.add_path]\nsend = true");
    let errors = errors(&text);
    assert!(
        errors[0].contains("advertisement_interval 5: cannot be combined with add_path.send"),
        "{errors:?}"
    );
    accepted(&neighbor("advertisement_interval = 600\n[neighbors.add_path]\nreceive = true"));
}

#[test]
fn rfc5925_a_key_for_tcp_ao_is_refused_and_never_forgotten() {
    let text = format!(
        "{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\ntcp_ao_key = \"secret\"\n"
    );
    assert_eq!(
        errors(&text),
        ["9:1 tcp_ao_key: TCP-AO (RFC 5925) is not available in this version | md5_password signs segments \
          with TCP-MD5 (RFC 2385)"]
    );
}

#[test]
fn neighbor_rules() {
    const HOST: &str = "must be the address of one host: not unspecified, broadcast or multicast";
    table(
        after_shortest,
        &[
            (
                "[[neighbors]]\naddress = \"0.0.0.0\"\nremote_asn = 0",
                &[
                    &format!("7:11 invalid address \"0.0.0.0\": {HOST}"),
                    "8:14 invalid remote_asn 0: must not be 0",
                ],
            ),
            (
                "[[neighbors]]\naddress = \"224.0.0.5\"\nremote_asn = 1",
                &[&format!("7:11 invalid address \"224.0.0.5\": {HOST}")],
            ),
            (
                "[[neighbors]]\naddress = \"::\"\nremote_asn = 1",
                &[&format!("7:11 invalid address \"::\": {HOST}")],
            ),
            (
                "[[neighbors]]\naddress = \"::ffff:10.0.0.1\"\nremote_asn = 1",
                &["7:11 invalid address \"::ffff:10.0.0.1\": must be written as an IPv4 address"],
            ),
            (
                "[[neighbors]]\naddress = \"router1\"\nremote_asn = 1",
                &["7:11 invalid address \"router1\": must be an IP address"],
            ),
        ],
    );
    table(
        neighbor,
        &[
            ("hold_time = 0", &[]),
            ("hold_time = 3", &[]),
            ("hold_time = 1", &["9:13 invalid hold_time 1: must be 0 or >= 3"]),
            ("hold_time = 65536", &["9:13 invalid hold_time 65536: must be at most 65535"]),
            ("hold_tim = 9", &["9:1 unknown key \"hold_tim\" in [[neighbors]] | did you mean `hold_time`?"]),
            ("connect_retry = 0", &["9:17 invalid connect_retry 0: must be > 0"]),
            ("port = 0", &["9:8 invalid port 0: must be > 0"]),
            (
                "keepalive = 90",
                &["9:13 invalid keepalive 90: must be less than hold_time | for the neighbor 10.0.0.2 7:11"],
            ),
            ("keepalive = 30", &[]),
            (
                "send_hold_time = 90",
                &[
                    "9:18 invalid send_hold_time 90: must be 0 or greater than hold_time | for the neighbor 10.0.0.2 7:11",
                ],
            ),
            ("send_hold_time = 0", &[]),
            ("description = [\"a\"]", &["9:15 invalid description: must be a string"]),
            ("families = [\"ipv6_unicast\", \"ipv4_flowspec\", \"ipv6_flowspec\"]", &[]),
            ("families = []", &[]),
            (
                "families = [\"ipv4-unicast\"]",
                &["9:13 invalid families \"ipv4-unicast\": must be \"ipv4_unicast\", \"ipv6_unicast\", \
                 \"ipv4_flowspec\" or \"ipv6_flowspec\" | did you mean \"ipv4_unicast\"?"],
            ),
            ("md5_password = \"\"", &["9:16 invalid md5_password: must be 1 to 80 octets long"]),
            ("md5_password = 12345", &["9:16 invalid md5_password: must be a string"]),
            (
                "local_asn = 23456",
                &["9:13 invalid local_asn 23456: must not be 0, 23456, 65535 or 4294967295"],
            ),
            (
                "local_address = \"::1\"",
                &["9:17 invalid local_address \"::1\": must be of the address family of the neighbor \
                 | for the neighbor 10.0.0.2 7:11"],
            ),
            (
                "local_address = \"0.0.0.0\"",
                &["9:17 invalid local_address \"0.0.0.0\": must not be an unspecified or multicast address"],
            ),
            (
                "local_ipv6_nexthop = \"fe80::1\"",
                &[
                    "9:22 invalid local_ipv6_nexthop \"fe80::1\": must not be an unspecified, loopback, link-local \
                 or multicast address",
                ],
            ),
            ("local_ipv6_nexthop = \"2001:db8::1\"", &[]),
            ("multihop = 0", &["9:12 invalid multihop 0: must be 1 to 255"]),
            ("multihop = 5\nttl_security = true", &[]),
            (
                "log_level = \"INFO\"",
                &[
                    "9:13 invalid log_level \"INFO\": must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
                ],
            ),
            ("max_prefixes = 0", &["9:16 invalid max_prefixes 0: must be > 0"]),
            ("max_prefixes_out = 0", &["9:20 invalid max_prefixes_out 0: must be > 0"]),
            (
                "max_prefixes_action = \"restart\"",
                &["9:23 invalid max_prefixes_action \"restart\": needs max_prefixes_restart_minutes \
                 | for the neighbor 10.0.0.2 7:11"],
            ),
            (
                "max_prefixes_restart_minutes = 5",
                &["9:32 invalid max_prefixes_restart_minutes 5: needs max_prefixes_action = \"restart\" \
                 | for the neighbor 10.0.0.2 7:11"],
            ),
            ("gr_restart_time = 4096", &["9:19 invalid gr_restart_time 4096: must be 1 to 4095"]),
            ("gr_stale_routes_time = 3601", &["9:24 invalid gr_stale_routes_time 3601: must be 1 to 3600"]),
            (
                "llgr_stale_time = 16777216",
                &["9:19 invalid llgr_stale_time 16777216: must be at most 16777215"],
            ),
            (
                "route_reflector_client = true",
                &["9:26 invalid route_reflector_client true: is for iBGP neighbors only \
                 | for the neighbor 10.0.0.2 7:11"],
            ),
            ("route_reflector_client = true\nlocal_asn = 65002", &[]),
            (
                "route_server_client = true\nlocal_asn = 65002",
                &[
                    "9:23 invalid route_server_client true: is for eBGP neighbors only | for the neighbor 10.0.0.2 7:11",
                ],
            ),
            (
                "remove_private_as = \"some\"",
                &["9:21 invalid remove_private_as \"some\": must be \"remove\", \"all\" or \"replace\""],
            ),
            (
                "remove_private_as = \"all\"\nlocal_asn = 65002",
                &[
                    "9:21 invalid remove_private_as \"all\": is for eBGP neighbors only | for the neighbor 10.0.0.2 7:11",
                ],
            ),
            ("allow_own_as = 256", &["9:16 invalid allow_own_as 256: must be at most 255"]),
            (
                "role = \"rs_client\"",
                &[
                    "9:8 invalid role \"rs_client\": must be \"provider\", \"customer\", \"peer\", \"rs\" or \"rs-client\" \
                 | did you mean \"rs-client\"?",
                ],
            ),
            (
                "role_strict = true",
                &["9:15 invalid role_strict true: needs a role | for the neighbor 10.0.0.2 7:11"],
            ),
            (
                "role = \"peer\"\nlocal_asn = 65002",
                &["9:8 invalid role \"peer\": is for eBGP neighbors only | for the neighbor 10.0.0.2 7:11"],
            ),
            ("role = \"rs\"\nrole_strict = true\ngraceful_shutdown = false", &[]),
            ("[neighbors.add_path]\nreceive = true\nsend_max = 0", &[]),
            ("add_path = true", &["9:12 invalid add_path true: must be a table: add_path"]),
            (
                "[neighbors.add_path]\nrecieve = true",
                &["10:1 unknown key \"recieve\" in add_path | did you mean `receive`?"],
            ),
            (
                "import_policy_chain = [\"tag\"]",
                &["9:24 invalid import_policy_chain \"tag\": there is no such policy"],
            ),
            (
                "import_policy_chain = [\"tag\"]\n[[neighbors.import_policy]]\naction = \"deny\"\nmatch_as_path = \"_1_\"\n\
                 [policy.definitions.tag]",
                &["9:23 invalid import_policy_chain: cannot be combined with import_policy"],
            ),
            (
                "export_policy_chain = [\"tga\"]\n[policy.definitions.tag]",
                &[
                    "9:24 invalid export_policy_chain \"tga\": there is no such policy | did you mean \"tag\"?",
                ],
            ),
        ],
    );
    let octets = |n: usize| neighbor(&format!("md5_password = \"{}\"", "x".repeat(n)));
    accepted(&octets(80));
    assert_eq!(errors(&octets(81)), ["9:16 invalid md5_password: must be 1 to 80 octets long"]);
}

#[test]
fn group_and_range_rules() {
    table(
        neighbor,
        &[
            ("peer_group = \"transit\"\n[peer_groups.transit]\nhold_time = 30", &[]),
            (
                "peer_group = \"transt\"\n[peer_groups.transit]",
                &[
                    "9:14 invalid peer_group \"transt\": there is no such peer group | did you mean \"transit\"?",
                ],
            ),
            (
                "[peer_groups.transit]\nhold_time = 2\naddress = \"10.0.0.3\"",
                &[
                    "10:13 invalid hold_time 2: must be 0 or >= 3",
                    "11:1 unknown key \"address\" in [peer_groups.transit]",
                ],
            ),
            (
                "peer_group = \"clients\"\n[peer_groups.clients]\nroute_reflector_client = true",
                &["11:26 invalid route_reflector_client true: is for iBGP neighbors only \
                 | for the neighbor 10.0.0.2 7:11"],
            ),
            (
                "[peer_groups]\ntransit = 1",
                &["10:11 invalid transit: must be a table: [peer_groups.transit]"],
            ),
            (
                "[peer_groups.ix]\n[[dynamic_neighbors]]\nprefix = \"10.0.0.0/24\"\npeer_group = \"ix\"\nremote_asn = 0\n\
                 [[dynamic_neighbors]]\nprefix = \"10.0.0.1/24\"\npeer_group = \"ix\"",
                &["15:10 duplicate prefix \"10.0.0.1/24\" | the first prefix \"10.0.0.1/24\" is here 11:10"],
            ),
            (
                "[[dynamic_neighbors]]\nprefix = \"10.0.0.0\"\npeer_group = \"ix\"",
                &[
                    "10:10 invalid prefix \"10.0.0.0\": must be a prefix, like 192.0.2.0/24",
                    "11:14 invalid peer_group \"ix\": there is no such peer group",
                ],
            ),
            (
                "[[dynamic_neighbors]]\ndescription = \"x\"",
                &[
                    "9:1 missing prefix in [[dynamic_neighbors]]",
                    "9:1 missing peer_group in [[dynamic_neighbors]]",
                ],
            ),
            // The rules between settings hold for the neighbors of a range as for others.
            (
                "[peer_groups.ix]\nroute_server_client = true\n[[dynamic_neighbors]]\nprefix = \"10.0.0.0/24\"\n\
                 peer_group = \"ix\"\nremote_asn = 65001",
                &["10:23 invalid route_server_client true: is for eBGP neighbors only \
                 | for the neighbors of 10.0.0.0/24 12:10"],
            ),
            (
                "[peer_groups.ix]\nroute_server_client = true\nroute_reflector_client = true\n\
                 [[dynamic_neighbors]]\nprefix = \"10.0.0.0/24\"\npeer_group = \"ix\"",
                &[
                    "11:26 invalid route_reflector_client true: is for iBGP neighbors only, and other settings of the \
                 range are for eBGP neighbors only | for the neighbors of 10.0.0.0/24 13:10",
                ],
            ),
            (
                "[peer_groups.ix]\nkeepalive = 90\n[[dynamic_neighbors]]\nprefix = \"2001:db8::/64\"\n\
                 peer_group = \"ix\"",
                &["10:13 invalid keepalive 90: must be less than hold_time \
                 | for the neighbors of 2001:db8::/64 12:10"],
            ),
            (
                "[peer_groups.ix]\nroute_server_client = true\nlocal_address = \"2001:db8::1\"\nport = 1179\n\
                 [[dynamic_neighbors]]\nprefix = \"10.0.0.0/24\"\npeer_group = \"ix\"",
                &[],
            ),
        ],
    );
}

#[test]
fn neighbors_may_be_written_inline() {
    let list = "neighbors = [{ address = \"10.0.0.2\", remote_asn = 1 }, { address = \"10.0.0.2\", remote_asn = 2 }, 3]";
    let inline = |list: &str| format!("{list}\n{SHORTEST}");
    assert_eq!(
        accepted(&inline("neighbors = [{ address = \"10.0.0.2\", remote_asn = 1 }]")).neighbors.len(),
        1
    );
    assert_eq!(
        errors(&inline(list)),
        [
            "1:68 duplicate neighbor address \"10.0.0.2\" | the first neighbor address \"10.0.0.2\" is here 1:26",
            "1:98 invalid neighbors 3: must be a list of tables: [[neighbors]]",
        ]
    );
}
