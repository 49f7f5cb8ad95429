//! The chains of policies: `[policy]` for all, and those of neighbors.

use std::net::IpAddr;

use ipc::edit::{Chains, EditError, Refusal, Way};
use toml_edit::{Array, Item, TableLike, Value};

use super::document::{Document, has_address, set_value};

/// Where the chains for all are.
const ALL: &str = "policy";

/// The keys for import and for export.
fn keys(neighbor: Option<IpAddr>) -> [&'static str; 2] {
    match neighbor {
        Some(_) => ["import_policy_chain", "export_policy_chain"],
        None => ["import_chain", "export_chain"],
    }
}

/// Writes a chain, or writes none.
pub(super) fn set(
    document: &mut Document,
    neighbor: Option<IpAddr>,
    way: Way,
    policies: &[String],
) -> Result<(), EditError> {
    let [import, export] = keys(neighbor);
    let key = match way {
        Way::Import => import,
        Way::Export => export,
    };
    let table = match neighbor {
        Some(address) => document
            .in_list("neighbors", |t| has_address(t, "address", address))
            .ok_or_else(|| no_such(address))?,
        None if policies.is_empty() && document.get(&[ALL]).is_none() => return Ok(()),
        None => document.table(ALL)?,
    };
    if !policies.is_empty() {
        set_value(table, key, policies.iter().collect::<Array>());
    } else if has_comments(table, key) {
        // What the operator has written there stays; a chain of nothing is none.
        set_value(table, key, Array::new());
    } else {
        table.remove(key);
    }
    Ok(())
}

/// The chains that the file names there.
pub(super) fn show(document: &Document, neighbor: Option<IpAddr>) -> Result<Chains, EditError> {
    let neighbors = document.all("neighbors");
    let table = match neighbor {
        Some(address) => {
            let found = neighbors.into_iter().find(|t| has_address(*t, "address", address));
            Some(found.ok_or_else(|| no_such(address))?)
        }
        None => document.get(&[ALL]).and_then(Item::as_table_like),
    };
    let names = |key: &str| -> Vec<String> {
        let list = table.and_then(|t| t.get(key)).and_then(Item::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let [import, export] = keys(neighbor).map(names);
    Ok(Chains { import, export })
}

fn has_comments(table: &dyn TableLike, key: &str) -> bool {
    let above = table.key(key).and_then(|k| k.leaf_decor().prefix()).and_then(|p| p.as_str());
    let value = table.get(key).map(ToString::to_string).unwrap_or_default();
    above.is_some_and(|above| above.contains('#')) || value.contains('#')
}

fn no_such(address: IpAddr) -> EditError {
    EditError::about(Refusal::NotFound, "address", address, format!("there is no neighbor {address}"))
}
