//! The table of one address family: prefixes with their paths, and the update groups that watch them.

use smallvec::SmallVec;

use crate::attrs::{AttrId, Attrs};
use crate::batch::{Change, HashKey};
use crate::decide::{Candidate, best};
use crate::group::Group;
use crate::paths::{Path, Paths};
use crate::peers::{PeerIdx, Peers};
use crate::rib::Limits;
use crate::slots::{Addr, Slots};
use crate::walk::Walks;

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
pub(crate) struct FamilyTable<A> {
    pub(crate) slots: Slots<A>,
    pub(crate) paths: Paths,
    pub(crate) groups: Vec<Group>,
    pub(crate) walks: Walks,
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
            walks: Walks::default(),
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
        let mark = shared.peers.stale(change.peer, A::FAMILY).mark();
        let path = Path { attr, path_id: change.path_id, peer: change.peer, mark };
        let mut list = self.slots.get(id).list();
        let paths = self.paths.get_mut(list);
        let before = paths.first().map(Path::route);
        match paths.iter_mut().find(|p| p.peer == path.peer && p.path_id == path.path_id) {
            Some(old) if *old == path => return,
            Some(old) => {
                let lost = shared.peers.renew(old.peer, A::FAMILY, old.mark);
                if old.attr == path.attr && !lost {
                    old.mark = path.mark;
                    return;
                }
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
                    if peer.is_tallied() && self.paths_from(id, path.peer) == 1 {
                        shared.peers.tally(path.peer, A::FAMILY, 1);
                    }
                }
            }
        }
        self.decide(shared, id);
        if self.paths.get(list).first().map(Path::route) != before {
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

    pub(crate) fn remove(&mut self, shared: &mut Shared, id: u32, at: usize) {
        let mut list = self.slots.get(id).list();
        let Some(path) = self.paths.get(list).get(at).copied() else { return };
        self.paths.remove(&mut list, at);
        self.slots.get_mut(id).set_list(list);
        shared.attrs.release(path.attr);
        if let Some(peer) = shared.peers.get_mut(path.peer) {
            peer.received[A::FAMILY as usize] -= 1;
            peer.stale[A::FAMILY as usize].renew(path.mark);
            if peer.is_tallied() && self.paths_from(id, path.peer) == 0 {
                shared.peers.tally(path.peer, A::FAMILY, -1);
            }
        }
        self.removed += 1;
        self.prefixes -= u64::from(list.count == 0);
        if at == 0 {
            self.decide(shared, id);
            self.mark(id);
        }
        self.slots.free_if_unused(id);
    }

    /// How many paths of a prefix are from a peer: with add-path there may be several, and for limits they count as
    /// one.
    fn paths_from(&self, id: u32, peer: PeerIdx) -> usize {
        self.paths.get(self.slots.get(id).list()).iter().filter(|p| p.peer == peer).count()
    }

    /// Puts the best path first.
    fn decide(&mut self, shared: &Shared, id: u32) {
        let paths = self.paths.get_mut(self.slots.get(id).list());
        if paths.len() < 2 {
            return;
        }
        let candidates: SmallVec<[Candidate; 8]> = paths.iter().map(|p| candidate::<A>(shared, p)).collect();
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

    /// Decides about the prefix again, if the peer has a path to it.
    pub(crate) fn decide_again(&mut self, shared: &Shared, id: u32, peer: PeerIdx) {
        let list = self.slots.get(id).list();
        let paths = self.paths.get(list);
        if !paths.iter().any(|p| p.peer == peer) {
            return;
        }
        let before = paths.first().map(Path::route);
        self.decide(shared, id);
        if self.paths.get(list).first().map(Path::route) != before {
            self.mark(id);
        }
    }

    pub(crate) fn group_of(&self, peer: PeerIdx) -> Option<&Group> {
        self.groups.iter().find(|g| g.member(peer).is_some())
    }
}

fn candidate<A: Addr>(shared: &Shared, path: &Path) -> Candidate {
    let head = shared.attrs.head(path.attr);
    let rank = shared.peers.rank(path.peer);
    Candidate {
        stale: shared.peers.stale(path.peer, A::FAMILY).loses(path.mark),
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
