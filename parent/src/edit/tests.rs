//! What a change does to the text of a file, and what it does not.

use std::path::Path;

use ipc::edit::{Edit, EditError, NewNeighbor, Refusal};
use ipc::object::{Keys, Object, Plain, SecretText};

use super::{apply, check};
use crate::config::{self, Config};

const GLOBAL: &str = "\
# Edge router, rack 7
[global]
asn = 65001            # ours
router_id = \"10.0.0.1\"
listen_port = 179
[global.telemetry]
";

/// Two neighbors with everything that operators do to files.
const NEIGHBORS: &str = "
# --- upstreams ---------------------------------------------------------------

# the fast one
[[neighbors]]   # first
  address = \"2001:DB8::2\"
  remote_asn = 6_5002
  # hold_time = 30

  [neighbors.add_path]
  receive = true

[peer_groups.g]
hold_time = 0x1e

# --- customers ---

# the slow one
[[neighbors]]
remote_asn=65003
address='10.0.0.3'
peer_group = \"g\"

# --- the rest ---

[policy]
# nothing yet
";

fn config(text: &str) -> Config {
    match config::from_text(Path::new("c.toml"), text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("{text}\n{diagnostics}"),
    }
}

/// Changes a text, which must be right before and after.
fn change(text: &str, edit: &Edit) -> Result<String, EditError> {
    let changed = apply(text.as_bytes(), text.as_bytes(), &config(text), edit)?;
    check(Path::new("c.toml"), &changed, edit)?;
    Ok(changed)
}

fn new(address: &str) -> NewNeighbor {
    NewNeighbor {
        address: address.parse().unwrap(),
        remote_asn: 65009,
        description: None,
        peer_group: None,
        families: vec![],
        hold_time: None,
        max_prefixes: None,
        max_prefixes_out: None,
        max_prefixes_action: None,
        max_prefixes_restart_minutes: None,
        remove_private_as: None,
        ttl_security: false,
        role: None,
        role_strict: false,
        route_server_client: false,
        add_path_receive: false,
        add_path_send: false,
        add_path_send_max: None,
        settings: Object::default(),
    }
}

fn add(new: NewNeighbor) -> Edit {
    Edit::AddNeighbor(Box::new(new))
}

fn delete(address: &str) -> Edit {
    Edit::DeleteNeighbor { address: address.parse().unwrap() }
}

const ADDED: &str =
    "\n[[neighbors]]\naddress = \"10.0.0.9\"\nremote_asn = 65009\nfamilies = [\"ipv4_unicast\"]\n";

#[test]
fn a_neighbor_is_added_behind_the_others_and_nothing_else_changes() {
    let text = format!("{GLOBAL}{NEIGHBORS}");
    let (before, after) = text.split_at(text.find("\n# --- the rest").unwrap());
    assert_eq!(change(&text, &add(new("10.0.0.9"))), Ok(format!("{before}{ADDED}{after}")));
    // The first one of a file.
    assert_eq!(change(GLOBAL, &add(new("10.0.0.9"))), Ok(format!("{GLOBAL}{ADDED}")));
    // Behind the tables of the last one, and before what is written at the end.
    let text = format!(
        "{GLOBAL}[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n[neighbors.add_path]\nsend = true\n"
    );
    let end = "\n# vim: set ts=2\n";
    assert_eq!(change(&format!("{text}{end}"), &add(new("10.0.0.9"))), Ok(format!("{text}{ADDED}{end}")));
    // Comments right behind a table belong to it, those right above the next header to that.
    let text = format!("{GLOBAL}[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n# hold_time = 9\n");
    assert_eq!(change(&text, &add(new("10.0.0.9"))), Ok(format!("{text}{ADDED}")));
    let rest = "\n[policy]\n# none\n";
    assert_eq!(change(&format!("{text}{rest}"), &add(new("10.0.0.9"))), Ok(format!("{text}{ADDED}{rest}")));
    let (text, rest) = (text.replace("# hold_time = 9\n", ""), "# what we take\n[policy]\n");
    assert_eq!(change(&format!("{text}{rest}"), &add(new("10.0.0.9"))), Ok(format!("{text}{ADDED}{rest}")));
    // Headers that come back to something: behind all of them.
    let text = format!(
        "[[policy.export]]\naction = \"deny\"\nprefix = \"10.0.0.0/8\"\n{GLOBAL}[policy.prefix_sets.a]\nprefixes = []\n"
    );
    assert_eq!(change(&text, &add(new("10.0.0.9"))), Ok(format!("{text}{ADDED}")));
}

