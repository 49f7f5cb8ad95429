//! Changes of the configuration through the API: applied to the text of the file, checked by the rules of the file, written
//! in its place. Pure but for [`file`].

mod beyond;
mod chain;
#[cfg(test)]
mod chain_tests;
mod document;
mod file;
#[cfg(test)]
mod include_tests;
mod neighbor;
mod object;
#[cfg(test)]
mod object_tests;
mod range;
#[cfg(test)]
mod range_tests;
mod references;
#[cfg(test)]
mod tests;
mod values;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipc::edit::{Chains, Edit, EditError, Refusal};
use ipc::object::{Answer, Kind};

use crate::config::{self, Config, Files, Loaded, Origin, Secret};
pub(crate) use beyond::unchanged_beyond_clients;
use document::Document;
pub(crate) use file::{FileError, Replacement};

/// The text of the file after `edit`. `all` is what all files of the configuration say before, and `config` what that means.
///
/// # Errors
/// Where that is not possible.
pub(crate) fn apply(text: &[u8], all: &[u8], config: &Config, edit: &Edit) -> Result<String, EditError> {
    let mut document = Document::parse(utf8(text)?)?;
    let elsewhere = || Document::to_look_at(utf8(all)?);
    match edit {
        Edit::AddNeighbor(new) => neighbor::add(&mut document, &elsewhere()?, config, new)?,
        Edit::DeleteNeighbor { address } => neighbor::delete(&mut document, *address)?,
        Edit::AddRange(new) => range::add(&mut document, config, new)?,
        Edit::DeleteRange { prefix } => range::delete(&mut document, *prefix)?,
        Edit::SetChain { neighbor, way, policies } => chain::set(&mut document, *neighbor, *way, policies)?,
        Edit::SetObject { kind, name, object, knows_all } => {
            object::set(&mut document, *kind, name, object, *knows_all)?;
            let text = document.text();
            object::verify(&text, *kind, name, object)?;
            return Ok(text);
        }
        Edit::DeleteObject { kind, name } => object::delete(&mut document, &elsewhere()?, *kind, name)?,
        Edit::SetNeighborGroup { neighbor, group } => {
            neighbor::set_group(&mut document, *neighbor, group.as_deref())?;
        }
    }
    Ok(document.text())
}

/// The things of a kind, or the one of this name.
///
/// # Errors
/// Where there is none of the name.
pub(crate) fn objects(text: &[u8], kind: Kind, name: Option<&str>) -> Result<Answer, EditError> {
    object::show(&Document::to_look_at(utf8(text)?)?, kind, name).map(Answer::Objects)
}

/// The names of a kind, and how many entries each has.
///
/// # Errors
/// Where the file can't be read as text.
pub(crate) fn sizes(text: &[u8], kind: Kind) -> Result<Answer, EditError> {
    Ok(Answer::Sizes(object::sizes(&Document::to_look_at(utf8(text)?)?, kind)))
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

/// The file that holds what is to be changed, and its text, where that is not the main file: what is new belongs there.
pub(crate) fn holder<'f>(files: &'f Files, edit: &Edit) -> Option<&'f (PathBuf, Secret)> {
    let holds = |document: &Document| match edit {
        Edit::DeleteNeighbor { address }
        | Edit::SetChain { neighbor: Some(address), .. }
        | Edit::SetNeighborGroup { neighbor: address, .. } => {
            document.all("neighbors").into_iter().any(|t| document::has_address(t, "address", *address))
        }
        Edit::DeleteRange { prefix } => range::is_in(document, *prefix),
        Edit::SetObject { kind, name, .. } | Edit::DeleteObject { kind, name } => {
            object::is_in(document, *kind, name)
        }
        Edit::SetChain { neighbor: None, .. } => document.has_header("policy"),
        Edit::AddNeighbor(_) | Edit::AddRange(_) => false,
    };
    let read = |text: &Secret| Document::to_look_at(utf8(text.expose()).ok()?).ok();
    files.included().iter().find(|(_, text)| read(text).is_some_and(|document| holds(&document)))
}

