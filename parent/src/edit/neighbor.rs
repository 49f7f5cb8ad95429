//! `[[neighbors]]`.

use std::net::IpAddr;

use ipc::edit::{EditError, NewNeighbor, Refusal};
use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::document::{Document, has_address};
use crate::config::Config;

const LIST: &str = "neighbors";

/// Adds a neighbor behind the others.
pub(super) fn add(document: &mut Document, config: &Config, new: &NewNeighbor) -> Result<(), EditError> {
    let address = new.address;
    if config.neighbors.iter().any(|n| n.address == address) {
        let why = format!("there is a neighbor {address} already");
        return Err(EditError::about(Refusal::Exists, "address", address, why));
    }
    let table = table(new, inherits_families(document, new));
    document.push(LIST, table);
    Ok(())
}

/// Removes the neighbor, with what stands in tables of its own.
pub(super) fn delete(document: &mut Document, address: IpAddr) -> Result<(), EditError> {
    if document.remove(LIST, |t| has_address(t, "address", address)) {
        return Ok(());
    }
    let why = format!("there is no neighbor {address}");
    Err(EditError::about(Refusal::NotFound, "address", address, why))
}

/// Whether the neighbor gets its families from a peer group.
fn inherits_families(document: &Document, new: &NewNeighbor) -> bool {
    let group = new.peer_group.as_deref().unwrap_or_default();
    let families = document.get(&["peer_groups", group, "families"]);
    families.and_then(Item::as_array).is_some_and(|list| !list.is_empty())
}

fn table(new: &NewNeighbor, inherits_families: bool) -> Table {
    let mut t = Table::new();
    let number = |n: u32| Value::from(i64::from(n));
    let on = |b: bool| b.then(|| Value::from(true));
    set(&mut t, "address", Some(new.address.to_string()));
    set(&mut t, "remote_asn", Some(number(new.remote_asn)));
    set(&mut t, "description", new.description.as_deref());
    set(&mut t, "peer_group", new.peer_group.as_deref());
    let families: Array = match new.families.as_slice() {
        [] => ["ipv4_unicast"].into_iter().collect(),
        listed => listed.iter().collect(),
    };
    let inherited = new.families.is_empty() && inherits_families;
    set(&mut t, "families", (!inherited).then_some(families));
    set(&mut t, "hold_time", new.hold_time.map(number));
    set(&mut t, "max_prefixes", new.max_prefixes.map(number));
    set(&mut t, "max_prefixes_out", new.max_prefixes_out.map(number));
    set(&mut t, "max_prefixes_action", new.max_prefixes_action.as_deref());
    set(&mut t, "max_prefixes_restart_minutes", new.max_prefixes_restart_minutes.map(number));
    set(&mut t, "remove_private_as", new.remove_private_as.as_deref());
    set(&mut t, "ttl_security", on(new.ttl_security));
    set(&mut t, "role", new.role.as_deref());
    set(&mut t, "role_strict", on(new.role_strict));
    set(&mut t, "route_server_client", on(new.route_server_client));
    let mut paths = InlineTable::new();
    for (key, value) in [
        ("receive", on(new.add_path_receive)),
        ("send", on(new.add_path_send)),
        ("send_max", new.add_path_send_max.map(number)),
    ] {
        if let Some(value) = value {
            paths.insert(key, value);
        }
    }
    set(&mut t, "add_path", (!paths.is_empty()).then_some(paths));
    t
}

fn set<V: Into<Value>>(table: &mut Table, key: &str, value: Option<V>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.into()));
    }
}
