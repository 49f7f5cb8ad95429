//! Policies, sets and peer groups in the text of a file.

use std::path::Path;

use ipc::edit::{Edit, EditError, Refusal};
use ipc::object::{Answer, Keys, Kind, Object, Plain, SET, SecretText};

use super::{apply, check, objects, sizes};
use crate::config;

const GLOBAL: &str =
    "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";

const POLICIES: &str = "
# --- policies ---

# what customers may send
[policy.definitions.a]   # mine
default_action = \"deny\"

# theirs
[[policy.definitions.a.statements]]
  action = \"permit\"      # all of it
  match_prefix_set = 'p'
  set_community_add = [\"65001:1\",   \"65001:2\"]

# the rest of it
[[policy.definitions.a.statements]]
action = \"deny\"
prefix = \"10.0.0.0/8\"
le = 0x18

# nobody has it
[policy.definitions.\"b c\"]

[policy.prefix_sets.p]
prefixes = [
  \"192.0.2.0/24\", # one
  \"198.51.100.0/24 le 25\", # two
  # three was here
  \"2001:db8::/32\",
]

# --- groups ---
[peer_groups.g]
hold_time = 30
md5_password = \"hunter2\" # secret
add_path.send = true
";

/// Changes a text, which must be right before and after.
fn change(text: &str, edit: &Edit) -> Result<String, EditError> {
    let path = Path::new("c.toml");
    let config = match config::from_text(path, text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("{text}\n{diagnostics}"),
    };
    let changed = apply(text.as_bytes(), text.as_bytes(), &config, edit)?;
    check(path, &changed, edit)?;
    Ok(changed)
}

fn get(text: &str, kind: Kind, name: &str) -> Object {
    match objects(text.as_bytes(), kind, Some(name)) {
        Ok(Answer::Objects(mut all)) => all.remove(0).1,
        other => panic!("{other:?}"),
    }
}

fn edit(kind: Kind, name: &str, object: Object) -> Edit {
    Edit::SetObject { kind, name: name.into(), object, knows_all: true }
}

fn set(text: &str, kind: Kind, name: &str, object: &Object) -> Result<String, EditError> {
    change(text, &edit(kind, name, object.clone()))
}

fn delete(text: &str, kind: Kind, name: &str) -> Result<String, EditError> {
    change(text, &Edit::DeleteObject { kind, name: name.into() })
}

fn keys(list: &[(&str, Plain)]) -> Keys {
    Keys(list.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn text(text: &str) -> Plain {
    Plain::Text(text.to_owned())
}

fn texts(list: &[&str]) -> Plain {
    Plain::Texts(list.iter().map(|t| (*t).to_owned()).collect())
}

fn deny(prefix: &str) -> Keys {
    keys(&[("action", text("deny")), ("prefix", text(prefix))])
}

fn policy(statements: &[Keys]) -> Object {
    Object { keys: Keys::default(), statements: vec![("statements".into(), statements.to_vec())] }
}

/// The list of the object's statements, to be changed.
fn list(object: &mut Object) -> &mut Vec<Keys> {
    &mut object.statements[0].1
}

#[test]
fn what_is_read_and_set_again_changes_nothing() {
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/tls");
    let whole = include_str!("../config/tests/complete.toml")
        .replace("token_file = \"@TOKEN@\"\n", "")
        .replace("@TLS@", certificates);
    for file in [format!("{GLOBAL}{POLICIES}"), whole] {
        for kind in [
            Kind::Policy,
            Kind::NeighborSet,
            Kind::PrefixSet,
            Kind::AsSet,
            Kind::CommunitySet,
            Kind::PeerGroup,
        ] {
            let Ok(Answer::Objects(all)) = objects(file.as_bytes(), kind, None) else { panic!() };
            for (name, mut object) in all {
                for (_, value) in &mut object.keys.0 {
                    if *value == text(SET) {
                        *value = Plain::Secret(SecretText(SET.into()));
                    }
                }
                let config =
                    config::from_text(Path::new("c"), &file).map_err(|d| d.to_string()).unwrap().config;
                let again =
                    apply(file.as_bytes(), file.as_bytes(), &config, &edit(kind, &name, object)).unwrap();
                assert_eq!(again, file, "{kind:?} {name}");
            }
        }
    }
}

#[test]
fn what_changes_in_a_policy_is_all_that_changes_in_the_file() {
    let file = format!("{GLOBAL}{POLICIES}");
    // One value.
    let mut a = get(&file, Kind::Policy, "a");
    list(&mut a)[1].0[2].1 = Plain::Number(25);
    assert_eq!(set(&file, Kind::Policy, "a", &a).unwrap(), file.replace("0x18", "25"));
    // One more of a list, one key less.
    let mut a = get(&file, Kind::Policy, "a");
    list(&mut a)[0].0[2].1 = texts(&["65001:1", "65001:2", "65001:3"]);
    list(&mut a)[1].0.truncate(2);
    let expected = file.replace("\"65001:2\"]", "\"65001:2\", \"65001:3\"]").replace("le = 0x18\n", "");
    assert_eq!(set(&file, Kind::Policy, "a", &a).unwrap(), expected);
    // Statements before, between and behind the others.
    let new = |n: u8| deny(&format!("10.{n}.0.0/16"));
    let written = |n: u8| {
        format!("\n[[policy.definitions.a.statements]]\naction = \"deny\"\nprefix = \"10.{n}.0.0/16\"\n")
    };
    let mut a = get(&file, Kind::Policy, "a");
    list(&mut a).insert(0, new(1));
    list(&mut a).insert(2, new(2));
    list(&mut a).push(new(3));
    let changed = set(&file, Kind::Policy, "a", &a).unwrap();
    let kept = file.replace("\n# theirs", &format!("{}\n# theirs", written(1)));
    let kept = kept.replace("\n# the rest of it", &format!("{}\n# the rest of it", written(2)));
    let kept = kept.replace("\n# nobody has it", &format!("{}\n# nobody has it", written(3)));
    assert_eq!(changed, kept);
    assert!(get(&changed, Kind::Policy, "a").says_the_same(&a));
    // And away again.
    list(&mut a).remove(0);
    list(&mut a).remove(1);
    list(&mut a).pop();
    assert_eq!(set(&changed, Kind::Policy, "a", &a).unwrap(), file);
    // The first statement of one that has none.
    let b = policy(&[new(1)]);
    let expected = file.replace(
        "[policy.definitions.\"b c\"]\n",
        &format!("[policy.definitions.\"b c\"]\n{}", written(1).replace(".a.", ".\"b c\".")),
    );
    assert_eq!(set(&file, Kind::Policy, "b c", &b).unwrap(), expected);
    assert_eq!(set(&expected, Kind::Policy, "b c", &Object::default()).unwrap(), file);
}

#[test]
fn something_new_stands_behind_what_is_like_it() {
    let file = format!("{GLOBAL}{POLICIES}");
    let new = policy(&[keys(&[
        ("action", text("permit")),
        ("match_med_ge", Plain::Number(5)),
        ("set_as_path_prepend.asn", Plain::Number(65001)),
        ("set_as_path_prepend.count", Plain::Number(2)),
    ])]);
    let written = "
[policy.definitions.new]

[[policy.definitions.new.statements]]
action = \"permit\"
match_med_ge = 5
set_as_path_prepend = { asn = 65001, count = 2 }
";
    let at = "[policy.definitions.\"b c\"]\n";
    assert_eq!(set(&file, Kind::Policy, "new", &new).unwrap(), file.replace(at, &format!("{at}{written}")));
    // The first thing of its kind.
    assert_eq!(set(GLOBAL, Kind::Policy, "new", &new).unwrap(), format!("{GLOBAL}{written}"));
    let asns =
        Object { keys: keys(&[("asns", Plain::Numbers(vec![65001, 4_200_000_000]))]), ..Object::default() };
    let with = set(&file, Kind::AsSet, "few", &asns).unwrap();
    assert!(with.contains("\n[policy.as_sets.few]\nasns = [65001, 4200000000]\n"), "{with}");
    assert_eq!(delete(&with, Kind::AsSet, "few").unwrap(), file);
    let group = Object {
        keys: keys(&[("hold_time", Plain::Number(9)), ("add_path.send", Plain::Flag(true))]),
        ..Object::default()
    };
    let with = set(&file, Kind::PeerGroup, "h", &group).unwrap();
    assert_eq!(with, format!("{file}\n[peer_groups.h]\nhold_time = 9\nadd_path = {{ send = true }}\n"));

    // Whatever the form of what is there already.
    for start in [
        format!("policy = {{ definitions = {{ a = {{}} }} }}\n{GLOBAL}"),
        format!("policy.definitions.a.default_action = \"deny\"\n{GLOBAL}"),
        format!("{GLOBAL}[policy]\ndefinitions.a.default_action = \"deny\"\nimport_chain = [\"a\"]\n"),
        format!("{GLOBAL}[policy.definitions]\na = {{ statements = [] }}\n# the end\n"),
        format!("{GLOBAL}[[policy.import]]\naction = \"deny\"\nprefix = \"10.0.0.0/8\"\n"),
        format!("[[policy.definitions.a.statements]]\naction = \"deny\"\nprefix = \"10.0.0.0/8\"\n{GLOBAL}"),
    ] {
        let with = set(&start, Kind::Policy, "new", &new).unwrap();
        assert!(get(&with, Kind::Policy, "new").says_the_same(&new), "{with}");
        let mut more = new.clone();
        list(&mut more).insert(0, deny("10.0.0.0/8"));
        list(&mut more).push(deny("11.0.0.0/8"));
        let changed = set(&with, Kind::Policy, "new", &more).unwrap();
        assert!(get(&changed, Kind::Policy, "new").says_the_same(&more), "{changed}");
        assert_eq!(delete(&with, Kind::Policy, "new").unwrap(), start, "{with}");
        if start.contains("definitions") {
            let with = set(&start, Kind::Policy, "a", &more).unwrap();
            assert!(get(&with, Kind::Policy, "a").says_the_same(&more), "{with}");
        }
    }
}

#[test]
fn entries_of_sets_come_and_go_with_their_lines() {
    let file = format!("{GLOBAL}{POLICIES}");
    let of = |list: &[&str]| Object { keys: keys(&[("prefixes", texts(list))]), ..Object::default() };
    let fewer = of(&["192.0.2.0/24", "2001:db8::/32", "203.0.113.0/24"]);
    let changed = set(&file, Kind::PrefixSet, "p", &fewer).unwrap();
    let expected = file
        .replace("  \"198.51.100.0/24 le 25\", # two\n  # three was here\n", "  # three was here\n")
        .replace("  \"2001:db8::/32\",\n", "  \"2001:db8::/32\",\n  \"203.0.113.0/24\",\n");
    assert!(get(&changed, Kind::PrefixSet, "p").says_the_same(&fewer), "{changed}");
    assert_eq!(changed.matches('#').count(), expected.matches('#').count(), "{changed}");
    assert!(
        changed.contains("  \"192.0.2.0/24\", # one\n") && changed.contains("\n  \"203.0.113.0/24\",\n]"),
        "{changed}"
    );
    // In another order: written anew.
    let other = of(&["2001:db8::/32", "192.0.2.0/24"]);
    let changed = set(&file, Kind::PrefixSet, "p", &other).unwrap();
    assert!(changed.contains("prefixes = [\"2001:db8::/32\", \"192.0.2.0/24\"]\n"), "{changed}");
    // Long ones have a line for each entry.
    let many: Vec<String> = (0..=255).map(|n| format!("10.0.{n}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let changed = set(&file, Kind::PrefixSet, "p", &of(&many)).unwrap();
    assert!(changed.contains("prefixes = [\n    \"10.0.0.0/24\",\n    \"10.0.1.0/24\",\n"), "{changed}");
    let Ok(Answer::Sizes(all)) = sizes(changed.as_bytes(), Kind::PrefixSet) else { panic!() };
    assert_eq!(all, [("p".to_owned(), 256)]);
}

#[test]
fn what_is_referred_to_is_not_deleted_and_says_by_what() {
    let users = "
[[neighbors]]
address = \"10.0.0.2\"
remote_asn = 65002
peer_group = \"g\"
export_policy_chain = [\"a\"]
[[neighbors.import_policy]]
action = \"deny\"
match_origin_as_set = \"asns\"
[[dynamic_neighbors]]
prefix = \"10.9.0.0/16\"
peer_group = \"g\"
[policy]
import_chain = [\"a\"]
[[policy.export]]
action = \"deny\"
match_community_set = \"marked\"
[policy.as_sets.asns]
asns = [1]
[policy.community_sets.marked]
communities = [\"65001:1\"]
[policy.neighbor_sets.n]
peer_groups = [\"g\"]
[[peer_groups.h.import_policy]]
action = \"deny\"
match_neighbor_set = \"n\"
[peer_groups.i]
export_policy_chain = [\"a\"]
[[policy.tests]]
name = \"denied\"
direction = \"import\"
peer_group = \"g\"
chain = [\"a\"]
route = { prefix = \"10.0.0.0/8\" }
expect = { action = \"deny\" }
";
    let file = format!("{GLOBAL}{POLICIES}{users}");
    for (kind, name, by) in [
        (
            Kind::Policy,
            "a",
            "the policy \"a\" is in use: by the import chain of all neighbors, the export chain of the neighbor 10.0.0.2, \
             the export chain of the peer group \"i\", the policy test \"denied\"",
        ),
        (Kind::PrefixSet, "p", "the prefix set \"p\" is in use: by statement 1 of the policy \"a\""),
        (
            Kind::AsSet,
            "asns",
            "the AS set \"asns\" is in use: by statement 1 of the import policy of the neighbor 10.0.0.2",
        ),
        (
            Kind::CommunitySet,
            "marked",
            "the community set \"marked\" is in use: by statement 1 of the export policy of all neighbors",
        ),
        (
            Kind::NeighborSet,
            "n",
            "the neighbor set \"n\" is in use: by statement 1 of the import policy of the peer group \"h\"",
        ),
        (
            Kind::PeerGroup,
            "g",
            "the peer group \"g\" is in use: by the neighbor 10.0.0.2, the dynamic neighbors 10.9.0.0/16, \
             the neighbor set \"n\", the policy test \"denied\"",
        ),
    ] {
        let error = delete(&file, kind, name).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Refusal::Precondition, by));
    }
    // The name stands in many places, and nothing of this kind has it.
    let error = delete(&file, Kind::NeighborSet, "a").unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::NotFound, "name"));
    assert!(delete(&file, Kind::Policy, "b d").unwrap_err().message.contains("did you mean \"b c\"?"));
    let without = delete(&file, Kind::Policy, "b c").unwrap();
    assert_eq!(without, file.replace("# nobody has it\n[policy.definitions.\"b c\"]\n\n", ""));
    assert_eq!(objects(file.as_bytes(), Kind::AsSet, Some("x")).unwrap_err().kind, Refusal::NotFound);
}

#[test]
fn every_rule_of_the_file_holds_and_names_the_field() {
    let file = format!("{GLOBAL}{POLICIES}");
    let statement = |more: &[(&str, Plain)]| {
        let mut all = vec![("action", text("permit"))];
        all.extend_from_slice(more);
        policy(&[deny("10.0.0.0/8"), keys(&all)])
    };
    let object = |key: &str, value: Plain| Object { keys: keys(&[(key, value)]), ..Object::default() };
    for (kind, object, field, value, says) in [
        (Kind::Policy, statement(&[]), "definition.statements[1]", "", "needs a prefix or a match_ key"),
        (
            Kind::Policy,
            policy(&[deny("10.0.0.0/33")]),
            "definition.statements[0].prefix",
            "10.0.0.0/33",
            "a prefix, like",
        ),
        (
            Kind::Policy,
            statement(&[("match_as_path", text("^(65001"))]),
            "definition.statements[1].match_as_path",
            "",
            "invalid match_as_path \"^(65001\"",
        ),
        (
            Kind::Policy,
            statement(&[("match_med_ge", Plain::Number(1 << 33))]),
            "definition.statements[1].match_med_ge",
            "8589934592",
            "must be at most 4294967295",
        ),
        (
            Kind::Policy,
            statement(&[
                ("prefix", text("::/0")),
                ("set_as_path_prepend.asn", Plain::Number(1)),
                ("set_as_path_prepend.count", Plain::Number(11)),
            ]),
            "definition.statements[1].set_as_path_prepend.count",
            "11",
            "must be 1 to 10",
        ),
        (
            Kind::Policy,
            statement(&[("match_prefix_set", text("q"))]),
            "definition.statements[1].match_prefix_set",
            "q",
            "there is no such prefix set",
        ),
        (
            Kind::Policy,
            object("default_action", text("drop")),
            "definition.default_action",
            "drop",
            "must be",
        ),
        (
            Kind::NeighborSet,
            object("addresses", texts(&["10.0.0.1", "x"])),
            "definition.addresses[1]",
            "x",
            "an IP address",
        ),
        (
            Kind::PrefixSet,
            object("prefixes", texts(&["10.0.0.0/8 ge 7"])),
            "entries[0]",
            "10.0.0.0/8 ge 7",
            "must have",
        ),
        (Kind::CommunitySet, object("communities", texts(&["1"])), "entries[0]", "1", "ASN:VALUE"),
        (
            Kind::PeerGroup,
            object("hold_time", Plain::Number(2)),
            "definition.hold_time",
            "2",
            "must be 0 or >= 3",
        ),
        (
            Kind::PeerGroup,
            object("add_path.send_max", Plain::Number(1 << 40)),
            "definition.add_path_send_max",
            "1099511627776",
            "at most",
        ),
        (
            Kind::PeerGroup,
            object("md5_password", Plain::Secret(SecretText("x".repeat(81)))),
            "definition.md5_password",
            "",
            "must be 1 to 80 octets long",
        ),
    ] {
        let error = set(&file, kind, "new", &object).unwrap_err();
        assert_eq!(
            (error.kind, error.field.as_str(), error.value.as_str()),
            (Refusal::Invalid, field, value),
            "{error:?}"
        );
        assert!(error.message.contains(says), "{error:?}");
    }
}

#[test]
fn a_key_that_is_shown_as_set_is_kept_and_another_one_replaces_it() {
    let file = format!("{GLOBAL}{POLICIES}");
    let mut group = get(&file, Kind::PeerGroup, "g");
    assert_eq!(group.keys.get("md5_password"), Some(&text(SET)));
    let secret = |group: &mut Object, value: &str| {
        for (_, v) in group.keys.0.iter_mut().filter(|(key, _)| key == "md5_password") {
            *v = Plain::Secret(SecretText(value.into()));
        }
    };
    secret(&mut group, SET);
    group.keys.0.retain(|(key, _)| key != "hold_time");
    assert_eq!(set(&file, Kind::PeerGroup, "g", &group).unwrap(), file.replace("hold_time = 30\n", ""));
    secret(&mut group, "other");
    let changed = set(&file, Kind::PeerGroup, "g", &group).unwrap();
    assert!(
        changed.contains("md5_password = \"other\" # secret\n") && !changed.contains("hunter2"),
        "{changed}"
    );
    secret(&mut group, SET);
    let error = set(&file, Kind::PeerGroup, "new", &group).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Invalid, "definition.md5_password"));
}

/// A client that is built for the older fields drops what it does not know: that would widen a statement unseen.
#[test]
fn what_a_client_may_not_know_is_not_lost() {
    let file = format!("{GLOBAL}{POLICIES}");
    let old_client = |kind: Kind, name: &str, object: &Object| {
        let edit = Edit::SetObject { kind, name: name.into(), object: object.clone(), knows_all: false };
        change(&file, &edit)
    };
    let mut a = get(&file, Kind::Policy, "a");
    list(&mut a)[0].0[1] = ("prefix".into(), text("10.0.0.0/8"));
    let error = old_client(Kind::Policy, "a", &a).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Precondition, "definition.extended"));
    assert!(error.message.contains("match_prefix_set in statements 1"), "{error:?}");
    set(&file, Kind::Policy, "a", &a).unwrap();
    // Nothing to lose, or it knows more than that.
    old_client(Kind::Policy, "b c", &a).unwrap();
    let mut a = get(&file, Kind::Policy, "a");
    list(&mut a).pop();
    old_client(Kind::Policy, "a", &a).unwrap();
    let group = |key: &str| {
        let set = keys(&[("hold_time", Plain::Number(9)), (key, text("x"))]);
        super::object::unknown(Kind::PeerGroup, &Object { keys: set, ..Object::default() })
    };
    assert_eq!(group("description").as_deref(), Some("description"));
    assert_eq!(group("md5_password"), None);
}

#[test]
fn neighbors_change_their_group() {
    let neighbor = "\n[[neighbors]] # n\naddress = \"10.0.0.2\"\nremote_asn = 65002 # x\n";
    let file = format!("{GLOBAL}{POLICIES}{neighbor}");
    let group = |file: &str, group: Option<&str>, of: &str| {
        let edit = Edit::SetNeighborGroup { neighbor: of.parse().unwrap(), group: group.map(str::to_owned) };
        change(file, &edit)
    };
    let with = group(&file, Some("g"), "10.0.0.2").unwrap();
    assert_eq!(with, format!("{file}peer_group = \"g\"\n"));
    assert_eq!(group(&with, None, "10.0.0.2").unwrap(), file);
    assert_eq!(group(&file, None, "10.0.0.2").unwrap(), file);
    let error = group(&file, Some("h"), "10.0.0.2").unwrap_err();
    assert_eq!(
        (error.kind, error.field.as_str(), error.value.as_str()),
        (Refusal::Invalid, "peer_group", "h")
    );
    assert_eq!(group(&file, Some("g"), "10.0.0.3").unwrap_err().kind, Refusal::NotFound);
}
