//! Where the engines are: beside this program, else in the libexec folder.

use std::env;
use std::path::{Path, PathBuf};

use ipc::Role;

use crate::engine::program;

/// Set with the environment variable `RUSTBGPD_LIBEXEC` when building.
const LIBEXEC: Option<&str> = option_env!("RUSTBGPD_LIBEXEC");

/// Where the build names none: seen from the folder of this program, as `/usr/libexec` is from `/usr/sbin`.
const RELATIVE: &str = "libexec/rustbgpd";

/// The engines are not where they should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the program {program} in {} nor in {}", .beside.display(), .libexec.display())]
pub(crate) struct FolderError {
    program: String,
    beside: PathBuf,
    libexec: PathBuf,
}

/// The folder that has all engines.
///
/// # Errors
/// Where there is none.
pub(crate) fn engines() -> Result<PathBuf, FolderError> {
    let beside = env::current_exe().ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
    let libexec =
        LIBEXEC.map_or_else(|| beside.parent().unwrap_or(Path::new("/")).join(RELATIVE), PathBuf::from);
    let programs = [Role::Session, Role::Rde, Role::Control].map(program);
    let missing = |folder: &Path| programs.iter().find(|p| !folder.join(p).is_file());
    match missing(&beside) {
        None => Ok(beside),
        Some(_) if missing(&libexec).is_none() => Ok(libexec),
        Some(program) => Err(FolderError { program: program.clone(), beside, libexec }),
    }
}
