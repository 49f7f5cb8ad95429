//! What refers to a named thing, by the keys that name things of its kind.

use ipc::object::Kind;
use toml_edit::{Item, TableLike, Value};

use super::document::Document;
use super::values::tables;

/// What refers to it, in words.
pub(super) fn to(document: &Document, kind: Kind, name: &str) -> Vec<String> {
    match kind {
        Kind::Policy => of_policy(document, name),
        Kind::PeerGroup => of_group(document, name),
        Kind::NeighborSet => of_set(document, "match_neighbor_set", name),
        Kind::PrefixSet => of_set(document, "match_prefix_set", name),
        Kind::AsSet => of_set(document, "match_origin_as_set", name),
        Kind::CommunitySet => of_set(document, "match_community_set", name),
    }
}

/// A place that has policies: what it is called, its table, the ways and the keys before `_chain` or of statements.
fn places(document: &Document) -> Vec<(String, &dyn TableLike, [&'static str; 2])> {
    const OWN: [&str; 2] = ["import_policy", "export_policy"];
    let all = document.get(&["policy"]).and_then(Item::as_table_like);
    let all = all.map(|t| ("all neighbors".to_owned(), t, ["import", "export"]));
    let neighbors = document.all("neighbors").into_iter().map(|t| (neighbor(t), t, OWN));
    let groups = named(document, &["peer_groups"]).into_iter();
    let groups = groups.map(|(name, t)| (format!("the peer group {name:?}"), t, OWN));
    all.into_iter().chain(neighbors).chain(groups).collect()
}

fn of_policy(document: &Document, name: &str) -> Vec<String> {
    let mut users = Vec::new();
    for (place, table, keys) in places(document) {
        for (way, key) in ["import", "export"].into_iter().zip(keys) {
            if lists(table, &format!("{key}_chain"), name) {
                users.push(format!("the {way} chain of {place}"));
            }
        }
    }
    users.extend(tests(document).filter(|t| lists(*t, "chain", name)).map(test));
    users
}

fn of_set(document: &Document, key: &str, name: &str) -> Vec<String> {
    let mut users = Vec::new();
    let mut look = |list: Option<&Item>, whose: String| {
        for (number, statement) in (1..).zip(tables(list)) {
            if says(statement, key, name) {
                users.push(format!("statement {number} of {whose}"));
            }
        }
    };
    for (policy, table) in named(document, Kind::Policy.path()) {
        look(table.get("statements"), format!("the policy {policy:?}"));
    }
    for (place, table, keys) in places(document) {
        for (way, key) in ["import", "export"].into_iter().zip(keys) {
            look(table.get(key), format!("the {way} policy of {place}"));
        }
    }
    users
}

fn of_group(document: &Document, name: &str) -> Vec<String> {
    let neighbors =
        document.all("neighbors").into_iter().filter(|t| says(*t, "peer_group", name)).map(neighbor);
    let ranges = document.all("dynamic_neighbors").into_iter().filter(|t| says(*t, "peer_group", name));
    let ranges = ranges.map(|t| format!("the dynamic neighbors {}", text(t, "prefix")));
    let sets = named(document, Kind::NeighborSet.path()).into_iter();
    let sets = sets.filter(|(_, t)| lists(*t, "peer_groups", name));
    let sets = sets.map(|(set, _)| format!("the neighbor set {set:?}"));
    let tests = tests(document).filter(|t| says(*t, "peer_group", name)).map(test);
    neighbors.chain(ranges).chain(sets).chain(tests).collect()
}

fn named<'d>(document: &'d Document, path: &[&str]) -> Vec<(&'d str, &'d dyn TableLike)> {
    let table = document.get(path).and_then(Item::as_table_like);
    let entries = table.into_iter().flat_map(TableLike::iter);
    entries.filter_map(|(name, item)| Some((name, item.as_table_like()?))).collect()
}

fn tests(document: &Document) -> impl Iterator<Item = &dyn TableLike> {
    tables(document.get(&["policy", "tests"])).into_iter()
}

fn test(table: &dyn TableLike) -> String {
    format!("the policy test {:?}", text(table, "name"))
}

fn neighbor(table: &dyn TableLike) -> String {
    format!("the neighbor {}", text(table, "address"))
}

fn text<'t>(table: &'t dyn TableLike, key: &str) -> &'t str {
    table.get(key).and_then(Item::as_str).unwrap_or_default()
}

fn says(table: &dyn TableLike, key: &str, name: &str) -> bool {
    table.get(key).and_then(Item::as_str) == Some(name)
}

fn lists(table: &dyn TableLike, key: &str, name: &str) -> bool {
    let list = table.get(key).and_then(Item::as_array);
    list.is_some_and(|list| list.iter().any(|v: &Value| v.as_str() == Some(name)))
}
