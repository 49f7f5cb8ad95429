//! Named things of the configuration (policies, sets, peer groups) as clients see and set them, and what else clients ask the
//! parent about the configuration.
//!
//! A thing is what the file has under its name: keys with plain values, and lists of statements. Nothing is nested deeper, so
//! that what control sends has a bound in every direction.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::edit::EditError;

/// What stands in place of a secret where things are shown; set, it means the secret that is there.
pub const SET: &str = "<set>";

/// Kinds of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `[policy.definitions.<name>]`.
    Policy,
    /// `[policy.neighbor_sets.<name>]`.
    NeighborSet,
    /// `[policy.prefix_sets.<name>]`.
    PrefixSet,
    /// `[policy.as_sets.<name>]`.
    AsSet,
    /// `[policy.community_sets.<name>]`.
    CommunitySet,
    /// `[peer_groups.<name>]`.
    PeerGroup,
}

impl Kind {
    /// What one is called.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Policy => "policy",
            Kind::NeighborSet => "neighbor set",
            Kind::PrefixSet => "prefix set",
            Kind::AsSet => "AS set",
            Kind::CommunitySet => "community set",
            Kind::PeerGroup => "peer group",
        }
    }

    /// The tables of the file that they are in, from the outermost.
    pub fn path(self) -> &'static [&'static str] {
        match self {
            Kind::Policy => &["policy", "definitions"],
            Kind::NeighborSet => &["policy", "neighbor_sets"],
            Kind::PrefixSet => &["policy", "prefix_sets"],
            Kind::AsSet => &["policy", "as_sets"],
            Kind::CommunitySet => &["policy", "community_sets"],
            Kind::PeerGroup => &["peer_groups"],
        }
    }

    /// Its keys that hold lists of statements.
    pub fn statement_lists(self) -> &'static [&'static str] {
        match self {
            Kind::Policy => &["statements"],
            Kind::PeerGroup => &["import_policy", "export_policy"],
            Kind::NeighborSet | Kind::PrefixSet | Kind::AsSet | Kind::CommunitySet => &[],
        }
    }
}

/// A value that holds no other ones but texts or numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plain {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// Texts in order.
    Texts(Vec<String>),
    /// Numbers in order.
    Numbers(Vec<u64>),
    /// A text that nobody is shown.
    Secret(SecretText),
}

/// A text that no message shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SET)
    }
}

/// Keys and their values; `table.key` is a key of a table in this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys(pub Vec<(String, Plain)>);

impl Keys {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Plain> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Adds a key.
    pub fn add(&mut self, key: impl Into<String>, value: Plain) {
        self.0.push((key.into(), value));
    }

    /// Whether both have the same keys with the same values, in whatever order.
    pub fn says_the_same(&self, other: &Keys) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

/// A thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What it says itself.
    pub keys: Keys,
    /// Its lists of statements, by their keys; none is empty.
    pub statements: Vec<(String, Vec<Keys>)>,
}

impl Object {
    /// A list of statements.
    pub fn list(&self, key: &str) -> &[Keys] {
        self.statements.iter().find(|(k, _)| k == key).map_or(&[], |(_, list)| list)
    }

    /// Whether both say the same, in whatever order their keys are.
    pub fn says_the_same(&self, other: &Object) -> bool {
        let lists =
            |a: &[Keys], b: &[Keys]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b));
        self.keys.says_the_same(&other.keys)
            && self.statements.len() == other.statements.len()
            && self.statements.iter().all(|(key, list)| lists(list, other.list(key)))
    }
}

/// What clients ask the parent about the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The things of a kind, or the one of this name.
    Objects {
        /// Of which kind.
        kind: Kind,
        /// Which.
        name: Option<String>,
    },
    /// The names of the things of a kind, and how much the first list in each has.
    Sizes {
        /// Of which kind.
        kind: Kind,
    },
    /// What becomes of the tests that the file has for its policies.
    PolicyTests,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Things and their names, in the order of the file.
    Objects(Vec<(String, Object)>),
    /// Names and sizes.
    Sizes(Vec<(String, u32)>),
    /// How the tests went.
    PolicyTests(TestReport),
}

/// The answer, or why there is none.
pub type Reply = Result<Answer, EditError>;

/// How the tests of policies went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Every test, in the order of the file.
    pub tests: Vec<TestOutcome>,
    /// Every statement of the policies, in their order.
    pub coverage: Vec<Covered>,
    /// What is not as expected, as `--check` prints it; empty where all is well.
    pub diagnostics: String,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// The line of the file that names it.
    pub line: u32,
    /// What is not as expected.
    pub mismatches: Vec<TestMismatch>,
    /// The policy and the statement that decided, in words.
    pub decided_by: String,
}

/// An expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestMismatch {
    /// Its key.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// How often a statement decided in tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Its policy.
    pub policy: String,
    /// Its number there, from 1.
    pub number: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of the file where it begins.
    pub line: u32,
    /// So many routes were decided by it.
    pub hits: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_order_does_not_count() {
        let key = Plain::Secret(SecretText("hunter2".into()));
        assert_eq!(format!("{key:?}"), "Secret(<set>)");
        let keys = |order: [usize; 2]| {
            let all = [("a", Plain::Number(1)), ("b", Plain::Flag(true))];
            Keys(order.map(|n| (all[n].0.to_owned(), all[n].1.clone())).to_vec())
        };
        assert!(keys([0, 1]).says_the_same(&keys([1, 0])));
        assert!(!keys([0, 1]).says_the_same(&keys([0, 0])));
    }
}
