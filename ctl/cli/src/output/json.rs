//! The API's messages as JSON: the same field names, communities as text, absent values left out.

use grpc::v1;
use serde_json::{Map, Value, json};

use super::text;

/// A route.
pub(crate) fn route(route: &v1::Route) -> Value {
    let mut object = object(json!({
        "prefix": route.prefix,
        "prefix_length": route.prefix_length,
        "next_hop": route.next_hop,
        "peer_address": route.peer_address,
        "origin": route.origin,
        "as_path": route.as_path,
        "best": route.best,
        "communities": strings(&route.communities, |c| text::community_number(*c)),
        "extended_communities": strings(&route.extended_communities, |c| text::extended_community(*c)),
        "large_communities": route.large_communities,
        "path_id": route.path_id,
        "stale": route.stale,
        "rejected": route.rejected,
    }));
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(key.to_owned(), value);
        }
    };
    let given = |s: &String| (!s.is_empty()).then(|| json!(s));
    add("local_pref", route.has_local_pref.then(|| json!(route.local_pref)));
    add("med", route.has_med.then(|| json!(route.med)));
    add("validation_state", given(&route.validation_state));
    add("aspa_state", given(&route.aspa_state));
    add("link_local_next_hop", given(&route.link_local_next_hop));
    add("only_to_customer", (route.only_to_customer != 0).then(|| json!(route.only_to_customer)));
    let segments =
        || route.as_path_segments.iter().map(|s| json!({ "set": s.set, "asns": s.asns })).collect();
    add("as_path_segments", (!route.as_path_segments.is_empty()).then(segments));
    Value::Object(object)
}

/// An owner of injected routes.
pub(crate) fn owner(o: &v1::Owner) -> Value {
    json!({
        "name": o.name,
        "routes": o.routes,
        "lease_seconds": o.lease_seconds,
        "seconds_left": o.seconds_left,
    })
}

/// A change of a best route.
pub(crate) fn event(kind: &str, event: &v1::RouteEvent) -> Value {
    let family = match event.afi_safi() {
        v1::AddressFamily::Ipv4Unicast => "ipv4_unicast",
        v1::AddressFamily::Ipv6Unicast => "ipv6_unicast",
        _ => "",
    };
    let mut object = object(json!({
        "event_type": kind,
        "sequence": event.sequence,
        "timestamp": event.timestamp,
        "snapshot": event.snapshot,
    }));
    let mut add = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if !event.prefix.is_empty() {
        add("afi_safi", json!(family));
        add("prefix", json!(event.prefix));
        add("prefix_length", json!(event.prefix_length));
        add("peer_address", json!(event.peer_address));
        add("path_id", json!(event.path_id));
    }
    if !event.previous_peer_address.is_empty() {
        add("previous_peer_address", json!(event.previous_peer_address));
        add("previous_path_id", json!(event.previous_path_id));
    }
    if let Some(r) = &event.route {
        add("route", route(r));
    }
    Value::Object(object)
}

/// The candidates for a prefix, and what they lost by.
pub(crate) fn explained_best(e: &v1::ExplainBestPathResponse) -> Value {
    let candidate = |c: &v1::BestPathCandidate| {
        json!({
            "route": c.route.as_ref().map(route),
            "vs_best_reason": c.vs_best_reason,
            "vs_best_ordering": c.vs_best_ordering,
        })
    };
    json!({
        "prefix": e.prefix,
        "prefix_length": e.prefix_length,
        "best_route": e.best_route.as_ref().map(route),
        "candidates": list(&e.candidates, candidate),
    })
}

/// What a neighbor is sent of a prefix, and why.
pub(crate) fn explained_advertised(e: &v1::ExplainAdvertisedRouteResponse) -> Value {
    let name = e.decision().as_str_name().trim_start_matches("EXPLAIN_DECISION_").to_ascii_lowercase();
    json!({
        "decision": name,
        "peer_address": e.peer_address,
        "prefix": e.prefix,
        "prefix_length": e.prefix_length,
        "next_hop": e.next_hop,
        "path_id": e.path_id,
        "route_peer_address": e.route_peer_address,
        "route_type": e.route_type,
        "reasons": list(&e.reasons, explain_reason),
        "modifications": e.modifications.as_ref().map(modifications),
        "paths": list(&e.paths, explained_path),
    })
}

/// A path, and why it is as it is.
pub(crate) fn explained_path(p: &v1::ExplainedPath) -> Value {
    json!({
        "route": p.route.as_ref().map(route),
        "route_type": p.route_type,
        "chosen": p.chosen,
        "reason": p.reason.as_ref().map(explain_reason),
        "policies": list(&p.policies, explained_policy),
        "modifications": p.modifications.as_ref().map(modifications),
        "made": p.made.as_ref().map(route),
    })
}

fn explain_reason(r: &v1::ExplainReason) -> Value {
    json!({ "code": r.code, "message": r.message })
}

