//! Which policy applies, and what chains make of several.

use bgp::attr::PathAttribute;
use bgp::attr::canonical::Canonical;
use policy::{
    Action, Assigned, Assignment, Change, Decider, Definitions, Looks, Match, Named, NeighborSet, Peer,
    Policies, Scratch, SetKind, Silent, StatementDef, Wrong, resolve,
};

use crate::talk::{attributes, deny, named, patterns, permit, route, tagged, through, with};

fn chain(names: &[&str]) -> Assignment {
    Assignment { chain: names.iter().map(|n| (*n).to_owned()).collect(), inline: None }
}

#[test]
fn the_nearest_place_decides_and_chains_go_first() {
    let none = Assignment::default();
    let inline = |n| Assignment { chain: Vec::new(), inline: Some(n) };
    let both = Assignment { inline: Some(9), ..chain(&["global"]) };
    let named = |name: &str| Assigned::Chain(vec![name.to_owned()]);
    for (neighbor, group, global, expected) in [
        (&chain(&["own"]), Some(&chain(&["group"])), &both, named("own")),
        (&inline(1), Some(&chain(&["group"])), &both, Assigned::Inline(1)),
        (&none, Some(&chain(&["group"])), &both, named("group")),
        (&none, Some(&inline(2)), &both, Assigned::Inline(2)),
        (&none, Some(&none), &both, named("global")),
        (&none, None, &inline(9), Assigned::Inline(9)),
        (&none, None, &none, Assigned::None),
    ] {
        assert_eq!(resolve(neighbor, group, global), expected);
    }
}

fn compiled(policies: Vec<policy::PolicyDef>) -> Policies {
    Policies::compile(&Definitions { policies, ..Definitions::default() }).unwrap()
}

fn everything() -> Vec<Match> {
    vec![Match::MedGe(0)]
}

#[test]
fn the_first_statement_that_matches_decides() {
    let policies = compiled(vec![named(
        "p",
        Action::Deny,
        vec![
            deny(vec![Match::AsPath("^1_".to_owned())]),
            permit(vec![Match::AsPath("_2_".to_owned())], vec![Change::Med(2)]),
            permit(vec![Match::AsPath("_3_".to_owned())], vec![Change::Med(3)]),
        ],
    )]);
    let p = policies.chain(["p"]).unwrap();
    let med = |path: &str| {
        let route = route("192.0.2.0/24", path);
        through(&p, &route).map(|(a, _)| Canonical::new(&a).med())
    };
    assert_eq!(med("1 2"), None);
    assert_eq!(med("2 3"), Some(Some(2)));
    assert_eq!(med("3"), Some(Some(3)));
    assert_eq!(med("4"), None);
    let denied = |path: &str| {
        let route = route("192.0.2.0/24", path);
        p.evaluate(&route.route(), &Default::default(), &mut Scratch::default(), &mut Silent).denied_by
    };
    assert_eq!(denied("1 2"), Some(Decider { policy: 0, statement: Some(0) }));
    assert_eq!(denied("4"), Some(Decider { policy: 0, statement: None }));
}

#[test]
fn a_chain_goes_on_after_permit_and_ends_at_deny() {
    let mark = |c: &str| vec![Change::AddCommunities(patterns(&[c]))];
    let policies = compiled(vec![
        named(
            "first",
            Action::Permit,
            vec![permit(everything(), [mark("1:1"), vec![Change::LocalPref(1)]].concat())],
        ),
        named(
            "second",
            Action::Permit,
            vec![permit(everything(), [mark("2:2"), vec![Change::LocalPref(2), Change::Med(5)]].concat())],
        ),
        named(
            "third",
            Action::Permit,
            vec![permit(everything(), vec![Change::RemoveCommunities(patterns(&["1:*"]))])],
        ),
        named("again", Action::Permit, vec![permit(everything(), mark("1:1"))]),
        named("nothing", Action::Permit, Vec::new()),
        named("no", Action::Deny, Vec::new()),
        // Sees the route as it came, not what was changed before.
        named("sees", Action::Permit, vec![deny(vec![Match::Communities(patterns(&["1:1"]))])]),
    ]);
    let plain = route("192.0.2.0/24", "1");
    let after = |names: &[&str], route| {
        let chain = policies.chain(names.iter().copied()).unwrap();
        through(&chain, route).map(|(a, _)| {
            let a = Canonical::new(&a);
            (a.local_pref(), a.med(), a.communities().collect::<Vec<_>>())
        })
    };
    let one = 1 << 16 | 1;
    let two = 2 << 16 | 2;
    for (names, expected) in [
        (&[][..], Some((None, None, vec![]))),
        (&["nothing"], Some((None, None, vec![]))),
        (&["first", "second"], Some((Some(2), Some(5), vec![one, two]))),
        (&["second", "first"], Some((Some(1), Some(5), vec![one, two]))),
        (&["first", "second", "third"], Some((Some(2), Some(5), vec![two]))),
        (&["first", "third", "again"], Some((Some(1), None, vec![one]))),
        (&["first", "no", "second"], None),
        (&["first", "sees"], Some((Some(1), None, vec![one]))),
    ] {
        assert_eq!(after(names, &plain), expected, "{names:?}");
    }
    assert_eq!(after(&["first", "sees"], &tagged("192.0.2.0/24", "1", &["1:1"])), None);
}

