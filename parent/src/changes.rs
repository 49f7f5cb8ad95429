//! What a reload changes: the running configuration and a new one, compared. Pure.
//!
//! Neighbors are compared as they are after what their peer group gives them, so that "written out" and "left at the
//! default" are the same. What can't change while the daemon runs keeps its running value and is named.

mod ranges;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipc::file::{self, Differences};
use policy::{Assigned, resolve};
use serde::Serialize;

use crate::config::{Config, MaxPrefixesAction, Neighbor};
pub(crate) use ranges::{RangeChanges, cost_in_range};

/// Which fields of two structs are not equal, by the names of their keys.
macro_rules! unequal {
    ($a:expr, $b:expr, $($($field:ident).+ => $name:expr),* $(,)?) => {
        [$(($a.$($field).+ != $b.$($field).+).then_some($name)),*].into_iter().flatten()
    };
}

/// What a change of a neighbor costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cost {
    /// The session goes on and notices nothing.
    Nothing,
    /// The session goes on; its routes go through other policies, and what is different then is announced or withdrawn.
    Reevaluation,
    /// The session ends with Cease/Other Configuration Change (RFC 4486 §4) and begins again.
    Reset,
}

/// A neighbor that is in both configurations and not the same in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Changed {
    pub(crate) address: IpAddr,
    /// The keys that differ.
    pub(crate) keys: Vec<&'static str>,
    pub(crate) cost: Cost,
}

/// The keys in which two forms of a neighbor differ, its policies included, with what each costs.
fn all_differences(
    (running, before): (&Config, &Neighbor),
    (new, after): (&Config, &Neighbor),
) -> Vec<(&'static str, Cost)> {
    let mut all = differences(before, after);
    all.extend(policies_differ((running, before), (new, after)));
    all
}

/// The differences between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Changes {
    pub(crate) added: Vec<IpAddr>,
    pub(crate) removed: Vec<IpAddr>,
    pub(crate) changed: Vec<Changed>,
    /// The same for ranges of dynamic neighbors.
    pub(crate) dynamic_neighbors: RangeChanges,
    /// Keys whose new values wait for a restart.
    pub(crate) restart: Vec<&'static str>,
    /// Tables that are not the same and have no effect in this version.
    pub(crate) informational: Vec<&'static str>,
}

impl Changes {
    /// Compares `new` with `running`.
    pub(crate) fn between(running: &Config, new: &Config) -> Changes {
        let effective = applicable(running, new.clone());
        let before: BTreeMap<_, _> = running.neighbors.iter().map(|n| (n.address, n)).collect();
        let after: BTreeMap<_, _> = effective.neighbors.iter().map(|n| (n.address, n)).collect();
        let both = before.iter().filter_map(|(address, b)| Some((*address, *b, *after.get(address)?)));
        let changed = both.filter_map(|(address, b, a)| {
            let differences = all_differences((running, b), (&effective, a));
            let cost = differences.iter().map(|(_, cost)| *cost).max()?;
            Some(Changed { address, keys: differences.into_iter().map(|(key, _)| key).collect(), cost })
        });
        Changes {
            added: after.keys().filter(|a| !before.contains_key(*a)).copied().collect(),
            removed: before.keys().filter(|a| !after.contains_key(*a)).copied().collect(),
            changed: changed.collect(),
            dynamic_neighbors: RangeChanges::between(running, &effective),
            restart: needs_restart(running, new),
            informational: unequal!(running, new,
                rpki => "rpki",
                bmp => "bmp",
                mrt => "mrt",
            )
            .collect(),
        }
    }

    /// For who has asked for the change, with what is to be known of it.
    pub(crate) fn told(&self, warnings: Vec<String>) -> Differences {
        let owned = |keys: &[&'static str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let changed = self.changed.iter().map(|c| file::Changed {
            address: c.address,
            keys: owned(&c.keys),
            cost: c.cost.told(),
        });
        Differences {
            added: self.added.clone(),
            removed: self.removed.clone(),
            changed: changed.collect(),
            ranges: self.dynamic_neighbors.told(),
            restart: owned(&self.restart),
            informational: owned(&self.informational),
            warnings,
        }
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> String {
        // Names and addresses always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a reload would do anything.
    pub(crate) fn is_empty(&self) -> bool {
        let neighbors = self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty();
        neighbors && self.dynamic_neighbors.is_empty()
    }

    /// Whether this key of the neighbor is another one.
    pub(crate) fn concerns(&self, address: IpAddr, key: &str) -> bool {
        self.changed.iter().any(|c| c.address == address && c.keys.contains(&key))
    }

    /// Whether the neighbor's session ends and begins again.
    pub(crate) fn resets(&self, address: IpAddr) -> bool {
        self.changed.iter().any(|c| c.address == address && c.cost == Cost::Reset)
    }
}

impl Cost {
    fn name(self) -> &'static str {
        match self {
            Cost::Nothing => "the session goes on",
            Cost::Reevaluation => "its routes are evaluated again",
            Cost::Reset => "the session is reset",
        }
    }

