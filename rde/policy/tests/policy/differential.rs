//! Random routes through random policies: the library, the library while it explains, and the reference.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use policy::{
    Action, AspaState, Change, CommunityPattern, Decider, Definitions, Explanation, Match, Named,
    NeighborSet, NextHopChange, Outcome, Peer, Policies, PolicyDef, PrefixRange, Prepared, Route, RouteType,
    RpkiState, Scratch, Silent, StatementDef, Summed,
};
use proptest::prelude::*;

use crate::aspath::{expression, path};
use crate::reference::{OURS, Plain, evaluate, octets};
use crate::talk::shown;

fn one_of<T: Clone + std::fmt::Debug + 'static>(list: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(list.to_vec())
}

const PREFIXES: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "192.0.2.0/24",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "::/0",
];

fn prefix() -> impl Strategy<Value = IpNet> {
    one_of(&PREFIXES).prop_map(|p| p.parse().unwrap())
}

fn range() -> impl Strategy<Value = PrefixRange> {
    (prefix(), prop::option::of(0_u8..=16), prop::option::of(0_u8..=16)).prop_map(|(prefix, ge, le)| {
        let at = |n: u8| (prefix.prefix_len() + n).min(prefix.max_prefix_len());
        let ge = ge.map(at);
        let le = le.map(|n| at(n).max(ge.unwrap_or(0)));
        PrefixRange::new(prefix, ge, le).unwrap()
    })
}

const COMMUNITIES: [&str; 14] = [
    "NO_EXPORT",
    "BLACKHOLE",
    "1:1",
    "1:2",
    "2:1",
    "65001:65535",
    "RT:1:1",
    "RT:1:70000",
    "RT:4200000000:1",
    "RT:192.0.2.1:1",
    "RO:1:1",
    "LC:1:2:3",
    "LC:1:2:4",
    "LC:4200000000:2:3",
];

const PATTERNS: [&str; 10] =
    ["1:*", "*:1", "*:*", "RT:1:*", "RT:*:1", "RT:*:*", "RO:*:*", "LC:1:*:*", "LC:*:2:3", "65535:65281"];

fn exact_communities() -> impl Strategy<Value = Vec<CommunityPattern>> {
    prop::collection::vec(one_of(&COMMUNITIES).prop_map(|c| c.parse().unwrap()), 1..3)
}

fn communities() -> impl Strategy<Value = Vec<CommunityPattern>> {
    let one = prop_oneof![one_of(&COMMUNITIES), one_of(&PATTERNS)].prop_map(|c| c.parse().unwrap());
    prop::collection::vec(one, 1..3)
}

fn next_hop() -> impl Strategy<Value = IpAddr> {
    one_of(&["10.0.0.2", "10.0.0.3", "2001:db8::2"]).prop_map(|a| a.parse().unwrap())
}

fn route_type() -> impl Strategy<Value = RouteType> {
    one_of(&[RouteType::Local, RouteType::Internal, RouteType::External])
}

fn rpki() -> impl Strategy<Value = RpkiState> {
    one_of(&[RpkiState::Valid, RpkiState::Invalid, RpkiState::NotFound])
}

fn aspa() -> impl Strategy<Value = AspaState> {
    one_of(&[AspaState::Valid, AspaState::Invalid, AspaState::Unknown])
}

fn name() -> impl Strategy<Value = String> {
    one_of(&["a", "b"]).prop_map(str::to_owned)
}

fn a_match() -> impl Strategy<Value = Match> {
    let preference = || one_of(&[0, 99, 100, 101, 200]);
    let metric = || one_of(&[0, 1, 50]);
    prop_oneof![
        range().prop_map(Match::Prefix),
        name().prop_map(Match::PrefixSet),
        communities().prop_map(Match::Communities),
        name().prop_map(Match::CommunitySet),
        expression().prop_map(Match::AsPath),
        name().prop_map(Match::OriginAsSet),
        name().prop_map(Match::NeighborSet),
        route_type().prop_map(Match::RouteType),
        (0_u32..5).prop_map(Match::AsPathLengthGe),
        (0_u32..5).prop_map(Match::AsPathLengthLe),
        preference().prop_map(Match::LocalPrefGe),
        preference().prop_map(Match::LocalPrefLe),
        metric().prop_map(Match::MedGe),
        metric().prop_map(Match::MedLe),
        next_hop().prop_map(Match::NextHop),
        rpki().prop_map(Match::Rpki),
        aspa().prop_map(Match::Aspa),
    ]
}

