//! What a change of ranges of dynamic neighbors does to the text of a file.

use std::path::Path;

use ipc::edit::{Edit, EditError, NewRange, Refusal};

use super::{apply, check};
use crate::config;

const FILE: &str = "\
[global]
asn = 65001
router_id = \"10.0.0.1\"
listen_port = 179
[global.telemetry]

[peer_groups.g]   # for members
hold_time = 30

# --- members ---
[[dynamic_neighbors]]
prefix = \"10.0.0.7/24\"   # all of it
peer_group = \"g\"

# --- the rest ---
[policy]
";

/// Changes a text, which must be right before and after.
fn change(text: &str, edit: &Edit) -> Result<String, EditError> {
    let path = Path::new("c.toml");
    let changed =
        apply(text.as_bytes(), text.as_bytes(), &config::from_text(path, text).unwrap().config, edit)?;
    check(path, &changed, edit)?;
    Ok(changed)
}

fn range(prefix: &str) -> NewRange {
    NewRange { prefix: prefix.parse().unwrap(), peer_group: "g".into(), remote_asn: 0, description: None }
}

#[test]
fn a_range_is_put_behind_the_others_and_taken_away_again() {
    let new = NewRange { remote_asn: 65002, description: Some("v6".into()), ..range("2001:db8::/32") };
    let added = change(FILE, &Edit::AddRange(new)).unwrap();
    let table = "[[dynamic_neighbors]]\nprefix = \"2001:db8::/32\"\npeer_group = \"g\"\nremote_asn = 65002\n\
                 description = \"v6\"\n";
    assert!(added.contains(table), "{added}");
    let prefix = "2001:db8::/32".parse().unwrap();
    assert_eq!(change(&added, &Edit::DeleteRange { prefix }).unwrap(), FILE);
    // However it is written there.
    let gone = change(FILE, &Edit::DeleteRange { prefix: "10.0.0.0/24".parse().unwrap() }).unwrap();
    assert!(!gone.contains("dynamic_neighbors") && gone.contains("# --- the rest ---"), "{gone}");
}

#[test]
fn what_is_there_already_or_not_or_wrong_is_refused() {
    let kind = |edit: &Edit| change(FILE, edit).map_err(|e| (e.kind, e.field)).err();
    let field = |f: &str| f.to_owned();
    assert_eq!(kind(&Edit::AddRange(range("10.0.0.0/24"))), Some((Refusal::Exists, field("prefix"))));
    let other = NewRange { peer_group: "nobody".into(), ..range("10.9.0.0/24") };
    assert_eq!(kind(&Edit::AddRange(other)), Some((Refusal::Invalid, field("peer_group"))));
    let prefix = "10.9.0.0/24".parse().unwrap();
    assert_eq!(kind(&Edit::DeleteRange { prefix }), Some((Refusal::NotFound, field("prefix"))));
}
