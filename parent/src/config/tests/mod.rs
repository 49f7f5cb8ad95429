//! What operators rely on: which files are accepted, what is said of the others, and that no secret shows.

mod complete;
mod documentation;
mod includes;
mod policies;
mod properties;
mod rendering;
mod rules;
mod rules_others;
mod rules_peers;
mod secrets;

use std::path::Path;

use super::load::{PolicyTests, read_text};
use super::{Config, Loaded};

/// The name that texts under test go by.
const PATH: &str = "/etc/rustbgpd/config.toml";

/// The shortest file that is accepted; what is added after it is in `[global.telemetry]` from line 6.
const SHORTEST: &str =
    "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";

/// The folder of the tests' certificates and keys.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/tls");

fn load_text(text: &str) -> Result<Loaded, super::Diagnostics> {
    read_text(Path::new(PATH), text, PolicyTests::Run)
}

/// The configuration of a text that is accepted.
fn accepted(text: &str) -> Config {
    match load_text(text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("refused:\n{text}\n{diagnostics}"),
    }
}

/// The warnings about a text that is accepted.
fn warnings(text: &str) -> Vec<String> {
    load_text(text).unwrap().warnings
}

/// What is said of a text that is refused.
fn refused(text: &str) -> String {
    match load_text(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// Each error of a text that is refused in one line: `LINE:COLUMN MESSAGE`, with its help and its note.
fn errors(text: &str) -> Vec<String> {
    let mut errors: Vec<String> = Vec::new();
    let mut open = "";
    let printed = refused(text);
    for line in printed.lines().map(str::trim) {
        let last = errors.last_mut();
        if let Some(message) = line.strip_prefix("error: ") {
            errors.push(message.to_owned());
            open = "error";
        } else if let (Some(note), Some(last)) = (line.strip_prefix("note: "), last) {
            last.push_str(&format!(" | {note}"));
            open = "note";
        } else if let (Some(help), Some(last)) = (line.strip_prefix("= help: "), errors.last_mut()) {
            last.push_str(&format!(" | {help}"));
        } else if let (Some(place), Some(last)) = (line.strip_prefix("--> "), errors.last_mut()) {
            let place = place.strip_prefix(PATH).and_then(|p| p.strip_prefix(':')).unwrap_or(place);
            *last = if open == "note" { format!("{last} {place}") } else { format!("{place} {last}") };
        }
    }
    errors
}
