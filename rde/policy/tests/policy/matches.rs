//! A table for each match: routes that it matches, routes that it does not. IPv4 and IPv6.

use bgp::NextHop;
use bgp::attr::PathAttribute;
use policy::{
    Action, AspaState, Definitions, Match, Named, NeighborSet, Outcome, Peer, PrefixRange, RouteBuf,
    RouteType, RpkiState, Scratch, Silent,
};

use crate::talk::{attributes, only, patterns, peer, permit, route, tagged, with};

fn holds(written: &Match, definitions: &Definitions, route: &RouteBuf, peer: &Peer) -> bool {
    let (policies, chain) = only(vec![permit(vec![written.clone()], Vec::new())], definitions.clone());
    let context = policies.context(peer);
    let outcome: Outcome = chain.evaluate(&route.route(), &context, &mut Scratch::default(), &mut Silent);
    assert!(!outcome.changes);
    outcome.action == Action::Permit
}

/// The match, what it matches, what it does not.
fn table(cases: &[(Match, Vec<RouteBuf>, Vec<RouteBuf>)], definitions: &Definitions) {
    for (written, good, bad) in cases {
        for (routes, expected) in [(good, true), (bad, false)] {
            for route in routes {
                let found = holds(written, definitions, route, &peer());
                assert_eq!(found, expected, "{written} on {route:?}");
            }
        }
    }
}

fn range(prefix: &str, ge: Option<u8>, le: Option<u8>) -> Match {
    Match::Prefix(PrefixRange::new(prefix.parse().unwrap(), ge, le).unwrap())
}

fn routes(prefixes: &[&str]) -> Vec<RouteBuf> {
    prefixes.iter().map(|p| route(p, "65002")).collect()
}

fn paths(paths: &[&str]) -> Vec<RouteBuf> {
    paths.iter().flat_map(|p| [route("192.0.2.0/24", p), route("2001:db8::/32", p)]).collect()
}

#[test]
fn prefixes() {
    table(
        &[
            (
                range("10.0.0.0/8", None, None),
                routes(&["10.0.0.0/8"]),
                routes(&["10.0.0.0/9", "0.0.0.0/0", "11.0.0.0/8", "a00::/8", "10.0.0.0/7"]),
            ),
            (
                range("10.0.0.0/8", Some(16), None),
                routes(&["10.1.0.0/16", "10.0.0.1/32"]),
                routes(&["10.0.0.0/8", "10.0.0.0/15", "11.1.0.0/16"]),
            ),
            (
                range("10.0.0.0/8", None, Some(16)),
                routes(&["10.0.0.0/8", "10.255.0.0/16"]),
                routes(&["10.0.0.0/17", "0.0.0.0/0"]),
            ),
            (
                range("10.0.0.0/8", Some(9), Some(24)),
                routes(&["10.128.0.0/9", "10.0.0.0/24"]),
                routes(&["10.0.0.0/8", "10.0.0.0/25"]),
            ),
            (range("0.0.0.0/0", None, Some(32)), routes(&["0.0.0.0/0", "192.0.2.1/32"]), routes(&["::/0"])),
            (
                range("2001:db8::/32", Some(48), Some(64)),
                routes(&["2001:db8:1::/48", "2001:db8::/64"]),
                routes(&["2001:db8::/32", "2001:db8::/65", "2001:db9::/48", "32.1.13.184/32"]),
            ),
            (range("::/0", None, None), routes(&["::/0"]), routes(&["0.0.0.0/0", "::/1"])),
        ],
        &Definitions::default(),
    );
}

