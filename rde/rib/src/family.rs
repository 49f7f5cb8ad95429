//! The table of one address family: prefixes with their paths, and the update groups that watch them.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::attrs::{AttrId, Attrs};
use crate::batch::{Change, HashKey};
use crate::decide::{Candidate, best};
use crate::group::Group;
use crate::paths::{Path, Paths};
use crate::peers::{PeerIdx, Peers};
use crate::rib::Limits;
use crate::slots::{Addr, Slots};

/// How many changes are looked up ahead.
pub(crate) const AHEAD: usize = 16;

/// What the tables of all families share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) attrs: Attrs,
    pub(crate) peers: Peers,
    pub(crate) med_always_compare: bool,
    pub(crate) limits: Limits,
}

#[derive(Debug)]
pub(crate) struct Sweep {
    peer: PeerIdx,
    cursor: u32,
}

#[derive(Debug)]
pub(crate) struct FamilyTable<A> {
    pub(crate) slots: Slots<A>,
    pub(crate) paths: Paths,
    pub(crate) groups: Vec<Group>,
    sweeps: VecDeque<Sweep>,
    /// Prefixes with at least one path.
    pub(crate) prefixes: u64,
    /// Paths that were ever removed.
    pub(crate) removed: u64,
}

impl<A: Addr> FamilyTable<A> {
    pub(crate) fn new(key: HashKey) -> FamilyTable<A> {
        FamilyTable {
            slots: Slots::new(key),
            paths: Paths::default(),
            groups: Vec::new(),
            sweeps: VecDeque::new(),
            prefixes: 0,
            removed: 0,
        }
    }

    /// Finds the slots of changes ahead of the changes themselves. One look-up waits for memory most of its time;
    /// a row of look-ups that do not depend on each other waits once.
    pub(crate) fn look_ahead(&self, changes: &[Change<A>], found: &mut [Option<u32>; AHEAD]) {
        for (change, place) in changes.iter().zip(found.iter_mut()) {
            *place = self.slots.find(change.hash, change.addr, change.len);
        }
    }

    /// What was found ahead, if it still holds: a change in between may have freed the slot.
    fn still(&self, ahead: Option<u32>, change: &Change<A>) -> Option<u32> {
        ahead.filter(|id| {
            let slot = self.slots.get(*id);
            slot.addr == change.addr && slot.len == change.len
        })
    }

    /// Stores a path; it replaces the one that the peer announced before under the same identifier
    /// (RFC 4271 §9.1.4, RFC 7911 §5). `ahead`: what [`look_ahead`](Self::look_ahead) found.
    pub(crate) fn announce(
        &mut self,
        shared: &mut Shared,
        change: &Change<A>,
        ahead: Option<u32>,
        attr: AttrId,
    ) {
        let id = match self.still(ahead, change) {
            Some(id) => id,
            None => self.slots.find_or_make(change.hash, change.addr, change.len),
        };
        let path = Path { attr, path_id: change.path_id, peer: change.peer };
        let mut list = self.slots.get(id).list();
        let paths = self.paths.get_mut(list);
        let before = paths.first().copied();
        match paths.iter_mut().find(|p| p.peer == path.peer && p.path_id == path.path_id) {
            Some(old) if *old == path => return,
            Some(old) => {
                shared.attrs.retain(path.attr, 1);
                shared.attrs.release(old.attr);
                *old = path;
            }
            None => {
                if !self.paths.push(&mut list, path) {
                    return;
                }
                self.slots.get_mut(id).set_list(list);
                shared.attrs.retain(path.attr, 1);
                self.prefixes += u64::from(list.count == 1);
                if let Some(peer) = shared.peers.get_mut(path.peer) {
                    peer.received[A::FAMILY as usize] += 1;
                }
            }
        }
        self.decide(shared, id);
        if self.paths.get(list).first().copied() != before {
            self.mark(id);
        }
    }

