//! Tests of policies that operators write: a route goes in, and what comes out is compared with what they expect.

use bgp::attr::canonical::{Canonical, summarize};
use bgp::attr::code;

use crate::apply::Summed;
use crate::chain::{Chain, Policy};
use crate::def::{Action, CommunityPattern, NextHopChange};
use crate::eval::Scratch;
use crate::explain::{Explanation, communities};
use crate::peer::Context;
use crate::route::{Route, RouteBuf};
use crate::sets::CommunityTest;

/// What a test expects. What is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether the route is permitted. The rest counts only for one that is.
    pub action: Option<Action>,
    /// LOCAL_PREF; 100 where there is none.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC; 0 where there is none.
    pub med: Option<u32>,
    /// The next hop.
    pub next_hop: Option<NextHopChange>,
    /// The path as text: see [`parse_path`](crate::parse_path).
    pub as_path: Option<String>,
    /// All communities: each of these is there, and nothing else.
    pub communities: Option<Vec<CommunityPattern>>,
    /// Communities that are there.
    pub with_communities: Vec<CommunityPattern>,
    /// Communities that are not.
    pub without_communities: Vec<CommunityPattern>,
}

/// An expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which: the name of the field of [`Expected`].
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// What is not as expected; nothing if the test has passed.
    pub mismatches: Vec<Mismatch>,
    /// Why.
    pub explanation: Explanation,
}

/// Runs a test: what the chain makes of a route from or for this peer. Without a chain everything is permitted.
pub fn run_test(
    chain: Option<&Chain>,
    peer: &Context,
    route: &RouteBuf,
    expected: &Expected,
    coverage: &mut Coverage,
) -> TestResult {
    let route = route.route();
    let mut scratch = Scratch::default();
    let Some(chain) = chain else {
        let explanation = Explanation { action: Action::Permit, policies: Vec::new() };
        let mismatches = compare(expected, Action::Permit, &route, &Summed::default());
        return TestResult { mismatches, explanation };
    };
    let (outcome, explanation) = Explanation::of(chain, &route, peer, &mut scratch);
    coverage.count(&explanation);
    let mut changed = Vec::new();
    let summed = chain.apply(&route, &mut scratch, &mut changed);
    let attributes = Canonical::new(&changed);
    let after = Route::new(route.prefix, attributes, &summarize(&changed), route.next_hop, route.route_type);
    TestResult { mismatches: compare(expected, outcome.action, &after, &summed), explanation }
}

fn compare(expected: &Expected, action: Action, after: &Route<'_>, summed: &Summed) -> Vec<Mismatch> {
    let mut found = Differences(Vec::new());
    found.check("action", expected.action.map(Action::name), action.name());
    if action == Action::Deny {
        return found.0;
    }
    found.check("local_pref", expected.local_pref, after.local_pref);
    found.check("med", expected.med, after.med);
    let next_hop = summed.next_hop.unwrap_or(NextHopChange::Address(after.next_hop.global()));
    found.check("next_hop", expected.next_hop, next_hop);
    found.check("as_path", expected.as_path.as_deref(), &after.attributes.as_path().to_string());
    let carried = Carried(after.attributes);
    if let Some(all) = &expected.communities
        && !(all.iter().all(|c| carried.has(*c)) && carried.has_only(all))
    {
        found.add("communities", shown(all), carried.shown());
    }
    for c in expected.with_communities.iter().filter(|c| !carried.has(**c)) {
        found.add("with_communities", c.to_string(), carried.shown());
    }
    for c in expected.without_communities.iter().filter(|c| carried.has(**c)) {
        found.add("without_communities", format!("no {c}"), carried.shown());
    }
    found.0
}

struct Differences(Vec<Mismatch>);

impl Differences {
    fn add(&mut self, field: &'static str, expected: String, found: String) {
        self.0.push(Mismatch { field, expected, found });
    }

    fn check<T: PartialEq + ToString>(&mut self, field: &'static str, expected: Option<T>, found: T) {
        if let Some(expected) = expected.filter(|e| *e != found) {
            self.add(field, expected.to_string(), found.to_string());
        }
    }
}

fn shown(communities: &[CommunityPattern]) -> String {
    let list: Vec<String> = communities.iter().map(CommunityPattern::to_string).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// The communities of a route.
struct Carried<'a>(Canonical<'a>);

impl Carried<'_> {
    fn octets<const N: usize>(&self, code: u8) -> &[[u8; N]] {
        self.0.get(code).unwrap_or_default().as_chunks().0
    }

    fn has(&self, pattern: CommunityPattern) -> bool {
        let test: CommunityTest = [pattern].iter().collect();
        test.standard.any(self.octets(code::COMMUNITIES))
            || test.extended.any(self.octets(code::EXTENDED_COMMUNITIES))
            || test.large.any(self.octets(code::LARGE_COMMUNITY))
    }

    fn has_only(&self, patterns: &[CommunityPattern]) -> bool {
        let test: CommunityTest = patterns.iter().collect();
        self.octets(code::COMMUNITIES).iter().all(|c| test.standard.has(c))
            && self.octets(code::EXTENDED_COMMUNITIES).iter().all(|c| test.extended.has(c))
            && self.octets(code::LARGE_COMMUNITY).iter().all(|c| test.large.has(c))
    }

    fn shown(&self) -> String {
        let list = communities(self.0);
        if list.is_empty() { "none".to_owned() } else { list.join(", ") }
    }
}

/// Which statements tests have reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<StatementCoverage>);

/// How often a statement decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementCoverage {
    /// The policy.
    pub policy: String,
    /// The number of the statement in it, from 1.
    pub number: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of the file where it begins; 0 = it was not read from a file.
    pub line: u32,
    /// So many routes were decided by it.
    pub hits: u32,
}

impl Coverage {
    /// Of these policies; no test has run.
    pub fn of<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Coverage {
        let statements =
            policies.into_iter().flat_map(|p| (1..).zip(p.statements()).map(move |(n, s)| (p, n, s)));
        let zero = statements.map(|(p, number, s)| StatementCoverage {
            policy: p.name.clone(),
            number,
            name: s.name.clone(),
            line: s.line,
            hits: 0,
        });
        Coverage(zero.collect())
    }

    /// All statements, in the order of their policies.
    pub fn statements(&self) -> &[StatementCoverage] {
        &self.0
    }

    fn count(&mut self, explanation: &Explanation) {
        for policy in &explanation.policies {
            let Some(held) = policy.statements.last().filter(|s| s.held) else { continue };
            for s in self.0.iter_mut().filter(|s| s.policy == policy.name && s.number == held.number) {
                s.hits += 1;
            }
        }
    }
}
