//! What operators read when they ask why.

use policy::{
    Action, Change, Context, Definitions, Explanation, Match, MatchStep, Policies, Scratch, StatementDef,
};

use crate::talk::{named, patterns, tagged};

#[test]
fn an_explanation_tells_each_match_and_who_decided() {
    let statement = |name: Option<&str>, line, action, matches, changes| StatementDef {
        name: name.map(str::to_owned),
        line,
        action,
        matches,
        changes,
    };
    let definitions = Definitions {
        policies: vec![
            named(
                "tag",
                Action::Permit,
                vec![
                    statement(
                        None,
                        10,
                        Action::Deny,
                        vec![Match::LocalPrefGe(200), Match::Prefix("10.0.0.0/8 le 24".parse().unwrap())],
                        vec![],
                    ),
                    statement(
                        Some("customers"),
                        14,
                        Action::Permit,
                        vec![Match::Communities(patterns(&["65001:*"]))],
                        vec![Change::LocalPref(300)],
                    ),
                ],
            ),
            named(
                "last",
                Action::Deny,
                vec![statement(None, 20, Action::Permit, vec![Match::AsPath("^9_".to_owned())], vec![])],
            ),
        ],
        ..Definitions::default()
    };
    let policies = Policies::compile(&definitions).unwrap();
    let route = tagged("10.1.0.0/16", "65002 1", &["65001:7", "NO_EXPORT", "RT:1:2", "LC:1:2:3"]);
    let explain = |names: &[&str]| {
        let chain = policies.chain(names.iter().copied()).unwrap();
        Explanation::of(&chain, &route.route(), &Context::default(), &mut Scratch::default()).1
    };
    let step = |written: &str, found: &str, held| MatchStep {
        written: written.to_owned(),
        found: found.to_owned(),
        held,
    };
    let e = explain(&["tag", "last"]);
    assert_eq!(e.action, Action::Deny);
    assert_eq!(e.decided_by().as_deref(), Some("last: default action deny"));
    let [tag, last] = e.policies.as_slice() else { panic!("{e:?}") };
    assert_eq!((tag.name.as_str(), tag.action, last.action), ("tag", Action::Permit, Action::Deny));
    let [first, second] = tag.statements.as_slice() else { panic!("{tag:?}") };
    // The second match is told although the first one failed.
    let matches = [
        step("match_local_pref_ge = 200", "100", false),
        step("prefix = \"10.0.0.0/8\", le = 24", "10.1.0.0/16", true),
    ];
    assert_eq!(
        (first.number, first.line, first.held, first.matches.as_slice()),
        (1, 10, false, &matches[..])
    );
    let matches = [step("match_community = [\"65001:*\"]", "65001:7, NO_EXPORT, RT:1:2, LC:1:2:3", true)];
    assert_eq!((second.number, second.held, second.matches.as_slice()), (2, true, &matches[..]));
    assert_eq!(second.changes, [Change::LocalPref(300)]);
    assert_eq!(last.statements[0].matches, [step("match_as_path = '^9_'", "65002 1", false)]);

    let e = explain(&["tag"]);
    assert_eq!(e.decided_by().as_deref(), Some("tag: statement 2 \"customers\" (line 14)"));
    assert_eq!(explain(&[]).decided_by(), None);
}
