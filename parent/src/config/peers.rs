//! `[[neighbors]]`, `[peer_groups.<name>]` and `[[dynamic_neighbors]]`: inheritance, and the rules that
//! hold between several settings.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use bgp::{Family, FamilySet, RemovePrivateAs};
use ipc::config::{PeerKind, PeerRole};
use ipnet::IpNet;

use super::keys;
use super::policy::Names;
use super::reader::{At, Reader, Scope, Table, nearest};
use super::schema::{AddPath, DynamicNeighbor, GracefulRestart, MaxPrefixesAction, Neighbor};
use super::settings::{self, OverLimit, Settings};

/// The peer groups by name.
pub(super) type Groups<'s> = HashMap<&'s str, Settings>;

/// Reads `[peer_groups]`.
pub(super) fn groups<'s>(r: &mut Reader<'s>, root: &Table<'s>, names: &Names<'s>) -> Groups<'s> {
    let mut groups = Groups::new();
    let Some(all) = r.table(root, "peer_groups", "[peer_groups.<name>]") else { return groups };
    for (name, t) in r.named(&all, "peer_groups") {
        let scope = Scope { name: "peer_groups", instance: Some(name.value) };
        r.check_keys(&t, &[keys::PEER], Some(scope));
        groups.insert(name.value, settings::read(r, &t, names));
    }
    groups
}

/// Reads `[[neighbors]]`; `asn` is ours, if it is known.
pub(super) fn neighbors<'s>(
    r: &mut Reader<'s>,
    root: &Table<'s>,
    groups: &Groups<'s>,
    names: &Names<'s>,
    asn: Option<u32>,
) -> Vec<Neighbor> {
    let mut seen: HashMap<IpAddr, Range<usize>> = HashMap::new();
    let mut neighbors = Vec::new();
    for t in r.tables(root, "neighbors", "[[neighbors]]") {
        let address = address(r, &t);
        let shown = address.as_ref().map_or_else(|| "?".to_owned(), |a| a.value.to_string());
        let scope = Scope { name: "neighbors", instance: Some(&shown) };
        r.check_keys(&t, &[keys::NEIGHBOR, keys::PEER], Some(scope));
        r.require(&t, &["address", "remote_asn"]);
        let remote_asn = r.number_where(&t, "remote_asn", "must not be 0", |n: u32| n != 0);
        let group = peer_group(r, &t, groups);
        let mut own = settings::read(r, &t, names);
        if let Some((_, group)) = &group {
            own = own.over(group);
        }
        if let Some(address) = &address {
            match seen.get(&address.value) {
                Some(first) => r.repeated("neighbor address", address.span.clone(), first.clone()),
                None => _ = seen.insert(address.value, address.span.clone()),
            }
        }
        let (Some(address), Some(remote_asn), Some(asn)) = (address, remote_asn, asn) else { continue };
        check_together(r, &own, &Subject::neighbor(&address), remote_asn.value, asn);
        let group = group.map(|(name, _)| name.to_owned());
        neighbors.push(complete(own, address.value, remote_asn.value, asn, group));
    }
    neighbors
}

/// The rules between settings of a range. Gives what its peers have to be where they may be of any AS.
fn check_range(
    r: &mut Reader<'_>,
    s: &Settings,
    prefix: &At<IpNet>,
    remote_asn: u32,
    asn: u32,
) -> Option<PeerKind> {
    let about = Subject::range(prefix);
    if remote_asn != 0 {
        check_together(r, s, &about, remote_asn, asn);
        return None;
    }
    let on = |b: &Option<At<bool>>| b.as_ref().is_some_and(|b| b.value);
    let external = on(&s.route_server_client) || s.remove_private_as.is_some() || s.role.is_some();
    let internal = s.route_reflector_client.as_ref().filter(|b| b.value);
    if let Some(client) = internal.filter(|_| external) {
        let rule = "is for iBGP neighbors only, and other settings of the range are for eBGP neighbors only";
        only(r, "route_reflector_client", Some(client.span.clone()), rule, &about);
    }
    check_settings(r, s, &about);
    match (external, internal) {
        (true, _) => Some(PeerKind::External),
        (false, Some(_)) => Some(PeerKind::Internal),
        (false, None) => None,
    }
}

