//! `[[dynamic_neighbors]]`.

use ipc::edit::{EditError, NewRange, Refusal};
use ipnet::IpNet;
use toml_edit::{Item, Table, TableLike, Value};

use super::document::Document;
use crate::config::Config;

const LIST: &str = "dynamic_neighbors";

/// Adds a range behind the others.
pub(super) fn add(document: &mut Document, config: &Config, new: &NewRange) -> Result<(), EditError> {
    let prefix = new.prefix;
    if config.dynamic_neighbors.iter().any(|r| r.prefix == prefix.trunc()) {
        let why = format!("there is a range of dynamic neighbors {prefix} already");
        return Err(EditError::about(Refusal::Exists, "prefix", prefix, why));
    }
    let mut table = Table::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key, Item::Value(value));
        }
    };
    set("prefix", Some(prefix.to_string().into()));
    set("peer_group", Some(new.peer_group.as_str().into()));
    set("remote_asn", (new.remote_asn != 0).then(|| i64::from(new.remote_asn).into()));
    set("description", new.description.as_deref().map(Value::from));
    document.push(LIST, table);
    Ok(())
}

/// Whether the range is in this document.
pub(super) fn is_in(document: &Document, prefix: IpNet) -> bool {
    document.all(LIST).into_iter().any(|t| is_range(t, prefix))
}

fn is_range(table: &dyn TableLike, prefix: IpNet) -> bool {
    let written: Option<IpNet> = table.get("prefix").and_then(Item::as_str).and_then(|t| t.parse().ok());
    written.is_some_and(|p| p.trunc() == prefix.trunc())
}

/// Removes the range.
pub(super) fn delete(document: &mut Document, prefix: IpNet) -> Result<(), EditError> {
    if document.remove(LIST, |t| is_range(t, prefix)) {
        return Ok(());
    }
    let why = format!("there is no range of dynamic neighbors {prefix}");
    Err(EditError::about(Refusal::NotFound, "prefix", prefix, why))
}