/// At most one of each, as a file can have.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    use prop::option::weighted;
    let next_hop = prop_oneof![Just(NextHopChange::OurAddress), next_hop().prop_map(NextHopChange::Address)];
    (
        weighted(0.3, (0_u32..300).prop_map(Change::LocalPref)),
        weighted(0.3, (0_u32..3).prop_map(Change::Med)),
        weighted(0.2, next_hop.prop_map(Change::NextHop)),
        weighted(0.4, exact_communities().prop_map(Change::AddCommunities)),
        weighted(0.4, communities().prop_map(Change::RemoveCommunities)),
        weighted(0.2, (1_u32..3, 1_u8..=10).prop_map(|(asn, count)| Change::Prepend { asn, count })),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].into_iter().flatten().collect())
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![3 => Just(Action::Permit), 1 => Just(Action::Deny)]
}

fn statement() -> impl Strategy<Value = StatementDef> {
    (action(), prop::collection::vec(a_match(), 1..3), changes()).prop_map(|(action, matches, changes)| {
        let changes = if action == Action::Permit { changes } else { Vec::new() };
        StatementDef { name: None, line: 1, action, matches, changes }
    })
}

fn policies() -> impl Strategy<Value = Vec<PolicyDef>> {
    let one = (action(), prop::collection::vec(statement(), 0..5));
    prop::collection::vec(one, 1..4).prop_map(|list| {
        let named = |(n, (default_action, statements))| PolicyDef {
            name: format!("p{n}"),
            default_action,
            statements,
        };
        list.into_iter().enumerate().map(named).collect()
    })
}

fn definitions() -> impl Strategy<Value = Definitions> {
    fn two<T>([a, b]: [T; 2]) -> Vec<Named<T>> {
        vec![Named { name: "a".to_owned(), value: a }, Named { name: "b".to_owned(), value: b }]
    }
    let neighbors =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(address, asn, group)| NeighborSet {
            addresses: address.then(|| "10.0.0.2".parse().unwrap()).into_iter().collect(),
            remote_asns: asn.then_some(1).into_iter().collect(),
            peer_groups: group.then(|| "g".to_owned()).into_iter().collect(),
        });
    (
        policies(),
        prop::array::uniform2(prop::collection::vec(range(), 0..4)),
        prop::array::uniform2(prop::collection::vec(one_of(&[1, 2, 11, 65001]), 0..3)),
        prop::array::uniform2(communities()),
        prop::array::uniform2(neighbors),
    )
        .prop_map(|(policies, prefixes, asns, communities, neighbors)| Definitions {
            policies,
            inline: Vec::new(),
            prefix_sets: two(prefixes),
            as_sets: two(asns),
            community_sets: two(communities),
            neighbor_sets: two(neighbors),
        })
}

fn route() -> impl Strategy<Value = Plain> {
    let carried = prop::collection::vec(one_of(&COMMUNITIES), 0..6)
        .prop_map(|list| list.into_iter().map(|c| (c.to_owned(), octets(c))).collect::<BTreeSet<_>>());
    let local_pref = prop::option::of(one_of(&[0, 99, 100, 101, 200]));
    let med = prop::option::of(one_of(&[0, 1, 50]));
    (prefix(), path(), local_pref, med, carried, next_hop(), route_type(), rpki(), aspa()).prop_map(
        |(prefix, path, local_pref, med, communities, next_hop, route_type, rpki, aspa)| Plain {
            prefix,
            path,
            local_pref,
            med,
            communities,
            next_hop,
            route_type,
            rpki,
            aspa,
        },
    )
}