#[test]
fn named_sets() {
    let definitions = Definitions {
        prefix_sets: vec![Named {
            name: "ours".to_owned(),
            value: ["192.0.2.0/24", "10.0.0.0/8 ge 9 le 24", "2001:db8::/32 le 48"]
                .map(|r| r.parse().unwrap())
                .to_vec(),
        }],
        as_sets: vec![Named { name: "customers".to_owned(), value: vec![65011, 65010] }],
        community_sets: vec![Named {
            name: "marks".to_owned(),
            value: patterns(&["BLACKHOLE", "65001:*", "RT:65001:1", "LC:1:2:3"]),
        }],
        ..Definitions::default()
    };
    let name = |name: &str| name.to_owned();
    let communities = |list: &[&str]| {
        let both = |c: &&str| [tagged("192.0.2.0/24", "1", &[c]), tagged("2001:db8::/32", "1", &[c])];
        list.iter().flat_map(both).collect::<Vec<_>>()
    };
    table(
        &[
            (
                Match::PrefixSet(name("ours")),
                routes(&["192.0.2.0/24", "10.1.0.0/16", "2001:db8::/32", "2001:db8:1::/48"]),
                routes(&["192.0.2.0/25", "10.0.0.0/8", "2001:db8::/49", "::/0"]),
            ),
            (
                Match::OriginAsSet(name("customers")),
                paths(&["65010", "65002 65011", "{1 2} 65010"]),
                paths(&["", "65010 65002", "65002 {65010}"]),
            ),
            (
                Match::CommunitySet(name("marks")),
                communities(&["BLACKHOLE", "65001:7", "RT:65001:1", "LC:1:2:3"]),
                communities(&["NO_EXPORT", "65002:7", "RO:65001:1", "LC:1:2:4"]),
            ),
            (
                Match::Communities(patterns(&["65001:100", "RT:*:7", "LC:9:*:*"])),
                communities(&["65001:100", "RT:4200000000:7", "RT:192.0.2.1:7", "LC:9:0:1"]),
                communities(&["65001:101", "RT:65001:8", "LC:8:9:9"]),
            ),
            (Match::Communities(patterns(&["NO_EXPORT"])), communities(&["NO_EXPORT"]), paths(&["1"])),
        ],
        &definitions,
    );
}

#[test]
fn neighbor_sets_have_peers_by_address_as_or_group() {
    let set = |value| Definitions {
        neighbor_sets: (0..70)
            .map(|n| Named { name: format!("other{n}"), value: NeighborSet::default() })
            .chain([Named { name: "set".to_owned(), value }])
            .collect(),
        ..Definitions::default()
    };
    let by_address = NeighborSet { addresses: vec!["10.0.0.2".parse().unwrap()], ..NeighborSet::default() };
    let by_as = NeighborSet { remote_asns: vec![65002], ..NeighborSet::default() };
    let by_group = NeighborSet { peer_groups: vec!["transit".to_owned()], ..NeighborSet::default() };
    let written = Match::NeighborSet("set".to_owned());
    let route = route("192.0.2.0/24", "65002");
    let stranger = Peer { address: "10.0.0.3".parse().unwrap(), remote_asn: 65003, peer_group: None };
    let v6 = Peer { address: "2001:db8::2".parse().unwrap(), remote_asn: 65002, peer_group: None };
    let member = Peer { peer_group: Some("transit".to_owned()), ..stranger.clone() };
    let other = Peer { peer_group: Some("peering".to_owned()), ..stranger.clone() };
    for (value, peer, expected) in [
        (&by_address, &peer(), true),
        (&by_address, &stranger, false),
        (&by_as, &v6, true),
        (&by_as, &stranger, false),
        (&by_group, &member, true),
        (&by_group, &other, false),
        (&by_group, &stranger, false),
        (&NeighborSet::default(), &member, false),
    ] {
        assert_eq!(holds(&written, &set(value.clone()), &route, peer), expected, "{value:?} {peer:?}");
    }
}

#[test]
fn route_types_and_validation() {
    let of = |route_type| RouteBuf { route_type, ..route("192.0.2.0/24", "1") };
    let (local, internal, external) =
        (of(RouteType::Local), of(RouteType::Internal), of(RouteType::External));
    let rpki = |rpki| RouteBuf { rpki, ..route("2001:db8::/32", "1") };
    let aspa = |aspa| RouteBuf { aspa, ..route("192.0.2.0/24", "1") };
    let not_found = rpki(RpkiState::NotFound);
    let unknown = aspa(AspaState::Unknown);
    table(
        &[
            (
                Match::RouteType(RouteType::Local),
                vec![local.clone()],
                vec![internal.clone(), external.clone()],
            ),
            (
                Match::RouteType(RouteType::Internal),
                vec![internal.clone()],
                vec![local.clone(), external.clone()],
            ),
            (Match::RouteType(RouteType::External), vec![external], vec![local, internal]),
            (
                Match::Rpki(RpkiState::Valid),
                vec![rpki(RpkiState::Valid)],
                vec![not_found.clone(), rpki(RpkiState::Invalid)],
            ),
            (Match::Rpki(RpkiState::Invalid), vec![rpki(RpkiState::Invalid)], vec![not_found.clone()]),
            (Match::Rpki(RpkiState::NotFound), vec![not_found], vec![rpki(RpkiState::Valid)]),
            (Match::Aspa(AspaState::Valid), vec![aspa(AspaState::Valid)], vec![unknown.clone()]),
            (Match::Aspa(AspaState::Invalid), vec![aspa(AspaState::Invalid)], vec![unknown.clone()]),
            (Match::Aspa(AspaState::Unknown), vec![unknown], vec![aspa(AspaState::Valid)]),
        ],
        &Definitions::default(),
    );
}

