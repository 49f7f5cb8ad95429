//! Tests that operators write: what they are told when an expectation is not met, and what tests cover.

use policy::{
    Action, Change, Context, Coverage, Definitions, Expected, Match, NextHopChange, Policies, run_test,
};

use crate::talk::{deny, named, patterns, permit, route, tagged};

fn policies() -> Policies {
    let definitions = Definitions {
        policies: vec![named(
            "p",
            Action::Deny,
            vec![
                deny(vec![Match::AsPath("_9_".to_owned())]),
                permit(
                    vec![Match::AsPath("^65002_".to_owned())],
                    vec![
                        Change::LocalPref(200),
                        Change::NextHop(NextHopChange::OurAddress),
                        Change::AddCommunities(patterns(&["1:1"])),
                        Change::Prepend { asn: 7, count: 2 },
                    ],
                ),
            ],
        )],
        ..Definitions::default()
    };
    Policies::compile(&definitions).unwrap()
}

#[test]
fn expectations_that_are_met_and_that_are_not() {
    let policies = policies();
    let chain = policies.chain(["p"]).unwrap();
    let mut coverage = Coverage::of(policies.all());
    let route = tagged("192.0.2.0/24", "65002 1", &["LC:1:2:3"]);
    let mut run = |expected: &Expected| {
        let result = run_test(Some(&chain), &Context::default(), &route, expected, &mut coverage);
        result.mismatches.into_iter().map(|m| (m.field, m.expected, m.found)).collect::<Vec<_>>()
    };
    let met = Expected {
        action: Some(Action::Permit),
        local_pref: Some(200),
        med: Some(0),
        next_hop: Some(NextHopChange::OurAddress),
        as_path: Some("7 7 65002 1".to_owned()),
        communities: Some(patterns(&["1:1", "LC:1:2:3"])),
        with_communities: patterns(&["1:*"]),
        without_communities: patterns(&["2:*"]),
    };
    assert_eq!(run(&met), []);
    let text = str::to_owned;
    for (expected, told) in [
        (
            Expected { action: Some(Action::Deny), ..Expected::default() },
            ("action", text("deny"), text("permit")),
        ),
        (Expected { local_pref: Some(100), ..Expected::default() }, ("local_pref", text("100"), text("200"))),
        (Expected { med: Some(1), ..Expected::default() }, ("med", text("1"), text("0"))),
        (
            Expected {
                next_hop: Some(NextHopChange::Address("10.0.0.2".parse().unwrap())),
                ..Expected::default()
            },
            ("next_hop", text("10.0.0.2"), text("self")),
        ),
        (
            Expected { as_path: Some(text("65002 1")), ..Expected::default() },
            ("as_path", text("65002 1"), text("7 7 65002 1")),
        ),
        (
            Expected { communities: Some(patterns(&["1:1"])), ..Expected::default() },
            ("communities", text("1:1"), text("1:1, LC:1:2:3")),
        ),
        (
            Expected { communities: Some(Vec::new()), ..Expected::default() },
            ("communities", text("none"), text("1:1, LC:1:2:3")),
        ),
        (
            Expected { with_communities: patterns(&["2:2"]), ..Expected::default() },
            ("with_communities", text("2:2"), text("1:1, LC:1:2:3")),
        ),
        (
            Expected { without_communities: patterns(&["LC:1:*:*"]), ..Expected::default() },
            ("without_communities", text("no LC:1:*:*"), text("1:1, LC:1:2:3")),
        ),
    ] {
        assert_eq!(run(&expected), [told]);
    }
}

#[test]
fn coverage_counts_who_decided() {
    let policies = policies();
    let chain = policies.chain(["p"]).unwrap();
    let mut coverage = Coverage::of(policies.all());
    let nothing = Expected::default();
    for path in ["65002", "65002 9", "65002 2", "3"] {
        let _ =
            run_test(Some(&chain), &Context::default(), &route("10.0.0.0/8", path), &nothing, &mut coverage);
    }
    let hits: Vec<(u32, u32)> = coverage.statements().iter().map(|s| (s.number, s.hits)).collect();
    assert_eq!(hits, [(1, 1), (2, 2)]);
}

/// Where nothing is configured everything is permitted as it is.
#[test]
fn without_a_policy() {
    let expected = Expected { action: Some(Action::Deny), ..Expected::default() };
    let result =
        run_test(None, &Context::default(), &route("10.0.0.0/8", "1"), &expected, &mut Coverage::default());
    assert_eq!(result.mismatches.len(), 1);
    assert_eq!(result.explanation.decided_by(), None);
}
