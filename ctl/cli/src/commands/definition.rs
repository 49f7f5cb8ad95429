//! Definitions in files, and shown as those have them: the keys that the configuration file has under the header of what is
//! defined.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::CliError;

/// A table of the file whose keys are fields with its name before them.
const FLAT: &str = "add_path";
/// What is shown first of a table.
const FIRST: [&str; 6] = ["name", "action", "default_action", "prefix", "ge", "le"];
/// The longest file that is read, in octets: more than the daemon takes.
const MAX_FILE: u64 = 16 << 20;

/// Reads the text of a file, or of standard input for `-`.
///
/// # Errors
/// Where that is not possible.
pub(super) fn text(path: &Path) -> Result<String, CliError> {
    let failed = |error| CliError::File { path: path.to_owned(), error };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

/// Reads a definition.
///
/// # Errors
/// With the line, for what is no TOML or has a key that there is not.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let text = text(path)?;
    let failed = |error: toml::de::Error| CliError::Failed(format!("{}: {error}", path.display()));
    let mut table: toml::Table = toml::from_str(&text).map_err(failed)?;
    match table.remove(FLAT) {
        Some(toml::Value::Table(inner)) => {
            table.extend(inner.into_iter().map(|(key, value)| (format!("{FLAT}_{key}"), value)));
            table.try_into().map_err(failed)
        }
        // From the text, since that has lines.
        _ => toml::from_str(&text).map_err(failed),
    }
}

/// What a definition says, as JSON.
pub(super) fn json<T: Serialize>(definition: &T) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(definition) else { return Map::new() };
    tidy(&mut fields);
    // Says what the sender knows, nothing of what is defined.
    fields.remove("extended");
    fields
}

fn tidy(fields: &mut Map<String, Value>) {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    // An action that is not said is the default.
    fields.retain(|key, value| says(value) && !(key == "default_action" && value == ""));
    for value in fields.values_mut() {
        match value {
            Value::Object(inner) => tidy(inner),
            Value::Array(list) => list.iter_mut().filter_map(Value::as_object_mut).for_each(tidy),
            _ => {}
        }
    }
}

/// What a definition says, as the file has it.
pub(super) fn toml<T: Serialize>(definition: &T) -> String {
    let mut fields = json(definition);
    let flat: Vec<String> = fields.keys().filter(|key| inner(key).is_some()).cloned().collect();
    let mut paths = Map::new();
    for key in flat {
        if let (Some(name), Some(value)) = (inner(&key), fields.remove(&key)) {
            paths.insert(name.to_owned(), value);
        }
    }
    if !paths.is_empty() {
        fields.insert(FLAT.to_owned(), Value::Object(paths));
    }
    let (lists, keys): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| is_tables(value));
    let mut text = lines(keys);
    for (key, list) in lists {
        for table in list.as_array().into_iter().flatten().filter_map(Value::as_object) {
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing into a String does not fail.
            let _ = write!(text, "{gap}[[{key}]]\n{}", lines(table.iter().collect()));
        }
    }
    text
}

fn inner(key: &str) -> Option<&str> {
    key.strip_prefix(FLAT)?.strip_prefix('_')
}

fn is_tables(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().any(Value::is_object))
}

fn lines(mut keys: Vec<(&String, &Value)>) -> String {
    keys.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
    keys.iter().map(|(key, value)| format!("{key} = {}\n", written(value))).collect()
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let keys: Vec<String> = table.iter().map(|(key, v)| format!("{key} = {}", written(v))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use grpc::v1::{AsPathPrepend, PeerGroupDefinition, PolicyDefinition, PolicyStatement};

    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        let statement = PolicyStatement {
            action: "permit".into(),
            prefix: Some("10.0.0.0/8".into()),
            le: Some(24),
            match_as_path: Some("^\"6500\\d".into()),
            set_as_path_prepend: Some(AsPathPrepend { asn: 65001, count: 2 }),
            set_community_add: vec!["65001:1".into(), "NO_EXPORT".into()],
            ..PolicyStatement::default()
        };
        let policy = PolicyDefinition {
            default_action: "deny".into(),
            statements: vec![statement.clone(), PolicyStatement { name: Some("x".into()), ..statement }],
            extended: true,
        };
        let text = toml(&policy);
        let expected = "default_action = \"deny\"\n\n[[statements]]\naction = \"permit\"\nprefix = \"10.0.0.0/8\"\nle = 24\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("set_as_path_prepend = { asn = 65001, count = 2 }\n"), "{text}");
        let dir = std::env::temp_dir().join(format!("rustbgpctl-definition-{}", std::process::id()));
        std::fs::write(&dir, &text).unwrap();
        assert_eq!(read::<PolicyDefinition>(&dir).unwrap(), PolicyDefinition { extended: false, ..policy });

        let group = PeerGroupDefinition {
            hold_time: Some(30),
            add_path_send: Some(true),
            add_path_send_max: Some(3),
            import_policy: vec![PolicyStatement { action: "deny".into(), ..PolicyStatement::default() }],
            ..PeerGroupDefinition::default()
        };
        let text = toml(&group);
        assert_eq!(
            text,
            "add_path = { send = true, send_max = 3 }\nhold_time = 30\n\n[[import_policy]]\naction = \"deny\"\n"
        );
        std::fs::write(&dir, &text).unwrap();
        assert_eq!(read::<PeerGroupDefinition>(&dir).unwrap(), group);
        std::fs::write(&dir, "hold_time = 30\nhold_tmie = 20\n").unwrap();
        let error = read::<PeerGroupDefinition>(&dir).unwrap_err().to_string();
        assert!(error.contains("unknown field `hold_tmie`") && error.contains("line 2"), "{error}");
        std::fs::remove_file(&dir).unwrap();
    }
}