/// An absent LOCAL_PREF counts as 100, an absent MED as 0; a set in the path counts 1.
#[test]
fn numbers() {
    let pref = |n| with("192.0.2.0/24", &attributes("1").with(PathAttribute::LocalPref(n)));
    let med = |n| with("2001:db8::/32", &attributes("1").with(PathAttribute::MultiExitDisc(n)));
    let none = || route("192.0.2.0/24", "1");
    table(
        &[
            (Match::LocalPrefGe(100), vec![none(), pref(100), pref(101)], vec![pref(99), pref(0)]),
            (Match::LocalPrefLe(100), vec![none(), pref(100), pref(0)], vec![pref(101), pref(u32::MAX)]),
            (Match::LocalPrefGe(101), vec![pref(101)], vec![none()]),
            (Match::MedGe(1), vec![med(1), med(u32::MAX)], vec![none(), med(0)]),
            (Match::MedLe(0), vec![none(), med(0)], vec![med(1)]),
            (Match::MedGe(0), vec![none(), med(0)], vec![]),
            (Match::AsPathLengthGe(2), paths(&["1 2", "1 {2 3}", "1 2 3"]), paths(&["", "1", "{1 2 3}"])),
            (Match::AsPathLengthLe(1), paths(&["", "1", "{1 2 3}", "(1 2) 3"]), paths(&["1 2", "1 {2}"])),
        ],
        &Definitions::default(),
    );
}

#[test]
fn next_hops() {
    let hop = |next_hop| RouteBuf { next_hop, ..route("192.0.2.0/24", "1") };
    let v4 = || hop(NextHop::V4("10.0.0.2".parse().unwrap()));
    let v6 = || hop(NextHop::V6("2001:db8::2".parse().unwrap()));
    let pair = hop(NextHop::V6Pair("2001:db8::2".parse().unwrap(), "fe80::2".parse().unwrap()));
    table(
        &[
            (
                Match::NextHop("10.0.0.2".parse().unwrap()),
                vec![v4()],
                vec![v6(), hop(NextHop::V4("10.0.0.3".parse().unwrap()))],
            ),
            (Match::NextHop("2001:db8::2".parse().unwrap()), vec![v6(), pair.clone()], vec![v4()]),
            (Match::NextHop("fe80::2".parse().unwrap()), vec![], vec![pair]),
        ],
        &Definitions::default(),
    );
}

#[test]
fn expressions() {
    let written = |text: &str| Match::AsPath(text.to_owned());
    table(
        &[
            (written("^65002_"), paths(&["65002", "65002 1"]), paths(&["", "1 65002"])),
            (written("_65002$"), paths(&["65002", "1 65002"]), paths(&["65002 1"])),
            (written("_65002_"), paths(&["1 65002 2"]), paths(&["165002"])),
            (written("^$"), paths(&[""]), paths(&["1"])),
            (written("(_1){2}"), paths(&["1 1", "2 1 1"]), paths(&["1 2 1"])),
        ],
        &Definitions::default(),
    );
}

#[test]
fn all_matches_of_a_statement_must_hold() {
    let both = vec![range("192.0.2.0/24", None, None), Match::AsPath("^65002_".to_owned())];
    let (_, chain) = only(vec![permit(both, Vec::new())], Definitions::default());
    for (prefix, path, expected) in
        [("192.0.2.0/24", "65002", true), ("192.0.2.0/24", "65003", false), ("192.0.3.0/24", "65002", false)]
    {
        assert_eq!(crate::talk::through(&chain, &route(prefix, path)).is_some(), expected);
    }
}