#[test]
fn all_that_is_said_of_a_neighbor_is_written() {
    let whole = NewNeighbor {
        description: Some("a \"quoted\" name\\ \u{1b}[31m".into()),
        peer_group: Some("g".into()),
        families: vec!["ipv4_unicast".into(), "ipv6_unicast".into()],
        hold_time: Some(30),
        max_prefixes: Some(5),
        max_prefixes_out: Some(6),
        max_prefixes_action: Some("restart".into()),
        max_prefixes_restart_minutes: Some(7),
        remove_private_as: Some("all".into()),
        ttl_security: true,
        role: Some("peer".into()),
        role_strict: true,
        route_server_client: true,
        add_path_receive: true,
        add_path_send: true,
        add_path_send_max: Some(3),
        ..new("10.0.0.9")
    };
    let text = format!("{GLOBAL}[peer_groups.g]\n");
    let changed = change(&text, &add(whole)).unwrap();
    let expected = r#"
[[neighbors]]
address = "10.0.0.9"
remote_asn = 65009
description = 'DESCRIPTION'
peer_group = "g"
families = ["ipv4_unicast", "ipv6_unicast"]
hold_time = 30
max_prefixes = 5
max_prefixes_out = 6
max_prefixes_action = "restart"
max_prefixes_restart_minutes = 7
remove_private_as = "all"
ttl_security = true
role = "peer"
role_strict = true
route_server_client = true
add_path = { receive = true, send = true, send_max = 3 }
"#;
    let shown: String = (changed.strip_prefix(&text).unwrap().split_inclusive('\n'))
        .map(|l| if l.starts_with("description") { "description = 'DESCRIPTION'\n" } else { l })
        .collect();
    assert_eq!(shown, expected);
    let neighbor = &config(&changed).neighbors[0];
    assert_eq!(neighbor.description, "a \"quoted\" name\\ \u{1b}[31m");
    assert_eq!((neighbor.hold_time, neighbor.add_path.send_max), (30, Some(3)));
}

#[test]
fn a_neighbor_without_families_has_those_of_its_group_else_ipv4_unicast() {
    let text = format!("{GLOBAL}[peer_groups.six]\nfamilies = [\"ipv6_unicast\"]\n[peer_groups.none]\n");
    let families = |group: Option<&str>| {
        let new = NewNeighbor { peer_group: group.map(str::to_owned), ..new("2001:db8::9") };
        let config = config(&change(&text, &add(new)).unwrap());
        config.neighbors[0].families.iter().map(|f| f.name()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(families(None), "ipv4_unicast");
    assert_eq!(families(Some("none")), "ipv4_unicast");
    assert_eq!(families(Some("six")), "ipv6_unicast");
}

#[test]
fn what_a_peer_group_may_say_may_be_said_of_a_neighbor() {
    let keys = |list: &[(&str, Plain)]| {
        Keys(list.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    };
    let text = |t: &str| Plain::Text(t.to_owned());
    let deny = keys(&[("action", text("deny")), ("prefix", text("10.0.0.0/8"))]);
    let settings = |list: &[(&str, Plain)]| NewNeighbor {
        settings: Object {
            keys: keys(list),
            statements: vec![("import_policy".to_owned(), vec![deny.clone()])],
        },
        ..new("10.0.0.9")
    };
    let secret = |t: &str| Plain::Secret(SecretText(t.to_owned()));
    let whole = settings(&[
        ("families", Plain::Texts(vec!["ipv6_unicast".into()])),
        ("md5_password", secret("hunter2")),
        ("port", Plain::Number(1179)),
        ("graceful_restart", Plain::Flag(false)),
        ("add_path.receive", Plain::Flag(true)),
    ]);
    let changed = change(GLOBAL, &add(whole.clone())).unwrap();
    let expected = r#"
[[neighbors]]
address = "10.0.0.9"
remote_asn = 65009
families = ["ipv6_unicast"]
md5_password = "hunter2"
port = 1179
graceful_restart = false
add_path = { receive = true }

[[neighbors.import_policy]]
action = "deny"
prefix = "10.0.0.0/8"
"#;
    assert_eq!(changed.strip_prefix(GLOBAL), Some(expected));
    assert_eq!(change(&changed, &delete("10.0.0.9")).as_deref(), Ok(GLOBAL));
    let inline = format!("neighbors = [{{ address = \"10.0.0.3\", remote_asn = 1 }}]\n{GLOBAL}");
    assert_eq!(config(&change(&inline, &add(whole.clone())).unwrap()).neighbors[1].port, 1179);

    let twice = NewNeighbor { add_path_send: true, ..whole };
    let error = change(GLOBAL, &add(twice)).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Invalid, "settings.add_path_receive"));
    let error = change(GLOBAL, &add(settings(&[("md5_password", secret("<set>"))]))).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Invalid, "settings.md5_password"));
    let error = change(GLOBAL, &add(settings(&[("port", Plain::Number(0))]))).unwrap_err();
    assert_eq!((error.kind, error.field.as_str(), error.value.as_str()), (Refusal::Invalid, "port", "0"));
}