fn peer() -> impl Strategy<Value = Peer> {
    (next_hop(), 1_u32..3, prop::option::of(one_of(&["g", "h"]))).prop_map(|(address, remote_asn, group)| {
        Peer { address, remote_asn, peer_group: group.map(str::to_owned) }
    })
}

/// What comes out: the attributes and the next hop, or who denied it.
type Found = Result<(Vec<u8>, IpAddr), (usize, Option<usize>)>;

fn found(chain: &policy::Chain, route: &Plain, outcome: Outcome, scratch: &mut Scratch) -> Found {
    let buf = route.to_route();
    if let Some(Decider { policy, statement }) = outcome.denied_by {
        assert_eq!(outcome.action, Action::Deny);
        return Err((policy.into(), statement.map(usize::from)));
    }
    let mut out = Vec::new();
    let summed: Summed = chain.apply(&buf.route(), scratch, &mut out);
    assert!(outcome.changes || out == buf.attributes);
    let ours: IpAddr = OURS.parse().unwrap();
    Ok((out, summed.next_hop_of(buf.next_hop, Some(ours.into())).unwrap().global()))
}

/// The statement that decided, as an explanation tells it.
fn told(e: &Explanation) -> Vec<Option<u32>> {
    let decided = |p: &policy::PolicyStep| p.statements.last().filter(|s| s.held).map(|s| s.number);
    e.policies.iter().map(decided).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_library_decides_like_the_reference_and_explains_what_it_decides(
        definitions in definitions(),
        routes in prop::collection::vec(route(), 12),
        peer in peer(),
    ) {
        let policies = Policies::compile(&definitions).unwrap();
        let names = definitions.policies.iter().map(|p| p.name.as_str());
        let chain = policies.chain(names).unwrap();
        let context = policies.context(&peer);
        // The same one for all: nothing of a route is left for the next.
        let mut scratch = Scratch::default();
        for plain in &routes {
            let buf = plain.to_route();
            let expected = evaluate(&definitions, &definitions.policies, plain, &peer);
            let expected: Found = expected.map(|after| {
                let buf = after.to_route();
                (buf.attributes, buf.next_hop.global())
            });
            let live = chain.evaluate(&buf.route(), &context, &mut scratch, &mut Silent);
            let decided = found(&chain, plain, live, &mut scratch);
            if let (Ok((a, _)), Ok((b, _))) = (&decided, &expected) {
                prop_assert_eq!(shown(a), shown(b));
            }
            prop_assert_eq!(&decided, &expected, "{:?}", plain);

            // The same attributes with other prefixes: what was prepared holds for all of them.
            let mut prepared = Prepared::default();
            chain.prepare(&buf.route(), &context, &mut scratch, &mut prepared);
            for other in &routes {
                let other = other.to_route();
                let route = Route { prefix: other.prefix, rpki: other.rpki, ..buf.route() };
                let whole = chain.evaluate(&route, &context, &mut scratch, &mut Silent);
                let permitted = scratch.permitted().to_vec();
                prop_assert_eq!(chain.decide(&prepared, &route.prefix, route.rpki, &mut scratch), whole);
                prop_assert_eq!(scratch.permitted(), permitted);
            }

            let (outcome, explanation) = Explanation::of(&chain, &buf.route(), &context, &mut scratch);
            prop_assert_eq!(outcome, live);
            prop_assert_eq!(&found(&chain, plain, outcome, &mut scratch), &decided);
            prop_assert_eq!(explanation.action, live.action);
            // Each statement that is told to have held did, and those before it did not.
            for policy in &explanation.policies {
                for (n, s) in policy.statements.iter().enumerate() {
                    prop_assert_eq!(s.held, s.matches.iter().all(|m| m.held));
                    prop_assert!(!s.held || n + 1 == policy.statements.len());
                }
            }
            let last = told(&explanation).last().copied().flatten();
            if let Some(Decider { policy, statement }) = live.denied_by {
                prop_assert_eq!(explanation.policies.len(), usize::from(policy) + 1);
                prop_assert_eq!(last, statement.map(|n| u32::from(n) + 1));
            } else {
                prop_assert_eq!(explanation.policies.len(), definitions.policies.len());
            }
        }
    }
}
