//! What becomes of policies: definitions as engines get them, and tests that the file has for them.

use std::io::Write;

use policy::{
    Action, Assignment, Change, CommunityPattern, Definitions, Match, Named, NeighborSet, NextHopChange,
    Policies, PolicyDef, StatementDef,
};

use super::super::{check, load};
use super::rules::{after_shortest, table};
use super::{SHORTEST, accepted, errors, load_text, refused};

fn communities(list: &[&str]) -> Vec<CommunityPattern> {
    list.iter().map(|c| c.parse().unwrap()).collect()
}

#[test]
fn policies_are_read_with_their_places() {
    let text = format!(
        "{SHORTEST}
[[neighbors]]
address = \"10.0.0.2\"
remote_asn = 65002
peer_group = \"g\"
export_policy_chain = [\"p\", \"p\"]
[[neighbors]]
address = \"10.0.0.3\"
remote_asn = 65003
[[neighbors.export_policy]]
action = \"deny\"
match_as_path_length_ge = 9
[peer_groups.g]
import_policy = [{{ action = \"deny\", match_med_ge = 1, match_med_le = 2 }}]
export_policy_chain = []
[policy]
import_chain = [\"p\"]
[[policy.import]]
action = \"permit\"
match_neighbor_set = \"n\"
[policy.definitions.p]
default_action = \"deny\"
[[policy.definitions.p.statements]]
name = \"one\"
action = \"permit\"
prefix = \"10.0.0.0/8\"
le = 24
match_community = [\"RT:65001:*\", \"NO_EXPORT\"]
match_as_path = '^65002_'
set_next_hop = \"self\"
set_community_add = [\"65001:1\"]
set_community_remove = [\"65001:*\"]
set_as_path_prepend = {{ asn = 65001, count = 2 }}
[policy.neighbor_sets.n]
remote_asns = [65002]
peer_groups = [\"g\"]
[policy.prefix_sets.s]
prefixes = [\"192.0.2.0/24\", \"10.0.0.0/8 ge 9\"]
[policy.as_sets.a]
asns = [2, 1]
[policy.community_sets.c]
communities = [\"LC:1:*:3\"]
"
    );
    let config = accepted(&text);
    let one = StatementDef {
        name: Some("one".to_owned()),
        line: 28,
        action: Action::Permit,
        matches: vec![
            Match::Prefix("10.0.0.0/8 le 24".parse().unwrap()),
            Match::Communities(communities(&["RT:65001:*", "NO_EXPORT"])),
            Match::AsPath("^65002_".to_owned()),
        ],
        changes: vec![
            Change::NextHop(NextHopChange::OurAddress),
            Change::RemoveCommunities(communities(&["65001:*"])),
            Change::AddCommunities(communities(&["65001:1"])),
            Change::Prepend { asn: 65001, count: 2 },
        ],
    };
    let inline = |name: &str, line, action, matches| PolicyDef {
        name: name.to_owned(),
        default_action: Action::Permit,
        statements: vec![StatementDef { name: None, line, action, matches, changes: Vec::new() }],
    };
    let named = |name: &str| name.to_owned();
    let expected = Definitions {
        policies: vec![PolicyDef { name: named("p"), default_action: Action::Deny, statements: vec![one] }],
        inline: vec![
            inline("[[policy.import]]", 23, Action::Permit, vec![Match::NeighborSet(named("n"))]),
            inline(
                "import_policy of [peer_groups.g]",
                19,
                Action::Deny,
                vec![Match::MedGe(1), Match::MedLe(2)],
            ),
            inline("export_policy of neighbor 10.0.0.3", 15, Action::Deny, vec![Match::AsPathLengthGe(9)]),
        ],
        prefix_sets: vec![Named {
            name: named("s"),
            value: vec!["192.0.2.0/24".parse().unwrap(), "10.0.0.0/8 ge 9".parse().unwrap()],
        }],
        as_sets: vec![Named { name: named("a"), value: vec![2, 1] }],
        community_sets: vec![Named { name: named("c"), value: communities(&["LC:1:*:3"]) }],
        neighbor_sets: vec![Named {
            name: named("n"),
            value: NeighborSet {
                remote_asns: vec![65002],
                peer_groups: vec![named("g")],
                ..NeighborSet::default()
            },
        }],
    };
    assert_eq!(config.policy.definitions, expected);
    assert!(Policies::compile(&expected).is_ok());
    let chain = |names: &[&str]| Assignment { chain: names.iter().map(|n| named(n)).collect(), inline: None };
    let at = |n| Assignment { chain: Vec::new(), inline: Some(n) };
    let global = Assignment { inline: Some(0), ..chain(&["p"]) };
    assert_eq!((config.policy.import, config.policy.export), (global, Assignment::default()));
    let used: Vec<_> =
        config.neighbors.iter().map(|n| (n.import_policy.clone(), n.export_policy.clone())).collect();
    assert_eq!(used, [(at(1), chain(&["p", "p"])), (Assignment::default(), at(2))]);
}

/// A file with a policy at a neighbor, one for all, and these tests from line 26.
fn tested(tests: &str) -> String {
    format!(
        "{SHORTEST}[[neighbors]]
address = \"10.0.0.2\"
remote_asn = 65002
[[neighbors.import_policy]]
action = \"deny\"
match_as_path = \"_65666_\"
[[neighbors.import_policy]]
action = \"permit\"
match_community = [\"65002:*\"]
set_local_pref = 200
set_next_hop = \"self\"
set_community_add = [\"65001:1\"]
[[neighbors]]
address = \"10.0.0.3\"
remote_asn = 65001
[policy.definitions.internal]
default_action = \"deny\"
[[policy.definitions.internal.statements]]
action = \"permit\"
match_route_type = \"internal\"
{tests}"
    )
}

const ROUTE: &str =
    "route = { prefix = \"192.0.2.0/24\", as_path = \"65002\", communities = [\"65002:1\"] }\n";

#[test]
fn tests_that_pass_are_counted_and_tell_what_they_leave_out() {
    let head = "[[policy.tests]]\nname = \"t\"\ndirection = ";
    let neighbor = format!("{head}\"import\"\nneighbor = \"10.0.0.2\"\n{ROUTE}");
    let said = |tests: &str| load_text(&tested(tests)).unwrap_or_else(|d| panic!("{d}")).tested;
    let permit = "expect = { action = \"permit\", local_pref = 200, next_hop = \"self\", \
                  communities = [\"65002:1\", \"65001:1\"], as_path = \"65002\" }\n";
    assert_eq!(said(""), None);
    assert_eq!(
        said(&format!("{neighbor}{permit}")).as_deref(),
        Some("policy tests: 1 passed, 1 of 3 statements decided (not those on lines 9, 23)")
    );
    let all = format!(
        "{neighbor}{permit}
         {head}\"import\"\nneighbor = \"10.0.0.2\"
         route = {{ prefix = \"::/0\", as_path = \"65002 65666 1\" }}\nexpect = {{ action = \"deny\" }}
         {head}\"import\"\nneighbor = \"10.0.0.3\"\nchain = [\"internal\"]\n{ROUTE}expect = {{ action = \"permit\" }}
         {head}\"import\"\nremote_asn = 65009\nchain = [\"internal\"]\n{ROUTE}expect = {{ action = \"deny\" }}
         {head}\"export\"\nneighbor = \"10.0.0.2\"\n{ROUTE}expect = {{ action = \"permit\", communities = [\"65002:1\"] }}"
    );
    assert_eq!(said(&all).as_deref(), Some("policy tests: 5 passed, 3 of 3 statements decided"));
}

#[test]
fn tests_that_fail_point_at_what_was_expected() {
    let text = tested(&format!(
        "[[policy.tests]]
name = \"preferred\"
direction = \"import\"
neighbor = \"10.0.0.2\"
{ROUTE}[policy.tests.expect]
action = \"permit\"
local_pref = 100
communities = [\"65002:1\"]
without_communities = [\"65001:*\"]
[[policy.tests]]
name = \"refused\"
direction = \"export\"
neighbor = \"10.0.0.2\"
{ROUTE}expect = {{ action = \"deny\" }}
"
    ));
    let why = "decided by import_policy of neighbor 10.0.0.2: statement 2 (line 12)";
    assert_eq!(
        errors(&text),
        [
            format!("33:14 policy test \"preferred\": expected local_pref 100, found 200 | {why}"),
            format!(
                "34:15 policy test \"preferred\": expected communities 65002:1, found 65001:1, 65002:1 | {why}"
            ),
            format!(
                "35:23 policy test \"preferred\": expected without_communities no 65001:*, \
                 found 65001:1, 65002:1 | {why}"
            ),
            "41:21 policy test \"refused\": expected action deny, found permit | no policy applies"
                .to_owned(),
        ]
    );
    assert!(refused(&text).contains("^^^ found 200"), "{}", refused(&text));
}

/// A wrong expectation is found by `--check` and is no reason not to route.
#[test]
fn the_daemon_starts_whatever_its_tests_expect() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let wrong = format!(
        "[[policy.tests]]\nname = \"t\"\ndirection = \"import\"\n{ROUTE}expect = {{ action = \"deny\" }}\n"
    );
    file.write_all(tested(&wrong).as_bytes()).unwrap();
    let checked = check(file.path());
    assert_eq!((checked.status, checked.stdout.as_str()), (1, ""));
    assert!(checked.stderr.contains("expected action deny, found permit"), "{}", checked.stderr);
    assert!(load(file.path()).is_ok());

    let mut good = tempfile::NamedTempFile::new().unwrap();
    good.write_all(
        tested(&wrong).replace("expect = { action = \"deny\"", "expect = { action = \"permit\"").as_bytes(),
    )
    .unwrap();
    let checked = check(good.path());
    let said =
        "config OK\npolicy tests: 1 passed, 0 of 3 statements decided (not those on lines 9, 12, 23)\n";
    assert_eq!((checked.status, checked.stdout.as_str()), (0, said));
}

#[test]
fn rules_of_tests() {
    let test = |lines: &str| format!("[[policy.tests]]\nname = \"t\"\ndirection = \"import\"\n{lines}");
    let rest = "route = { prefix = \"::/0\" }\nexpect = { action = \"permit\" }";
    for (lines, expected) in [
        (
            "[[policy.tests]]\nname = \"\"\ndirection = \"in\"\nroutes = {}".to_owned(),
            &[
                "6:1 missing route in [[policy.tests]]",
                "6:1 missing expect in [[policy.tests]]",
                "7:8 invalid name \"\": must not be empty",
                "8:13 invalid direction \"in\": must be \"import\" or \"export\"",
                "9:1 unknown key \"routes\" in [[policy.tests]] | did you mean `route`?",
            ][..],
        ),
        (
            test(&format!("neighbor = \"10.0.0.9\"\nremote_asn = 1\n{rest}")),
            &[
                "9:12 invalid neighbor \"10.0.0.9\": there is no such neighbor",
                "10:14 invalid remote_asn 1: is that of the neighbor",
            ],
        ),
        (
            test(&format!("peer_group = \"g\"\nchain = [\"c\"]\n{rest}")),
            &[
                "9:14 invalid peer_group \"g\": there is no such peer group",
                "10:10 invalid chain \"c\": there is no such policy",
            ],
        ),
        (
            test("route = { as_path = \"1,2\", communities = [\"1:*\"] }\nexpect = { local_pref = -1 }"),
            &[
                "9:9 missing prefix in [policy.tests.route]",
                "9:21 invalid as_path \"1,2\": must be AS numbers with spaces between them; a set is written {65003 65004}",
                "9:43 invalid communities \"1:*\": must have no `*`: it is for matching and removing",
                "10:10 missing action in [policy.tests.expect]",
                "10:25 invalid local_pref -1: must be 0 to 4294967295",
            ],
        ),
        (
            test("route = { prefix = \"::/0\" }\nexpect = { action = \"deny\", med = 1 }"),
            &["10:35 invalid med: is for action = \"permit\" only"],
        ),
        (test(rest), &[]),
    ] {
        table(after_shortest, &[(lines.as_str(), expected)]);
    }
}
