//! Policies as the operator writes them, independent of the form of the file: the parent sends these to rde.

mod change;
mod community;
mod matching;
mod prefix;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use change::{Change, NextHopChange};
pub use community::{Administrator, CommunityError, CommunityPattern, ExtendedKind};
pub use matching::Match;
pub use prefix::{PrefixRange, PrefixRangeError};

/// Everything that policies are made of, without who uses them: see [`Assigned`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Policies with a name, for chains.
    pub policies: Vec<PolicyDef>,
    /// Policies written where they are used, by their place in this list; the name says where that is.
    pub inline: Vec<PolicyDef>,
    /// Sets of prefixes.
    pub prefix_sets: Vec<Named<Vec<PrefixRange>>>,
    /// Sets of AS numbers.
    pub as_sets: Vec<Named<Vec<u32>>>,
    /// Sets of communities.
    pub community_sets: Vec<Named<Vec<CommunityPattern>>>,
    /// Sets of neighbors.
    pub neighbor_sets: Vec<Named<NeighborSet>>,
}

/// Something under the name by which others refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Named<T> {
    /// The name; one of a kind has it once.
    pub name: String,
    /// What it names.
    pub value: T,
}

/// A policy: the first statement that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyDef {
    /// Its name, or where it is written.
    pub name: String,
    /// What happens to routes that no statement matches.
    pub default_action: Action,
    /// The statements in order.
    pub statements: Vec<StatementDef>,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatementDef {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of the file where it begins; 0 = it was not read from a file.
    pub line: u32,
    /// What happens to routes that it matches.
    pub action: Action,
    /// All of these must hold; with none of them it matches every route.
    pub matches: Vec<Match>,
    /// What is changed about a route that it permits. Communities are removed before others are added.
    pub changes: Vec<Change>,
}

impl StatementDef {
    fn says_the_same(&self, other: &StatementDef) -> bool {
        let StatementDef { name, line: _, action, matches, changes } = self;
        (name, action, matches, changes) == (&other.name, &other.action, &other.matches, &other.changes)
    }
}

/// What happens to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Action {
    /// It is taken, or sent.
    #[default]
    Permit,
    /// It is not.
    Deny,
}

impl Action {
    /// `permit` or `deny`.
    pub fn name(self) -> &'static str {
        match self {
            Action::Permit => "permit",
            Action::Deny => "deny",
        }
    }
}

/// Neighbors, named in any of three ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NeighborSet {
    /// By address.
    pub addresses: Vec<IpAddr>,
    /// By AS number.
    pub remote_asns: Vec<u32>,
    /// By peer group.
    pub peer_groups: Vec<String>,
}

/// The kinds of things that statements and chains refer to by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SetKind {
    /// [`Definitions::policies`].
    Policy,
    /// [`Definitions::prefix_sets`].
    Prefixes,
    /// [`Definitions::as_sets`].
    Asns,
    /// [`Definitions::community_sets`].
    Communities,
    /// [`Definitions::neighbor_sets`].
    Neighbors,
}

impl SetKind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            SetKind::Policy => "policy",
            SetKind::Prefixes => "prefix set",
            SetKind::Asns => "AS set",
            SetKind::Communities => "community set",
            SetKind::Neighbors => "neighbor set",
        }
    }
}

impl fmt::Display for SetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Definitions {
    /// Whether two say the same, apart from where they stand in a file.
    pub fn says_the_same(&self, other: &Definitions) -> bool {
        let statements = |a: &PolicyDef, b: &PolicyDef| {
            let pairs = a.statements.iter().zip(&b.statements);
            a.statements.len() == b.statements.len() && pairs.into_iter().all(|(a, b)| a.says_the_same(b))
        };
        let policies = |a: &[PolicyDef], b: &[PolicyDef]| {
            let same = |a: &PolicyDef, b: &PolicyDef| {
                (&a.name, a.default_action) == (&b.name, b.default_action) && statements(a, b)
            };
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        };
        let Definitions { policies: named, inline, prefix_sets, as_sets, community_sets, neighbor_sets } =
            self;
        policies(named, &other.policies)
            && policies(inline, &other.inline)
            && *prefix_sets == other.prefix_sets
            && *as_sets == other.as_sets
            && *community_sets == other.community_sets
            && *neighbor_sets == other.neighbor_sets
    }