#[test]
fn a_deleted_neighbor_takes_its_own_comments_and_tables_along_and_no_others() {
    let text = format!("{GLOBAL}{NEIGHBORS}");
    let (slow, rest) = (text.find("# the slow one").unwrap(), text.find("\n# --- the rest").unwrap());
    let without_slow = format!("{}{}", text[..slow].trim_end().to_owned() + "\n", &text[rest..]);
    assert_eq!(change(&text, &delete("10.0.0.3")), Ok(without_slow));
    // However its address is written.
    let (fast, group) = (text.find("# the fast one").unwrap(), text.find("\n[peer_groups.g]").unwrap());
    let without_fast = format!("{}{}", text[..fast].trim_end().to_owned() + "\n", &text[group..]);
    assert_eq!(change(&text, &delete("2001:db8::2")), Ok(without_fast));
    // The last thing of a file: what stood above it stays.
    let text = format!("{GLOBAL}\n# neighbors\n\n[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n");
    assert_eq!(change(&text, &delete("10.0.0.3")), Ok(format!("{GLOBAL}\n# neighbors\n")));
}

#[test]
fn adding_and_deleting_gives_the_same_file_again() {
    for text in [
        GLOBAL.to_owned(),
        format!("{GLOBAL}{NEIGHBORS}"),
        format!("{GLOBAL}{NEIGHBORS}").replace('\n', "\r\n"),
        format!("\u{feff}{GLOBAL}{NEIGHBORS}").replace('\n', "\r\n"),
        format!("neighbors = []\n{GLOBAL}"),
        format!("neighbors = [{{ address = \"10.0.0.3\", remote_asn = 1 }}] # one line\n{GLOBAL}"),
        format!("neighbors = [\n  {{ address = \"10.0.0.3\", remote_asn = 1 }} # core\n]\n{GLOBAL}"),
        format!("neighbors = [\n  {{ address = \"10.0.0.3\", remote_asn = 1 }}, # core\n]\n{GLOBAL}"),
        format!("{GLOBAL}[peer_groups]\ng.hold_time = 9\n"),
        format!("{GLOBAL}{NEIGHBORS}# the end\n"),
        format!("{GLOBAL}[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n# hold_time = 9\n"),
        format!(
            "{GLOBAL}[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n# hold_time = 9\n\n[policy]\n"
        ),
    ] {
        let with = change(&text, &add(new("10.0.0.9"))).unwrap();
        assert_eq!(config(&with).neighbors.len(), config(&text).neighbors.len() + 1);
        assert_eq!(with.contains("\r\n"), text.contains("\r\n"));
        assert_eq!(
            with.matches("\r\n").count(),
            if text.contains('\r') { with.matches('\n').count() } else { 0 }
        );
        assert_eq!(change(&with, &delete("10.0.0.9")).as_deref(), Ok(text.as_str()));
    }
    // A last line without its end gets one.
    let text = GLOBAL.trim_end();
    let with = change(text, &add(new("10.0.0.9"))).unwrap();
    assert_eq!(with, format!("{GLOBAL}{ADDED}"));
}