fn explained_policy(p: &v1::ExplainedPolicy) -> Value {
    let matched = |m: &v1::ExplainedMatch| json!({ "written": m.written, "found": m.found, "held": m.held });
    let statement = |s: &v1::ExplainedStatement| {
        json!({
            "number": s.number,
            "name": s.name,
            "line": s.line,
            "action": s.action,
            "held": s.held,
            "matches": list(&s.matches, matched),
            "changes": s.changes,
        })
    };
    json!({ "name": p.name, "action": p.action, "statements": list(&p.statements, statement) })
}

/// What is changed; what is not is left out.
fn modifications(m: &v1::ExplainModifications) -> Value {
    let mut all = Map::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            all.insert(key.to_owned(), value);
        }
    };
    add("set_local_pref", m.set_local_pref.map(|n| json!(n)));
    add("set_med", m.set_med.map(|n| json!(n)));
    add("set_next_hop", (!m.set_next_hop.is_empty()).then(|| json!(m.set_next_hop)));
    let standard = |l: &[u32]| (!l.is_empty()).then(|| strings(l, |c| text::community_number(*c)));
    let extended = |l: &[u64]| (!l.is_empty()).then(|| strings(l, |c| text::extended_community(*c)));
    let large = |l: &[String]| (!l.is_empty()).then(|| json!(l));
    add("communities_add", standard(&m.communities_add));
    add("communities_remove", standard(&m.communities_remove));
    add("extended_communities_add", extended(&m.extended_communities_add));
    add("extended_communities_remove", extended(&m.extended_communities_remove));
    add("large_communities_add", large(&m.large_communities_add));
    add("large_communities_remove", large(&m.large_communities_remove));
    add("as_path_prepend_asn", m.as_path_prepend_asn.map(|n| json!(n)));
    add("as_path_prepend_count", m.as_path_prepend_count.map(|n| json!(n)));
    Value::Object(all)
}

/// A neighbor.
pub(crate) fn neighbor(n: &v1::NeighborState) -> Value {
    let (mut all, session) = (exchanged(n), session(n));
    if let (Value::Object(all), Value::Object(session)) = (&mut all, session) {
        all.extend(session);
    }
    all
}

/// A range of dynamic neighbors.
pub(crate) fn range(r: &v1::DynamicNeighborRange) -> Value {
    json!({
        "prefix": r.prefix,
        "peer_group": r.peer_group,
        "remote_asn": r.remote_asn,
        "description": r.description,
    })
}

/// What is configured of a neighbor, and what becomes of its session.
fn session(n: &v1::NeighborState) -> Value {
    json!({
        "config": n.config.as_ref().map(config),
        "state": text::state(n.state()),
        "uptime_seconds": n.uptime_seconds,
        "prefixes_received": n.prefixes_received,
        "prefixes_sent": n.prefixes_sent,
        "updates_received": n.updates_received,
        "updates_sent": n.updates_sent,
        "notifications_received": n.notifications_received,
        "notifications_sent": n.notifications_sent,
        "flap_count": n.flap_count,
        "last_error": n.last_error,
        "last_notification_received": n.last_notification_received.as_ref().map(notification),
        "last_notification_sent": n.last_notification_sent.as_ref().map(notification),
        "next_attempt_seconds": n.next_attempt_seconds,
        "is_dynamic": n.is_dynamic,
        "disabled": n.disabled,
        "negotiated_hold_time": n.negotiated_hold_time,
        "send_hold_time": n.send_hold_time,
        "keepalive_interval": n.keepalive_interval,
        "negotiated_families": n.negotiated_families,
        "negotiated_capabilities": n.negotiated_capabilities,
        "peer_restart_time": n.peer_restart_time,
        "graceful_restart_families": n.graceful_restart_families,
        "capabilities_sent": n.capabilities_sent,
        "capabilities_received": n.capabilities_received,
        "local_address": n.local_address,
        "remote_address": n.remote_address,
        "router_id": n.router_id,
        "peer_role": n.peer_role,
        "draining": n.draining,
        "graceful_restart": n.graceful_restart.as_ref().map(restart),
        "graceful_restarts_expired": n.graceful_restarts_expired,
        "over_prefix_limit": n.over_prefix_limit,
        "prefix_limit_exceeded": n.prefix_limit_exceeded,
    })
}

/// What a neighbor and we have told each other.
fn exchanged(n: &v1::NeighborState) -> Value {
    json!({
        "messages_received": n.messages_received.as_ref().map(messages),
        "messages_sent": n.messages_sent.as_ref().map(messages),
        "prefixes": list(&n.prefixes, prefixes),
        "queued_octets": n.queued_octets,
        "as_loops": n.as_loops,
        "reflection_loops": n.reflection_loops,
        "treated_as_withdraw": n.treated_as_withdraw,
        "attributes_discarded": n.attributes_discarded,
        "add_path_receive_families": n.add_path_receive_families,
        "add_path_send_families": n.add_path_send_families,
        "paths_refused": n.paths_refused,
        "route_leaks": n.route_leaks,
    })
}

