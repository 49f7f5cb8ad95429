//! Answers about one prefix, put into words.

use bgp::attr::canonical::SummaryFlags;
use ipc::control_rde::RdeToControl;
use ipc::explain::{
    Communities, ExplainedMatch, ExplainedPath, ExplainedPolicy, ExplainedStatement, PolicyChanges, Question,
};
use ipc::{PeerId, QueryId};
use ipnet::IpNet;
use policy::{Action, Change, CommunityPattern, Explanation, NextHopChange, PolicyStep, StatementStep};
use rib::{Explained, Fate, Found, Refusal, Step};
use std::cmp::Ordering;

use crate::engine::Engine;
use crate::view;

/// Paths of one answer: what policies say of a path may be long.
const PATHS: usize = 4;

impl Engine {
    /// Asks the tables.
    pub(crate) fn explain(&mut self, id: QueryId, question: Question, prefix: IpNet) {
        let place = |peer: PeerId| self.peers.place(peer);
        let question = match question {
            Question::BestPath => Some(rib::Question::Best),
            Question::Received(peer) => place(peer).map(rib::Question::Received),
            Question::Advertised(peer) => place(peer).map(rib::Question::Advertised),
        };
        match (question, &mut self.tables) {
            (Some(question), Some(tables)) => tables.explain(id, question, prefix),
            _ => self.explained(id, &[]),
        }
    }

    /// Sends the answer.
    pub(crate) fn explained(&mut self, id: QueryId, paths: &[Explained]) {
        let mut parts = paths.chunks(PATHS).peekable();
        loop {
            let paths = parts.next().unwrap_or_default().iter().map(|p| self.in_words(p)).collect();
            let last = parts.peek().is_none();
            self.control.push(RdeToControl::Explained { id, paths, last }, Vec::new());
            if last {
                break;
            }
        }
    }

    fn in_words(&self, path: &Explained) -> ExplainedPath {
        let Explained { found, fate, policy, made } = path;
        let (code, message) = reason(*fate, policy.as_ref());
        let ordering = match fate {
            Fate::Best | Fate::Equal => "equal",
            Fate::Lost(_, Ordering::Less) => "better",
            Fate::Lost(..) | Fate::Denied => "worse",
            _ => "",
        };
        let made = made.as_ref().map(|made| {
            let (attributes, next_hop) = (made.attributes.clone(), made.next_hop);
            view::route(&Found { attributes, next_hop, ..found.clone() })
        });
        ExplainedPath {
            route: view::route(found),
            route_type: self.route_type(found).to_owned(),
            chosen: matches!(fate, Fate::Best | Fate::Sent),
            code: code.to_owned(),
            message,
            ordering: ordering.to_owned(),
            policies: policy.iter().flat_map(|p| &p.policies).map(policy_in_words).collect(),
            changes: policy.as_ref().map(changes).unwrap_or_default(),
            made,
        }
    }

    fn route_type(&self, found: &Found) -> &'static str {
        let peers = self.config.as_ref().map(|c| &c.peers);
        let of = |id| peers.and_then(|p| p.get(&PeerId(id)));
        match found.key.peer.map(of) {
            None => "local",
            Some(Some(p)) if p.remote_asn == p.local_asn => "internal",
            Some(_) => "external",
        }
    }
}

/// A stable word for what becomes of a path, and a sentence.
fn reason(fate: Fate, policy: Option<&Explanation>) -> (&'static str, String) {
    let decided = || policy.and_then(Explanation::decided_by).unwrap_or_default();
    match fate {
        Fate::Best => ("best", "the best path".to_owned()),
        Fate::Lost(step, _) => step_in_words(step),
        Fate::Equal => ("equal", "nothing tells it from the best path".to_owned()),
        Fate::Denied => {
            ("import_policy_denied", format!("the import policy does not take it: {}", decided()))
        }
        Fate::Sent if policy.is_some() => {
            ("policy_permitted", format!("the export policy lets it out: {}", decided()))
        }
        Fate::Sent => ("advertised", "it is sent; there is no export policy".to_owned()),
        Fate::Own => ("split_horizon", "the route is from the neighbor itself".to_owned()),
        Fate::Behind => ("not_best", "another path comes before it".to_owned()),
        Fate::Refused(Refusal::Policy) => {
            ("policy_denied", format!("the export policy keeps it back: {}", decided()))
        }
        Fate::Refused(refusal) => refusal_in_words(refusal),
    }
}

