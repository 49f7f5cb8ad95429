//! Where the engines are: beside this program, else in the folder that the build sets.

use std::env;
use std::path::{Path, PathBuf};

use ipc::Role;

use crate::engine::program;

/// Set with the environment variable `RUSTBGPD_LIBEXEC` when building.
const LIBEXEC: &str = match option_env!("RUSTBGPD_LIBEXEC") {
    Some(folder) => folder,
    None => "/usr/local/libexec/rustbgpd",
};

/// The engines are not where they should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the program {program} in {} nor in {LIBEXEC}", .beside.display())]
pub(crate) struct FolderError {
    program: String,
    beside: PathBuf,
}

/// The folder that has all engines.
///
/// # Errors
/// Where there is none.
pub(crate) fn engines() -> Result<PathBuf, FolderError> {
    let beside = env::current_exe().ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
    let programs = [Role::Session, Role::Rde, Role::Control].map(program);
    let missing = |folder: &Path| programs.iter().find(|p| !folder.join(p).is_file());
    match missing(&beside) {
        None => Ok(beside),
        Some(_) if missing(Path::new(LIBEXEC)).is_none() => Ok(PathBuf::from(LIBEXEC)),
        Some(program) => Err(FolderError { program: program.clone(), beside }),
    }
}
