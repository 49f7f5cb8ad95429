//! A table for each change: the route before, the route after. IPv4 and IPv6.

use bgp::NextHop;
use bgp::attr::PathAttribute;
use bgp::attr::canonical::Builder;
use policy::{Change, Definitions, NextHopChange, RouteBuf};

use crate::talk::{attributes, communities, only, patterns, permit, route, shown, tagged, through, with};

fn add(list: &[&str]) -> Change {
    Change::AddCommunities(patterns(list))
}

fn remove(list: &[&str]) -> Change {
    Change::RemoveCommunities(patterns(list))
}

/// The changes, attributes before, attributes after.
fn table(cases: &[(Vec<Change>, Builder, Builder)]) {
    for (changes, before, after) in cases {
        let (_, chain) = only(vec![permit(Vec::new(), changes.clone())], Definitions::default());
        for prefix in ["192.0.2.0/24", "2001:db8::/32"] {
            let (found, _) = through(&chain, &with(prefix, before)).unwrap();
            let expected = after.build();
            assert_eq!(shown(&found), shown(&expected), "{changes:?}");
            assert_eq!(found, expected, "{changes:?}");
        }
    }
}

fn having(list: &[&str]) -> Builder {
    communities(list).into_iter().fold(attributes("65002 1"), Builder::with)
}

#[test]
fn numbers_replace_or_come_in() {
    let plain = || attributes("65002 1");
    let pref = |n| plain().with(PathAttribute::LocalPref(n));
    let med = |n| plain().with(PathAttribute::MultiExitDisc(n));
    table(&[
        (vec![Change::LocalPref(200)], plain(), pref(200)),
        (vec![Change::LocalPref(200)], pref(50), pref(200)),
        (vec![Change::LocalPref(0)], pref(0), pref(0)),
        (vec![Change::Med(7)], plain(), med(7)),
        (vec![Change::Med(0)], med(7), med(0)),
        (
            vec![Change::Med(1), Change::LocalPref(2)],
            having(&["65001:1", "LC:1:2:3"]),
            having(&["65001:1", "LC:1:2:3"])
                .with(PathAttribute::MultiExitDisc(1))
                .with(PathAttribute::LocalPref(2)),
        ),
        (vec![], med(7), med(7)),
    ]);
}

#[test]
fn rfc4271_5_1_2_prepending() {
    let prepend = |asn, count| vec![Change::Prepend { asn, count }];
    table(&[
        (prepend(65001, 1), attributes("65002 1"), attributes("65001 65002 1")),
        (prepend(65001, 10), attributes(""), attributes(&["65001"; 10].join(" "))),
        (prepend(4_200_000_000, 2), attributes("{1 2}"), attributes("4200000000 4200000000 {1 2}")),
    ]);
}

#[test]
fn communities_are_added_once_and_in_order() {
    table(&[
        (vec![add(&["65001:100"])], having(&[]), having(&["65001:100"])),
        (vec![add(&["65001:100"])], having(&["65001:100"]), having(&["65001:100"])),
        (
            vec![add(&["NO_EXPORT", "65001:2", "RT:4200000000:7", "RO:1:2", "LC:4:5:6"])],
            having(&["65001:1", "65001:3", "RT:1:1", "LC:4:5:7", "LC:1:1:1"]),
            having(&[
                "65001:1",
                "65001:2",
                "65001:3",
                "NO_EXPORT",
                "RT:1:1",
                "RO:1:2",
                "RT:4200000000:7",
                "LC:1:1:1",
                "LC:4:5:6",
                "LC:4:5:7",
            ]),
        ),
    ]);
}

#[test]
fn communities_are_removed_by_pattern() {
    table(&[
        (vec![remove(&["65001:*"])], having(&["65001:1", "65001:2", "65002:1"]), having(&["65002:1"])),
        // A list of nothing is no attribute.
        (vec![remove(&["*:*"])], having(&["65001:1", "NO_EXPORT", "LC:1:2:3"]), having(&["LC:1:2:3"])),
        (
            vec![remove(&["RT:*:*", "LC:1:*:*"])],
            having(&["RT:1:1", "RT:192.0.2.1:1", "RT:4200000000:1", "RO:1:1", "LC:1:2:3", "LC:2:2:3"]),
            having(&["RO:1:1", "LC:2:2:3"]),
        ),
        (vec![remove(&["65001:9"])], having(&["65001:1"]), having(&["65001:1"])),
        // Removal goes first, whichever is written first.
        (vec![add(&["65001:100"]), remove(&["65001:*"])], having(&["65001:1"]), having(&["65001:100"])),
    ]);
}

#[test]
fn what_is_not_known_stays_as_it_is() {
    let unknown = PathAttribute::Unknown { flags: 0xe0, code: 200, value: vec![1, 2, 3] };
    let having = |b: Builder| b.with(unknown.clone()).with(PathAttribute::AtomicAggregate);
    table(&[(
        vec![Change::Med(1)],
        having(attributes("1")),
        having(attributes("1")).with(PathAttribute::MultiExitDisc(1)),
    )]);
}

#[test]
fn next_hops() {
    let next_hop = |route: &RouteBuf, change| {
        let (_, chain) =
            only(vec![permit(Vec::new(), vec![Change::NextHop(change)])], Definitions::default());
        let (attributes, summed) = through(&chain, route).unwrap();
        assert_eq!(attributes, route.attributes);
        summed.next_hop_of(route.next_hop, Some(NextHop::V4("10.0.0.1".parse().unwrap())))
    };
    let v4 = route("192.0.2.0/24", "1");
    let v6 = route("2001:db8::/32", "1");
    let address = |a: &str| NextHopChange::Address(a.parse().unwrap());
    let to = |a: &str| Some(NextHop::from(a.parse::<std::net::IpAddr>().unwrap()));
    for (route, change, expected) in [
        (&v4, address("10.9.9.9"), to("10.9.9.9")),
        (&v4, address("2001:db8::9"), to("2001:db8::9")),
        (&v6, address("2001:db8::9"), to("2001:db8::9")),
        // An IPv6 route has no use for an IPv4 next hop: it keeps its own.
        (&v6, address("10.9.9.9"), to("2001:db8::2")),
        (&v4, NextHopChange::OurAddress, to("10.0.0.1")),
    ] {
        assert_eq!(next_hop(route, change), expected, "{change}");
    }
}

/// What would not fit an attribute of 65535 octets is left as it was.
#[test]
fn attributes_do_not_overflow() {
    let many = |kind: &str, n: u32| -> Vec<String> {
        (0..n).map(|i| format!("{kind}{}:{}", i >> 16, i & 0xffff)).collect()
    };
    let list = many("", 16383);
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let full = tagged("192.0.2.0/24", "1", &list);
    let (_, chain) = only(vec![permit(Vec::new(), vec![add(&["65001:1"])])], Definitions::default());
    assert!(through(&chain, &full).unwrap().0 == full.attributes);
    // 65530 octets; the first segment has no room.
    let long = route("192.0.2.0/24", &["5"; 16350].join(" "));
    let (_, chain) =
        only(vec![permit(Vec::new(), vec![Change::Prepend { asn: 9, count: 10 }])], Definitions::default());
    assert!(through(&chain, &long).unwrap().0 == long.attributes);
}