fn step_in_words(step: Step) -> (&'static str, String) {
    let (code, message) = match step {
        Step::Stale => ("stale", "the best path is not stale, or less so"),
        Step::LocalPref => ("higher_local_pref", "the best path has a higher LOCAL_PREF"),
        Step::Local => ("local_route", "the best path is injected here"),
        Step::PathLength => ("shorter_as_path", "the best path has a shorter AS_PATH"),
        Step::Origin => ("lower_origin", "the best path has a lower ORIGIN"),
        Step::Med => ("lower_med", "the best path has a lower MED, from the same neighbor AS"),
        Step::External => ("ebgp_over_ibgp", "the best path is from another AS, this one from our own"),
        Step::ClusterList => ("shorter_cluster_list", "the best path was reflected less often"),
        Step::Originator => {
            ("lower_originator_id", "the best path is from a router with a lower BGP identifier")
        }
        Step::Address => ("lower_peer_address", "the best path is from a neighbor with a lower address"),
        Step::PathId => ("lower_path_id", "the best path has a lower path identifier"),
    };
    (code, message.to_owned())
}

fn refusal_in_words(refusal: Refusal) -> (&'static str, String) {
    let (code, message) = match refusal {
        Refusal::NoPolicy => {
            ("policy_missing", "an external neighbor without an export policy is sent nothing (RFC 8212)")
        }
        Refusal::LongLived => {
            ("long_lived_stale", "the neighbor has not announced long-lived graceful restart (RFC 9494)")
        }
        Refusal::NotReflected => (
            "ibgp_split_horizon",
            "internal routes are not passed on to internal neighbors (RFC 4271 section 9.2)",
        ),
        Refusal::NoNextHop => ("no_next_hop", "there is no next hop that the neighbor could use"),
        Refusal::TooLarge => ("too_large", "its attributes do not fit a message for the neighbor"),
        Refusal::Policy => ("policy_denied", "the export policy keeps it back"),
        Refusal::Mark(marks) => return mark_in_words(marks),
    };
    (code, message.to_owned())
}

fn mark_in_words(marks: SummaryFlags) -> (&'static str, String) {
    let known = [
        (SummaryFlags::NO_ADVERTISE, "no_advertise", "NO_ADVERTISE"),
        (SummaryFlags::NO_EXPORT, "no_export", "NO_EXPORT"),
        (SummaryFlags::NO_EXPORT_SUBCONFED, "no_export_subconfed", "NO_EXPORT_SUBCONFED"),
        (SummaryFlags::NOPEER, "nopeer", "NOPEER"),
        (SummaryFlags::BLACKHOLE, "blackhole", "BLACKHOLE"),
        (SummaryFlags::HAS_OTC, "only_to_customer", "ONLY_TO_CUSTOMER"),
    ];
    let found = known.into_iter().find(|(flag, ..)| marks.intersects(*flag));
    let (_, code, name) = found.unwrap_or((SummaryFlags::EMPTY, "marked", "a mark"));
    (code, format!("the route carries {name}, which keeps it from this neighbor"))
}

fn policy_in_words(step: &PolicyStep) -> ExplainedPolicy {
    ExplainedPolicy {
        name: step.name.clone(),
        permits: step.action == Action::Permit,
        statements: step.statements.iter().map(statement_in_words).collect(),
    }
}

fn statement_in_words(step: &StatementStep) -> ExplainedStatement {
    let matches = step.matches.iter().map(|m| ExplainedMatch {
        written: m.written.clone(),
        found: m.found.clone(),
        held: m.held,
    });
    ExplainedStatement {
        number: step.number,
        name: step.name.clone().unwrap_or_default(),
        line: step.line,
        permits: step.action == Action::Permit,
        held: step.held,
        matches: matches.collect(),
        changes: step.changes.iter().map(ToString::to_string).collect(),
    }
}

/// What the statements that decided change, put together: of scalars the last one counts.
fn changes(explanation: &Explanation) -> PolicyChanges {
    let mut sum = PolicyChanges::default();
    let permits = explanation.action == Action::Permit;
    let statements = explanation.policies.iter().flat_map(|p| &p.statements);
    for change in statements.filter(|s| s.held && permits).flat_map(|s| &s.changes) {
        match change {
            Change::LocalPref(n) => sum.local_pref = Some(*n),
            Change::Med(n) => sum.med = Some(*n),
            Change::NextHop(NextHopChange::OurAddress) => sum.next_hop = Some("self".to_owned()),
            Change::NextHop(NextHopChange::Address(a)) => sum.next_hop = Some(a.to_string()),
            Change::Prepend { asn, count } => sum.prepend = Some((*asn, *count)),
            Change::AddCommunities(list) => add(&mut sum.add, list),
            Change::RemoveCommunities(list) => add(&mut sum.remove, list),
        }
    }
    sum
}

/// Adds those that are whole.
fn add(to: &mut Communities, list: &[CommunityPattern]) {
    let word = |octets: &[u8]| octets.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
    for octets in list.iter().filter_map(|c| c.octets()) {
        let mut words = octets.chunks_exact(4).map(word);
        match [words.next(), words.next(), words.next()] {
            [Some(a), Some(b), Some(c)] => to.large.push((a, b, c)),
            [Some(a), Some(b), None] => to.extended.push(u64::from(a) << 32 | u64::from(b)),
            [Some(a), None, None] => to.standard.push(a),
            _ => {}
        }
    }
}
