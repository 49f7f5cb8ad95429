//! Why a route was taken or not: every statement that was tried, match by match.

use bgp::attr::canonical::Canonical;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Policy, Statement};
use crate::def::{Action, Change, CommunityPattern, Match};
use crate::eval::{Outcome, Recorder, Scratch};
use crate::peer::Context;
use crate::route::Route;

/// What happened to a route in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The end of it.
    pub action: Action,
    /// The policies that were asked, in order. The last one decided if the route was denied.
    pub policies: Vec<PolicyStep>,
}

/// What a policy did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStep {
    /// Its name, or where it is written.
    pub name: String,
    /// What it said.
    pub action: Action,
    /// The statements that were tried, in order; the last one decided if all of its matches held. Else the policy's
    /// default action did.
    pub statements: Vec<StatementStep>,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementStep {
    /// Its number in the policy, from 1.
    pub number: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of the file where it begins; 0 = it was not read from a file.
    pub line: u32,
    /// What it says of routes that it matches.
    pub action: Action,
    /// Whether all of its matches held.
    pub held: bool,
    /// Its matches.
    pub matches: Vec<MatchStep>,
    /// What it changes, where it permitted the route.
    pub changes: Vec<Change>,
}

/// What a match said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchStep {
    /// As the configuration file writes it.
    pub written: String,
    /// What the route has there.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

impl Explanation {
    /// Evaluates a route and writes down how. The outcome, and what [`Chain::apply`] makes of it, are those of every
    /// evaluation of this route.
    pub fn of(
        chain: &Chain,
        route: &Route<'_>,
        peer: &Context,
        scratch: &mut Scratch,
    ) -> (Outcome, Explanation) {
        let mut writer = Writer::default();
        let outcome = chain.evaluate(route, peer, scratch, &mut writer);
        (outcome, Explanation { action: outcome.action, policies: writer.policies })
    }

    /// Who had the last word, in words; `None` for an empty chain.
    pub fn decided_by(&self) -> Option<String> {
        let policy = self.policies.last()?;
        let Some(s) = policy.statements.last().filter(|s| s.held) else {
            return Some(format!("{}: default action {}", policy.name, policy.action.name()));
        };
        let name = s.name.as_ref().map_or_else(String::new, |n| format!(" {n:?}"));
        let line = if s.line > 0 { format!(" (line {})", s.line) } else { String::new() };
        Some(format!("{}: statement {}{name}{line}", policy.name, s.number))
    }
}

/// Writes an explanation.
#[derive(Debug, Default)]
struct Writer {
    policies: Vec<PolicyStep>,
    matches: Vec<MatchStep>,
}

impl Recorder for Writer {
    const ALL: bool = true;

    fn policy(&mut self, policy: &Policy) {
        let name = policy.name.clone();
        self.policies.push(PolicyStep { name, action: policy.default_action, statements: Vec::new() });
    }

    fn tried(&mut self, written: &Match, held: bool, route: &Route<'_>) {
        self.matches.push(MatchStep { written: written.to_string(), found: found(written, route), held });
    }

    fn statement(&mut self, number: usize, statement: &Statement, held: bool) {
        let matches = std::mem::take(&mut self.matches);
        let step = StatementStep {
            number: u32::try_from(number + 1).unwrap_or(u32::MAX),
            name: statement.name.clone(),
            line: statement.line,
            action: statement.action,
            held,
            matches,
            changes: if held { statement.changes().to_vec() } else { Vec::new() },
        };
        if let Some(policy) = self.policies.last_mut() {
            policy.statements.push(step);
        }
    }

    fn decided(&mut self, action: Action) {
        if let Some(policy) = self.policies.last_mut() {
            policy.action = action;
        }
    }
}

/// What the route has where the match looks.
fn found(written: &Match, route: &Route<'_>) -> String {
    match written {
        Match::Prefix(_) | Match::PrefixSet(_) => route.prefix.to_string(),
        Match::Communities(_) | Match::CommunitySet(_) => {
            or_nothing(communities(route.attributes).join(", "))
        }
        Match::AsPath(_) => or_nothing(route.attributes.as_path().to_string()),
        Match::OriginAsSet(_) => route
            .attributes
            .as_path()
            .origin_as()
            .map_or_else(|| or_nothing(String::new()), |a| a.to_string()),
        // Which peer it is those who ask know.
        Match::NeighborSet(_) => "the neighbor".to_owned(),
        Match::RouteType(_) => route.route_type.name().to_owned(),
        Match::AsPathLengthGe(_) | Match::AsPathLengthLe(_) => route.path_len.to_string(),
        Match::LocalPrefGe(_) | Match::LocalPrefLe(_) => route.local_pref.to_string(),
        Match::MedGe(_) | Match::MedLe(_) => route.med.to_string(),
        Match::NextHop(_) => route.next_hop.to_string(),
        Match::Rpki(_) => route.rpki.name().to_owned(),
        Match::Aspa(_) => route.aspa.name().to_owned(),
    }
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// All communities of a route as policies write them.
pub(crate) fn communities(attributes: Canonical<'_>) -> Vec<String> {
    let standard = attributes.communities().map(|c| CommunityPattern::of_standard(c).to_string());
    let extended = attributes
        .extended_communities()
        .map(|c| CommunityPattern::of_extended(c).map_or_else(|| format!("0x{c:016x}"), |p| p.to_string()));
    let large = attributes
        .large_communities()
        .map(|(a, b, c)| CommunityPattern::Large(Some(a), Some(b), Some(c)).to_string());
    standard.chain(extended).chain(large).collect()
}