/// Reads all files, with `text` as the one at `path`, which is what `edit` gave.
///
/// # Errors
/// Where it breaks a rule, or other files are not what they were.
pub(crate) fn check_all(
    main: &Path,
    files: &Files,
    (path, text): (&Path, &str),
    edit: &Edit,
) -> Result<Loaded, EditError> {
    if path == main {
        let loaded = check(main, text, edit).map_err(|error| edited(main, files).unwrap_or(error))?;
        unchanged(files, &loaded.text, path)?;
        return Ok(loaded);
    }
    file::verify(main, files.main())?;
    let origin = Origin { instead: Some((path, text)), ..Origin::from(main) };
    let loaded = check(origin, utf8(files.expose())?, edit)?;
    unchanged(files, &loaded.text, path)?;
    Ok(loaded)
}

/// That other files are not what they were, where that is so: who changes something has to know that first.
fn edited(main: &Path, files: &Files) -> Option<EditError> {
    let now = config::from_text(main, utf8(files.expose()).ok()?).ok()?;
    unchanged(files, &now.text, main).err()
}

/// Checks that included files are those of before, but for the one at `except`.
fn unchanged(before: &Files, after: &Files, except: &Path) -> Result<(), EditError> {
    let (before, after) = (before.included(), after.included());
    let differs =
        |(b, a): (&(PathBuf, Secret), &(PathBuf, Secret))| b.0 != a.0 || a.0 != except && b.1 != a.1;
    let pair = before.iter().zip(after).find(|pair| differs(*pair)).map(|(_, after)| after);
    // One that is new, or gone.
    let more = || before.get(after.len()).or_else(|| after.get(before.len()));
    match pair.or_else(more) {
        Some((path, _)) => Err(FileError::Edited(path.clone()).into()),
        None => Ok(()),
    }
}

/// Reads the text that `edit` gave.
///
/// # Errors
/// Where it breaks a rule: a value that is wrong, or something that refers to what is gone.
pub(crate) fn check<'a>(origin: impl Into<Origin<'a>>, text: &str, edit: &Edit) -> Result<Loaded, EditError> {
    config::from_text(origin, text).map_err(|diagnostics| {
        let kind = if removes(edit) { Refusal::Precondition } else { Refusal::Invalid };
        let (field, value, message) = diagnostics.first();
        let within = match edit {
            Edit::SetObject { kind, name, .. } => field_of(text, diagnostics.first_place(), *kind, name),
            _ => None,
        };
        EditError::about(kind, within.as_deref().unwrap_or(field), value, message)
    })
}

/// Whether it takes something away, and can't have a wrong value itself.
fn removes(edit: &Edit) -> bool {
    match edit {
        Edit::DeleteNeighbor { .. } | Edit::DeleteRange { .. } | Edit::DeleteObject { .. } => true,
        Edit::AddNeighbor(_)
        | Edit::AddRange(_)
        | Edit::SetChain { .. }
        | Edit::SetObject { .. }
        | Edit::SetNeighborGroup { .. } => false,
    }
}

/// The field of the API that wrote what is at this place of the text, if it is of this thing.
fn field_of(text: &str, place: Option<usize>, kind: Kind, name: &str) -> Option<String> {
    let path = config::path_to(text, place?);
    let of = kind.path().iter().copied().chain([name]).map(config::Step::key);
    let mut steps = path.iter();
    if !of.into_iter().all(|key| steps.next() == Some(&key)) {
        return None;
    }
    let mut field = match kind {
        Kind::Policy | Kind::NeighborSet | Kind::PeerGroup => "definition".to_owned(),
        // What the one key of such a set holds.
        Kind::PrefixSet | Kind::AsSet | Kind::CommunitySet => {
            steps.next();
            "entries".to_owned()
        }
    };
    let mut before = None;
    for step in steps {
        match step {
            config::Step::Entry(n) => field += &format!("[{n}]"),
            // A table of the file, fields of the API.
            config::Step::Key(key) if before == Some("add_path") => field += &format!("_{key}"),
            config::Step::Key(key) => field += &format!(".{key}"),
        }
        before = step.name();
    }
    Some(field)
}

impl From<FileError> for EditError {
    fn from(error: FileError) -> EditError {
        EditError::new(Refusal::Precondition, format!("the change is not made: {error}"))
    }
}
