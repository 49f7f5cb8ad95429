//! Which TCP-MD5 keys the listeners have, so that everybody who may connect has the right one: a neighbor its own, who
//! is in a range that of its longest one, and nobody a key that has none.
//!
//! The kernel takes the key of the longest prefix that has an address, and cannot be told that there is none for some of
//! them. A range that holds addresses without a key therefore becomes the prefixes around those.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::config::{Config, Secret};

/// Keys by prefix.
pub(super) type Keys = BTreeMap<IpNet, Secret>;

/// The keys for the neighbors and ranges of `config`.
pub(super) fn of(config: &Config) -> Keys {
    let neighbors = config.neighbors.iter().map(|n| (IpNet::from(n.address), n.md5_password.as_ref()));
    let ranges: Vec<(IpNet, Option<&Secret>)> =
        config.dynamic_neighbors.iter().map(|r| (r.prefix, r.template.md5_password.as_ref())).collect();
    let all = || neighbors.clone().chain(ranges.iter().copied());
    let without: Vec<IpNet> = all().filter(|(_, key)| key.is_none()).map(|(prefix, _)| prefix).collect();
    let mut keys = Keys::new();
    for (prefix, key) in &ranges {
        let Some(key) = key else { continue };
        let inside = |other: &IpNet| other != prefix && prefix.contains(other);
        // A range in this one that has such addresses looks after them itself.
        let split = |range: &IpNet| without.iter().any(|w| range.contains(w));
        let nested = ranges.iter().map(|(range, _)| *range).filter(|range| inside(range) && split(range));
        let holes: Vec<IpNet> = without.iter().copied().filter(inside).chain(nested).collect();
        for part in around(*prefix, &holes) {
            keys.insert(part, (*key).clone());
        }
    }
    keys.extend(neighbors.filter_map(|(prefix, key)| Some((prefix, key?.clone()))));
    keys
}

/// What of `prefix` is in no hole, in as few prefixes as possible.
fn around(prefix: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    if holes.iter().any(|hole| hole.contains(&prefix)) {
        return Vec::new();
    }
    let inside: Vec<IpNet> = holes.iter().copied().filter(|hole| prefix.contains(hole)).collect();
    if inside.is_empty() {
        return vec![prefix];
    }
    // It is longer than the whole prefix, so that there are halves.
    let halves = prefix.subnets(prefix.prefix_len() + 1).into_iter().flatten();
    halves.flat_map(|half| around(half, &inside)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use super::*;

    fn keys(rest: &str) -> Keys {
        let global =
            "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";
        let config = crate::config::from_text(Path::new("c.toml"), &format!("{global}{rest}"));
        of(&config.unwrap().config)
    }

    /// The key that the kernel takes for this address.
    fn taken(keys: &Keys, address: &str) -> String {
        let address: IpAddr = address.parse().unwrap();
        let longest = keys.iter().filter(|(p, _)| p.contains(&address)).max_by_key(|(p, _)| p.prefix_len());
        longest.map_or_else(String::new, |(_, key)| String::from_utf8(key.expose().to_vec()).unwrap())
    }

    #[test]
    fn everybody_has_the_key_of_the_longest_match_and_none_where_that_has_none() {
        let keys = keys(
            "[peer_groups.a]\nmd5_password = \"a\"\n[peer_groups.b]\nmd5_password = \"b\"\n[peer_groups.none]\n\
             [[dynamic_neighbors]]\nprefix = \"10.0.0.0/8\"\npeer_group = \"a\"\n\
             [[dynamic_neighbors]]\nprefix = \"10.1.0.0/16\"\npeer_group = \"b\"\n\
             [[dynamic_neighbors]]\nprefix = \"10.1.2.0/24\"\npeer_group = \"none\"\n\
             [[dynamic_neighbors]]\nprefix = \"10.1.2.64/26\"\npeer_group = \"a\"\n\
             [[dynamic_neighbors]]\nprefix = \"10.9.0.0/16\"\npeer_group = \"b\"\n\
             [[dynamic_neighbors]]\nprefix = \"2001:db8::/32\"\npeer_group = \"b\"\n\
             [[neighbors]]\naddress = \"10.0.0.1\"\nremote_asn = 65002\nmd5_password = \"own\"\n\
             [[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n\
             [[neighbors]]\naddress = \"10.1.2.65\"\nremote_asn = 65002\n\
             [[neighbors]]\naddress = \"10.1.2.1\"\nremote_asn = 65002\nmd5_password = \"own\"\n\
             [[neighbors]]\naddress = \"2001:db8::1\"\nremote_asn = 65002\n",
        );
        for (address, key) in [
            ("10.0.0.1", "own"),
            ("10.0.0.2", ""),
            ("10.0.0.3", "a"),
            ("10.255.0.1", "a"),
            ("10.1.0.1", "b"),
            ("10.1.2.1", "own"),
            ("10.1.2.2", ""),
            ("10.1.2.64", "a"),
            ("10.1.2.65", ""),
            ("10.1.2.66", "a"),
            ("10.1.3.0", "b"),
            ("10.9.1.1", "b"),
            ("11.0.0.1", ""),
            ("2001:db8::1", ""),
            ("2001:db8::2", "b"),
            ("2001:db9::", ""),
        ] {
            assert_eq!(taken(&keys, address), key, "{address}");
        }
    }

    #[test]
    fn a_range_without_exceptions_has_one_key_and_each_exception_costs_one_for_each_bit() {
        let prefix: IpNet = "10.0.0.0/24".parse().unwrap();
        assert_eq!(around(prefix, &[]), [prefix]);
        assert_eq!(around(prefix, &["10.0.0.77/32".parse().unwrap()]).len(), 8);
        assert!(around(prefix, &[prefix]).is_empty());
        assert!(around("10.0.0.1/32".parse().unwrap(), &["10.0.0.0/24".parse().unwrap()]).is_empty());
    }
}