fn config(c: &v1::NeighborConfig) -> Value {
    json!({
        "address": c.address,
        "remote_asn": c.remote_asn,
        "description": c.description,
        "hold_time": c.hold_time,
        "max_prefixes": c.max_prefixes,
        "families": c.families,
        "remove_private_as": c.remove_private_as,
        "peer_group": c.peer_group,
        "route_server_client": c.route_server_client,
        "add_path_receive": c.add_path_receive,
        "add_path_send": c.add_path_send,
        "add_path_send_max": c.add_path_send_max,
        "md5": c.md5,
        "ttl_security": c.ttl_security,
        "role": c.role,
        "role_strict": c.role_strict,
        "policy_missing": c.policy_missing,
        "max_prefixes_out": c.max_prefixes_out,
        "max_prefixes_action": c.max_prefixes_action,
        "max_prefixes_restart_minutes": c.max_prefixes_restart_minutes,
    })
}

fn notification(n: &v1::NotificationState) -> Value {
    json!({ "time_ms": n.time_ms, "code": n.code, "subcode": n.subcode, "message": n.message })
}

fn restart(r: &v1::GracefulRestartState) -> Value {
    json!({
        "back": r.back,
        "seconds_left": r.seconds_left,
        "families": r.families,
        "stale_routes": r.stale_routes,
        "long_lived_families": r.long_lived_families,
    })
}

/// `neighbor ADDR errors`.
pub(crate) fn errors(e: &v1::GetNeighborErrorsResponse) -> Value {
    let error = |e: &v1::NeighborError| {
        json!({
            "time_ms": e.time_ms,
            "kind": e.kind,
            "attribute": e.attribute,
            "attribute_name": e.attribute_name,
            "verdict": e.verdict,
            "message": e.message,
            "octets": text::hex(&e.octets),
            "octet_count": e.octet_count,
            "notification_code": e.notification_code,
            "notification_subcode": e.notification_subcode,
        })
    };
    let count = |c: &v1::NeighborErrorCount| {
        json!({
            "kind": c.kind,
            "attribute": c.attribute,
            "attribute_name": c.attribute_name,
            "verdict": c.verdict,
            "count": c.count,
        })
    };
    json!({ "errors": list(&e.errors, error), "counts": list(&e.counts, count) })
}

fn messages(m: &v1::MessageCounts) -> Value {
    json!({
        "open": m.open,
        "update": m.update,
        "notification": m.notification,
        "keepalive": m.keepalive,
        "route_refresh": m.route_refresh,
    })
}

fn prefixes(p: &v1::FamilyPrefixes) -> Value {
    json!({ "family": p.family, "received": p.received, "sent": p.sent })
}

/// `global`.
pub(crate) fn global(g: &v1::GlobalState) -> Value {
    json!({ "asn": g.asn, "router_id": g.router_id, "listen_port": g.listen_port, "version": g.version })
}

/// `health`.
pub(crate) fn health(h: &v1::HealthResponse) -> Value {
    json!({
        "healthy": h.healthy,
        "uptime_seconds": h.uptime_seconds,
        "active_peers": h.active_peers,
        "total_routes": h.total_routes,
        "unavailable": h.unavailable,
    })
}

/// A process of the daemon.
pub(crate) fn process(p: &v1::Process) -> Value {
    json!({
        "name": p.name,
        "pid": p.pid,
        "uptime_seconds": p.uptime_seconds,
        "restarts": p.restarts,
        "cpu_milliseconds": p.cpu_milliseconds,
        "resident_bytes": p.resident_bytes,
        "threads": p.threads,
        "sandbox": p.sandbox.iter().map(|s| (s.name.clone(), json!(s.on))).collect::<Map<_, _>>(),
    })
}

/// `rib summary`.
pub(crate) fn summary(s: &v1::RibSummaryResponse) -> Value {
    let family = |f: &v1::FamilyTables| {
        json!({
            "family": f.family,
            "loc_rib_prefixes": f.loc_rib_prefixes,
            "adj_rib_in_routes": f.adj_rib_in_routes,
            "adj_rib_out_routes": f.adj_rib_out_routes,
        })
    };
    let neighbor = |n: &v1::NeighborTables| {
        json!({
            "address": n.address,
            "description": n.description,
            "families": list(&n.families, prefixes),
        })
    };
    json!({
        "families": list(&s.families, family),
        "neighbors": list(&s.neighbors, neighbor),
        "attribute_sets": s.attribute_sets,
    })
}

/// A list.
pub(crate) fn list<T>(items: &[T], f: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(f).collect())
}

fn strings<T>(items: &[T], f: impl Fn(&T) -> String) -> Value {
    list(items, |i| Value::String(f(i)))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
