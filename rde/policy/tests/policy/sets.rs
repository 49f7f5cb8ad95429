//! Prefix sets against a plain list.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy::{PrefixRange, PrefixSet};
use proptest::prelude::*;

/// Few bits, so that ranges lie inside of each other.
fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0_u8..8, 0_u8..4, 0_u8..=32).prop_map(|(a, b, len)| {
        let address = u32::from(a) << 29 | u32::from(b) << 6 | 0x00ff_0000;
        IpNet::V4(Ipv4Net::new(address.into(), len).unwrap())
    });
    let v6 = (0_u8..4, 0_u8..4, 0_u8..=128).prop_map(|(a, b, len)| {
        let address = u128::from(a) << 126 | u128::from(b) << 62 | 1;
        IpNet::V6(Ipv6Net::new(address.into(), len).unwrap())
    });
    prop_oneof![v4, v6].prop_map(|net| net.trunc())
}

fn range() -> impl Strategy<Value = PrefixRange> {
    (prefix(), any::<u8>(), any::<u8>(), 0..4).prop_map(|(prefix, a, b, bounds)| {
        let (least, most) = (prefix.prefix_len(), prefix.max_prefix_len());
        let fit = |n: u8| least + n % (most - least + 1);
        let (ge, le) = (fit(a).min(fit(b)), fit(a).max(fit(b)));
        PrefixRange::new(prefix, (bounds & 1 > 0).then_some(ge), (bounds & 2 > 0).then_some(le)).unwrap()
    })
}

fn plain(ranges: &[PrefixRange], prefix: IpNet) -> bool {
    ranges.iter().any(|r| r.prefix().contains(&prefix) && r.lengths().contains(&prefix.prefix_len()))
}

proptest! {
    #[test]
    fn a_prefix_set_is_a_list_of_ranges(
        ranges in prop::collection::vec(range(), 0..40),
        prefixes in prop::collection::vec(prefix(), 1..40),
    ) {
        let set: PrefixSet = ranges.iter().collect();
        for prefix in prefixes.into_iter().chain(ranges.iter().map(PrefixRange::prefix)) {
            prop_assert_eq!(set.contains(prefix), plain(&ranges, prefix), "{} in {:?}", prefix, ranges);
        }
    }

    #[test]
    fn ranges_are_shown_as_they_are_read(range in range()) {
        prop_assert_eq!(range.to_string().parse::<PrefixRange>(), Ok(range));
    }
}

/// What is as deep as an address allows, at both ends of it.
#[test]
fn the_ends_of_the_address_space() {
    let ranges: Vec<PrefixRange> = [
        "0.0.0.0/32",
        "255.255.255.255/32",
        "::/128",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
        "128.0.0.0/1 ge 32",
    ]
    .map(|r| r.parse().unwrap())
    .to_vec();
    let set: PrefixSet = ranges.iter().collect();
    for prefix in [
        "0.0.0.0/32",
        "0.0.0.1/32",
        "255.255.255.255/32",
        "128.0.0.0/1",
        "127.255.255.255/32",
        "::/128",
        "::1/128",
    ] {
        let prefix = prefix.parse().unwrap();
        assert_eq!(set.contains(prefix), plain(&ranges, prefix), "{prefix}");
    }
}
