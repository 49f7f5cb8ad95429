//! `[global]`: who we are, where we listen, what the engines run as.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::keys;
use super::reader::{At, Reader, Scope, Table};
use super::schema::Global;

/// What our AS number must not be: 0 (RFC 7607), AS_TRANS (RFC 6793 §9) and the two last ones (RFC 7300).
pub(super) const OWN_ASN_RULE: &str = "must not be 0, 23456, 65535 or 4294967295";

/// Whether we may have this AS number.
pub(super) fn own_asn_ok(asn: u32) -> bool {
    ![0, u32::from(bgp::AS_TRANS), 65535, u32::MAX].contains(&asn)
}

/// Reads `[global]`; `None` if something is wrong with it.
pub(super) fn read<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<Global> {
    r.check_keys(t, &[keys::GLOBAL], Some(Scope { name: "global", instance: None }));
    r.require(t, &["asn", "router_id", "listen_port", "telemetry"]);
    let asn = r.number_where(t, "asn", OWN_ASN_RULE, own_asn_ok);
    let router_id = identifier(r, t, "router_id");
    let listen_port = r.number(t, "listen_port");
    let listen_addresses = listen_addresses(r, t);
    let limit =
        r.number_where(t, "dynamic_neighbor_limit", "must be 1 to 5000", |n: u32| (1..=5000).contains(&n));
    let dir = r.text(t, "runtime_state_dir").map_or("/var/lib/rustbgpd", |d| d.value);
    let cluster_id = identifier(r, t, "cluster_id");
    let user = r.text(t, "user");
    let user = r.keep("user", user, "there is no such account", |u| user_exists(u));
    let group = group(r, t, "group");
    let med_always_compare = r.boolean(t, "med_always_compare");
    let rde_threads = r.number_where(t, "rde_threads", "must be 1 to 64", |n: u16| (1..=64).contains(&n));
    let engine_memory_limit =
        r.number_where(t, "engine_memory_limit", "must be 64 to 1048576 (MiB)", |n: u32| {
            (64..=1 << 20).contains(&n)
        });
    let ebgp_requires_policy = r.boolean(t, "ebgp_requires_policy");
    let reject_as_sets = r.boolean(t, "reject_as_sets");
    let router_id = router_id?.value;
    Some(Global {
        asn: asn?.value,
        router_id,
        listen_port: listen_port?.value,
        listen_addresses,
        dynamic_neighbor_limit: limit.map_or(100, |n| n.value),
        runtime_state_dir: absolute(dir),
        cluster_id: cluster_id.map_or(router_id, |id| id.value),
        user: user.map(|u| u.value.to_owned()),
        group,
        med_always_compare: med_always_compare.is_some_and(|b| b.value),
        rde_threads: rde_threads.map_or_else(default_threads, |n| n.value),
        engine_memory_limit: engine_memory_limit.map(|n| u64::from(n.value) << 20),
        ebgp_requires_policy: ebgp_requires_policy.is_some_and(|b| b.value),
        reject_as_sets: reject_as_sets.is_some_and(|b| b.value),
    })
}

/// Threads for the tables where the file does not say how many: by the processors that this process may use.
/// The engine that gets the number could not find out, it opens no files.
fn default_threads() -> u16 {
    threads_for(std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Half of the processors for the tables: the other half is for what reads and writes.
fn threads_for(processors: usize) -> u16 {
    u16::try_from(processors / 2).unwrap_or(u16::MAX).clamp(1, 8)
}

/// A BGP identifier: any but 0 (RFC 6286 §2.1).
fn identifier<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Option<At<Ipv4Addr>> {
    let id = r.parse(t, key, "an IPv4 address");
    r.keep(key, id, "must not be 0.0.0.0", |id: &Ipv4Addr| !id.is_unspecified())
}

fn listen_addresses<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Vec<IpAddr> {
    let key = "listen_addresses";
    let listed = r.strings(t, key);
    let listed =
        r.keep(key, listed, "must not be empty: listen_port = 0 turns listening off", |l| !l.is_empty());
    let Some(listed) = listed else {
        return vec![Ipv4Addr::UNSPECIFIED.into(), std::net::Ipv6Addr::UNSPECIFIED.into()];
    };
    let mut seen = HashMap::new();
    let mut addresses = Vec::new();
    for text in listed.value {
        let address = r.parse_text(key, text, "an IP address");
        let address = r.keep(key, address, "must not be a multicast address", |a: &IpAddr| !a.is_multicast());
        let Some(address) = address else { continue };
        match seen.get(&address.value) {
            Some(first) => r.repeated(key, address.span, std::ops::Range::clone(first)),
            None => {
                addresses.push(address.value);
                seen.insert(address.value, address.span);
            }
        }
    }
    addresses
}

/// A group that the system knows.
pub(super) fn group<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Option<String> {
    let name = r.text(t, key);
    let name = r.keep(key, name, "there is no such group", |g| matches!(Group::from_name(g), Ok(Some(_))));
    name.map(|g| g.value.to_owned())
}

fn user_exists(name: &str) -> bool {
    matches!(User::from_name(name), Ok(Some(_)))
}

/// The path seen from the root directory: the daemon does not stay where it was started.
fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| Path::new(path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_processors_are_for_the_tables() {
        assert_eq!([1, 2, 3, 4, 15, 16, 17, 1 << 20].map(threads_for), [1, 1, 1, 2, 7, 8, 8, 8]);
    }
}
