//! Between the types of the API and those of the processes, and nowhere else.

use std::net::IpAddr;

use bgp::{Family, FamilySet, FaultKind, NextHop, Verdict};
use grpc::v1;
use ipc::PeerId;
use ipc::config::{ControlPeer, ControlRange, OverLimit, PrefixLimits};
use ipc::control_rde::{PeerCounters, RouteFilter, RouteView, Segment};
use ipc::control_session::{Agreed, FsmState, MessageCounts, Notified, PeerStatus};
use ipc::errors::{FaultCount, PeerError, Wrong};
use ipnet::IpNet;
use tonic::Status;

use crate::error::invalid;
use crate::view::View;

/// The address that stands for injected routes.
pub(crate) const INJECTED: &str = "0.0.0.0";

/// A large community in its parts.
pub(crate) type LargeCommunity = (u32, u32, u32);

/// The prefix of two fields.
///
/// # Errors
/// INVALID_ARGUMENT for what is no address, a length beyond the family, bits set behind the length.
pub(crate) fn prefix(field: &str, address: &str, length: u32) -> Result<IpNet, Status> {
    let parsed: IpAddr = address.parse().map_err(|_| {
        invalid(field, address, format!("{address:?} is not an IP address, such as 192.0.2.0 or 2001:db8::"))
    })?;
    let most = if parsed.is_ipv4() { 32 } else { 128 };
    let length_field = format!("{field}_length");
    let net = u8::try_from(length)
        .ok()
        .and_then(|l| IpNet::new(parsed, l).ok())
        .ok_or_else(|| invalid(&length_field, length, format!("{length} is not between 0 and {most}")))?;
    if net.trunc() != net {
        let right = net.trunc();
        return Err(invalid(
            field,
            address,
            format!("{net} has bits set behind its length; the prefix is {right}"),
        ));
    }
    Ok(net)
}

/// Families by name, of those that are configured for the peer; none means all of them.
///
/// # Errors
/// INVALID_ARGUMENT for names of no family, and for families that the peer is not configured for.
pub(crate) fn families_of(peer: &ControlPeer, names: &[String]) -> Result<FamilySet, Status> {
    let family = |name: &String| {
        let family = name.parse::<Family>().map_err(|e| invalid("families", name, e.to_string()))?;
        if peer.families.contains(family) {
            return Ok(family);
        }
        let configured: Vec<&str> = peer.families.iter().map(Family::name).collect();
        let what =
            format!("neighbor {} is not configured for it, but for {}", peer.address, configured.join(", "));
        Err(invalid("families", name, what))
    };
    names.iter().map(family).collect()
}

/// A unicast family, or `None` for all of them.
///
/// # Errors
/// INVALID_ARGUMENT for FlowSpec families and unknown numbers.
pub(crate) fn unicast_family(number: i32) -> Result<Option<Family>, Status> {
    match v1::AddressFamily::try_from(number) {
        Ok(v1::AddressFamily::Unspecified) => Ok(None),
        Ok(v1::AddressFamily::Ipv4Unicast) => Ok(Some(Family::Ipv4Unicast)),
        Ok(v1::AddressFamily::Ipv6Unicast) => Ok(Some(Family::Ipv6Unicast)),
        Ok(_) => Err(invalid(
            "afi_safi",
            number,
            "FlowSpec families are listed by ListFlowSpecRoutes; here use a unicast family",
        )),
        Err(_) => Err(invalid(
            "afi_safi",
            number,
            format!("{number} is no address family; 1 is IPv4 unicast, 2 IPv6 unicast"),
        )),
    }
}

/// A large community from its text.
///
/// # Errors
/// INVALID_ARGUMENT for what does not look like `global:local1:local2`.
pub(crate) fn large_community(field: &str, text: &str) -> Result<LargeCommunity, Status> {
    let number = |s: &str| s.bytes().all(|c| c.is_ascii_digit()).then(|| s.parse().ok()).flatten();
    let parts: Option<Vec<u32>> = text.split(':').map(number).collect();
    match parts.as_deref() {
        Some(&[a, b, c]) => Ok((a, b, c)),
        _ => Err(invalid(
            field,
            text,
            format!("{text:?} is not a large community of three numbers up to 4294967295, such as 65001:1:2"),
        )),
    }
}

/// Large communities from their texts.
///
/// # Errors
/// See [`large_community`].
pub(crate) fn large_communities(field: &str, texts: &[String]) -> Result<Vec<LargeCommunity>, Status> {
    texts.iter().map(|t| large_community(field, t)).collect()
}