/// What the rules between settings are about: a neighbor, or a range of them.
struct Subject {
    name: String,
    span: Range<usize>,
    ipv4: bool,
}

impl Subject {
    fn neighbor(address: &At<IpAddr>) -> Subject {
        let (name, span) = (format!("the neighbor {}", address.value), address.span.clone());
        Subject { name, span, ipv4: address.value.is_ipv4() }
    }

    fn range(prefix: &At<IpNet>) -> Subject {
        let (name, span) = (format!("the neighbors of {}", prefix.value), prefix.span.clone());
        Subject { name, span, ipv4: prefix.value.addr().is_ipv4() }
    }
}

fn address<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<At<IpAddr>> {
    let key = "address";
    let address = r.parse(t, key, "an IP address");
    let rule = "must be the address of one host: not unspecified, broadcast or multicast";
    let address = r.keep(key, address, rule, |a: &IpAddr| match a {
        IpAddr::V4(a) => !(a.is_unspecified() || a.is_broadcast() || a.is_multicast()),
        IpAddr::V6(a) => !(a.is_unspecified() || a.is_multicast()),
    });
    r.keep(key, address, "must be written as an IPv4 address", |a| *a == a.to_canonical())
}

/// The group that `t` names, if it exists.
fn peer_group<'g, 's>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    groups: &'g Groups<'s>,
) -> Option<(&'s str, &'g Settings)> {
    let name = r.string(t, "peer_group")?;
    if let Some(group) = groups.get(name.value) {
        return Some((name.value, group));
    }
    let help = nearest(name.value, groups.keys().copied()).map(|n| format!("did you mean \"{n}\"?"));
    r.invalid("peer_group", name.span, "there is no such peer group").help = help;
    None
}

/// The rules between settings, once it is known which ones hold for a neighbor.
fn check_together(r: &mut Reader<'_>, s: &Settings, about: &Subject, remote_asn: u32, asn: u32) {
    let external = remote_asn != s.local_asn.as_ref().map_or(asn, |a| a.value);
    let on = |b: &Option<At<bool>>| b.as_ref().filter(|b| b.value).map(|b| b.span.clone());
    if !external {
        only(r, "route_server_client", on(&s.route_server_client), "is for eBGP neighbors only", about);
        let span = s.remove_private_as.as_ref().map(|p: &At<RemovePrivateAs>| p.span.clone());
        only(r, "remove_private_as", span, "is for eBGP neighbors only", about);
        let span = s.role.as_ref().map(|role| role.span.clone());
        only(r, "role", span, "is for eBGP neighbors only", about);
    } else {
        only(r, "route_reflector_client", on(&s.route_reflector_client), "is for iBGP neighbors only", about);
    }
    check_settings(r, s, about);
}

/// Those that hold for all kinds of neighbors.
fn check_settings(r: &mut Reader<'_>, s: &Settings, about: &Subject) {
    let on = |b: &Option<At<bool>>| b.as_ref().filter(|b| b.value).map(|b| b.span.clone());
    let other = s.local_address.as_ref().filter(|l| l.value.is_ipv4() != about.ipv4);
    let span = other.map(|l| l.span.clone());
    only(r, "local_address", span, "must be of the address family of the neighbor", about);
    check_timers(r, s, about);
    check_limit(r, s, about);
    if on(&s.route_server_client).is_some() && s.remove_private_as.is_some() {
        // RFC 7947 §2.2.2.1.
        r.warnings.push(format!(
            "remove_private_as has no effect on {}: a route server client is sent paths as they came",
            about.name
        ));
    }
    let off = s.graceful_restart.as_ref().is_some_and(|g| !g.value);
    if off && s.llgr_stale_time.as_ref().is_some_and(|t| t.value > 0) {
        // RFC 9494 §4.1: the one capability means nothing without the other.
        r.warnings.push(format!("llgr_stale_time has no effect on {}: graceful_restart is off", about.name));
    }
    let strict = on(&s.role_strict).filter(|_| s.role.is_none());
    only(r, "role_strict", strict, "needs a role", about);
}

