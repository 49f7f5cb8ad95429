//! Changes of the configuration through the API: applied to the text of the file, checked by the rules of the file, written
//! in its place. Pure but for [`file`].

mod beyond;
mod chain;
#[cfg(test)]
mod chain_tests;
mod document;
mod file;
mod neighbor;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;

use ipc::edit::{Chains, Edit, EditError, Refusal};

use crate::config::{self, Config, Loaded};
pub(crate) use beyond::unchanged_beyond_clients;
use document::Document;
pub(crate) use file::{FileError, Replacement};

/// The text of the file after `edit`; `config` is what it says before.
///
/// # Errors
/// Where that is not possible.
pub(crate) fn apply(text: &[u8], config: &Config, edit: &Edit) -> Result<String, EditError> {
    let mut document = Document::parse(utf8(text)?)?;
    match edit {
        Edit::AddNeighbor(new) => neighbor::add(&mut document, config, new)?,
        Edit::DeleteNeighbor { address } => neighbor::delete(&mut document, *address)?,
        Edit::SetChain { neighbor, way, policies } => chain::set(&mut document, *neighbor, *way, policies)?,
    }
    Ok(document.text())
}

/// The chains that the file names at a neighbor, or for all.
///
/// # Errors
/// Where there is no such neighbor.
pub(crate) fn chains(text: &[u8], neighbor: Option<IpAddr>) -> Result<Chains, EditError> {
    chain::show(&Document::to_look_at(utf8(text)?)?, neighbor)
}

fn utf8(text: &[u8]) -> Result<&str, EditError> {
    str::from_utf8(text)
        .map_err(|_| EditError::new(Refusal::Precondition, "the configuration file is not valid UTF-8"))
}

/// Reads the text that `edit` gave.
///
/// # Errors
/// Where it breaks a rule: a value that is wrong, or something that refers to what is gone.
pub(crate) fn check(path: &Path, text: &str, edit: &Edit) -> Result<Loaded, EditError> {
    config::from_text(path, text).map_err(|diagnostics| {
        let kind = if removes(edit) { Refusal::Precondition } else { Refusal::Invalid };
        let (field, value, message) = diagnostics.first();
        EditError::about(kind, field, value, message)
    })
}

/// Whether it takes something away, and can't have a wrong value itself.
fn removes(edit: &Edit) -> bool {
    match edit {
        Edit::DeleteNeighbor { .. } => true,
        Edit::AddNeighbor(_) | Edit::SetChain { .. } => false,
    }
}

impl From<FileError> for EditError {
    fn from(error: FileError) -> EditError {
        EditError::new(Refusal::Precondition, format!("the change is not made: {error}"))
    }
}
