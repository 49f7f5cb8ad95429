//! What the engines are told of policies, in one piece.

use serde::{Deserialize, Serialize};

use crate::def::{Assigned, Definitions};

/// The policies of a configuration, and who has which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// All of them.
    pub definitions: Definitions,
    /// Peers that have some.
    pub peers: Vec<Assignee>,
    /// Ranges whose peers have some.
    pub ranges: Vec<RangeAssignee>,
}

/// A range of dynamic peers with policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeAssignee {
    /// The range's name between the processes.
    pub range: u16,
    /// The peer group of its peers.
    pub peer_group: Option<String>,
    /// For routes that they send.
    pub import: Assigned,
    /// For routes that they are sent.
    pub export: Assigned,
}

/// A peer with policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignee {
    /// The peer's name between the processes.
    pub peer: u16,
    /// Its peer group, which neighbor sets may name.
    pub peer_group: Option<String>,
    /// For routes that it sends.
    pub import: Assigned,
    /// For routes that it is sent.
    pub export: Assigned,
}