    /// Whether what is assigned here and what is assigned there decide alike, as far as their texts tell: the same
    /// policies, with the same sets.
    pub fn decides_alike(&self, assigned: &Assigned, other: &Definitions, there: &Assigned) -> bool {
        let (Some(a), Some(b)) = (self.policies_of(assigned), other.policies_of(there)) else { return false };
        let same = |a: &PolicyDef, b: &PolicyDef| {
            let statements = || a.statements.iter().zip(&b.statements);
            (&a.name, a.default_action, a.statements.len()) == (&b.name, b.default_action, b.statements.len())
                && statements().all(|(a, b)| a.says_the_same(b))
                && a.statements.iter().flat_map(|s| &s.matches).all(|m| self.same_set(other, m))
        };
        (assigned == &Assigned::None) == (there == &Assigned::None)
            && a.len() == b.len()
            && a.iter().zip(&b).all(|(a, b)| same(a, b))
    }

    /// The policies that are assigned; `None` where one is not there.
    fn policies_of(&self, assigned: &Assigned) -> Option<Vec<&PolicyDef>> {
        match assigned {
            Assigned::None => Some(Vec::new()),
            Assigned::Chain(names) => {
                names.iter().map(|name| self.policies.iter().find(|p| p.name == *name)).collect()
            }
            Assigned::Inline(n) => Some(vec![self.inline.get(usize::try_from(*n).ok()?)?]),
        }
    }

    /// Whether the set that a match refers to has the same content in both.
    fn same_set(&self, other: &Definitions, m: &Match) -> bool {
        fn same<T: PartialEq>(a: &[Named<T>], b: &[Named<T>], name: &str) -> bool {
            a.iter().find(|s| s.name == name) == b.iter().find(|s| s.name == name)
        }
        let Some((kind, name)) = m.refers_to() else { return true };
        match kind {
            SetKind::Prefixes => same(&self.prefix_sets, &other.prefix_sets, name),
            SetKind::Asns => same(&self.as_sets, &other.as_sets, name),
            SetKind::Communities => same(&self.community_sets, &other.community_sets, name),
            SetKind::Neighbors => same(&self.neighbor_sets, &other.neighbor_sets, name),
            SetKind::Policy => true,
        }
    }

    /// The statements that refer to the set of this kind and name: the policy, and the number of the statement in
    /// it from 0.
    pub fn users<'d>(&'d self, kind: SetKind, name: &'d str) -> impl Iterator<Item = (&'d PolicyDef, usize)> {
        self.policies.iter().chain(&self.inline).flat_map(move |policy| {
            let uses = move |s: &StatementDef| s.matches.iter().any(|m| m.refers_to() == Some((kind, name)));
            (0..).zip(&policy.statements).filter(move |(_, s)| uses(s)).map(move |(n, _)| (policy, n))
        })
    }
}

/// What one place of the configuration (a neighbor, a group, the file as a whole) says of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// Names of policies; none = it names no chain.
    pub chain: Vec<String>,
    /// The place of its inline policy in [`Definitions::inline`].
    pub inline: Option<u32>,
}

/// The policy that applies to a peer in one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Assigned {
    /// None is configured anywhere.
    #[default]
    None,
    /// These policies in order.
    Chain(Vec<String>),
    /// The inline policy at this place of [`Definitions::inline`].
    Inline(u32),
}

/// Finds what applies in one direction: what the neighbor says, else its group, else the file as a whole; at each of
/// them the chain before the inline policy. They are never merged.
pub fn resolve(neighbor: &Assignment, group: Option<&Assignment>, global: &Assignment) -> Assigned {
    for place in [Some(neighbor), group, Some(global)].into_iter().flatten() {
        if !place.chain.is_empty() {
            return Assigned::Chain(place.chain.clone());
        }
        if let Some(inline) = place.inline {
            return Assigned::Inline(inline);
        }
    }
    Assigned::None
}
