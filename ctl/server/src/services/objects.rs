//! Policies, sets and peer groups between the messages of the API and the keys of the configuration file: fields have the
//! names of keys.

use grpc::v1::MatchSetKind;
use ipc::object::{Keys, Kind, Object, Plain, SecretText};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tonic::{Response, Status};

use crate::error::invalid;

/// The field that says what a client knows; no key of the file.
const EXTENDED: &str = "extended";
/// The key whose value nobody is shown.
const SECRET: &str = "md5_password";
/// A table of the file whose keys are fields with its name before them.
const FLAT: &str = "add_path";
/// What a statement begins with; the rest follows in alphabetical order.
const FIRST: [&str; 5] = ["name", "action", "prefix", "ge", "le"];

/// What a definition says, in the keys of the file.
///
/// # Errors
/// Where a field has a value that no key has.
pub(super) fn object_of<T: Serialize>(kind: Kind, definition: &T) -> Result<Object, Status> {
    let mut fields = fields_of(definition)?;
    fields.remove(EXTENDED);
    let mut object = Object::default();
    for list in kind.statement_lists() {
        let Some(Value::Array(statements)) = fields.remove(*list) else { continue };
        let statements = statements.into_iter().map(|statement| match statement {
            Value::Object(fields) => keys_of(fields),
            _ => Err(Status::internal("a statement is no message")),
        });
        let statements = statements.collect::<Result<Vec<Keys>, Status>>()?;
        if !statements.is_empty() {
            object.statements.push(((*list).to_owned(), statements));
        }
    }
    object.keys = keys_of(fields)?;
    Ok(object)
}

fn fields_of<T: Serialize>(message: &T) -> Result<Map<String, Value>, Status> {
    match serde_json::to_value(message) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Status::internal("a definition cannot be read")),
    }
}

/// Fields that say something, as keys.
fn keys_of(fields: Map<String, Value>) -> Result<Keys, Status> {
    let mut keys = Keys::default();
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::Object(inner) => {
                keys.0.extend(keys_of(inner)?.0.into_iter().map(|(key, v)| (format!("{name}.{key}"), v)));
            }
            Value::Array(list) if list.is_empty() => {}
            // In a definition, an action that is not said is the default.
            Value::String(text) if text.is_empty() && name == "default_action" => {}
            Value::String(text) if name == SECRET => keys.add(name, Plain::Secret(SecretText(text))),
            value => {
                let value = plain(value).ok_or_else(|| Status::internal(format!("{name} cannot be read")))?;
                match name.strip_prefix(FLAT).and_then(|rest| rest.strip_prefix('_')) {
                    Some(key) => keys.add(format!("{FLAT}.{key}"), value),
                    None => keys.add(name, value),
                }
            }
        }
    }
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    keys.0.sort_by_key(|(key, _)| place(key));
    Ok(keys)
}

fn plain(value: Value) -> Option<Plain> {
    match value {
        Value::String(text) => Some(Plain::Text(text)),
        Value::Bool(flag) => Some(Plain::Flag(flag)),
        Value::Number(n) => n.as_u64().map(Plain::Number),
        Value::Array(list) if list.first().is_some_and(Value::is_u64) => {
            list.iter().map(Value::as_u64).collect::<Option<_>>().map(Plain::Numbers)
        }
        Value::Array(list) => {
            list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>().map(Plain::Texts)
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// What the file says, as a definition.
///
/// # Errors
/// INTERNAL where it has a key that the message has no field for.
pub(super) fn definition_of<T: DeserializeOwned>(kind: Kind, object: Object) -> Result<T, Status> {
    let mut fields = map_of(object.keys);
    for (key, list) in object.statements {
        fields.insert(key, list.into_iter().map(|keys| Value::Object(map_of(keys))).collect());
    }
    if matches!(kind, Kind::Policy | Kind::PeerGroup) {
        fields.insert(EXTENDED.to_owned(), Value::Bool(true));
    }
    serde_json::from_value(Value::Object(fields)).map_err(|e| {
        Status::internal(format!("the configuration file says something that the API has no field for: {e}"))
    })
}

fn map_of(keys: Keys) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in keys.0 {
        let value = match value {
            Plain::Text(text) => text.into(),
            Plain::Number(n) => n.into(),
            Plain::Flag(flag) => flag.into(),
            Plain::Texts(list) => list.into(),
            Plain::Numbers(list) => list.into(),
            Plain::Secret(_) => ipc::object::SET.into(),
        };
        match key.split_once('.') {
            Some((FLAT, inner)) => _ = fields.insert(format!("{FLAT}_{inner}"), value),
            Some((outer, inner)) => {
                let table = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(table) = table {
                    table.insert(inner.to_owned(), value);
                }
            }
            None => _ = fields.insert(key, value),
        }
    }
    fields
}

/// The answer where something was done.
pub(super) fn done<T: Default>() -> Result<Response<T>, Status> {
    Ok(Response::new(T::default()))
}

/// A name that a thing may have.
///
/// # Errors
/// INVALID_ARGUMENT for none.
pub(super) fn name(name: String, example: &str) -> Result<String, Status> {
    if name.is_empty() {
        Err(invalid("name", "", format!("is empty: such as {example:?}")))
    } else {
        Ok(name)
    }
}

/// A definition that is there.
///
/// # Errors
/// INVALID_ARGUMENT where it is not.
pub(super) fn given<T>(definition: Option<T>) -> Result<T, Status> {
    definition.ok_or_else(|| invalid("definition", "", "is missing: it says what the name stands for"))
}

/// The kind of a set of what statements match.
///
/// # Errors
/// INVALID_ARGUMENT for none that there is.
pub(super) fn set_kind(kind: i32) -> Result<Kind, Status> {
    match MatchSetKind::try_from(kind) {
        Ok(MatchSetKind::Prefix) => Ok(Kind::PrefixSet),
        Ok(MatchSetKind::As) => Ok(Kind::AsSet),
        Ok(MatchSetKind::Community) => Ok(Kind::CommunitySet),
        Ok(MatchSetKind::Unspecified) | Err(_) => {
            let why = "must be one of MATCH_SET_KIND_PREFIX, MATCH_SET_KIND_AS, MATCH_SET_KIND_COMMUNITY";
            Err(invalid("kind", kind, why))
        }
    }
}

/// The entries of such a set, as the file has them.
///
/// # Errors
/// INVALID_ARGUMENT for what is no AS number in a set of them.
pub(super) fn set_of(kind: Kind, entries: Vec<String>) -> Result<Object, Status> {
    let (key, value) = match kind {
        Kind::AsSet => {
            let number = |(n, text): (usize, &String)| {
                text.parse::<u32>().map(u64::from).map_err(|_| {
                    let why = format!("{text:?} is not an AS number, such as 65001");
                    invalid(&format!("entries[{n}]"), text, why)
                })
            };
            let numbers = entries.iter().enumerate().map(number).collect::<Result<Vec<u64>, Status>>()?;
            ("asns", Plain::Numbers(numbers))
        }
        Kind::CommunitySet => ("communities", Plain::Texts(entries)),
        _ => ("prefixes", Plain::Texts(entries)),
    };
    Ok(Object { keys: Keys(vec![(key.to_owned(), value)]), statements: Vec::new() })
}

/// The entries that the file has.
pub(super) fn entries_of(object: Object) -> Vec<String> {
    let lists = object.keys.0.into_iter().map(|(_, value)| match value {
        Plain::Texts(list) => list,
        Plain::Numbers(list) => list.iter().map(u64::to_string).collect(),
        _ => Vec::new(),
    });
    lists.flatten().collect()
}
