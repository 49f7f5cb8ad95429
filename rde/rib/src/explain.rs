//! Why things are as they are, for one prefix: which path is the best one and what the others lost by, what an import
//! policy says of what a peer sent, which routes a peer is sent and why not others.
//!
//! The answers are given by the code that decides: the steps of the decision process, the export rules, and the
//! evaluation of policies, which is the same whether somebody listens or not.

use std::cmp::Ordering;

use bgp::Family;
use ipnet::IpNet;
use policy::Explanation;
use smallvec::SmallVec;

use crate::decide::{self, Candidate, Step, rank};
use crate::export::{Outgoing, Refusal};
use crate::family::{FamilyTable, Shared, candidate};
use crate::paths::{Path, taken};
use crate::peers::PeerIdx;
use crate::policies::{Case, route, route_type};
use crate::query::{Found, RouteKey};
use crate::rib::Rib;
use crate::slots::{Addr, V4, V6};

/// What is asked about a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which path is the best one, and why not the others.
    Best,
    /// What becomes of what this peer sent.
    Received(PeerIdx),
    /// What this peer is sent, and why not the rest.
    Advertised(PeerIdx),
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the best one.
    Best,
    /// It is taken, and lost to the best one at this step; [`Ordering`] is that of the path.
    Lost(Step, Ordering),
    /// It is taken, and the same as the best one to every step.
    Equal,
    /// The peer's import policy does not take it.
    Denied,
    /// The peer is sent it.
    Sent,
    /// The peer is the one that it is from.
    Own,
    /// It is not sent.
    Refused(Refusal),
    /// Another one is sent, which comes before it.
    Behind,
}

/// A path, and why it is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The path: as its peer sent it where that was asked, else as it is used.
    pub found: Found,
    /// What becomes of it.
    pub fate: Fate,
    /// What the policy that it goes through says of it, where there is one.
    pub policy: Option<Explanation>,
    /// What is made of it: by the import policy, or for the peer that it is sent to.
    pub made: Option<Outgoing>,
}

impl Rib {
    /// Answers a question about a prefix of this shard, the best path first. Nothing, where there is no path.
    pub fn explain(&mut self, question: Question, prefix: IpNet) -> Vec<Explained> {
        let answer = match (V4::of(&prefix), V6::of(&prefix)) {
            (Some(addr), _) => self.v4.explain(&mut self.shared, question, prefix, addr),
            (_, Some(addr)) => self.v6.explain(&mut self.shared, question, prefix, addr),
            _ => Vec::new(),
        };
        self.shared.settle();
        answer
    }
}

impl<A: Addr> FamilyTable<A> {
    fn explain(&self, shared: &mut Shared, question: Question, prefix: IpNet, addr: A) -> Vec<Explained> {
        let len = prefix.prefix_len();
        let Some(slot) = self.slots.find(self.slots.hash(addr, len), addr, len) else { return Vec::new() };
        let paths = self.paths.get(self.slots.get(slot).list());
        match question {
            Question::Best => {
                let of = |p: &Path| self.against_best(shared, prefix, paths, p);
                paths.iter().filter_map(of).collect()
            }
            Question::Received(peer) => {
                let of = |p: &Path| self.imported(shared, prefix, paths, p);
                paths.iter().filter(|p| p.peer == peer).filter_map(of).collect()
            }
            Question::Advertised(peer) => self.exported(shared, prefix, slot, peer),
        }
    }

    /// What became of a path in the decision process.
    fn fate(&self, shared: &Shared, paths: &[Path], path: &Path) -> Fate {
        let taken = taken(paths);
        let Some(best) = taken.first().filter(|_| !path.denied) else { return Fate::Denied };
        if best.route() == path.route() {
            return Fate::Best;
        }
        let [path, best] = [path, best].map(|p| candidate::<A>(shared, p));
        decide::compare(&path, &best, shared.med_always_compare)
            .map_or(Fate::Equal, |(step, ordering)| Fate::Lost(step, ordering))
    }