    fn told(self) -> file::Cost {
        match self {
            Cost::Nothing => file::Cost::Nothing,
            Cost::Reevaluation => file::Cost::Reevaluation,
            Cost::Reset => file::Cost::Reset,
        }
    }

    /// The same for the neighbors of a range.
    fn of_many(self) -> &'static str {
        match self {
            Cost::Nothing => "its sessions go on",
            Cost::Reevaluation => "the routes of its neighbors are evaluated again",
            Cost::Reset => "its sessions are reset",
        }
    }
}

/// The three groups of `rustbgpd --diff`; nothing where nothing differs.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_empty() {
            writeln!(f, "applied by reload:")?;
        }
        for address in &self.added {
            writeln!(f, "  + neighbor {address}")?;
        }
        for address in &self.removed {
            writeln!(f, "  - neighbor {address}")?;
        }
        for Changed { address, keys, cost } in &self.changed {
            writeln!(f, "  ~ neighbor {address}: {} ({})", keys.join(", "), cost.name())?;
        }
        for prefix in &self.dynamic_neighbors.added {
            writeln!(f, "  + dynamic neighbors {prefix}")?;
        }
        for prefix in &self.dynamic_neighbors.removed {
            writeln!(f, "  - dynamic neighbors {prefix}")?;
        }
        for ranges::ChangedRange { prefix, keys, cost } in &self.dynamic_neighbors.changed {
            writeln!(f, "  ~ dynamic neighbors {prefix}: {} ({})", keys.join(", "), cost.of_many())?;
        }
        for (title, keys) in [
            ("needs a restart", &self.restart),
            ("informational, without effect in this version", &self.informational),
        ] {
            if !keys.is_empty() {
                writeln!(f, "{title}:\n  {}", keys.join(", "))?;
            }
        }
        Ok(())
    }
}

/// The keys of policies that are not the same for a neighbor, wherever they are written, with what each costs. Where they
/// stand in the file does not count.
fn policies_differ<'c>(
    (running, before): (&'c Config, &'c Neighbor),
    (new, after): (&'c Config, &'c Neighbor),
) -> impl Iterator<Item = (&'static str, Cost)> {
    let of = |config: &Config, neighbor: &Neighbor| {
        let global = &config.policy;
        [(&neighbor.import_policy, &global.import), (&neighbor.export_policy, &global.export)]
            .map(|(own, global)| resolve(own, None, global))
    };
    let pairs = of(running, before).into_iter().zip(of(new, after));
    let required = new.global.ebgp_requires_policy && after.remote_asn != after.local_asn;
    pairs.zip(["import_policy", "export_policy"]).filter_map(move |((b, a), key)| {
        if running.policy.definitions.decides_alike(&b, &new.policy.definitions, &a) {
            return None;
        }
        // Without a policy nothing was taken or sent: the routes are not there.
        let began = required && (b == Assigned::None) != (a == Assigned::None);
        Some((key, if began { Cost::Reset } else { Cost::Reevaluation }))
    })
}

/// `new` with the running values of what only a restart changes.
pub(crate) fn applicable(running: &Config, mut new: Config) -> Config {
    // What a neighbor has from `asn`, unless it has one of its own.
    let templates = new.dynamic_neighbors.iter_mut().map(|range| &mut range.template);
    for neighbor in new.neighbors.iter_mut().chain(templates).filter(|n| n.local_asn == new.global.asn) {
        neighbor.local_asn = running.global.asn;
    }
    let (global, telemetry) = (running.global.clone(), running.telemetry.clone());
    Config { global, telemetry, ..new }
}