fn check_timers(r: &mut Reader<'_>, s: &Settings, about: &Subject) {
    let hold_time = s.hold_time.as_ref().map_or(Neighbor::HOLD_TIME, |h| h.value);
    let long = s.keepalive.as_ref().filter(|k| hold_time != 0 && k.value >= hold_time);
    only(r, "keepalive", long.map(|k| k.span.clone()), "must be less than hold_time", about);
    let short = s.send_hold_time.as_ref().filter(|t| t.value != 0 && t.value <= hold_time);
    let rule = "must be 0 or greater than hold_time";
    only(r, "send_hold_time", short.map(|t| t.span.clone()), rule, about);
    let many = s.add_path_send.as_ref().is_some_and(|on| on.value);
    let interval = s.advertisement_interval.as_ref().filter(|i| many && i.value > 0);
    let rule = "cannot be combined with add_path.send";
    only(r, "advertisement_interval", interval.map(|i| i.span.clone()), rule, about);
}

fn check_limit(r: &mut Reader<'_>, s: &Settings, about: &Subject) {
    let restart = s.max_prefixes_action.as_ref().filter(|a| a.value == OverLimit::Restart);
    match (restart, &s.max_prefixes_restart_minutes) {
        (Some(action), None) => {
            let span = Some(action.span.clone());
            only(r, "max_prefixes_action", span, "needs max_prefixes_restart_minutes", about);
        }
        (None, Some(minutes)) => {
            let span = Some(minutes.span.clone());
            let rule = "needs max_prefixes_action = \"restart\"";
            only(r, "max_prefixes_restart_minutes", span, rule, about);
        }
        _ => {}
    }
}

/// Notes the setting at `span`, if there is one: it breaks a rule at the neighbor that this is about, which may have
/// inherited it.
fn only(r: &mut Reader<'_>, key: &str, span: Option<Range<usize>>, rule: &str, about: &Subject) {
    let Some(span) = span else { return };
    let note = (format!("for {}", about.name), about.span.clone());
    r.invalid(key, span, rule).note = Some(note);
}

impl Neighbor {
    const HOLD_TIME: u16 = 90;
    const CONNECT_RETRY: u16 = 5;
    const PORT: u16 = 179;
}

