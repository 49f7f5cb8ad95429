//! Control and rde: why things are as they are, for one prefix.

use serde::{Deserialize, Serialize};

use crate::control_rde::RouteView;
use crate::ids::PeerId;

/// What is asked about a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Which path is the best one, and what the others lost by.
    BestPath,
    /// What becomes of what this peer sent.
    Received(PeerId),
    /// What this peer is sent, and why not the rest.
    Advertised(PeerId),
}

/// A path, and why it is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedPath {
    /// The path: as its peer sent it where that was asked, else as it is used.
    pub route: RouteView,
    /// `local`, `internal` or `external`.
    pub route_type: String,
    /// It is used: as the best one, or sent to the peer that was asked about.
    pub chosen: bool,
    /// Why, as a stable word.
    pub code: String,
    /// The same as a sentence.
    pub message: String,
    /// Against the best path: `better`, `worse` or `equal`, in the step that `code` names.
    pub ordering: String,
    /// What the policies said of it, in their order.
    pub policies: Vec<ExplainedPolicy>,
    /// What is made of it: by the import policy, or for the peer that it is sent to.
    pub made: Option<RouteView>,
    /// What the policies change.
    pub changes: PolicyChanges,
}

/// What policies change about a route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyChanges {
    /// LOCAL_PREF becomes this.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC becomes this.
    pub med: Option<u32>,
    /// The next hop becomes this: `self` or an address.
    pub next_hop: Option<String>,
    /// An AS is put in front of the path, so often.
    pub prepend: Option<(u32, u8)>,
    /// Communities that are added.
    pub add: Communities,
    /// Communities that are removed, where they are there; those with a `*` are not in the list.
    pub remove: Communities,
}

/// Communities of all kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Communities {
    /// Standard ones.
    pub standard: Vec<u32>,
    /// Extended ones.
    pub extended: Vec<u64>,
    /// Large ones.
    pub large: Vec<(u32, u32, u32)>,
}

/// What a policy said of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedPolicy {
    /// Its name, or where it is written.
    pub name: String,
    /// What it said: permit, otherwise deny.
    pub permits: bool,
    /// The statements that were tried, in order.
    pub statements: Vec<ExplainedStatement>,
}

/// What a statement said of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedStatement {
    /// Its number in the policy, from 1.
    pub number: u32,
    /// Its name, or nothing.
    pub name: String,
    /// Its line in the configuration file; 0 = it is in none.
    pub line: u32,
    /// What it says of routes that it matches: permit, otherwise deny.
    pub permits: bool,
    /// All of its matches held, so that it decided.
    pub held: bool,
    /// Its matches.
    pub matches: Vec<ExplainedMatch>,
    /// What it changes, as it is written, where it decided.
    pub changes: Vec<String>,
}

/// What a match said of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedMatch {
    /// As it is written.
    pub written: String,
    /// What the route has there.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}
