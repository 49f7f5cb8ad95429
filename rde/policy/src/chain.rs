//! Policies as they are evaluated.

use std::net::IpAddr;
use std::sync::Arc;

use crate::apply::Changes;
use crate::aspath::AsPathTest;
use crate::def::{Action, Change, Match, NextHopChange};
use crate::looks::Looks;
use crate::route::{AspaState, RouteType, RpkiState};
use crate::sets::{AsSet, CommunityTest, PrefixSet, Range};

/// The policies that apply to a peer in one direction, in order.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) policies: Box<[Arc<Policy>]>,
    looks: Looks,
    names_us: bool,
    fingerprint: [u64; 2],
}

impl Chain {
    pub(crate) fn new(policies: Vec<Arc<Policy>>) -> Chain {
        let looks = policies.iter().fold(Looks::default(), |l, p| l.with(p.looks));
        let ours = |c: &Change| *c == Change::NextHop(NextHopChange::OurAddress);
        let names_us = policies.iter().flat_map(|p| &p.statements).any(|s| s.written.iter().any(ours));
        let fingerprint =
            crate::compile::fingerprint(&policies.iter().map(|p| p.fingerprint).collect::<Vec<_>>());
        Chain { policies: policies.into(), looks, names_us, fingerprint }
    }

    /// The policies in order.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &Policy> {
        self.policies.iter().map(|p| &**p)
    }

    /// What its outcome depends on.
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// Whether it sets our own address as the next hop.
    pub fn names_us(&self) -> bool {
        self.names_us
    }

    /// Equal for chains that treat every route alike: those with the same policies, whose sets have the same content.
    /// Names count, and places in the file do not. Differs between builds.
    pub fn fingerprint(&self) -> [u64; 2] {
        self.fingerprint
    }
}

/// A policy.
#[derive(Debug)]
pub struct Policy {
    /// Its name, or where it is written.
    pub name: String,
    /// What happens to routes that no statement matches.
    pub default_action: Action,
    pub(crate) statements: Box<[Statement]>,
    pub(crate) looks: Looks,
    pub(crate) fingerprint: [u64; 2],
}

impl Policy {
    /// The statements in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

/// A statement.
#[derive(Debug)]
pub struct Statement {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of the file where it begins; 0 = it was not read from a file.
    pub line: u32,
    /// What happens to routes that it matches.
    pub action: Action,
    /// In the order in which they are tried: what costs little goes first.
    pub(crate) checks: Box<[Check]>,
    pub(crate) changes: Changes,
    /// As they were written.
    pub(crate) written: Box<[Change]>,
}

impl Statement {
    /// What it changes, as it was written.
    pub fn changes(&self) -> &[Change] {
        &self.written
    }
}

/// A match, and how it is written.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) written: Match,
    pub(crate) test: Test,
}

/// A match in the form in which it is tried.
#[derive(Debug)]
pub(crate) enum Test {
    RouteType(RouteType),
    Rpki(RpkiState),
    Aspa(AspaState),
    /// The set with this number.
    Neighbor(usize),
    PathLenGe(u32),
    PathLenLe(u32),
    LocalPrefGe(u32),
    LocalPrefLe(u32),
    MedGe(u32),
    MedLe(u32),
    NextHop(IpAddr),
    Prefix(Range),
    PrefixSet(Arc<PrefixSet>),
    OriginAs(Arc<AsSet>),
    Communities(Arc<CommunityTest>),
    AsPath(Arc<AsPathTest>),
}

impl Test {
    /// The less, the earlier it is tried.
    pub(crate) fn cost(&self) -> u8 {
        match self {
            Test::Prefix(_) => 1,
            Test::OriginAs(_) => 2,
            Test::AsPath(test) if test.is_short() => 3,
            Test::Communities(_) => 4,
            Test::PrefixSet(_) => 5,
            Test::AsPath(_) => 6,
            _ => 0,
        }
    }

    pub(crate) fn looks(&self) -> Looks {
        match self {
            Test::Prefix(_) | Test::PrefixSet(_) => Looks::PREFIX,
            Test::Neighbor(_) => Looks::PEER,
            Test::Rpki(_) => Looks::RPKI,
            Test::Aspa(_) => Looks::ASPA,
            Test::OriginAs(_) | Test::AsPath(_) => Looks::PATH,
            Test::Communities(test) => test.looks(),
            _ => Looks::default(),
        }
    }
}
