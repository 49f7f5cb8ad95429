//! Arguments of `config`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print what is in force; <set> stands for secrets
    Show,
    /// Have the daemon check a file, and change nothing
    Check {
        /// The file, here
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what would change with a file
    Diff {
        /// The file, here
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a file in force, and make it the daemon's configuration file; or change nothing
    Apply(ApplyArgs),
    /// Keep what was applied with --confirm
    Confirm,
    /// Go back to what was in force before it
    Rollback,
}

/// `config apply`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ApplyArgs {
    /// The file, here
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Go back by itself after so long, unless it is confirmed until then
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) confirm: Option<u32>,
}
