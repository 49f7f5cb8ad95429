//! docs/CONFIGURATION.md says what the code does.

use std::collections::{BTreeMap, BTreeSet};

use super::super::keys::TABLES;
use super::load_text;

/// What a reload costs, by key.
const COSTS: &str = "What a change costs";

const DOCUMENT: &str = include_str!("../../../../docs/CONFIGURATION.md");

/// The rows of each section's table: name of the key, and whether it has an effect.
fn documented() -> BTreeMap<String, BTreeSet<(String, bool)>> {
    let mut sections: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
    let mut section = String::new();
    let mut example = false;
    for line in DOCUMENT.lines() {
        example ^= line.starts_with("```");
        if example {
            continue;
        }
        // These are the rows of a table of their own (`parent/src/changes/documented.rs`).
        if section == COSTS && !line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('#') {
            section = title.trim_start_matches('#').trim().to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once('`').unwrap();
            let effect = match rest.trim_end().trim_end_matches('|').rsplit('|').next().unwrap().trim() {
                "yes" => true,
                "not yet" => false,
                other => panic!("{section}: {key}: the last column is {other:?}"),
            };
            let new = sections.entry(section.clone()).or_default().insert((key.to_owned(), effect));
            assert!(new, "{section}: {key} is there twice");
        }
    }
    sections
}

#[test]
fn every_key_is_documented_with_its_effect() {
    let documented = documented();
    for table in TABLES {
        let keys = table.keys.iter().copied().flatten();
        let keys: BTreeSet<_> = keys.map(|k| (k.name.to_owned(), k.effective)).collect();
        assert_eq!(documented.get(table.title), Some(&keys), "{}", table.title);
    }
    assert_eq!(documented.len(), TABLES.len(), "sections: {:?}", documented.keys());
}

/// Examples that begin with `[global]` are whole files.
#[test]
fn examples_load() {
    let mut whole = 0;
    for block in DOCUMENT.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if text.starts_with("[global]") {
            whole += 1;
            if let Err(diagnostics) = load_text(text) {
                panic!("{text}\n{diagnostics}");
            }
        }
    }
    assert!(whole >= 2);
}