    fn against_best(&self, shared: &Shared, prefix: IpNet, paths: &[Path], path: &Path) -> Option<Explained> {
        let found = found::<A>(shared, prefix, path, path.attr, paths)?;
        Some(Explained { found, fate: self.fate(shared, paths, path), policy: None, made: None })
    }

    fn imported(&self, shared: &Shared, prefix: IpNet, paths: &[Path], path: &Path) -> Option<Explained> {
        let received = shared.attrs.base(path.attr);
        let peer = shared.peers.get(path.peer)?;
        let case = Case { prefix: &prefix, base: received, route_type: route_type(peer.rank) };
        let policy = peer.info.import.as_ref().map(|p| p.explain(&route(&shared.attrs, case)));
        let made = (received != path.attr).then(|| Outgoing {
            attributes: shared.attrs.canonical(path.attr).as_bytes().to_vec(),
            next_hop: shared.attrs.next_hop(path.attr),
        });
        let found = found::<A>(shared, prefix, path, received, paths)?;
        Some(Explained { found, fate: self.fate(shared, paths, path), policy, made })
    }

    /// The paths in the order of the decision process, as far as a peer is concerned with them.
    fn exported(&self, shared: &mut Shared, prefix: IpNet, slot: u32, peer: PeerIdx) -> Vec<Explained> {
        let Some(group) = self.group_of(peer) else { return Vec::new() };
        let all = self.paths.get(self.slots.get(slot).list());
        let paths = taken(all);
        let candidates: SmallVec<[Candidate; 8]> = paths.iter().map(|p| candidate::<A>(shared, p)).collect();
        let ranked = rank(&candidates, shared.med_always_compare);
        // How many are sent at most; without add-path and without a best path of its own, the best one or nothing.
        let (most, only_best) = match &group.paths {
            Some(paths) => (paths.limit, false),
            None => (1, group.instead.is_none()),
        };
        let (mut list, mut sent, mut first) = (Vec::new(), 0, true);
        for path in ranked.into_iter().filter_map(|at| paths.get(at)) {
            let outcome = group.outgoing(shared, &self.slots, slot, path);
            let fate = match outcome {
                _ if (only_best && !first) || sent >= most => Fate::Behind,
                _ if path.peer == peer => Fate::Own,
                Ok(_) => Fate::Sent,
                Err(refusal) => Fate::Refused(refusal),
            };
            (first, sent) = (false, sent + usize::from(fate == Fate::Sent));
            let case = Case {
                prefix: &prefix,
                base: path.attr,
                route_type: route_type(shared.peers.rank(path.peer)),
            };
            let policy = group.rules.export.as_ref().map(|e| e.explain(&route(&shared.attrs, case)));
            let made = outcome.ok().filter(|_| fate == Fate::Sent).and_then(|sent| {
                let treatment = group.treatment(shared, sent);
                let outgoing = shared.attrs.outgoing(sent.attr);
                let next_hop = shared.attrs.next_hop(sent.attr);
                let next_hop = group.rules.next_hop(next_hop, treatment, outgoing.1)?;
                Some(group.rules_for(peer).outgoing(outgoing, treatment, next_hop))
            });
            let found = found::<A>(shared, prefix, path, path.attr, all);
            list.extend(found.map(|found| Explained { found, fate, policy, made }));
            // What the memo says is of this policy only as long as nobody else is asked.
            shared.settle();
        }
        list
    }
}

fn found<A: Addr>(
    shared: &Shared,
    prefix: IpNet,
    path: &Path,
    attr: crate::attrs::AttrId,
    paths: &[Path],
) -> Option<Found> {
    let peer = shared.peers.get(path.peer)?.info.label;
    let family: Family = A::FAMILY;
    Some(Found {
        key: RouteKey { family, prefix, peer, path_id: path.path_id },
        best: taken(paths).first().is_some_and(|best| best.route() == path.route()) && !path.denied,
        stale: shared.peers.stale(path.peer, A::FAMILY).is_stale(path.mark),
        denied: path.denied,
        attributes: shared.attrs.canonical(attr).as_bytes().to_vec(),
        next_hop: shared.attrs.next_hop(attr),
    })
}
