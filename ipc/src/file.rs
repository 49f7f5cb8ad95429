//! The configuration file as a whole: what clients of the API want to know of it, and another text for it. Control asks, the
//! parent reads, compares, and puts in force.
//!
//! Requests and answers go in the parts of [`edit`](crate::edit), with the same bound.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::edit::EditError;

/// The most octets of a text that is shown, compared or put in force.
pub const MAX_TEXT: usize = (4 << 20) - (64 << 10);
/// The longest time within which a configuration has to be confirmed, in seconds.
pub const MAX_CONFIRM: u32 = 86_400;

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// What is in force.
    Show,
    /// What is wrong with this text.
    Check(Text),
    /// What would change with this text.
    Diff(Text),
    /// Put this text in force, and make it the file.
    Apply {
        /// It.
        text: Text,
        /// Only for so many seconds, unless it is confirmed; the file stays what it is until then.
        confirm_within: Option<u32>,
    },
    /// Keep what waits for that.
    Confirm,
    /// Go back to what was in force before what waits to be confirmed.
    Rollback,
}

/// A text for the configuration file. May hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// How the client calls it, for messages.
    pub name: String,
    /// It.
    pub text: String,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} octets", self.name, self.text.len())
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Request::Show => f.write_str("Show"),
            Request::Check(text) => write!(f, "Check({text:?})"),
            Request::Diff(text) => write!(f, "Diff({text:?})"),
            Request::Apply { text, confirm_within } => write!(f, "Apply({text:?}, {confirm_within:?})"),
            Request::Confirm => f.write_str("Confirm"),
            Request::Rollback => f.write_str("Rollback"),
        }
    }
}

/// What became of a [`Request`].
pub type Answer = Result<Done, EditError>;

/// See [`Answer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// What is in force.
    Shown {
        /// Its text, without secrets.
        text: String,
        /// The seconds that are left to confirm it, where it waits for that.
        confirm_within: Option<u32>,
    },
    /// What is wrong.
    Checked(Checked),
    /// What would change, or has changed.
    Differences(Differences),
    /// It is as was asked.
    Done,
}

/// What is to be said of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checked {
    /// How many errors it has.
    pub errors: u32,
    /// They, as the daemon prints them at a start; a text with very many has not all of them here.
    pub diagnostics: String,
    /// What the operator should know, one line each.
    pub warnings: Vec<String>,
    /// What became of the tests of policies, where there are some.
    pub tested: Option<String>,
}

/// What differs between the configuration that is in force and another one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Differences {
    /// Neighbors that are new.
    pub added: Vec<IpAddr>,
    /// Neighbors that are gone.
    pub removed: Vec<IpAddr>,
    /// Neighbors that are not the same.
    pub changed: Vec<Changed>,
    /// The same for ranges of dynamic neighbors.
    pub ranges: RangeDifferences,
    /// Keys whose new values wait for a restart.
    pub restart: Vec<String>,
    /// Tables that are not the same and have no effect.
    pub informational: Vec<String>,
    /// What the operator should know, one line each.
    pub warnings: Vec<String>,
}

/// What differs between the ranges of dynamic neighbors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RangeDifferences {
    /// Those that are new.
    pub added: Vec<IpNet>,
    /// Those that are gone.
    pub removed: Vec<IpNet>,
    /// Those that are not the same.
    pub changed: Vec<ChangedRange>,
}

/// A range that is in both and not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRange {
    /// Which.
    pub prefix: IpNet,
    /// The keys that differ.
    pub keys: Vec<String>,
    /// What that costs its neighbors.
    pub cost: Cost,
}

/// A neighbor that is in both and not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which.
    pub address: IpAddr,
    /// The keys that differ.
    pub keys: Vec<String>,
    /// What that costs.
    pub cost: Cost,
}

/// What a change of a neighbor costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cost {
    /// The session goes on and notices nothing.
    Nothing,
    /// The session goes on; its routes are evaluated again, and what is different then is announced or withdrawn.
    Reevaluation,
    /// The session ends with Cease/Other Configuration Change (RFC 4486 §4) and begins again.
    Reset,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text holds keys of sessions, and what is logged of a message must not.
    #[test]
    fn a_text_is_not_printed() {
        let text = Text { name: "c.toml".into(), text: "md5_password = \"hunter2\"".into() };
        for request in [
            Request::Check(text.clone()),
            Request::Diff(text.clone()),
            Request::Apply { text, confirm_within: Some(60) },
        ] {
            let printed = format!("{request:?}");
            assert!(printed.contains("\"c.toml\" of 24 octets") && !printed.contains("hunter"), "{printed}");
        }
    }
}
