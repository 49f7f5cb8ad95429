//! Every metric: name, kind, labels, help. What is served and `docs/METRICS.md` are both made from here.
//!
//! Names and labels that the operations manual has stay as they are. Values of labels come from sets that do not
//! grow: peers that there are, and names that are in this program.

use crate::exposition::Kind::{Counter, Gauge};
use crate::exposition::Metric;

/// Defines metrics by section, and the list of all.
macro_rules! metrics {
    ($($section:literal { $($id:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub(super) static $id: Metric =
                Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )*)*

        /// All metrics, by section.
        #[cfg(test)]
        pub(super) static SECTIONS: &[(&str, &[&Metric])] = &[$(($section, &[$(&$id),*])),*];
    };
}

metrics! {
    "The daemon" {
        PEERS_ESTABLISHED Gauge "bgp_peers_established" [] "Peers in Established state.";
        PEERS_CONFIGURED Gauge "bgp_peers_configured" [] "Configured peers, and dynamic ones that are there.";
        DYNAMIC Gauge "bgp_dynamic_peers" [] "Dynamic peers that are there.";
        DYNAMIC_LIMIT Gauge "bgp_dynamic_peer_limit" [] "How many there may be: `dynamic_neighbor_limit`.";
        DYNAMIC_REFUSED Counter "bgp_dynamic_peers_refused_total" []
            "Connections from ranges of dynamic peers that were refused since there were as many as there may be.";
        UPTIME Gauge "bgp_uptime_seconds" [] "How long the daemon has been running.";
        BUILD Gauge "rustbgpd_build_info" ["version"] "Always 1: the label is what counts.";
        UPDATES_RECEIVED Counter "bgp_updates_received_total" [] "UPDATE messages received from all peers.";
        UPDATES_SENT Counter "bgp_updates_sent_total" [] "UPDATE messages sent to all peers.";
    }
    "Sessions" {
        SESSION_UP Gauge "bgp_session_up" ["peer"] "Whether the session is in Established state: 1 or 0.";
        SESSION_UPTIME Gauge "bgp_session_uptime_seconds" ["peer"]
            "How long the session has been Established, 0 where it is not.";
        DISABLED Gauge "bgp_peer_disabled" ["peer"]
            "Whether the peer is kept down, by an operator or by a prefix limit: 1 or 0.";
        ESTABLISHED Counter "bgp_session_established_total" ["peer"] "Sessions that reached Established.";
        FLAPS Counter "bgp_session_flaps_total" ["peer"] "Sessions that left Established.";
        TRANSITIONS Counter "bgp_session_state_transitions_total" ["peer" "from" "to"]
            "Changes of the state of RFC 4271 §8.2.2; those that there were.";
        MESSAGES_SENT Counter "bgp_messages_sent_total" ["peer" "type"] "Messages sent.";
        MESSAGES_RECEIVED Counter "bgp_messages_received_total" ["peer" "type"] "Messages received.";
        NOTIFICATIONS_SENT Counter "bgp_notifications_sent_total" ["peer" "code" "subcode"]
            "NOTIFICATIONs for which connections ended, by error code and subcode (RFC 4271 §4.5); those that there were, unassigned ones together as `other`.";
        NOTIFICATIONS_RECEIVED Counter "bgp_notifications_received_total" ["peer" "code" "subcode"]
            "The same for those of the peer.";
        QUEUED_OCTETS Gauge "bgp_queued_octets" ["peer"] "Octets queued for the peer and not yet written.";
    }
    "Tables" {
        RIB_PREFIXES Gauge "bgp_rib_prefixes" ["table" "afi_safi"]
            "Routes in the tables `adj_rib_in`, `loc_rib` and `adj_rib_out` of all peers together.";
        LOC_PREFIXES Gauge "bgp_rib_loc_prefixes" ["afi_safi"] "Prefixes in the Loc-RIB.";
        ADJ_IN Gauge "bgp_rib_adj_in_prefixes" ["peer" "afi_safi"] "Routes received from the peer.";
        ADJ_OUT Gauge "bgp_rib_adj_out_prefixes" ["peer" "afi_safi"] "Routes advertised to the peer.";
        ATTRIBUTE_SETS Gauge "bgp_rib_attribute_sets" [] "Distinct sets of path attributes held.";
        AS_LOOPS Counter "bgp_as_path_loop_detected_total" ["peer"]
            "Paths refused because our own AS was in them (RFC 4271 §9.1.2).";
        RR_LOOPS Counter "bgp_rr_loop_detected_total" ["peer"]
            "Routes refused because of a reflection loop (RFC 4456 §8).";
        LEAKS Counter "bgp_route_leaks_total" ["peer"] "UPDATEs not used because they were route leaks (RFC 9234 §5).";
        PATHS_REFUSED Counter "bgp_paths_refused_total" ["peer"]
            "Paths beyond the most that a peer may have for one prefix (RFC 7911 §8).";
        MAX_PREFIX Counter "bgp_max_prefix_exceeded_total" ["peer"] "How often the peer exceeded its max_prefixes.";
        DRAINING Gauge "bgp_peer_draining" ["peer"] "Whether the session is being shut down gracefully (RFC 8326): 1 or 0.";
    }
    "Malformed UPDATEs (RFC 7606)" {
        TREAT_AS_WITHDRAW Counter "bgp_treat_as_withdraw_total" ["peer"] "UPDATEs treated as withdrawals.";
        DISCARDED Counter "bgp_attributes_discarded_total" ["peer"] "Attributes discarded.";
        UPDATE_ERRORS Counter "bgp_update_errors_total" ["kind"]
            "Malformations of UPDATEs of all peers together, by kind.";
    }
    "Graceful restart (RFC 4724, RFC 9494)" {
        GR_PEERS Gauge "bgp_gr_active_peers" [] "Peers whose routes are kept as stale, or long-lived stale.";
        GR_STALE Gauge "bgp_gr_stale_routes" [] "These routes, of both kinds.";
        GR_PEER_STALE Gauge "bgp_gr_peer_stale_routes" ["peer" "afi_safi"]
            "These routes of one peer; only while it restarts.";
        GR_LEFT Gauge "bgp_gr_seconds_left" ["peer"]
            "After how many seconds the first of them go, or become long-lived stale; only while it restarts.";
        GR_EXPIRED Counter "bgp_gr_timer_expired_total" [] "Graceful restarts that did not come to their end in time.";
    }
    "Processes" {
        ENGINE_UP Gauge "rustbgpd_engine_up" ["engine"]
            "Whether the process answers: 1 or 0. While it does not, its other figures stand still.";
        FIGURES_AGE Gauge "rustbgpd_figures_age_seconds" ["engine"]
            "How old the figures of the process are; it has a second to answer a scrape.";
        CPU Counter "rustbgpd_engine_cpu_seconds_total" ["engine"] "CPU time of the process; begins anew when it is restarted.";
        RESIDENT Gauge "rustbgpd_engine_resident_memory_bytes" ["engine"] "Memory that the process occupies.";
        THREADS Gauge "rustbgpd_engine_threads" ["engine"] "Threads of the process.";
        STARTED Gauge "rustbgpd_engine_start_time_seconds" ["engine"]
            "When the process was started, in seconds since 1970.";
        RESTARTS Counter "rustbgpd_engine_restarts_total" ["engine"]
            "How often the process was started again since the daemon began.";
        SANDBOX Gauge "rustbgpd_engine_sandbox" ["engine" "protection"]
            "Whether the protection holds for the process: 1 or 0; docs/SECURITY.md lists them.";
        QUEUED Gauge "rustbgpd_engine_queued_messages" ["engine"]
            "Messages of the parent that wait to be sent to the process.";
        IPC_MESSAGES Counter "rustbgpd_ipc_messages_total" ["engine" "with" "direction"]
            "Messages between two processes, as the first of them counts them: `sent` or `received`.";
        IPC_BYTES Counter "rustbgpd_ipc_bytes_total" ["engine" "with" "direction"] "Their octets.";
    }
    "RPKI" {
        VRPS Gauge "bgp_rpki_vrp_count" ["af"] "Validated ROA payloads; 0 in this version, which does no origin validation.";
        ASPAS Gauge "bgp_aspa_records_total" [] "ASPA records; 0 in this version, which does no path validation.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write;

    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    fn all() -> impl Iterator<Item = &'static Metric> {
        SECTIONS.iter().flat_map(|(_, metrics)| metrics.iter().copied())
    }

    fn document() -> String {
        let mut text = String::from(
            "# Metrics\n\n\
             Made from `ctl/server/src/metrics/catalogue.rs` by `make docs`; a test fails where it is stale.\n\n\
             `http://<prometheus_addr>/metrics` and the RPC GetMetrics (`rustbgpctl metrics`) give the same text. The label \
             `peer` is the address alone. Label sets are bounded: peers that are there, the series of a dynamic one for as long as it is, and names known to the program.\n\n\
             Counters of peers begin anew when the session or rde engine is restarted. A scrape asks all processes at once and \
             waits a second at most: it never waits for the tables.\n\n\
             Alert rules: `docs/monitoring/rustbgpd.rules.yml`. A dashboard for Grafana: `docs/monitoring/grafana.json`.\n\n\
             FlowSpec, BMP and MRT dumps will bring their own: this version has none of them.\n",
        );
        for (section, metrics) in SECTIONS {
            let _ = writeln!(text, "\n## {section}\n\n| metric | kind | labels | |\n|---|---|---|---|");
            for Metric { name, kind, labels, help } in *metrics {
                let labels: Vec<String> = labels.iter().map(|l| format!("`{l}`")).collect();
                let _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.name(), labels.join(", "));
            }
        }
        text
    }

    #[test]
    fn document_is_what_the_code_says() {
        let path = format!("{FOLDER}/docs/METRICS.md");
        if std::env::var_os("RUSTBGPD_WRITE_DOCS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written == document(), "docs/METRICS.md is stale: run `make docs`");
    }

    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for metric in all() {
            assert!(names.insert(metric.name), "{} is there twice", metric.name);
            let given = metric.name == "bgp_aspa_records_total";
            assert_eq!(metric.kind == Counter || given, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(
                metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '|']),
                "{}",
                metric.name
            );
            let plain = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(plain(metric.name) && metric.labels.iter().all(|l| plain(l)), "{}", metric.name);
        }
    }

    /// Names of metrics in a text, other than those of Prometheus itself.
    fn named(text: &str) -> HashSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|w| w.starts_with("bgp_") || w.starts_with("rustbgpd_")).collect()
    }

    #[test]
    fn alert_rules_and_dashboard_use_metrics_that_there_are() {
        let names: HashSet<&str> = all().map(|m| m.name).collect();
        for file in ["rustbgpd.rules.yml", "grafana.json"] {
            let text = std::fs::read_to_string(format!("{FOLDER}/docs/monitoring/{file}")).unwrap();
            let used = named(&text);
            assert!(used.len() > 8, "{file} names {used:?}");
            for name in used {
                assert!(names.contains(name), "{file}: there is no metric {name}");
            }
        }
    }
}
