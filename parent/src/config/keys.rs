//! Every table of the file and its keys, and which of them have an effect in this version.
//!
//! This is the one list of names: unknown keys are told by it, the warning about settings without an
//! effect is made from it, and a test holds docs/CONFIGURATION.md against it. A version that gives a
//! setting its effect turns its `later` into `now`.

/// A key of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether this version does what it says.
    pub effective: bool,
}

const fn now(name: &'static str) -> Key {
    Key { name, effective: true }
}

const fn later(name: &'static str) -> Key {
    Key { name, effective: false }
}

/// Whether any table has a key of this name.
pub(super) fn is_known(name: &str) -> bool {
    TABLES.iter().flat_map(|t| t.keys).copied().flatten().any(|k| k.name == name)
}

/// The one kind of table that has a key of this name, as the file writes it.
pub(super) fn home_of(name: &str) -> Option<&'static str> {
    let mut homes = TABLES.iter().filter(|t| t.keys.iter().copied().flatten().any(|k| k.name == name));
    match (homes.next(), homes.next()) {
        (Some(home), None) => Some(home.title.trim_matches('`')),
        _ => None,
    }
}

/// A kind of table.
pub(super) struct TableKind {
    /// How the file writes it; documentation has a heading of this text.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [&'static [Key]],
}