/// The conditions of a list request.
///
/// # Errors
/// INVALID_ARGUMENT for what makes no sense.
pub(crate) fn route_filter(request: &v1::ListRoutesRequest) -> Result<RouteFilter, Status> {
    let family = unicast_family(request.afi_safi)?;
    let length = request.prefix_filter_length;
    let wanted = match request.prefix_filter.as_str() {
        "" if length != 0 => {
            return Err(invalid(
                "prefix_filter",
                "",
                "is missing: a length alone selects nothing; give e.g. 10.0.0.0",
            ));
        }
        "" => None,
        address => Some(prefix("prefix_filter", address, length)?),
    };
    if let (Some(family), Some(net)) = (family, wanted)
        && family.max_prefix_len() != net.max_prefix_len()
    {
        return Err(invalid("prefix_filter", net, format!("{net} is not a prefix of {family}")));
    }
    Ok(RouteFilter {
        family,
        prefix: wanted,
        longer: request.longer_prefixes,
        origin_asn: request.origin_asn,
        communities: request.community_filter.clone(),
        large_communities: large_communities("large_community_filter", &request.large_community_filter)?,
    })
}

/// Whose routes they are; `None` = injected.
pub(crate) fn peer_address(view: &View, peer: Option<PeerId>) -> String {
    match peer {
        None => INJECTED.to_owned(),
        Some(id) => view.address(id).map(|a| a.to_string()).unwrap_or_default(),
    }
}

/// A route for the API.
pub(crate) fn route(view: &View, route: RouteView) -> v1::Route {
    let peer_address = peer_address(view, route.peer);
    let link_local_next_hop = match route.next_hop {
        NextHop::V6Pair(_, link_local) => link_local.to_string(),
        NextHop::V4(_) | NextHop::V6(_) => String::new(),
    };
    v1::Route {
        prefix: route.prefix.addr().to_string(),
        prefix_length: route.prefix.prefix_len().into(),
        next_hop: route.next_hop.global().to_string(),
        peer_address,
        origin: route.origin.into(),
        as_path: route.as_path.iter().flat_map(|s| s.asns.iter().copied()).collect(),
        local_pref: route.local_pref.unwrap_or(0),
        med: route.med.unwrap_or(0),
        best: route.best,
        communities: route.communities,
        extended_communities: route.extended_communities,
        large_communities: route.large_communities.iter().map(|(a, b, c)| format!("{a}:{b}:{c}")).collect(),
        path_id: route.path_id,
        validation_state: String::new(),
        aspa_state: String::new(),
        as_path_segments: segments(route.as_path),
        has_local_pref: route.local_pref.is_some(),
        has_med: route.med.is_some(),
        link_local_next_hop,
        only_to_customer: route.only_to_customer.unwrap_or(0),
        stale: route.stale,
        rejected: route.denied,
    }
}

/// The segments of a path that is more than one AS_SEQUENCE, otherwise none.
fn segments(path: Vec<Segment>) -> Vec<v1::AsPathSegment> {
    match path.as_slice() {
        [] | [Segment { set: false, .. }] => Vec::new(),
        _ => path.into_iter().map(|s| v1::AsPathSegment { set: s.set, asns: s.asns }).collect(),
    }
}

/// What is configured of a neighbor.
fn neighbor_config(peer: &ControlPeer) -> v1::NeighborConfig {
    v1::NeighborConfig {
        address: peer.address.to_string(),
        remote_asn: peer.remote_asn,
        description: peer.description.clone(),
        hold_time: peer.hold_time.into(),
        max_prefixes: peer.prefix_limits.received.unwrap_or(0),
        families: peer.families.iter().map(|f| f.name().to_owned()).collect(),
        remove_private_as: peer.remove_private_as.clone(),
        peer_group: peer.peer_group.clone(),
        route_server_client: peer.route_server_client,
        add_path_receive: peer.add_path_receive,
        add_path_send: peer.add_path_send,
        add_path_send_max: peer.add_path_send_max,
        md5: peer.md5,
        ttl_security: peer.ttl_security,
        role: peer.role.map(|r| r.role.to_string()).unwrap_or_default(),
        role_strict: peer.role.is_some_and(|r| r.strict),
        policy_missing: peer.policy_missing,
        max_prefixes_out: peer.prefix_limits.advertised.unwrap_or(0),
        max_prefixes_action: over_limit(&peer.prefix_limits).to_owned(),
        max_prefixes_restart_minutes: match peer.prefix_limits.action {
            OverLimit::Restart { minutes } => minutes.into(),
            OverLimit::Shutdown | OverLimit::Warn => 0,
        },
        settings: None,
    }
}

/// A range of dynamic neighbors.
pub(crate) fn range(range: &ControlRange) -> v1::DynamicNeighborRange {
    v1::DynamicNeighborRange {
        prefix: range.prefix.to_string(),
        peer_group: range.peer_group.clone(),
        remote_asn: range.remote_asn,
        description: range.description.clone(),
    }
}