    /// Removes a path, if it is there; says whether it was.
    pub(crate) fn withdraw(&mut self, shared: &mut Shared, change: &Change<A>, ahead: Option<u32>) -> bool {
        let Change { hash, addr, len, peer, path_id, .. } = *change;
        let found = self.still(ahead, change).or_else(|| self.slots.find(hash, addr, len));
        let Some(id) = found else { return false };
        let paths = self.paths.get(self.slots.get(id).list());
        let Some(at) = paths.iter().position(|p| p.peer == peer && p.path_id == path_id) else {
            return false;
        };
        self.remove(shared, id, at);
        true
    }

    fn remove(&mut self, shared: &mut Shared, id: u32, at: usize) {
        let mut list = self.slots.get(id).list();
        let Some(path) = self.paths.get(list).get(at).copied() else { return };
        self.paths.remove(&mut list, at);
        self.slots.get_mut(id).set_list(list);
        shared.attrs.release(path.attr);
        if let Some(peer) = shared.peers.get_mut(path.peer) {
            peer.received[A::FAMILY as usize] -= 1;
        }
        self.removed += 1;
        self.prefixes -= u64::from(list.count == 0);
        if at == 0 {
            self.decide(shared, id);
            self.mark(id);
        }
        self.slots.free_if_unused(id);
    }

    /// Puts the best path first.
    fn decide(&mut self, shared: &Shared, id: u32) {
        let paths = self.paths.get_mut(self.slots.get(id).list());
        if paths.len() < 2 {
            return;
        }
        let candidates: SmallVec<[Candidate; 8]> = paths.iter().map(|p| candidate(shared, p)).collect();
        if let Some(at) = best(&candidates, shared.med_always_compare) {
            paths.swap(0, at);
        }
    }

    /// Tells every group to look at the prefix.
    fn mark(&mut self, id: u32) {
        for group in self.groups.iter_mut().filter(|g| g.teardown.is_none()) {
            if group.column.mark(id) {
                self.slots.hold(id);
            }
        }
    }

    /// Begins to remove all that a peer announced.
    pub(crate) fn sweep(&mut self, peer: PeerIdx) {
        self.sweeps.push_back(Sweep { peer, cursor: 0 });
    }

    /// Goes on removing, at most `budget` slots; returns how many it looked at.
    pub(crate) fn sweep_step(&mut self, shared: &mut Shared, budget: u32) -> u32 {
        let Some(mut sweep) = self.sweeps.pop_front() else { return 0 };
        let end = sweep.cursor.saturating_add(budget).min(self.slots.len());
        // Where the peer has nothing any more, there is nothing left to look for.
        let done = |shared: &Shared| {
            shared.peers.get(sweep.peer).is_none_or(|p| p.received[A::FAMILY as usize] == 0)
        };
        let from = sweep.cursor;
        while sweep.cursor < end && !done(shared) {
            while let Some(at) = self.find_path(sweep.cursor, sweep.peer) {
                self.remove(shared, sweep.cursor, at);
            }
            sweep.cursor += 1;
        }
        let looked = sweep.cursor - from;
        if sweep.cursor < self.slots.len() && !done(shared) {
            self.sweeps.push_front(sweep);
        }
        looked.max(1)
    }

    fn find_path(&self, id: u32, peer: PeerIdx) -> Option<usize> {
        self.paths.get(self.slots.get(id).list()).iter().position(|p| p.peer == peer)
    }

    pub(crate) fn is_sweeping(&self, peer: PeerIdx) -> bool {
        self.sweeps.iter().any(|s| s.peer == peer)
    }

    pub(crate) fn has_sweeps(&self) -> bool {
        !self.sweeps.is_empty()
    }

    pub(crate) fn group_of(&self, peer: PeerIdx) -> Option<&Group> {
        self.groups.iter().find(|g| g.member(peer).is_some())
    }
}

fn candidate(shared: &Shared, path: &Path) -> Candidate {
    let head = shared.attrs.head(path.attr);
    let rank = shared.peers.rank(path.peer);
    Candidate {
        stale: false,
        local_pref: head.local_pref,
        local: rank.local,
        path_len: head.path_len,
        origin: head.origin,
        med: head.med,
        neighbor_as: head.neighbor_as,
        external: rank.external,
        cluster_list_len: head.cluster_list_len,
        router_id: if head.originator_id == 0 { rank.router_id } else { head.originator_id },
        address: rank.address,
        path_id: path.path_id,
    }
}