#[test]
fn mistakes_in_definitions_are_all_told() {
    let wrong = |m: Match| permit(vec![m], Vec::new());
    let definitions = Definitions {
        policies: vec![
            named(
                "a",
                Action::Permit,
                vec![wrong(Match::PrefixSet("x".to_owned())), wrong(Match::AsPath("(".to_owned()))],
            ),
            named("a", Action::Permit, Vec::new()),
        ],
        as_sets: vec![
            Named { name: "s".to_owned(), value: vec![1] },
            Named { name: "s".to_owned(), value: vec![2] },
        ],
        ..Definitions::default()
    };
    let errors = Policies::compile(&definitions).unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "s: there is another AS set of this name",
            "a, statement 1: there is no prefix set \"x\"",
            "a, statement 2: match_as_path \"(\": unclosed group",
            "a: there is another policy of this name",
        ]
    );
    assert!(matches!(errors.first().unwrap().wrong, Wrong::Twice(SetKind::Asns)));
    let policies = compiled(Vec::new());
    assert_eq!(policies.chain(["b"]).unwrap_err().wrong, Wrong::NoSuch(SetKind::Policy, "b".to_owned()));
    assert!(policies.assigned(&Assigned::Inline(0)).is_err());
}

#[test]
fn users_of_a_set_are_found_by_kind_and_name() {
    let uses = |m: Match| permit(vec![m], Vec::new());
    let definitions = Definitions {
        policies: vec![named(
            "p",
            Action::Permit,
            vec![uses(Match::PrefixSet("a".to_owned())), uses(Match::NeighborSet("a".to_owned()))],
        )],
        inline: vec![named("i", Action::Permit, vec![uses(Match::NeighborSet("a".to_owned()))])],
        ..Definitions::default()
    };
    let users = |kind| definitions.users(kind, "a").map(|(p, n)| (p.name.as_str(), n)).collect::<Vec<_>>();
    assert_eq!(users(SetKind::Prefixes), [("p", 0)]);
    assert_eq!(users(SetKind::Neighbors), [("p", 1), ("i", 0)]);
    assert_eq!(users(SetKind::Asns), []);
}

/// A chain says what its outcome depends on, which tells when it must be evaluated again.
#[test]
fn what_a_chain_looks_at() {
    let looks = |m: Match| {
        let policies = compiled(vec![named("p", Action::Permit, vec![permit(vec![m], Vec::new())])]);
        policies.chain(["p"]).unwrap().looks()
    };
    for (written, at, per_set) in [
        (Match::Prefix("10.0.0.0/8".parse().unwrap()), Looks::PREFIX, false),
        (Match::Rpki(Default::default()), Looks::RPKI, false),
        (Match::Aspa(Default::default()), Looks::ASPA, true),
        (Match::AsPath("_1_".to_owned()), Looks::PATH, true),
        (Match::Communities(patterns(&["1:1"])), Looks::COMMUNITIES, true),
        (Match::Communities(patterns(&["RT:1:1"])), Looks::EXTENDED, true),
        (Match::Communities(patterns(&["LC:1:1:1"])), Looks::LARGE, true),
    ] {
        let found = looks(written.clone());
        assert_eq!((found, found.is_per_attribute_set()), (at, per_set), "{written}");
    }
    assert_eq!(looks(Match::LocalPrefGe(1)), Looks::default());
}

