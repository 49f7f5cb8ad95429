//! Arguments of the commands for policies, sets and peer groups.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// `policy`.
#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) action: Option<PolicyAction>,
}

/// What to do with policies. Without any, they are listed.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyAction {
    #[command(flatten)]
    Named(NamedAction),
    /// Run the tests that the configuration file has for its policies; status 1 where one fails
    Test,
}

/// `neighbor-set` and its likes.
#[derive(Debug, ClapArgs)]
pub(crate) struct NamedArgs {
    #[command(subcommand)]
    pub(crate) action: Option<NamedAction>,
}

/// What to do with something that has a name. Without any, all of its kind are listed.
#[derive(Debug, Subcommand)]
pub(crate) enum NamedAction {
    /// List them
    List,
    /// Show one as the configuration file has it; `set` takes the same
    Show {
        /// Its name
        name: String,
    },
    /// Create it, or put this in the place of what it is; also in the configuration file
    Set {
        /// Its name
        name: String,
        /// What it shall be: the keys that the configuration file has under its header (TOML); - reads standard input
        file: PathBuf,
    },
    /// Remove it, also from the configuration file; only where nothing refers to it
    Delete {
        /// Its name
        name: String,
    },
}