fn needs_restart(running: &Config, new: &Config) -> Vec<&'static str> {
    let global = unequal!(running.global, new.global,
        asn => "asn",
        router_id => "router_id",
        listen_port => "listen_port",
        listen_addresses => "listen_addresses",
        dynamic_neighbor_limit => "dynamic_neighbor_limit",
        runtime_state_dir => "runtime_state_dir",
        cluster_id => "cluster_id",
        user => "user",
        group => "group",
        med_always_compare => "med_always_compare",
        rde_threads => "rde_threads",
        engine_memory_limit => "engine_memory_limit",
        ebgp_requires_policy => "ebgp_requires_policy",
        reject_as_sets => "reject_as_sets",
    );
    let telemetry = unequal!(running.telemetry, new.telemetry,
        prometheus_addr => "prometheus_addr",
        log_format => "log_format",
        log_level => "log_level",
        grpc_uds => "grpc_uds",
        grpc_tcp => "grpc_tcp",
        looking_glass => "looking_glass",
    );
    // Each engine got the levels of its log when it was started.
    let before: BTreeMap<_, _> = running.neighbors.iter().map(|n| (n.address, n.log_level)).collect();
    let level = new.neighbors.iter().any(|n| before.get(&n.address).copied().flatten() != n.log_level);
    global.chain(telemetry).chain(level.then_some("log_level of a neighbor")).collect()
}

/// The keys in which two forms of a neighbor differ, with what each costs.
fn differences(before: &Neighbor, after: &Neighbor) -> Vec<(&'static str, Cost)> {
    // A field that is added to the struct has to be added here.
    let Neighbor {
        address: _,
        remote_asn: _,
        local_asn: _,
        description: _,
        peer_group: _,
        hold_time: _,
        keepalive: _,
        send_hold_time: _,
        connect_retry: _,
        families: _,
        local_address: _,
        port: _,
        passive: _,
        shutdown: _,
        multihop: _,
        ttl_security: _,
        md5_password: _,
        log_level: _,
        max_prefixes: _,
        max_prefixes_action: _,
        max_prefixes_count: _,
        max_prefixes_out: _,
        keep_rejected: _,
        graceful_restart: _,
        route_server_client: _,
        route_reflector_client: _,
        remove_private_as: _,
        local_ipv6_nexthop: _,
        enforce_first_as: _,
        allow_own_as: _,
        default_originate: _,
        role: _,
        graceful_shutdown: _,
        add_path: _,
        advertisement_interval: _,
        // See `policies_differ`.
        import_policy: _,
        export_policy: _,
    } = before;
    let nothing = unequal!(before, after,
        description => "description",
        peer_group => "peer_group",
        send_hold_time => "send_hold_time",
        connect_retry => "connect_retry",
        port => "port",
        passive => "passive",
        shutdown => "shutdown",
        graceful_restart.stale_routes_time => "gr_stale_routes_time",
    );
    let reevaluation = unequal!(before, after, graceful_shutdown => "graceful_shutdown");
    let reset = unequal!(before, after,
        remote_asn => "remote_asn",
        local_asn => "local_asn",
        hold_time => "hold_time",
        keepalive => "keepalive",
        families => "families",
        local_address => "local_address",
        multihop => "multihop",
        ttl_security => "ttl_security",
        md5_password => "md5_password",
        graceful_restart.enabled => "graceful_restart",
        graceful_restart.restart_time => "gr_restart_time",
        graceful_restart.llgr_stale_time => "llgr_stale_time",
        route_server_client => "route_server_client",
        route_reflector_client => "route_reflector_client",
        remove_private_as => "remove_private_as",
        local_ipv6_nexthop => "local_ipv6_nexthop",
        enforce_first_as => "enforce_first_as",
        allow_own_as => "allow_own_as",
        default_originate => "default_originate",
        role => "role",
        add_path => "add_path",
        advertisement_interval => "advertisement_interval",
        max_prefixes_count => "max_prefixes_count",
        keep_rejected => "keep_rejected",
    );
    // Prefixes are counted from the beginning of a session that has a limit.
    let limits = [
        ("max_prefixes", before.max_prefixes, after.max_prefixes),
        ("max_prefixes_out", before.max_prefixes_out, after.max_prefixes_out),
    ];
    let limits = limits.into_iter().filter(|(_, b, a)| b != a).map(|(key, b, a)| {
        let cost = if b.is_none() && a.is_some() { Cost::Reset } else { Cost::Nothing };
        (key, cost)
    });
    let action = (before.max_prefixes_action, after.max_prefixes_action);
    let action = (action.0 != action.1).then_some({
        let begins = action.0 == MaxPrefixesAction::Warn;
        ("max_prefixes_action", if begins { Cost::Reset } else { Cost::Nothing })
    });
    let nothing =
        nothing.map(|key| (key, Cost::Nothing)).chain(reevaluation.map(|key| (key, Cost::Reevaluation)));
    nothing.chain(reset.map(|key| (key, Cost::Reset))).chain(limits).chain(action).collect()
}

