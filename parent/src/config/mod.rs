//! The configuration file: read, checked and turned into a [`Config`]. Runs in the parent; nobody else
//! sees the file or its secrets.
//!
//! [`load`] reads TOML into a tree that knows the place of everything (`toml`), walks it with one reader
//! that notes each mistake and goes on (`reader`, then a module for each section), and prints mistakes
//! without the secrets on their lines (`mask`, `diag`). The names of all keys are in `keys`.

mod diag;
mod exporters;
mod global;
mod include;
mod keys;
mod load;
mod mask;
mod peers;
mod place;
mod policy;
mod reader;
mod schema;
mod secret;
mod settings;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod unused;

use std::path::Path;

pub(crate) use diag::Diagnostics;
pub(crate) use include::{Files, Origin, folder_of};
use load::PolicyTests;
pub(crate) use load::{from_text, test_policies, tested_text, without_secrets};
pub(crate) use place::{Step, path_to};
pub(crate) use reader::nearest;
pub(crate) use schema::*;
pub(crate) use secret::Secret;
pub(crate) use telemetry::OWNER_AND_GROUP;

/// The keys of `[global]`, `[global.telemetry]`, neighbors and groups: what a reload may find changed.
#[cfg(test)]
pub(crate) fn changeable_keys() -> impl Iterator<Item = &'static str> {
    let tables = [keys::GLOBAL, keys::TELEMETRY, keys::NEIGHBOR, keys::PEER];
    tables.into_iter().flatten().map(|key| key.name)
}

/// A configuration that may be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What the file says.
    pub config: Config,
    /// The files themselves.
    pub text: Files,
    /// What the operator should know, one line each.
    pub warnings: Vec<String>,
    /// What became of the tests of policies, where some were run.
    pub tested: Option<String>,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub(crate) fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load::load(path, PolicyTests::Skip)
}

/// What `rustbgpd --check` prints and answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// Exit status: 0 if the file can be used, else 1.
    pub status: u8,
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
}

/// Checks the file at `path` for `rustbgpd --check`, and runs the tests of its policies.
pub(crate) fn check(path: &Path) -> Check {
    match load::load(path, PolicyTests::Run) {
        Ok(loaded) => {
            let stderr = loaded.warnings.iter().map(|w| format!("warning: {w}\n")).collect();
            let tested = loaded.tested.map_or_else(String::new, |t| t + "\n");
            Check { status: 0, stdout: format!("config OK\n{tested}"), stderr }
        }
        Err(diagnostics) => Check { status: 1, stdout: String::new(), stderr: diagnostics.for_stderr() },
    }
}
