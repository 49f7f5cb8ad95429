//! Deciding about many routes with the same attributes: what does not depend on the prefix is asked once for all of
//! them, and of each route only what is left.

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::chain::{Chain, Test};
use crate::def::Action;
use crate::eval::{Decider, Outcome, Scratch, View};
use crate::peer::Context;
use crate::route::{Route, RpkiState};
use crate::sets::Prefix;

/// What is left to be asked of routes with one set of attributes: the statements whose other matches all hold.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Policy and statement, in order.
    left: SmallVec<[(u16, u16); 8]>,
}

impl Test {
    /// Whether its outcome may differ between routes with the same attributes.
    fn is_about_prefix(&self) -> bool {
        matches!(self, Test::Prefix(_) | Test::PrefixSet(_) | Test::Rpki(_))
    }

    /// Whether it holds for a route to this prefix, as far as it is about that: `true` where it is not.
    #[inline]
    pub(crate) fn passes_prefix(&self, prefix: Prefix, rpki: RpkiState) -> bool {
        match self {
            Test::Prefix(range) => range.has(prefix),
            Test::PrefixSet(set) => set.has(prefix),
            Test::Rpki(state) => *state == rpki,
            _ => true,
        }
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
                let mut all = true;
                let held = statement.checks.iter().all(|c| {
                    let about_prefix = c.test.is_about_prefix();
                    all &= !about_prefix;
                    about_prefix || view.passes(&c.test, &mut scratch.text)
                });
                if !held {
                    continue;
                }
                prepared.left.push((p, n));
                if all {
                    // It matches every one of them: nobody comes to the next.
                    break;
                }
            }
        }
    }

    /// Decides about a route, as [`evaluate`](Chain::evaluate) does, whose attributes and next hop are those of the route that
    /// was prepared: only its prefix, and what follows from it, may be another.
    pub fn decide(
        &self,
        prepared: &Prepared,
        prefix: &IpNet,
        rpki: RpkiState,
        scratch: &mut Scratch,
    ) -> Outcome {
        scratch.permitted.clear();
        let prefix = Prefix::of(prefix);
        let mut left = prepared.left.iter().copied().peekable();
        for (p, policy) in (0..).zip(&self.policies) {
            let mut found = None;
            while let Some((_, n)) = left.next_if(|(of, _)| *of == p) {
                let Some(statement) = policy.statements.get(usize::from(n)).filter(|_| found.is_none())
                else {
                    continue;
                };
                // The others hold.
                if statement.checks.iter().all(|c| c.test.passes_prefix(prefix, rpki)) {
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
