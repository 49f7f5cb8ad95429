//! Deciding about many routes with the same attributes: what does not depend on the prefix is asked once for all of
//! them, and of each route only what is left.

use smallvec::SmallVec;

use crate::chain::{Chain, Test};
use crate::def::Action;
use crate::eval::{Decider, Outcome, Scratch, View};
use crate::peer::Context;
use crate::route::Route;

/// What is left to be asked of routes with one set of attributes: the statements whose other matches all hold.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Policy and statement, in order.
    left: SmallVec<[(u16, u16); 8]>,
}

impl Test {
    /// Whether its outcome may differ between routes with the same attributes.
    fn is_about_prefix(&self) -> bool {
        matches!(self, Test::Prefix { .. } | Test::PrefixSet(_) | Test::Rpki(_))
    }
}

impl Chain {
    /// Asks what is the same for all routes with the attributes of this one, next hop included.
    pub fn prepare(&self, route: &Route<'_>, peer: &Context, scratch: &mut Scratch, prepared: &mut Prepared) {
        prepared.left.clear();
        scratch.text.clear();
        let view = View::new(self.looks(), route, peer);
        for (p, policy) in (0..).zip(&self.policies) {
            for (n, statement) in (0..).zip(&policy.statements) {
                let others = || statement.checks.iter().filter(|c| !c.test.is_about_prefix());
                if !others().all(|c| view.passes(&c.test, &mut scratch.text)) {
                    continue;
                }
                prepared.left.push((p, n));
                if others().count() == statement.checks.len() {
                    // It matches every one of them: nobody comes to the next.
                    break;
                }
            }
        }
    }

    /// Decides about a route, as [`evaluate`](Chain::evaluate) does. Only its prefix, and what follows from it, may differ
    /// from the route that was prepared.
    pub fn decide(
        &self,
        prepared: &Prepared,
        route: &Route<'_>,
        peer: &Context,
        scratch: &mut Scratch,
    ) -> Outcome {
        scratch.permitted.clear();
        let view = View::of_prefix(route, peer);
        let mut left = prepared.left.iter().copied().peekable();
        for (p, policy) in (0..).zip(&self.policies) {
            let mut found = None;
            while let Some((_, n)) = left.next_if(|(of, _)| *of == p) {
                let Some(statement) = policy.statements.get(usize::from(n)).filter(|_| found.is_none())
                else {
                    continue;
                };
                let mut checks = statement.checks.iter().filter(|c| c.test.is_about_prefix());
                if checks.all(|c| view.passes(&c.test, &mut scratch.text)) {
                    found = Some((n, statement));
                }
            }
            if found.map_or(policy.default_action, |(_, s)| s.action) == Action::Deny {
                scratch.permitted.clear();
                let denied_by = Some(Decider { policy: p, statement: found.map(|(n, _)| n) });
                return Outcome { action: Action::Deny, denied_by, changes: false };
            }
            if let Some((n, _)) = found.filter(|(_, s)| !s.changes.is_empty()) {
                scratch.permitted.push((p, n));
            }
        }
        Outcome { action: Action::Permit, denied_by: None, changes: !scratch.permitted.is_empty() }
    }
}
