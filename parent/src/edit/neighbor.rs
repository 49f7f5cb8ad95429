//! `[[neighbors]]`.

use std::net::IpAddr;

use ipc::edit::{EditError, NewNeighbor, Refusal};
use ipc::object::{Kind, Object, Plain, SET, SecretText};
use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::document::{Document, has_address, set_value};
use super::values::{read_keys, write_keys, write_statements};
use crate::config::Config;

const LIST: &str = "neighbors";

/// Adds a neighbor behind the others. `all`: where its group may be.
pub(super) fn add(
    document: &mut Document,
    all: &Document,
    config: &Config,
    new: &NewNeighbor,
) -> Result<(), EditError> {
    let address = new.address;
    if config.neighbors.iter().any(|n| n.address == address) {
        let why = format!("there is a neighbor {address} already");
        return Err(EditError::about(Refusal::Exists, "address", address, why));
    }
    let table = with_settings(table(new, inherits_families(all, new)), &new.settings)?;
    document.push(LIST, table);
    Ok(())
}

/// Removes the neighbor, with what stands in tables of its own.
pub(super) fn delete(document: &mut Document, address: IpAddr) -> Result<(), EditError> {
    if document.remove(LIST, |t| has_address(t, "address", address)) {
        return Ok(());
    }
    Err(no_such(address))
}

/// Puts a neighbor into a peer group, or into none.
pub(super) fn set_group(
    document: &mut Document,
    address: IpAddr,
    group: Option<&str>,
) -> Result<(), EditError> {
    const KEY: &str = "peer_group";
    let table =
        document.in_list(LIST, |t| has_address(t, "address", address)).ok_or_else(|| no_such(address))?;
    match group {
        Some(group) => set_value(table, KEY, group),
        None => _ = table.remove(KEY),
    }
    Ok(())
}

fn no_such(address: IpAddr) -> EditError {
    EditError::about(Refusal::NotFound, "address", address, format!("there is no neighbor {address}"))
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
    let elsewhere = inherits_families || new.settings.keys.get("families").is_some();
    let inherited = new.families.is_empty() && elsewhere;
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

/// With everything else that is said of the neighbor, none of it twice.
fn with_settings(table: Table, settings: &Object) -> Result<Table, EditError> {
    let lists = Kind::PeerGroup.statement_lists();
    let mut keys = read_keys(&table, lists)?;
    for (key, value) in &settings.keys.0 {
        let outer = key.split_once('.').map_or(key.as_str(), |(outer, _)| outer);
        let field = format!("settings.{}", key.replace('.', "_"));
        if table.contains_key(outer) {
            let why = "is said twice: here, and by a field of the neighbor itself. Say it once";
            return Err(EditError::about(Refusal::Invalid, &field, "", why));
        }
        if *value == Plain::Secret(SecretText(SET.to_owned())) {
            let why = "keeps the key that is there, and a new neighbor has none: give the key itself";
            return Err(EditError::about(Refusal::Invalid, &field, SET, why));
        }
        keys.add(key.as_str(), value.clone());
    }
    let mut item = Item::Table(table);
    if let Some(table) = item.as_table_like_mut() {
        write_keys(table, &keys, lists);
    }
    for list in lists {
        write_statements(&mut item, list, settings.list(list))?;
    }
    item.into_table().map_err(|_| EditError::new(Refusal::Precondition, "a neighbor is no table"))
}

fn set<V: Into<Value>>(table: &mut Table, key: &str, value: Option<V>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.into()));
    }
}