#[cfg(test)]
#[path = "changes/documented.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::from_text;

    const GLOBAL: &str =
        "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";

    pub(super) fn config(rest: &str) -> Config {
        from_text(Path::new("c.toml"), &format!("{GLOBAL}{rest}")).unwrap().config
    }

    fn neighbor(keys: &str) -> Config {
        config(&format!("[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n{keys}"))
    }

    #[test]
    fn what_comes_from_a_group_counts_as_the_neighbors_own() {
        let with = |group: &str, own: &str| {
            let peer = "[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\npeer_group = \"g\"\n";
            config(&format!("{peer}{own}\n[peer_groups.g]\n{group}"))
        };
        let changes = Changes::between(&with("hold_time = 30", ""), &with("hold_time = 45", ""));
        assert_eq!(
            changes.to_string().lines().nth(1),
            Some("  ~ neighbor 10.0.0.2: hold_time (the session is reset)")
        );
        let moved = Changes::between(&with("hold_time = 30", ""), &with("", "hold_time = 30"));
        assert_eq!(moved, Changes::default());
    }

    #[test]
    fn neighbors_come_and_go_and_a_key_of_the_daemon_waits_for_a_restart() {
        let before = neighbor("");
        let text = format!("{GLOBAL}[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 65003")
            .replace("asn = 65001", "asn = 65009");
        let after = from_text(Path::new("c.toml"), &text).unwrap().config;
        let changes = Changes::between(&before, &after);
        assert_eq!(
            changes.to_string(),
            "applied by reload:\n  + neighbor 10.0.0.3\n  - neighbor 10.0.0.2\nneeds a restart:\n  asn\n"
        );
        assert_eq!(
            changes.to_json(),
            r#"{"added":["10.0.0.3"],"removed":["10.0.0.2"],"changed":[],"dynamic_neighbors":{"added":[],"removed":[],"changed":[]},"restart":["asn"],"informational":[]}"#
        );
        assert_eq!(applicable(&before, after.clone()).global, before.global);
        // A number that a neighbor has from there waits as well.
        assert_eq!(applicable(&before, after).neighbors.first().map(|n| n.local_asn), Some(65001));
    }

    /// Where policies stand in the file does not count; what they say and who has them does.
    #[test]
    fn other_policies_cost_an_evaluation_where_they_are_used() {
        let file = |before: &str, med: u32, set: &str, chain: &str| {
            config(&format!(
                "{before}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\nimport_policy_chain = [{chain}]\n\
                 [[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 65003\n\
                 [[policy.definitions.p.statements]]\naction = \"deny\"\nmatch_med_ge = {med}\n\
                 match_prefix_set = \"s\"\n[policy.prefix_sets.s]\nprefixes = [\"{set}\"]\n\
                 [[policy.definitions.q.statements]]\naction = \"deny\"\nmatch_med_ge = {med}\n"
            ))
        };
        let running = file("", 1, "10.0.0.0/8", "\"p\"");
        assert_eq!(
            Changes::between(&running, &file("# moved\n\n", 1, "10.0.0.0/8", "\"p\"")),
            Changes::default()
        );
        for other in [
            file("", 2, "10.0.0.0/8", "\"p\""),
            file("", 1, "10.0.0.0/9", "\"p\""),
            file("", 1, "10.0.0.0/8", "\"p\", \"p\""),
            file("", 1, "10.0.0.0/8", ""),
        ] {
            assert_eq!(
                Changes::between(&running, &other).to_string(),
                "applied by reload:\n  ~ neighbor 10.0.0.2: import_policy (its routes are evaluated again)\n"
            );
        }
        // Nobody uses it.
        let unused = file("", 1, "10.0.0.0/8", "");
        assert_eq!(Changes::between(&unused, &file("", 5, "10.0.0.0/8", "")), Changes::default());
    }

    /// A peer that must have a policy has sent nothing that was kept before it has one.
    #[test]
    fn the_first_policy_of_a_peer_that_must_have_one_resets_it() {
        let file = |neighbor: &str| {
            let global = GLOBAL.replace("[global]\n", "[global]\nebgp_requires_policy = true\n");
            let text = format!(
                "{global}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n{neighbor}\n\
                 [policy.definitions.p]\n[policy.definitions.q]\ndefault_action = \"deny\"\n"
            );
            from_text(Path::new("c.toml"), &text).unwrap().config
        };
        let (none, p, q) =
            (file(""), file("import_policy_chain = [\"p\"]"), file("import_policy_chain = [\"q\"]"));
        let cost = |a, b| Changes::between(a, b).changed.first().map(|c| c.cost);
        assert_eq!(cost(&none, &p), Some(Cost::Reset));
        assert_eq!(cost(&p, &none), Some(Cost::Reset));
        assert_eq!(cost(&p, &q), Some(Cost::Reevaluation));
    }
}