const fn table(title: &'static str, keys: &'static [&'static [Key]]) -> TableKind {
    TableKind { title, keys }
}

/// Every kind of table.
pub(super) const TABLES: &[TableKind] = &[
    table("Top level", &[ROOT]),
    table("`[global]`", &[GLOBAL]),
    table("`[global.telemetry]`", &[TELEMETRY]),
    table("`[global.telemetry.looking_glass]`", &[LOOKING_GLASS]),
    table("`[global.telemetry.grpc_uds]`", &[GRPC_UDS]),
    table("`[global.telemetry.grpc_tcp]`", &[GRPC_TCP]),
    table("`[[neighbors]]`", &[NEIGHBOR, PEER]),
    table("`[neighbors.add_path]`", &[ADD_PATH]),
    table("`[[dynamic_neighbors]]`", &[DYNAMIC_NEIGHBOR]),
    table("`[policy]`", &[POLICY]),
    table("`[policy.definitions.<name>]`", &[DEFINITION]),
    table("Statements", &[STATEMENT, MATCHES, CHANGES]),
    table("`set_as_path_prepend`", &[PREPEND]),
    table("`[policy.neighbor_sets.<name>]`", &[NEIGHBOR_SET]),
    table("`[policy.prefix_sets.<name>]`", &[PREFIX_SET]),
    table("`[policy.as_sets.<name>]`", &[AS_SET]),
    table("`[policy.community_sets.<name>]`", &[COMMUNITY_SET]),
    table("`[[policy.tests]]`", &[POLICY_TEST]),
    table("`[policy.tests.route]`", &[TEST_ROUTE]),
    table("`[policy.tests.expect]`", &[TEST_EXPECT]),
    table("`[rpki]`", &[RPKI]),
    table("`[[rpki.cache_servers]]`", &[CACHE_SERVER]),
    table("`[[rpki.local_vrps]]`", &[LOCAL_VRP]),
    table("`[bmp]`", &[BMP]),
    table("`[[bmp.collectors]]`", &[COLLECTOR]),
    table("`[mrt]`", &[MRT]),
];

/// The file itself.
pub(super) const ROOT: &[Key] = &[
    now("include"),
    now("global"),
    now("neighbors"),
    now("peer_groups"),
    now("dynamic_neighbors"),
    now("policy"),
    later("rpki"),
    later("bmp"),
    later("mrt"),
];

/// `[global]`.
pub(super) const GLOBAL: &[Key] = &[
    now("asn"),
    now("router_id"),
    now("listen_port"),
    now("listen_addresses"),
    now("dynamic_neighbor_limit"),
    now("runtime_state_dir"),
    now("cluster_id"),
    now("user"),
    now("group"),
    now("med_always_compare"),
    now("rde_threads"),
    now("engine_memory_limit"),
    now("ebgp_requires_policy"),
    now("reject_as_sets"),
    now("telemetry"),
];

/// `[global.telemetry]`.
pub(super) const TELEMETRY: &[Key] = &[
    now("prometheus_addr"),
    now("log_format"),
    now("log_level"),
    later("looking_glass"),
    now("grpc_uds"),
    now("grpc_tcp"),
];

/// `[global.telemetry.looking_glass]`.
pub(super) const LOOKING_GLASS: &[Key] = &[later("addr")];

/// `[global.telemetry.grpc_uds]`.
pub(super) const GRPC_UDS: &[Key] = &[
    now("enabled"),
    now("path"),
    now("mode"),
    now("group"),
    now("access_mode"),
    now("token_file"),
    now("allow_uids"),
    now("allow_gids"),
];

/// `[global.telemetry.grpc_tcp]`.
pub(super) const GRPC_TCP: &[Key] = &[
    now("enabled"),
    now("address"),
    now("access_mode"),
    now("token_file"),
    now("tls_cert"),
    now("tls_key"),
    now("tls_client_ca"),
];

/// `[[neighbors]]`: what only a neighbor has; [`PEER`] holds the rest.
pub(super) const NEIGHBOR: &[Key] = &[now("address"), now("remote_asn"), now("peer_group")];

/// What `[[neighbors]]` and `[peer_groups.<name>]` share.
pub(super) const PEER: &[Key] = &[
    now("description"),
    now("local_asn"),
    now("hold_time"),
    now("keepalive"),
    now("send_hold_time"),
    now("connect_retry"),
    now("families"),
    now("local_address"),
    now("port"),
    now("passive"),
    now("shutdown"),
    now("multihop"),
    now("ttl_security"),
    now("md5_password"),
    now("log_level"),
    now("max_prefixes"),
    now("max_prefixes_action"),
    now("max_prefixes_restart_minutes"),
    now("max_prefixes_count"),
    now("max_prefixes_out"),
    now("graceful_restart"),
    now("gr_restart_time"),
    now("gr_stale_routes_time"),
    now("llgr_stale_time"),
    now("route_server_client"),
    now("route_reflector_client"),
    now("remove_private_as"),
    now("local_ipv6_nexthop"),
    now("enforce_first_as"),
    now("allow_own_as"),
    now("default_originate"),
    now("advertisement_interval"),
    now("graceful_shutdown"),
    now("role"),
    now("role_strict"),
    now("add_path"),
    now("keep_rejected"),
    now("import_policy_chain"),
    now("export_policy_chain"),
    now("import_policy"),
    now("export_policy"),
];

/// `[neighbors.add_path]`.
pub(super) const ADD_PATH: &[Key] = &[now("receive"), now("send"), now("send_max")];

/// `[[dynamic_neighbors]]`.
pub(super) const DYNAMIC_NEIGHBOR: &[Key] =
    &[now("prefix"), now("peer_group"), now("remote_asn"), now("description")];

/// `[policy]`.
pub(super) const POLICY: &[Key] = &[
    now("import"),
    now("export"),
    now("import_chain"),
    now("export_chain"),
    now("definitions"),
    now("neighbor_sets"),
    now("prefix_sets"),
    now("as_sets"),
    now("community_sets"),
    now("tests"),
];

/// `[policy.definitions.<name>]`.
pub(super) const DEFINITION: &[Key] = &[now("default_action"), now("statements")];

/// `[policy.neighbor_sets.<name>]`.
pub(super) const NEIGHBOR_SET: &[Key] = &[now("addresses"), now("remote_asns"), now("peer_groups")];

/// `[policy.prefix_sets.<name>]`.
pub(super) const PREFIX_SET: &[Key] = &[now("prefixes")];

/// `[policy.as_sets.<name>]`.
pub(super) const AS_SET: &[Key] = &[now("asns")];

/// `[policy.community_sets.<name>]`.
pub(super) const COMMUNITY_SET: &[Key] = &[now("communities")];

/// What the statements of a policy match.
pub(super) const MATCHES: &[Key] = &[
    now("prefix"),
    now("ge"),
    now("le"),
    now("match_prefix_set"),
    now("match_community"),
    now("match_community_set"),
    now("match_as_path"),
    now("match_origin_as_set"),
    now("match_neighbor_set"),
    now("match_route_type"),
    now("match_as_path_length_ge"),
    now("match_as_path_length_le"),
    now("match_local_pref_ge"),
    now("match_local_pref_le"),
    now("match_med_ge"),
    now("match_med_le"),
    now("match_next_hop"),
    later("match_rpki_validation"),
    later("match_aspa_validation"),
];

/// What the statements of a policy change.
pub(super) const CHANGES: &[Key] = &[
    now("set_local_pref"),
    now("set_med"),
    now("set_next_hop"),
    now("set_community_add"),
    now("set_community_remove"),
    now("set_as_path_prepend"),
];

/// What a statement has besides [`MATCHES`] and [`CHANGES`].
pub(super) const STATEMENT: &[Key] = &[now("name"), now("action")];

/// `set_as_path_prepend`.
pub(super) const PREPEND: &[Key] = &[now("asn"), now("count")];

/// `[[policy.tests]]`.
pub(super) const POLICY_TEST: &[Key] = &[
    now("name"),
    now("direction"),
    now("neighbor"),
    now("remote_asn"),
    now("peer_group"),
    now("chain"),
    now("route"),
    now("expect"),
];

/// `[policy.tests.route]`.
pub(super) const TEST_ROUTE: &[Key] = &[
    now("prefix"),
    now("as_path"),
    now("next_hop"),
    now("local_pref"),
    now("med"),
    now("communities"),
    now("route_type"),
    now("rpki_validation"),
    now("aspa_validation"),
];

/// `[policy.tests.expect]`: the names of the fields of `policy::Expected`.
pub(super) const TEST_EXPECT: &[Key] = &[
    now("action"),
    now("local_pref"),
    now("med"),
    now("next_hop"),
    now("as_path"),
    now("communities"),
    now("with_communities"),
    now("without_communities"),
];

/// `[rpki]`.
pub(super) const RPKI: &[Key] = &[later("cache_servers"), later("slurm_file"), later("local_vrps")];

/// `[[rpki.cache_servers]]`.
pub(super) const CACHE_SERVER: &[Key] =
    &[later("address"), later("refresh_interval"), later("retry_interval"), later("expire_interval")];

/// `[[rpki.local_vrps]]`.
pub(super) const LOCAL_VRP: &[Key] = &[later("prefix"), later("max_length"), later("asn")];

/// `[bmp]`.
pub(super) const BMP: &[Key] = &[later("sys_name"), later("sys_descr"), later("collectors")];

/// `[[bmp.collectors]]`.
pub(super) const COLLECTOR: &[Key] = &[
    later("address"),
    later("reconnect_interval"),
    later("monitor"),
    later("stats_interval"),
    later("mirror"),
];

/// `[mrt]`.
pub(super) const MRT: &[Key] = &[
    later("output_dir"),
    later("dump_interval"),
    later("compress"),
    later("file_prefix"),
    later("updates"),
    later("updates_interval"),
];
