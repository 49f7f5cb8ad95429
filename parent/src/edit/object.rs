//! Named things: policies, sets and peer groups, each under its name in a table of the file.

use ipc::edit::{EditError, Refusal};
use ipc::object::{Keys, Kind, Object, Plain, SET, SecretText};
use toml_edit::{Item, TableLike};

use super::document::Document;
use super::references;
use super::values::{read_keys, tables, write_keys, write_statements};

const PASSWORD: &str = "md5_password";

/// Keys of statements that the API's older fields do not have.
const NEW_IN_STATEMENTS: [&str; 4] =
    ["name", "match_prefix_set", "match_community_set", "match_origin_as_set"];

/// Keys of peer groups that they have.
const OLD_IN_GROUPS: [&str; 18] = [
    "hold_time",
    "max_prefixes",
    PASSWORD,
    "ttl_security",
    "families",
    "graceful_restart",
    "gr_restart_time",
    "gr_stale_routes_time",
    "llgr_stale_time",
    "local_ipv6_nexthop",
    "route_reflector_client",
    "route_server_client",
    "remove_private_as",
    "add_path.receive",
    "add_path.send",
    "add_path.send_max",
    "import_policy_chain",
    "export_policy_chain",
];

/// Writes what has this name, in the place of what had it.
pub(super) fn set(
    document: &mut Document,
    kind: Kind,
    name: &str,
    object: &Object,
    knows_all: bool,
) -> Result<(), EditError> {
    let old = find(document, kind, name).map(|item| read(kind, item)).transpose()?;
    let new = match &old {
        Some(old) if !knows_all => match unknown(kind, old) {
            Some(what) if unknown(kind, object).is_none() => return Err(would_lose(kind, name, &what)),
            _ => with_secret(object, Some(old))?,
        },
        old => with_secret(object, old.as_ref())?,
    };
    let item = document.named(kind.path(), name)?;
    let table = item.as_table_like_mut().ok_or_else(|| no_table(kind, name))?;
    write_keys(table, &new.keys, kind.statement_lists());
    for list in kind.statement_lists() {
        write_statements(item, list, new.list(list))?;
    }
    Ok(())
}

/// Makes sure that a changed text says of it what was wanted: there may be forms of a file in which it would not.
pub(super) fn verify(text: &str, kind: Kind, name: &str, object: &Object) -> Result<(), EditError> {
    let document = Document::to_look_at(text)?;
    let said = find(&document, kind, name).map(|item| read(kind, item)).transpose()?;
    if said.is_some_and(|said| shown(said).says_the_same(&shown(object.clone()))) {
        return Ok(());
    }
    let why = format!(
        "the configuration file is written in a form in which the {} {name:?} cannot be changed: edit it by hand and have it \
         read (SIGHUP)",
        kind.noun()
    );
    Err(EditError::new(Refusal::Precondition, why))
}

/// Whether it is in this document.
pub(super) fn is_in(document: &Document, kind: Kind, name: &str) -> bool {
    find(document, kind, name).is_some()
}

/// Removes what has this name, unless something in `all` refers to it.
pub(super) fn delete(
    document: &mut Document,
    all: &Document,
    kind: Kind,
    name: &str,
) -> Result<(), EditError> {
    const NAMED: usize = 10;
    if !is_in(document, kind, name) {
        return Err(no_such(all, kind, name));
    }
    let users = references::to(all, kind, name);
    if !users.is_empty() {
        let mut text = users.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if users.len() > NAMED {
            text += &format!(" and {} more", users.len() - NAMED);
        }
        let why = format!("the {} {name:?} is in use: by {text}", kind.noun());
        return Err(EditError::about(Refusal::Precondition, "name", name, why));
    }
    document.remove_named(kind.path(), name);
    Ok(())
}

/// All of a kind, or the one of this name.
pub(super) fn show(
    document: &Document,
    kind: Kind,
    name: Option<&str>,
) -> Result<Vec<(String, Object)>, EditError> {
    let one = |name: &str, item: &Item| Ok((name.to_owned(), shown(read(kind, item)?)));
    match name {
        Some(name) => {
            let item = find(document, kind, name).ok_or_else(|| no_such(document, kind, name))?;
            Ok(vec![one(name, item)?])
        }
        None => {
            all(document, kind).into_iter().flat_map(TableLike::iter).map(|(n, item)| one(n, item)).collect()
        }
    }
}