/// The neighbor with its defaults.
fn complete(s: Settings, address: IpAddr, remote_asn: u32, asn: u32, group: Option<String>) -> Neighbor {
    fn value<T>(at: Option<At<T>>) -> Option<T> {
        at.map(|at| at.value)
    }
    let on = |at: Option<At<bool>>| value(at).unwrap_or(false);
    let route_server_client = on(s.route_server_client);
    Neighbor {
        address,
        remote_asn,
        local_asn: value(s.local_asn).unwrap_or(asn),
        description: value(s.description).filter(|d| !d.is_empty()).unwrap_or_else(|| address.to_string()),
        peer_group: group,
        hold_time: value(s.hold_time).unwrap_or(Neighbor::HOLD_TIME),
        keepalive: value(s.keepalive),
        send_hold_time: value(s.send_hold_time),
        connect_retry: value(s.connect_retry).unwrap_or(Neighbor::CONNECT_RETRY),
        families: value(s.families).unwrap_or_else(|| default_families(address)),
        local_address: value(s.local_address),
        port: value(s.port).unwrap_or(Neighbor::PORT),
        passive: on(s.passive),
        shutdown: on(s.shutdown),
        multihop: value(s.multihop),
        ttl_security: on(s.ttl_security),
        md5_password: value(s.md5_password),
        log_level: value(s.log_level),
        max_prefixes: value(s.max_prefixes),
        max_prefixes_action: match (value(s.max_prefixes_action), value(s.max_prefixes_restart_minutes)) {
            (Some(OverLimit::Warn), _) => MaxPrefixesAction::Warn,
            (Some(OverLimit::Restart), Some(minutes)) => MaxPrefixesAction::Restart { minutes },
            _ => MaxPrefixesAction::Shutdown,
        },
        max_prefixes_count: value(s.max_prefixes_count).unwrap_or_default(),
        max_prefixes_out: value(s.max_prefixes_out),
        graceful_restart: GracefulRestart {
            enabled: value(s.graceful_restart).unwrap_or(true),
            restart_time: value(s.gr_restart_time).unwrap_or(120),
            stale_routes_time: value(s.gr_stale_routes_time).unwrap_or(360),
            llgr_stale_time: value(s.llgr_stale_time).unwrap_or(0),
        },
        route_server_client,
        route_reflector_client: on(s.route_reflector_client),
        remove_private_as: value(s.remove_private_as),
        local_ipv6_nexthop: value(s.local_ipv6_nexthop),
        enforce_first_as: value(s.enforce_first_as).unwrap_or(!route_server_client),
        allow_own_as: value(s.allow_own_as).unwrap_or(0),
        advertisement_interval: value(s.advertisement_interval).unwrap_or(0),
        keep_rejected: value(s.keep_rejected).unwrap_or(true),
        default_originate: on(s.default_originate),
        graceful_shutdown: value(s.graceful_shutdown).unwrap_or(true),
        role: value(s.role).map(|role| PeerRole { role, strict: on(s.role_strict) }),
        add_path: AddPath {
            receive: on(s.add_path_receive),
            send: on(s.add_path_send),
            send_max: value(s.add_path_send_max).filter(|n| *n > 0),
        },
        import_policy: value(s.import_policy).unwrap_or_default(),
        export_policy: value(s.export_policy).unwrap_or_default(),
    }
}

fn default_families(address: IpAddr) -> FamilySet {
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    if address.is_ipv6() { families.with(Family::Ipv6Unicast) } else { families }
}

/// Reads `[[dynamic_neighbors]]`; `asn` is ours, if it is known.
pub(super) fn dynamic<'s>(
    r: &mut Reader<'s>,
    root: &Table<'s>,
    groups: &Groups<'s>,
    asn: Option<u32>,
) -> Vec<DynamicNeighbor> {
    let mut seen: HashMap<IpNet, Range<usize>> = HashMap::new();
    let mut ranges = Vec::new();
    for t in r.tables(root, "dynamic_neighbors", "[[dynamic_neighbors]]") {
        r.check_keys(&t, &[keys::DYNAMIC_NEIGHBOR], None);
        r.require(&t, &["prefix", "peer_group"]);
        let prefix: Option<At<IpNet>> = r.parse(&t, "prefix", "a prefix, like 192.0.2.0/24");
        if let Some(prefix) = &prefix {
            match seen.get(&prefix.value.trunc()) {
                Some(first) => r.repeated("prefix", prefix.span.clone(), first.clone()),
                None => _ = seen.insert(prefix.value.trunc(), prefix.span.clone()),
            }
        }
        let group = peer_group(r, &t, groups);
        let remote_asn = r.number(&t, "remote_asn");
        let description = r.string(&t, "description");
        let (Some(prefix), Some((group, settings)), Some(asn)) = (prefix, group, asn) else { continue };
        let remote_asn = remote_asn.map_or(0, |n| n.value);
        let mut settings = settings.clone();
        // They come to us, from wherever they like.
        (settings.passive, settings.local_address, settings.port) = (None, None, None);
        let at = At { value: prefix.value.trunc(), span: prefix.span };
        let only = check_range(r, &settings, &at, remote_asn, asn);
        if let Some(description) = &description {
            let (value, span) = (description.value.to_owned(), description.span.clone());
            settings.description = Some(At { value, span });
        }
        let (prefix, peer_group) = (at.value, group.to_owned());
        let template = complete(settings, prefix.addr(), remote_asn, asn, Some(group.to_owned()));
        let template = Neighbor { passive: true, ..template };
        let description = description.map(|d| d.value.to_owned());
        ranges.push(DynamicNeighbor { prefix, peer_group, remote_asn, description, template, only });
    }
    ranges
}
