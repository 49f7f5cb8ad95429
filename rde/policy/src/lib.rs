//! The policy language: what to do with a route that comes in or goes out.
//!
//! A pure library: no I/O, no clock, no threads. The parent reads [`Definitions`] from the configuration and
//! compiles them to find mistakes; rde is sent the same definitions, compiles them into [`Policies`] and evaluates
//! a [`Chain`] for each route. Routes are read in the form in which the tables keep them, and nothing is allocated
//! for one that a policy does not change.
//!
//! An [`Explanation`] is written by the code that decides: see [`Recorder`].

mod apply;
mod aspath;
mod chain;
mod compile;
mod def;
mod eval;
mod explain;
mod looks;
mod path_text;
mod peer;
mod prepared;
mod route;
mod sets;
mod staging;
mod testing;

pub use apply::Summed;
pub use aspath::{AsPathError, AsPathTest};
pub use chain::{Chain, Policy, Statement};
pub use compile::{CompileError, Policies, Wrong};
pub use def::{
    Action, Administrator, Assigned, Assignment, Change, CommunityError, CommunityPattern, Definitions,
    ExtendedKind, Match, Named, NeighborSet, NextHopChange, PolicyDef, PrefixRange, PrefixRangeError,
    SetKind, StatementDef, resolve,
};
pub use eval::{Decider, Outcome, Recorder, Scratch, Silent};
pub use explain::{Explanation, MatchStep, PolicyStep, StatementStep};
pub use looks::Looks;
pub use path_text::{PathTextError, parse_path};
pub use peer::{Context, Peer};
pub use prepared::Prepared;
pub use route::{AspaState, Route, RouteBuf, RouteType, RpkiState};
pub use sets::{AsSet, CommunityTest, PrefixSet};
pub use staging::{Assignee, RangeAssignee, Staged};
pub use testing::{Coverage, Expected, Mismatch, StatementCoverage, TestResult, run_test};