/// The names of a kind, and how many entries the longest list of each has.
pub(super) fn sizes(document: &Document, kind: Kind) -> Vec<(String, u32)> {
    let longest = |item: &Item| {
        let lists = item.as_table_like().into_iter().flat_map(TableLike::iter);
        lists.filter_map(|(_, item)| Some(item.as_array()?.len())).max().unwrap_or_default()
    };
    let entries = all(document, kind).into_iter().flat_map(TableLike::iter);
    entries.map(|(n, item)| (n.to_owned(), u32::try_from(longest(item)).unwrap_or(u32::MAX))).collect()
}

fn all(document: &Document, kind: Kind) -> Option<&dyn TableLike> {
    document.get(kind.path()).and_then(Item::as_table_like)
}

fn find<'d>(document: &'d Document, kind: Kind, name: &str) -> Option<&'d Item> {
    all(document, kind)?.get(name)
}

fn read(kind: Kind, item: &Item) -> Result<Object, EditError> {
    let lists = kind.statement_lists();
    let table = item.as_table_like().ok_or_else(|| no_table(kind, ""))?;
    let mut object = Object { keys: read_keys(table, lists)?, statements: Vec::new() };
    for key in lists {
        let statements = tables(table.get(key)).into_iter().map(|t| read_keys(t, &[]));
        let statements = statements.collect::<Result<Vec<_>, _>>()?;
        if !statements.is_empty() {
            object.statements.push(((*key).to_owned(), statements));
        }
    }
    Ok(object)
}

/// Without its secret, and without lists that say nothing.
fn shown(mut object: Object) -> Object {
    for (key, value) in &mut object.keys.0 {
        if key == PASSWORD {
            *value = Plain::Text(SET.to_owned());
        }
    }
    fn says_something(value: &Plain) -> bool {
        match value {
            Plain::Texts(list) => !list.is_empty(),
            Plain::Numbers(list) => !list.is_empty(),
            _ => true,
        }
    }
    let tidy = |keys: &mut Keys| keys.0.retain(|(_, value)| says_something(value));
    tidy(&mut object.keys);
    object.statements.iter_mut().flat_map(|(_, list)| list).for_each(tidy);
    object
}

/// With the secret that is there, where the client sends back what it was shown.
fn with_secret(object: &Object, old: Option<&Object>) -> Result<Object, EditError> {
    let mut object = object.clone();
    let kept = Plain::Secret(SecretText(SET.to_owned()));
    for (key, value) in object.keys.0.iter_mut().filter(|(key, value)| key == PASSWORD && *value == kept) {
        *value = old.and_then(|old| old.keys.get(key)).cloned().ok_or_else(|| {
            let field = format!("definition.{PASSWORD}");
            let why = format!("{SET} keeps the key that is there, and there is none: give the key itself");
            EditError::about(Refusal::Invalid, &field, SET, why)
        })?;
    }
    Ok(object)
}

/// The first key that a client does not know which is built for the older fields alone.
pub(super) fn unknown(kind: Kind, object: &Object) -> Option<String> {
    let own = |(key, _): &&(String, Plain)| kind == Kind::PeerGroup && !OLD_IN_GROUPS.contains(&key.as_str());
    if let Some((key, _)) = object.keys.0.iter().find(own) {
        return Some(key.clone());
    }
    for (list, statements) in &object.statements {
        for (number, statement) in (1..).zip(statements) {
            let new = |(key, _): &&(String, Plain)| NEW_IN_STATEMENTS.contains(&key.as_str());
            if let Some((key, _)) = statement.0.iter().find(new) {
                return Some(format!("{key} in {list} {number}"));
            }
        }
    }
    None
}

fn would_lose(kind: Kind, name: &str, what: &str) -> EditError {
    let why = format!(
        "the {} {name:?} has settings that this client may not know ({what}), and it would lose them: change it with \
         rustbgpctl or in the file, or say `extended` in the definition to have it replaced all the same",
        kind.noun()
    );
    EditError::about(Refusal::Precondition, "definition.extended", "false", why)
}

fn no_table(kind: Kind, name: &str) -> EditError {
    let why = format!("the {} {name:?} of the configuration file is no table", kind.noun());
    EditError::new(Refusal::Precondition, why)
}

fn no_such(document: &Document, kind: Kind, name: &str) -> EditError {
    let names = all(document, kind).into_iter().flat_map(TableLike::iter).map(|(name, _)| name);
    let hint =
        crate::config::nearest(name, names).map_or_else(String::new, |n| format!("; did you mean {n:?}?"));
    EditError::about(Refusal::NotFound, "name", name, format!("there is no {} {name:?}{hint}", kind.noun()))
}