/// Equal exactly where the outcome is the same for every route: then nothing has to be evaluated again.
#[test]
fn fingerprints_follow_content() {
    let base = || Definitions {
        policies: vec![named(
            "p",
            Action::Permit,
            vec![permit(vec![Match::PrefixSet("s".to_owned())], vec![Change::Med(1)])],
        )],
        prefix_sets: vec![Named { name: "s".to_owned(), value: vec!["10.0.0.0/8".parse().unwrap()] }],
        neighbor_sets: vec![Named { name: "n".to_owned(), value: NeighborSet::default() }],
        ..Definitions::default()
    };
    let print = |d: &Definitions| Policies::compile(d).unwrap().chain(["p"]).unwrap().fingerprint();
    let before = print(&base());
    let mut same = base();
    same.neighbor_sets.clear();
    same.policies.push(named("q", Action::Deny, Vec::new()));
    same.policies.first_mut().unwrap().statements.first_mut().unwrap().line = 17;
    assert_eq!(print(&same), before);
    fn statement(d: &mut Definitions) -> &mut StatementDef {
        d.policies.first_mut().unwrap().statements.first_mut().unwrap()
    }
    let changes: [fn(&mut Definitions); 4] = [
        |d| d.prefix_sets.first_mut().unwrap().value.push("11.0.0.0/8".parse().unwrap()),
        |d| statement(d).changes = vec![Change::Med(2)],
        |d| statement(d).action = Action::Deny,
        |d| d.policies.first_mut().unwrap().default_action = Action::Deny,
    ];
    for change in changes {
        let mut other = base();
        change(&mut other);
        assert_ne!(print(&other), before);
    }
    let policies = Policies::compile(&base()).unwrap();
    assert_ne!(policies.chain(["p", "p"]).unwrap().fingerprint(), before);
}

/// Two peers in the same sets are the same to every policy.
#[test]
fn contexts_are_equal_where_memberships_are() {
    let set = |n: u32| Named {
        name: n.to_string(),
        value: NeighborSet { remote_asns: vec![n], ..NeighborSet::default() },
    };
    let definitions = Definitions { neighbor_sets: vec![set(1), set(2)], ..Definitions::default() };
    let policies = Policies::compile(&definitions).unwrap();
    let context = |remote_asn, address: &str| {
        policies.context(&Peer { address: address.parse().unwrap(), remote_asn, peer_group: None })
    };
    assert_eq!(context(1, "10.0.0.1"), context(1, "2001:db8::1"));
    assert_ne!(context(1, "10.0.0.1"), context(2, "10.0.0.1"));
}

/// The parent sends definitions to rde.
#[test]
fn definitions_cross_between_processes() {
    let all = StatementDef {
        name: Some("all".to_owned()),
        line: 12,
        action: Action::Permit,
        matches: vec![
            Match::Prefix("2001:db8::/32 ge 48".parse().unwrap()),
            Match::Communities(patterns(&[
                "NO_EXPORT",
                "1:*",
                "RT:192.0.2.1:*",
                "RO:4200000000:1",
                "LC:*:1:2",
            ])),
            Match::NextHop("10.0.0.1".parse().unwrap()),
            Match::AsPath("^1_".to_owned()),
        ],
        changes: vec![
            Change::NextHop(policy::NextHopChange::OurAddress),
            Change::Prepend { asn: 1, count: 2 },
            Change::AddCommunities(patterns(&["1:1"])),
        ],
    };
    let definitions = Definitions {
        policies: vec![named("p", Action::Deny, vec![all])],
        prefix_sets: vec![Named { name: "s".to_owned(), value: vec!["10.0.0.0/8 le 9".parse().unwrap()] }],
        ..Definitions::default()
    };
    let octets = postcard::to_stdvec(&definitions).unwrap();
    let (read, rest): (Definitions, _) = postcard::take_from_bytes(&octets).unwrap();
    assert_eq!((read, rest.len()), (definitions, 0));
}

#[test]
fn nothing_changes_a_route_that_a_chain_only_permits() {
    let policies = compiled(vec![named("p", Action::Permit, vec![permit(everything(), Vec::new())])]);
    let chain = policies.chain(["p", "p"]).unwrap();
    let route = with("192.0.2.0/24", &attributes("1").with(PathAttribute::LocalPref(5)));
    let outcome = chain.evaluate(&route.route(), &Default::default(), &mut Scratch::default(), &mut Silent);
    assert_eq!((outcome.action, outcome.changes, outcome.denied_by), (Action::Permit, false, None));
}
