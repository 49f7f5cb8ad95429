//! The settings that a neighbor may have itself or get from its peer group, each read and checked alone.

use std::net::{IpAddr, Ipv6Addr};

use bgp::{BgpRole, Family, FamilySet, RemovePrivateAs, Safi};
use policy::Assignment;

use super::global::{OWN_ASN_RULE, own_asn_ok};
use super::keys;
use super::mask::SHOWN;
use super::policy::{self as policies, Names};
use super::reader::{At, Reader, Table};
use super::schema::{LogLevel, PrefixCount};
use super::secret::Secret;
use super::telemetry::LOG_LEVELS;

/// The longest TCP-MD5 key that the kernel takes, in octets.
const MAX_MD5_PASSWORD: usize = 80;

/// Defines [`Settings`] and how a neighbor's stand before those of its group.
macro_rules! settings {
    ($($name:ident: $type:ty,)*) => {
        /// What a neighbor or a group sets, with the place; `None` where it is silent.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Settings {
            $(pub(super) $name: Option<At<$type>>,)*
        }

        impl Settings {
            /// These settings, and those of `group` where they are silent.
            pub(super) fn over(self, group: &Settings) -> Settings {
                Settings { $($name: self.$name.or_else(|| group.$name.clone()),)* }
            }
        }
    };
}

settings! {
    description: String,
    local_asn: u32,
    hold_time: u16,
    keepalive: u16,
    send_hold_time: u16,
    connect_retry: u16,
    families: FamilySet,
    local_address: IpAddr,
    port: u16,
    passive: bool,
    shutdown: bool,
    multihop: u8,
    ttl_security: bool,
    md5_password: Secret,
    log_level: LogLevel,
    max_prefixes: u32,
    max_prefixes_action: OverLimit,
    max_prefixes_restart_minutes: u16,
    max_prefixes_count: PrefixCount,
    max_prefixes_out: u32,
    graceful_restart: bool,
    gr_restart_time: u16,
    gr_stale_routes_time: u16,
    llgr_stale_time: u32,
    route_server_client: bool,
    route_reflector_client: bool,
    remove_private_as: RemovePrivateAs,
    local_ipv6_nexthop: Ipv6Addr,
    enforce_first_as: bool,
    allow_own_as: u8,
    default_originate: bool,
    graceful_shutdown: bool,
    role: BgpRole,
    role_strict: bool,
    add_path_receive: bool,
    add_path_send: bool,
    add_path_send_max: u32,
    advertisement_interval: u16,
    keep_rejected: bool,
    import_policy: Assignment,
    export_policy: Assignment,
}

/// The names of `max_prefixes_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverLimit {
    /// Close the session for good.
    Shutdown,
    /// Close it and come back.
    Restart,
    /// Only say so.
    Warn,
}

/// Reads what `t` sets. Unknown keys are the caller's to find.
pub(super) fn read<'s>(r: &mut Reader<'s>, t: &Table<'s>, names: &Names<'s>) -> Settings {
    let mut s = Settings {
        description: r.string(t, "description").map(|d| At { value: d.value.to_owned(), span: d.span }),
        local_asn: r.number_where(t, "local_asn", OWN_ASN_RULE, own_asn_ok),
        log_level: r.choice(t, "log_level", &LOG_LEVELS),
        shutdown: r.boolean(t, "shutdown"),
        ..Settings::default()
    };
    transport(r, t, &mut s);
    timers(r, t, &mut s);
    limits(r, t, &mut s);
    routing(r, t, &mut s);
    add_path(r, t, &mut s);
    [s.import_policy, s.export_policy] = policies::read_use(r, t, names);
    s
}

fn transport<'s>(r: &mut Reader<'s>, t: &Table<'s>, s: &mut Settings) {
    s.families = families(r, t);
    let source = r.parse(t, "local_address", "an IP address");
    let rule = "must not be an unspecified or multicast address";
    s.local_address =
        r.keep("local_address", source, rule, |a: &IpAddr| !a.is_unspecified() && !a.is_multicast());
    s.port = r.positive(t, "port");
    s.passive = r.boolean(t, "passive");
    s.multihop = r.number_where(t, "multihop", "must be 1 to 255", |n: u8| n > 0);
    s.ttl_security = r.boolean(t, "ttl_security");
    let key = r.string(t, "md5_password");
    let key = r.keep("md5_password", key, "must be 1 to 80 octets long", |k| {
        (1..=MAX_MD5_PASSWORD).contains(&k.len())
    });
    let rule = "must be the key itself: <set> stands where a key is not shown";
    let key = r.keep("md5_password", key, rule, |k| *k != SHOWN);
    s.md5_password = key.map(|k| At { value: Secret::from(k.value), span: k.span });
}

