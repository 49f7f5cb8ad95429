//! Deciding about a route.
//!
//! Every match sees the route as it came, not what earlier policies of the chain have changed: what they change is put
//! together at the end (`apply`). Nothing is allocated.

use std::net::IpAddr;

use bgp::NextHop;
use bgp::aspath::AsPath;
use bgp::attr::code;
use smallvec::SmallVec;

use crate::aspath::PathText;
use crate::chain::{Chain, Policy, Statement, Test};
use crate::def::{Action, Match};
use crate::looks::Looks;
use crate::peer::Context;
use crate::route::Route;
use crate::sets::Prefix;

/// What a chain says of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the route is taken, or sent.
    pub action: Action,
    /// Who denied it.
    pub denied_by: Option<Decider>,
    /// Whether something is changed about it: then [`Chain::apply`] makes the attributes.
    pub changes: bool,
}

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decider {
    /// The policy, from 0.
    pub policy: u16,
    /// The statement in it, from 0; `None` = its default action.
    pub statement: Option<u16>,
}

/// Room that is used again for each route, and what the last evaluation found.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) text: PathText,
    /// The statements with changes that permitted the route: policy and statement.
    pub(crate) permitted: SmallVec<[(u16, u16); 4]>,
    /// For lists of communities.
    pub(crate) lists: crate::apply::Lists,
}

impl Scratch {
    /// The statements with changes that permitted the route: policy and statement, from 0. What they make of a set of
    /// attributes depends on nothing else.
    pub fn permitted(&self) -> &[(u16, u16)] {
        &self.permitted
    }
}

/// Is told what happens while a route is evaluated. Deciding and explaining are the same code; what it does for those
/// who listen is nothing but telling them.
pub trait Recorder {
    /// Whether matches behind one that failed are tried too. They have no influence on the outcome.
    const ALL: bool;

    /// A policy begins.
    fn policy(&mut self, policy: &Policy);
    /// A match of the current statement was tried.
    fn tried(&mut self, written: &Match, held: bool, route: &Route<'_>);
    /// The matches of a statement were tried: whether all held, so that it decides.
    fn statement(&mut self, number: usize, statement: &Statement, held: bool);
    /// The policy has ended with this.
    fn decided(&mut self, action: Action);
}

/// Listens to nothing: for live decisions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Recorder for Silent {
    const ALL: bool = false;

    #[inline]
    fn policy(&mut self, _: &Policy) {}
    #[inline]
    fn tried(&mut self, _: &Match, _: bool, _: &Route<'_>) {}
    #[inline]
    fn statement(&mut self, _: usize, _: &Statement, _: bool) {}
    #[inline]
    fn decided(&mut self, _: Action) {}
}

/// A route with the parts that the chain looks at found.
pub(crate) struct View<'a, 'r> {
    route: &'r Route<'a>,
    peer: &'r Context,
    prefix: Prefix,
    path: AsPath<'a>,
    standard: &'a [[u8; 4]],
    extended: &'a [[u8; 8]],
    large: &'a [[u8; 12]],
}

impl<'a, 'r> View<'a, 'r> {
    pub(crate) fn new(looks: Looks, route: &'r Route<'a>, peer: &'r Context) -> View<'a, 'r> {
        let mut view = View {
            route,
            peer,
            prefix: Prefix::of(&route.prefix),
            path: AsPath::default(),
            standard: &[],
            extended: &[],
            large: &[],
        };
        if looks.at(Looks::ATTRIBUTES) {
            // One pass finds all of them.
            for attribute in route.attributes.iter() {
                match attribute.code {
                    code::AS_PATH => view.path = AsPath::from_checked(attribute.value),
                    code::COMMUNITIES => view.standard = attribute.value.as_chunks().0,
                    code::EXTENDED_COMMUNITIES => view.extended = attribute.value.as_chunks().0,
                    code::LARGE_COMMUNITY => view.large = attribute.value.as_chunks().0,
                    _ => {}
                }
            }
        }
        view
    }

    #[inline]
    pub(crate) fn passes(&self, test: &Test, text: &mut PathText) -> bool {
        let route = self.route;
        match test {
            Test::Prefix(_) | Test::PrefixSet(_) | Test::Rpki(_) => {
                test.passes_prefix(self.prefix, route.rpki)
            }
            Test::RouteType(t) => route.route_type == *t,
            Test::Aspa(s) => route.aspa == *s,
            Test::Neighbor(set) => self.peer.is_in(*set),
            Test::PathLenGe(n) => route.path_len >= *n,
            Test::PathLenLe(n) => route.path_len <= *n,
            Test::LocalPrefGe(n) => route.local_pref >= *n,
            Test::LocalPrefLe(n) => route.local_pref <= *n,
            Test::MedGe(n) => route.med >= *n,
            Test::MedLe(n) => route.med <= *n,
            Test::NextHop(a) => is_address(route.next_hop, *a),
            Test::OriginAs(set) => self.path.origin_as().is_some_and(|a| set.contains(a.0)),
            Test::Communities(test) => {
                test.standard.any(self.standard)
                    || test.extended.any(self.extended)
                    || test.large.any(self.large)
            }
            Test::AsPath(test) => test.matches(self.path, text),
        }
    }
}

fn is_address(next_hop: NextHop, address: IpAddr) -> bool {
    next_hop.global() == address
}

impl Chain {
    /// Decides about a route from (import) or for (export) a peer.
    pub fn evaluate<R: Recorder>(
        &self,
        route: &Route<'_>,
        peer: &Context,
        scratch: &mut Scratch,
        recorder: &mut R,
    ) -> Outcome {
        scratch.text.clear();
        scratch.permitted.clear();
        let view = View::new(self.looks(), route, peer);
        for (at, policy) in (0..).zip(&self.policies) {
            recorder.policy(policy);
            let found = policy.first(&view, &mut scratch.text, recorder);
            let action = found.map_or(policy.default_action, |(_, s)| s.action);
            recorder.decided(action);
            if action == Action::Deny {
                scratch.permitted.clear();
                let denied_by = Some(Decider { policy: at, statement: found.map(|(n, _)| n) });
                return Outcome { action, denied_by, changes: false };
            }
            if let Some((n, _)) = found.filter(|(_, s)| !s.changes.is_empty()) {
                scratch.permitted.push((at, n));
            }
        }
        Outcome { action: Action::Permit, denied_by: None, changes: !scratch.permitted.is_empty() }
    }
}

impl Policy {
    /// The first statement that matches.
    fn first<R: Recorder>(
        &self,
        view: &View<'_, '_>,
        text: &mut PathText,
        recorder: &mut R,
    ) -> Option<(u16, &Statement)> {
        for (n, statement) in (0_u16..).zip(&self.statements) {
            let mut held = true;
            for check in &statement.checks {
                let passed = view.passes(&check.test, text);
                recorder.tried(&check.written, passed, view.route);
                held &= passed;
                if !held && !R::ALL {
                    break;
                }
            }
            recorder.statement(n.into(), statement, held);
            if held {
                return Some((n, statement));
            }
        }
        None
    }
}
