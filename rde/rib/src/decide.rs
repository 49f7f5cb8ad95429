//! The decision process (RFC 4271 §9.1, RFC 4456 §9, RFC 9494 §4.3): which of a prefix's paths is the best, and which comes next.
//!
//! Candidates are eliminated step by step. Every step looks at the whole set that is left, so that the
//! outcome depends on the set only, never on the order in which the paths arrived.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use smallvec::SmallVec;

/// What counts of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Long-lived stale (RFC 9494 §4.3).
    pub long_lived: bool,
    /// Kept for a peer that is away.
    pub stale: bool,
    /// LOCAL_PREF, 100 where there is none.
    pub local_pref: u32,
    /// Injected here.
    pub local: bool,
    /// AS_PATH length; an AS_SET counts 1.
    pub path_len: u16,
    /// ORIGIN: IGP 0, EGP 1, INCOMPLETE 2.
    pub origin: u8,
    /// MULTI_EXIT_DISC, 0 where there is none.
    pub med: u32,
    /// First AS of the path: MEDs are comparable where it is the same.
    pub neighbor_as: u32,
    /// Learned from another AS.
    pub external: bool,
    /// Length of CLUSTER_LIST.
    pub cluster_list_len: u8,
    /// ORIGINATOR_ID, or the peer's BGP identifier.
    pub router_id: u32,
    /// The peer's address.
    pub address: u128,
    /// The peer's path identifier.
    pub path_id: u32,
}

impl Candidate {
    /// The steps before MED, smaller is better.
    fn before_med(&self) -> impl Ord + Copy {
        let stale = self.stale && !self.long_lived;
        (self.long_lived, stale, Reverse(self.local_pref), !self.local, self.path_len, self.origin)
    }

    /// The steps after MED, smaller is better. No two paths of a prefix are equal in all of them.
    fn after_med(&self) -> impl Ord + Copy {
        (!self.external, self.cluster_list_len, self.router_id, self.address, self.path_id)
    }
}

/// The number of the best candidate; `None` where there is none.
///
/// `med_always_compare`: MED counts between routes of different neighbor ASes too.
pub fn best(candidates: &[Candidate], med_always_compare: bool) -> Option<usize> {
    if candidates.len() < 2 {
        return (!candidates.is_empty()).then_some(0);
    }
    let least = candidates.iter().map(Candidate::before_med).min()?;
    let mut left: SmallVec<[(u32, u32, usize); 8]> = candidates
        .iter()
        .enumerate()
        .filter(|(_, c)| c.before_med() == least)
        .map(|(i, c)| (if med_always_compare { 0 } else { c.neighbor_as }, c.med, i))
        .collect();
    if left.len() > 1 {
        // RFC 4271 §9.1.2.2 c: within each neighbor AS, only the lowest MED stays.
        left.sort_unstable();
        let mut lowest = None;
        left.retain(|(asn, med, _)| match lowest {
            Some((a, m)) if a == *asn => m == *med,
            _ => {
                lowest = Some((*asn, *med));
                true
            }
        });
    }
    left.into_iter().map(|(_, _, i)| i).min_by_key(|i| candidates[*i].after_med())
}

/// The numbers of all candidates in the order in which they would win: the best one, the best of the others, and so
/// on. MED compares routes of one neighbor AS only, so that this is no order of any two.
pub fn rank(candidates: &[Candidate], med_always_compare: bool) -> Vec<usize> {
    let asn = |i: &usize| if med_always_compare { 0 } else { candidates[*i].neighbor_as };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_unstable_by_key(|i| {
        let c = &candidates[*i];
        (c.before_med(), asn(i), c.med, c.after_med())
    });
    let mut ranked = Vec::with_capacity(order.len());
    for equal in order.chunk_by(|a, b| candidates[*a].before_med() == candidates[*b].before_med()) {
        // Of each neighbor AS the first that is left has the lowest MED: they compete in the steps behind it.
        let entry = |at: usize| Reverse((candidates[equal[at]].after_med(), at));
        let is_first = |at: &usize| *at == 0 || asn(&equal[*at - 1]) != asn(&equal[*at]);
        let mut compete: BinaryHeap<_> = (0..equal.len()).filter(is_first).map(entry).collect();
        while let Some(Reverse((_, at))) = compete.pop() {
            ranked.push(equal[at]);
            if at + 1 < equal.len() && !is_first(&(at + 1)) {
                compete.push(entry(at + 1));
            }
        }
    }
    ranked
}

/// What the decision process looks at, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Whether a route is kept for a peer that is away.
    Stale,
    /// LOCAL_PREF.
    LocalPref,
    /// Whether it was injected here.
    Local,
    /// The length of AS_PATH.
    PathLength,
    /// ORIGIN.
    Origin,
    /// MULTI_EXIT_DISC, among routes of one neighbor AS.
    Med,
    /// Learned from another AS rather than from our own.
    External,
    /// The length of CLUSTER_LIST.
    ClusterList,
    /// ORIGINATOR_ID, or the peer's BGP identifier.
    Originator,
    /// The peer's address.
    Address,
    /// The path identifier.
    PathId,
}

/// The first step at which two candidates differ, and what it says of `a`: [`Ordering::Less`] is better. `None` where
/// they are the same to every step.
pub fn compare(a: &Candidate, b: &Candidate, med_always_compare: bool) -> Option<(Step, Ordering)> {
    let stale = |c: &Candidate| (c.long_lived, c.stale && !c.long_lived);
    let meds = if med_always_compare || a.neighbor_as == b.neighbor_as { (a.med, b.med) } else { (0, 0) };
    let steps = [
        (Step::Stale, stale(a).cmp(&stale(b))),
        (Step::LocalPref, b.local_pref.cmp(&a.local_pref)),
        (Step::Local, b.local.cmp(&a.local)),
        (Step::PathLength, a.path_len.cmp(&b.path_len)),
        (Step::Origin, a.origin.cmp(&b.origin)),
        (Step::Med, meds.0.cmp(&meds.1)),
        (Step::External, b.external.cmp(&a.external)),
        (Step::ClusterList, a.cluster_list_len.cmp(&b.cluster_list_len)),
        (Step::Originator, a.router_id.cmp(&b.router_id)),
        (Step::Address, a.address.cmp(&b.address)),
        (Step::PathId, a.path_id.cmp(&b.path_id)),
    ];
    steps.into_iter().find(|(_, ordering)| ordering.is_ne())
}