fn families<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<At<FamilySet>> {
    let listed = r.strings(t, "families")?;
    // An empty list is what a dumped configuration has where none is chosen.
    if listed.value.is_empty() {
        return None;
    }
    let names = Family::ALL.map(|f| (f.name(), f));
    let known: Vec<At<Family>> =
        listed.value.into_iter().filter_map(|f| r.choice_text("families", f, &names)).collect();
    // A session would offer them, and there is no table for their routes.
    for family in known.iter().map(|f| f.value).filter(|f| f.safi() == Safi::FLOWSPEC) {
        r.unused.add("families", None, family.name());
    }
    Some(At { value: known.into_iter().map(|f| f.value).collect(), span: listed.span })
}

fn timers<'s>(r: &mut Reader<'s>, t: &Table<'s>, s: &mut Settings) {
    s.hold_time = r.number_where(t, "hold_time", "must be 0 or >= 3", |n: u16| n == 0 || n >= 3);
    s.keepalive = r.positive(t, "keepalive");
    s.send_hold_time = r.number(t, "send_hold_time");
    s.connect_retry = r.positive(t, "connect_retry");
    s.graceful_restart = r.boolean(t, "graceful_restart");
    s.gr_restart_time =
        r.number_where(t, "gr_restart_time", "must be 1 to 4095", |n: u16| (1..=4095).contains(&n));
    s.gr_stale_routes_time =
        r.number_where(t, "gr_stale_routes_time", "must be 1 to 3600", |n: u16| (1..=3600).contains(&n));
    s.llgr_stale_time =
        r.number_where(t, "llgr_stale_time", "must be at most 16777215", |n: u32| n <= 0xff_ffff);
}

fn limits<'s>(r: &mut Reader<'s>, t: &Table<'s>, s: &mut Settings) {
    s.max_prefixes = r.positive(t, "max_prefixes");
    let actions =
        [("shutdown", OverLimit::Shutdown), ("restart", OverLimit::Restart), ("warn", OverLimit::Warn)];
    s.max_prefixes_action = r.choice(t, "max_prefixes_action", &actions);
    s.max_prefixes_restart_minutes = r.positive(t, "max_prefixes_restart_minutes");
    let counts = [("received", PrefixCount::Received), ("accepted", PrefixCount::Accepted)];
    s.max_prefixes_count = r.choice(t, "max_prefixes_count", &counts);
    s.max_prefixes_out = r.positive(t, "max_prefixes_out");
}

fn routing<'s>(r: &mut Reader<'s>, t: &Table<'s>, s: &mut Settings) {
    s.keep_rejected = r.boolean(t, "keep_rejected");
    s.route_server_client = r.boolean(t, "route_server_client");
    s.route_reflector_client = r.boolean(t, "route_reflector_client");
    let private = [
        ("remove", RemovePrivateAs::Remove),
        ("all", RemovePrivateAs::All),
        ("replace", RemovePrivateAs::Replace),
    ];
    s.remove_private_as = r.choice(t, "remove_private_as", &private);
    let next_hop = r.parse(t, "local_ipv6_nexthop", "an IPv6 address");
    let rule = "must not be an unspecified, loopback, link-local or multicast address";
    s.local_ipv6_nexthop = r.keep("local_ipv6_nexthop", next_hop, rule, |a: &Ipv6Addr| {
        !(a.is_unspecified() || a.is_loopback() || a.is_unicast_link_local() || a.is_multicast())
    });
    s.enforce_first_as = r.boolean(t, "enforce_first_as");
    s.allow_own_as = r.number(t, "allow_own_as");
    s.advertisement_interval =
        r.number_where(t, "advertisement_interval", "must be at most 600", |n: u16| n <= 600);
    s.default_originate = r.boolean(t, "default_originate");
    s.graceful_shutdown = r.boolean(t, "graceful_shutdown");
    let roles = [BgpRole::Provider, BgpRole::Customer, BgpRole::Peer, BgpRole::Rs, BgpRole::RsClient];
    let roles = roles.map(|role| (role.name(), role));
    s.role = r.choice(t, "role", &roles);
    s.role_strict = r.boolean(t, "role_strict");
}

fn add_path<'s>(r: &mut Reader<'s>, t: &Table<'s>, s: &mut Settings) {
    let Some(t) = r.table(t, "add_path", "add_path") else { return };
    r.check_keys(&t, &[keys::ADD_PATH], None);
    s.add_path_receive = r.boolean(&t, "receive");
    s.add_path_send = r.boolean(&t, "send");
    s.add_path_send_max = r.number(&t, "send_max");
}
