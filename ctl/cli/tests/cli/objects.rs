//! Policies, sets and peer groups: shown, set from files, deleted, tested.

use grpc::v1::{
    MatchSetKind, PolicyDefinition, PolicyStatement, PolicyTest, PolicyTestMismatch, StatementCoverage,
    TestPoliciesResponse,
};
use serde_json::json;

use crate::server::{Daemon, write};

const POLICY: &str = "\
default_action = \"deny\"

[[statements]]
name = \"ours\"
action = \"permit\"
prefix = \"10.0.0.0/8\"
le = 24
match_prefix_set = \"p\"
set_as_path_prepend = { asn = 65001, count = 2 }
set_community_add = [\"65001:1\", \"NO_EXPORT\"]

[[statements]]
action = \"deny\"
match_as_path = '^\"6\\d'
";

#[test]
fn policies_are_set_from_files_as_they_are_shown() {
    let daemon = Daemon::start();
    let file = write(daemon.dir.path(), "policy.toml", POLICY.as_bytes());
    assert_eq!(
        daemon.ok(&["policy", "set", "in", &file]),
        "policy \"in\" set, also in the configuration file\n"
    );
    let set = daemon.world().policies["in"].clone();
    assert!(set.extended && set.statements[0].match_prefix_set.as_deref() == Some("p"));
    let shown = daemon.ok(&["policy", "show", "in"]);
    assert_eq!(shown, POLICY);
    let again = write(daemon.dir.path(), "again.toml", shown.as_bytes());
    daemon.ok(&["policy", "set", "again", &again]);
    assert_eq!(daemon.world().policies["again"], set);

    let plain =
        PolicyDefinition { statements: vec![PolicyStatement::default()], ..PolicyDefinition::default() };
    daemon.world().policies.insert("a".into(), plain);
    daemon.ok(&["policy", "delete", "again"]);
    let table = "\
Name  Default  Statements
a     permit            1
in    deny              2
";
    assert_eq!(daemon.ok(&["policy"]), table);
    assert_eq!(daemon.ok(&["policy", "list"]), table);
    let shown = daemon.json(&["policy", "show", "in"]);
    let statement = json!({ "name": "ours", "action": "permit", "prefix": "10.0.0.0/8", "le": 24, "match_prefix_set": "p",
        "set_as_path_prepend": { "asn": 65001, "count": 2 }, "set_community_add": ["65001:1", "NO_EXPORT"] });
    assert_eq!((&shown["name"], &shown["statements"][0]), (&json!("in"), &statement));
    assert_eq!(daemon.json(&["policy"])[1], shown);
    assert!(daemon.fails(1, &["policy", "delete", "again"]).contains("there is no such thing"));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let daemon = Daemon::start();
    for (text, says) in [
        ("[[statements]]\naction = \"deny\"\nprefx = \"::/0\"\n", ["line 3", "unknown field `prefx`"]),
        ("default_action = 5\n", ["line 1", "expected a string"]),
        ("default_action = \n", ["line 1", ""]),
    ] {
        let file = write(daemon.dir.path(), "bad.toml", text.as_bytes());
        let said = daemon.fails(1, &["policy", "set", "x", &file]);
        assert!(said.contains("bad.toml") && says.iter().all(|s| said.contains(s)), "{said}");
    }
    let said = daemon.fails(1, &["neighbor-set", "set", "x", "/nowhere/x.toml"]);
    assert!(said.contains("/nowhere/x.toml: No such file"), "{said}");
    assert!(daemon.fails(2, &["policy", "set", "x"]).contains("<FILE>"));
    assert!(daemon.world().policies.is_empty());
}

#[test]
fn sets_are_shown_and_set() {
    let daemon = Daemon::start();
    let set = |command: &str, text: &str| {
        let file = write(daemon.dir.path(), "set.toml", text.as_bytes());
        daemon.ok(&[command, "set", "s", &file]);
        assert_eq!(daemon.ok(&[command, "show", "s"]), text);
    };
    set(
        "neighbor-set",
        "addresses = [\"10.0.0.1\"]\npeer_groups = [\"g\", \"h\"]\nremote_asns = [65001, 4200000000]\n",
    );
    set("prefix-set", "prefixes = [\"10.0.0.0/8 le 24\", \"2001:db8::/32\"]\n");
    set("as-set", "asns = [65001, 4200000000]\n");
    set("community-set", "communities = [\"65001:*\"]\n");
    assert_eq!(
        daemon.ok(&["neighbor-set"]),
        "Name  AS numbers         Peer groups  Addresses\ns     65001, 4200000000  g, h         10.0.0.1\n"
    );
    assert_eq!(daemon.ok(&["prefix-set"]), "Name  Entries\ns           2\n");
    assert_eq!(daemon.json(&["as-set"]), json!([{ "name": "s", "entries": 2 }]));
    assert_eq!(
        daemon.json(&["as-set", "show", "s"]),
        json!({ "name": "s", "asns": [65001, 4_200_000_000_u32] })
    );
    assert!(daemon.world().match_sets.contains_key(&(MatchSetKind::Community.into(), "s".into())));
    assert_eq!(
        daemon.ok(&["community-set", "delete", "s"]),
        "community set \"s\" deleted, also from the configuration file\n"
    );
    daemon.ok(&["neighbor-set", "delete", "s"]);
    assert!(daemon.world().neighbor_sets.is_empty() && daemon.world().match_sets.len() == 2);
}

#[test]
fn peer_groups_are_shown_and_set_and_neighbors_put_into_them() {
    let daemon = Daemon::start();
    let text = "\
add_path = { receive = true, send_max = 3 }
description = \"ours\"
families = [\"ipv4_unicast\"]
hold_time = 30
md5_password = \"k\"

[[export_policy]]
action = \"deny\"
prefix = \"10.0.0.0/8\"
";
    let file = write(daemon.dir.path(), "group.toml", text.as_bytes());
    daemon.ok(&["peer-group", "set", "g", &file]);
    let set = daemon.world().groups["g"].clone();
    assert_eq!((set.add_path_receive, set.add_path_send, set.add_path_send_max), (Some(true), None, Some(3)));
    assert_eq!(daemon.ok(&["peer-group", "show", "g"]), text);
    assert_eq!(
        daemon.ok(&["peer-group"]),
        "Name  Hold time  Families      Import chain  Export chain  Description\n\
         g            30  ipv4_unicast  -             -             ours\n"
    );
    daemon.ok(&["peer-group", "delete", "g"]);
    assert!(daemon.world().groups.is_empty());
    assert_eq!(
        daemon.ok(&["neighbor", "192.0.2.1", "peer-group", "g"]),
        "neighbor 192.0.2.1 is in the peer group \"g\", also in the configuration file\n"
    );
    daemon.ok(&["neighbor", "192.0.2.1", "peer-group", "--none"]);
    assert_eq!(daemon.world().done, ["192.0.2.1 into g", "192.0.2.1 into none"]);
    daemon.fails(2, &["neighbor", "192.0.2.1", "peer-group"]);
    daemon.fails(2, &["neighbor", "192.0.2.1", "peer-group", "g", "--none"]);
}

#[test]
fn tests_of_policies_are_told_and_fail_where_one_does() {
    let daemon = Daemon::start();
    assert!(daemon.fails(1, &["policy", "test"]).contains("has no [[policy.tests]]"));
    let test =
        |name: &str, passed| PolicyTest { name: name.into(), line: 9, passed, ..PolicyTest::default() };
    let covered = |number, name: &str, hits| StatementCoverage {
        policy: "in".into(),
        number,
        name: name.into(),
        line: 10 * number,
        hits,
    };
    let report = TestPoliciesResponse {
        tests: vec![test("a", true)],
        coverage: vec![covered(1, "", 3), covered(2, "rest", 0)],
        diagnostics: String::new(),
    };
    daemon.world().tests = report.clone();
    assert_eq!(
        daemon.ok(&["policy", "test"]),
        "\
Policy  Statement  Name  Line  Decided
in              1  -       10        3
in              2  rest    20        0

1 passed, 0 failed; 1 of 2 statements decided
"
    );
    let mismatch = PolicyTestMismatch { field: "med".into(), expected: "1".into(), found: "2".into() };
    let failed = PolicyTest { mismatches: vec![mismatch], ..test("b", false) };
    let tests = vec![test("a", true), failed];
    daemon.world().tests = TestPoliciesResponse { tests, diagnostics: "error: b\n --> x".into(), ..report };
    let output = daemon.command(&["policy", "test"]).output().unwrap();
    let (out, err) = (crate::server::text(&output.stdout), crate::server::text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out.starts_with("error: b\n --> x\n\nPolicy") && err.contains("1 of 2 policy tests failed"),
        "{out}{err}"
    );
    let output = daemon.command(&["-j", "policy", "test"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(document["tests"][1]["mismatches"][0]["found"], "2");
    assert_eq!(document["coverage"][1]["hits"], 0);
}