/// The name of what happens beyond limits, where there are some.
fn over_limit(limits: &PrefixLimits) -> &'static str {
    match limits.action {
        _ if limits.received.is_none() && limits.advertised.is_none() => "",
        OverLimit::Shutdown => "shutdown",
        OverLimit::Restart { .. } => "restart",
        OverLimit::Warn => "warn",
    }
}

/// A neighbor, joined from what is configured, what session knows and what rde counts. A peer that an
/// engine has not heard of yet has no session and no routes.
pub(crate) fn neighbor(
    peer: &ControlPeer,
    status: Option<&PeerStatus>,
    counters: Option<&PeerCounters>,
) -> v1::NeighborState {
    let mut state = v1::NeighborState {
        config: Some(neighbor_config(peer)),
        state: v1::SessionState::Idle.into(),
        is_dynamic: peer.dynamic,
        prefixes: family_prefixes(peer, counters),
        ..v1::NeighborState::default()
    };
    if let Some(s) = status {
        // Of a dynamic peer of any AS only its OPEN says it.
        state.config.iter_mut().for_each(|c| c.remote_asn = s.remote_asn);
        add_session(&mut state, s);
    }
    if let Some(c) = counters {
        state.prefixes_received = c.received.iter().sum();
        state.prefixes_sent = c.advertised.iter().sum();
        state.as_loops = c.as_loops;
        state.reflection_loops = c.reflection_loops;
        state.treated_as_withdraw = c.treated_as_withdraw;
        state.attributes_discarded = c.attributes_discarded;
        state.paths_refused = c.paths_refused;
        state.route_leaks = c.route_leaks;
        state.draining = c.draining;
        state.graceful_restart = c.restart.map(|r| v1::GracefulRestartState {
            back: r.back,
            seconds_left: r.seconds_left,
            families: r.families.iter().map(|f| f.name().to_owned()).collect(),
            stale_routes: c.stale.iter().sum(),
            long_lived_families: r.long_lived.iter().map(|f| f.name().to_owned()).collect(),
        });
        state.graceful_restarts_expired = c.restarts_expired;
        state.prefix_limit_exceeded = c.prefix_limit_exceeded;
    }
    state
}

fn add_session(state: &mut v1::NeighborState, s: &PeerStatus) {
    let text = |a: Option<std::net::SocketAddr>| a.map(|a| a.to_string()).unwrap_or_default();
    state.state = session_state(s.state).into();
    state.disabled = s.disabled;
    state.over_prefix_limit = s.held;
    state.uptime_seconds = s.uptime_seconds;
    state.updates_received = s.received.update;
    state.updates_sent = s.sent.update;
    state.notifications_received = s.received.notification;
    state.notifications_sent = s.sent.notification;
    state.flap_count = s.flap_count;
    state.last_error.clone_from(&s.last_error);
    state.negotiated_hold_time = s.hold_time.into();
    state.last_notification_received = s.notification_received.as_ref().map(notification);
    state.last_notification_sent = s.notification_sent.as_ref().map(notification);
    state.keepalive_interval = s.keepalive.into();
    if let Some(agreed) = &s.agreed {
        state.negotiated_capabilities = capabilities(agreed);
        state.peer_restart_time = agreed.restart_time.unwrap_or(0).into();
        let families = agreed.restart_families.iter();
        state.graceful_restart_families = families.map(|f| f.name().to_owned()).collect();
    }
    state.next_attempt_seconds = s.next_attempt;
    state.send_hold_time = s.send_hold_time;
    let names = |families: FamilySet| families.iter().map(|f| f.name().to_owned()).collect();
    state.negotiated_families = names(s.families);
    state.add_path_receive_families = names(s.add_path_receive);
    state.add_path_send_families = names(s.add_path_send);
    state.capabilities_sent.clone_from(&s.capabilities_sent);
    state.capabilities_received.clone_from(&s.capabilities_received);
    state.local_address = text(s.local);
    state.remote_address = text(s.remote);
    state.router_id = s.router_id.map(|r| r.to_string()).unwrap_or_default();
    state.peer_role.clone_from(&s.peer_role);
    state.messages_received = Some(message_counts(&s.received));
    state.messages_sent = Some(message_counts(&s.sent));
    state.queued_octets = s.queued_octets;
}

fn notification(n: &Notified) -> v1::NotificationState {
    v1::NotificationState {
        time_ms: n.at,
        code: n.code.into(),
        subcode: n.subcode.into(),
        message: n.text.clone(),
    }
}

/// The names of what was agreed on.
fn capabilities(agreed: &Agreed) -> Vec<String> {
    let list = [
        (agreed.four_octet_as, "four_octet_as"),
        (agreed.route_refresh, "route_refresh"),
        (agreed.enhanced_refresh, "enhanced_route_refresh"),
        (agreed.extended_messages, "extended_messages"),
        (agreed.extended_next_hop, "extended_next_hop"),
        (agreed.restart_time.is_some(), "graceful_restart"),
        (agreed.restart_notification, "graceful_restart_notification"),
    ];
    list.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()).collect()
}