#[test]
fn lists_in_one_place_stay_lists_in_one_place() {
    let text = format!(
        "neighbors = [\n  # two of them\n  {{ address = \"10.0.0.3\", remote_asn = 1 }}, # core\n  \
         {{ address = \"10.0.0.4\", remote_asn = 2 }}, # edge\n]\n{GLOBAL}"
    );
    let added = "  { address = \"10.0.0.9\", remote_asn = 65009, families = [\"ipv4_unicast\"] },\n";
    let with = change(&text, &add(new("10.0.0.9"))).unwrap();
    assert_eq!(with, text.replace("# edge\n", &format!("# edge\n{added}")));
    let without = change(&text, &delete("10.0.0.4")).unwrap();
    assert_eq!(
        without,
        format!(
            "neighbors = [\n  # two of them\n  {{ address = \"10.0.0.3\", remote_asn = 1 }}, # core\n]\n{GLOBAL}"
        )
    );
}

#[test]
fn what_is_there_is_not_added_and_what_is_not_there_is_not_deleted() {
    let text = format!("{GLOBAL}{NEIGHBORS}");
    let refusal = |edit: &Edit| change(&text, edit).unwrap_err();
    let error = refusal(&add(new("2001:db8::2")));
    assert_eq!(
        (error.kind, error.field.as_str(), error.value.as_str()),
        (Refusal::Exists, "address", "2001:db8::2")
    );
    let error = refusal(&delete("10.0.0.9"));
    assert_eq!(
        (error.kind, error.field.as_str(), error.value.as_str()),
        (Refusal::NotFound, "address", "10.0.0.9")
    );
}

#[test]
fn every_rule_of_the_file_holds_for_what_is_added() {
    let text = format!("{GLOBAL}{NEIGHBORS}");
    let base = || new("10.0.0.9");
    let cases = [
        (NewNeighbor { remote_asn: 0, ..base() }, "remote_asn", "0", "must not be 0"),
        (NewNeighbor { hold_time: Some(2), ..base() }, "hold_time", "2", "must be 0 or >= 3"),
        (NewNeighbor { hold_time: Some(70000), ..base() }, "hold_time", "70000", "must be at most 65535"),
        (
            NewNeighbor { peer_group: Some("f".into()), ..base() },
            "peer_group",
            "f",
            "there is no such peer group; did you mean \"g\"?",
        ),
        (NewNeighbor { families: vec!["ipv5".into()], ..base() }, "families", "ipv5", "must be"),
        (NewNeighbor { remove_private_as: Some("x".into()), ..base() }, "remove_private_as", "x", "must be"),
        (
            NewNeighbor { remote_asn: 65001, route_server_client: true, ..base() },
            "route_server_client",
            "true",
            "is for eBGP neighbors only",
        ),
        (new("::ffff:10.0.0.9"), "address", "::ffff:10.0.0.9", "must be written as an IPv4 address"),
        (new("224.0.0.1"), "address", "224.0.0.1", "must be the address of one host"),
    ];
    for (new, field, value, says) in cases {
        let error = change(&text, &add(new)).unwrap_err();
        assert_eq!(
            (error.kind, error.field.as_str(), error.value.as_str()),
            (Refusal::Invalid, field, value)
        );
        assert!(error.message.contains(says), "{}", error.message);
    }
}

/// `toml_edit` would put the keys of `add_path` together.
#[test]
fn a_file_whose_form_would_be_lost_is_left_alone() {
    let text =
        format!("{GLOBAL}[peer_groups.g]\nadd_path.receive = true\nhold_time = 30\nadd_path.send = true\n");
    let error = change(&text, &add(new("10.0.0.9"))).unwrap_err();
    assert_eq!(error.kind, Refusal::Precondition);
    assert!(error.message.contains("from line 9 on"), "{}", error.message);
}