/// Routes exchanged with a neighbor, for each of its configured families.
pub(crate) fn family_prefixes(
    peer: &ControlPeer,
    counters: Option<&PeerCounters>,
) -> Vec<v1::FamilyPrefixes> {
    peer.families
        .iter()
        .map(|family| v1::FamilyPrefixes {
            family: family.name().to_owned(),
            received: counters.map_or(0, |c| of_family(&c.received, family)),
            sent: counters.map_or(0, |c| of_family(&c.advertised, family)),
        })
        .collect()
}

/// The figure of a family among those of all.
pub(crate) fn of_family(figures: &[u64; 4], family: Family) -> u64 {
    figures.get(family as usize).copied().unwrap_or(0)
}

/// The errors of a neighbor, those of both engines in the order of time.
pub(crate) fn neighbor_errors(
    mut errors: Vec<PeerError>,
    counts: &[FaultCount],
) -> v1::GetNeighborErrorsResponse {
    errors.sort_by_key(|e| e.at);
    let count = |c: &FaultCount| v1::NeighborErrorCount {
        kind: fault_kind(c.kind).to_owned(),
        attribute: c.attribute.into(),
        attribute_name: attribute_name(c.attribute),
        verdict: c.verdict.name().to_owned(),
        count: c.count,
    };
    v1::GetNeighborErrorsResponse {
        errors: errors.into_iter().map(neighbor_error).collect(),
        counts: counts.iter().map(count).collect(),
    }
}

fn neighbor_error(error: PeerError) -> v1::NeighborError {
    let mut shown = v1::NeighborError {
        time_ms: error.at,
        octets: error.octets,
        octet_count: error.len,
        ..v1::NeighborError::default()
    };
    match error.what {
        Wrong::Update { attribute, kind, verdict, text } => {
            shown.kind = fault_kind(kind).to_owned();
            shown.attribute = attribute.into();
            shown.attribute_name = attribute_name(attribute);
            shown.verdict = verdict.name().to_owned();
            shown.message = text;
        }
        Wrong::Notification { code, subcode, text } => {
            shown.kind = "notification".to_owned();
            shown.verdict = Verdict::Reset.name().to_owned();
            shown.message = text;
            (shown.notification_code, shown.notification_subcode) = (code.into(), subcode.into());
        }
    }
    shown
}

/// The name of a kind of fault; rde, which tells its number, may be of another mind than us.
pub(crate) fn fault_kind(number: u8) -> &'static str {
    FaultKind::NAMES.get(usize::from(number)).copied().unwrap_or("unknown")
}

fn attribute_name(code: u8) -> String {
    bgp::attr::code::name(code).unwrap_or_default().to_owned()
}

fn message_counts(c: &MessageCounts) -> v1::MessageCounts {
    v1::MessageCounts {
        open: c.open,
        update: c.update,
        notification: c.notification,
        keepalive: c.keepalive,
        route_refresh: c.route_refresh,
    }
}

fn session_state(state: FsmState) -> v1::SessionState {
    match state {
        FsmState::Idle => v1::SessionState::Idle,
        FsmState::Connect => v1::SessionState::Connect,
        FsmState::Active => v1::SessionState::Active,
        FsmState::OpenSent => v1::SessionState::OpenSent,
        FsmState::OpenConfirm => v1::SessionState::OpenConfirm,
        FsmState::Established => v1::SessionState::Established,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_checked() {
        assert_eq!(prefix("prefix", "10.0.0.0", 8).unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(prefix("prefix", "::", 0).unwrap().to_string(), "::/0");
        for (address, length, says) in [
            ("10.0.0.0", 33, "between 0 and 32"),
            ("2001:db8::", 129, "between 0 and 128"),
            ("10.0.0.0", 256 + 8, "between 0 and 32"),
            ("10.0.0.1", 8, "the prefix is 10.0.0.0/8"),
            ("ten", 8, "such as 192.0.2.0"),
            ("", 8, "such as 192.0.2.0"),
        ] {
            let status = prefix("prefix", address, length).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().contains(says), "{}", status.message());
        }
    }

    #[test]
    fn large_communities_are_three_numbers() {
        assert_eq!(large_community("f", "4294967295:0:1").unwrap(), (u32::MAX, 0, 1));
        for wrong in ["", "1:2", "1:2:3:4", "1:2:4294967296", "1:-2:3", "1:+2:3", "a:b:c", "1::3"] {
            assert!(large_community("f", wrong).is_err(), "{wrong}");
        }
    }
}
