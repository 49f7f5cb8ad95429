//! The table of one address family: prefixes with their paths, and the update groups that watch them.

use smallvec::SmallVec;

use crate::attrs::{AttrId, Attrs, LAST_CHOICE_PREF};
use crate::batch::{Change, HashKey};
use crate::column::Sent;
use crate::decide::{Candidate, best};
use crate::group::Group;
use crate::long_lived;
use crate::paths::{Path, Paths, part, taken};
use crate::peers::{Peer, PeerIdx, Peers};
use crate::policies::Judge;
use crate::rib::Limits;
use crate::slots::{Addr, Slots};
use crate::walk::Walks;
use crate::watch::{Untold, Whose};

/// How many changes are looked up ahead.
pub(crate) const AHEAD: usize = 16;

/// The most paths that a peer may have for one prefix (RFC 7911 §8). Whatever becomes of a path, the decision process
/// looks at all that its prefix has.
pub const MAX_PATHS: usize = 256;

/// What the tables of all families share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) attrs: Attrs,
    pub(crate) peers: Peers,
    pub(crate) med_always_compare: bool,
    pub(crate) limits: Limits,
    /// Paths of some peer were left out.
    pub(crate) refused: bool,
    pub(crate) judge: Judge,
    /// Whose import policy it is asked about.
    pub(crate) judged: Option<PeerIdx>,
    /// Injected routes of each owner.
    pub(crate) owned: Box<[u64; 256]>,
}

impl Shared {
    /// Whether a path is used as the last choice, and not as it was received (RFC 8326 §4).
    #[inline]
    pub(crate) fn is_last_choice(&self, path: &Path) -> bool {
        self.peers.rank(path.peer).is_last_choice(self.attrs.head(path.attr).flags)
    }

    /// Counts an injected route as its owner's, or not any more.
    fn owns(&mut self, path: &Path, more: i64) {
        if path.peer == PeerIdx::LOCAL {
            let count = &mut self.owned[usize::from(path.mark)];
            *count = count.saturating_add_signed(more);
        }
    }

    /// A path as a column has it.
    #[inline]
    pub(crate) fn sent(&self, path: &Path) -> Sent {
        let last_choice = self.is_last_choice(path);
        Sent { attr: path.attr, source: path.peer, last_choice, dirty: false }
    }
}

#[derive(Debug)]
pub(crate) struct FamilyTable<A> {
    pub(crate) slots: Slots<A>,
    pub(crate) paths: Paths,
    pub(crate) groups: Vec<Group>,
    /// A group is sent more than the best path, or members their own.
    pub(crate) behind_best: bool,
    pub(crate) walks: Walks,
    /// Prefixes with a best path.
    pub(crate) prefixes: u64,
    /// Paths that were ever removed.
    pub(crate) removed: u64,
    /// Prefixes with another best path that nobody was told of yet; `None`: nobody watches.
    pub(crate) untold: Option<Box<Untold>>,
}

impl<A: Addr> FamilyTable<A> {
    pub(crate) fn new(key: HashKey) -> FamilyTable<A> {
        FamilyTable {
            slots: Slots::new(key),
            paths: Paths::default(),
            groups: Vec::new(),
            behind_best: false,
            walks: Walks::default(),
            prefixes: 0,
            removed: 0,
            untold: None,
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
    /// (RFC 4271 §9.1.4, RFC 7911 §5). One more than [`MAX_PATHS`] is counted and left out. `ahead`: what
    /// [`look_ahead`](Self::look_ahead) found. `attr`: as the peer sent it.
    pub(crate) fn announce(
        &mut self,
        shared: &mut Shared,
        change: &Change<A>,
        ahead: Option<u32>,
        attr: AttrId,
    ) {
        let (attr, denied) = shared.import(change.peer, (change.addr, change.len), attr);
        let id = match self.still(ahead, change) {
            Some(id) => id,
            None => self.slots.find_or_make(change.hash, change.addr, change.len),
        };
        if denied && !shared.peers.keeps_rejected(change.peer) {
            // As if it had been withdrawn.
            self.remove(shared, id, change.peer, |_, p| p.path_id == change.path_id);
            return self.slots.free_if_unused(id);
        }
        let counted = self.counted(shared, id, change.peer);
        let mark = match change.peer {
            PeerIdx::LOCAL => change.owner,
            peer => shared.peers.stale(peer, A::FAMILY).mark(),
        };
        let path = Path { attr, path_id: change.path_id, peer: change.peer, mark, denied };
        let mut list = self.slots.get(id).list();
        let paths = self.paths.get_mut(list);
        let before = taken(paths).first().map(Path::route);
        match paths.iter_mut().find(|p| p.peer == path.peer && p.path_id == path.path_id) {
            Some(old) if *old == path => return,
            Some(old) => {
                shared.owns(old, -1);
                shared.owns(&path, 1);
                let lost = shared.peers.renew(old.peer, A::FAMILY, old.mark);
                if (old.attr, old.denied) == (path.attr, path.denied) && !lost {
                    old.mark = path.mark;
                    return;
                }
                shared.attrs.retain(path.attr, 1);
                shared.attrs.release(old.attr);
                *old = path;
            }
            None => {
                let refused = paths.len() >= MAX_PATHS
                    && path.peer != PeerIdx::LOCAL
                    && paths.iter().filter(|p| p.peer == path.peer).count() >= MAX_PATHS;
                if refused || !self.paths.push(&mut list, path) {
                    if let Some(peer) = shared.peers.get_mut(path.peer) {
                        peer.refused += 1;
                        shared.refused = true;
                    }
                    return;
                }
                self.slots.get_mut(id).set_list(list);
                shared.attrs.retain(path.attr, 1);
                shared.owns(&path, 1);
                if let Some(peer) = shared.peers.get_mut(path.peer) {
                    peer.received[A::FAMILY as usize] += 1;
                }
            }
        }
        self.tally(shared, id, change.peer, counted);
        self.decide_and_mark(shared, id, before);
    }

    /// The best path of a prefix.
    pub(crate) fn best(&self, id: u32) -> Option<&Path> {
        taken(self.paths.get(self.slots.get(id).list())).first()
    }

    /// Decides about a prefix whose paths have changed. `before`: what the best one was.
    pub(crate) fn decide_and_mark(
        &mut self,
        shared: &Shared,
        id: u32,
        before: Option<(AttrId, u32, PeerIdx)>,
    ) {
        self.decide(shared, id);
        let best = self.best(id).map(Path::route);
        match (before.is_some(), best.is_some()) {
            (false, true) => self.prefixes += 1,
            (true, false) => self.prefixes -= 1,
            _ => {}
        }
        if best != before
            && let Some(untold) = &mut self.untold
            && untold.mark(id, before.map(|route| Whose::of(shared, route)))
        {
            self.slots.hold(id);
        }
        self.mark(id, best != before);
    }

    /// Removes a path, if it is there; says whether it was.
    pub(crate) fn withdraw(&mut self, shared: &mut Shared, change: &Change<A>, ahead: Option<u32>) -> bool {
        let Change { hash, addr, len, peer, path_id, .. } = *change;
        let found = self.still(ahead, change).or_else(|| self.slots.find(hash, addr, len));
        found.is_some_and(|id| self.remove(shared, id, peer, |_, p| p.path_id == path_id))
    }

    /// Removes those paths of a peer to a prefix that leave; says whether there were any.
    pub(crate) fn remove(
        &mut self,
        shared: &mut Shared,
        id: u32,
        of: PeerIdx,
        leaves: impl Fn(&Shared, &Path) -> bool,
    ) -> bool {
        let mut list = self.slots.get(id).list();
        let before = self.best(id).map(Path::route);
        let counted = self.counted(shared, id, of);
        let mut removed = 0;
        // From the end: what takes the place of a path that goes was looked at already.
        for at in (0..usize::from(list.count)).rev() {
            let path = self.paths.get(list).get(at).copied();
            let Some(path) = path.filter(|p| p.peer == of && leaves(shared, p)) else { continue };
            self.paths.remove(&mut list, at);
            shared.attrs.release(path.attr);
            shared.owns(&path, -1);
            if let Some(peer) = shared.peers.get_mut(of) {
                peer.stale[A::FAMILY as usize].renew(path.mark);
            }
            removed += 1;
        }
        if removed == 0 {
            return false;
        }
        self.slots.get_mut(id).set_list(list);
        if let Some(peer) = shared.peers.get_mut(of) {
            peer.received[A::FAMILY as usize] -= removed;
        }
        self.tally(shared, id, of, counted);
        self.removed += removed;
        // Also where it was not the best: by its MED it may have kept another one of its AS from being that.
        self.decide_and_mark(shared, id, before);
        self.slots.free_if_unused(id);
        true
    }

    /// Whether a prefix counts as one that a peer announces: with add-path there may be several paths, which count as
    /// one. `None`: nobody counts.
    pub(crate) fn counted(&self, shared: &Shared, id: u32, peer: PeerIdx) -> Option<bool> {
        let accepted_only = shared.peers.get(peer).and_then(Peer::tallied)?;
        let counts = |p: &&Path| p.peer == peer && !(p.denied && accepted_only);
        Some(self.paths.get(self.slots.get(id).list()).iter().any(|p| counts(&p)))
    }

    /// Counts a prefix whose paths of a peer have changed. `before`: whether it was counted.
    pub(crate) fn tally(&self, shared: &mut Shared, id: u32, peer: PeerIdx, before: Option<bool>) {
        let Some(before) = before else { return };
        match (before, self.counted(shared, id, peer) == Some(true)) {
            (false, true) => shared.peers.tally(peer, A::FAMILY, 1),
            (true, false) => shared.peers.tally(peer, A::FAMILY, -1),
            _ => {}
        }
    }

    /// Puts the best path first, and behind the candidates those that are none.
    pub(crate) fn decide(&mut self, shared: &Shared, id: u32) {
        let paths = self.paths.get_mut(self.slots.get(id).list());
        if paths.len() < 2 {
            return;
        }
        let count = part(paths);
        let Some(paths) = paths.get_mut(..count) else { return };
        let candidates: SmallVec<[Candidate; 8]> = paths.iter().map(|p| candidate::<A>(shared, p)).collect();
        if let Some(at) = best(&candidates, shared.med_always_compare) {
            paths.swap(0, at);
        }
    }

    /// Decides about the prefix again, if the peer has a path to it: also what its import policy says of it. `all`:
    /// where its path is the best one, groups look at the prefix in any case, since how it is sent may have changed.
    pub(crate) fn decide_again(&mut self, shared: &mut Shared, id: u32, peer: PeerIdx, all: bool) {
        let list = self.slots.get(id).list();
        if !self.paths.get(list).iter().any(|p| p.peer == peer) {
            return;
        }
        let before = self.best(id).map(Path::route);
        let counted = self.counted(shared, id, peer);
        let changed = self.import_again(shared, id, peer);
        self.tally(shared, id, peer, counted);
        if all || changed {
            self.decide_and_mark(shared, id, before);
        }
        if all && self.best(id).is_some_and(|p| p.peer == peer) {
            self.mark(id, true);
        }
    }

    /// Asks the peer's import policy about its paths to a prefix again; says whether anything has changed.
    fn import_again(&mut self, shared: &mut Shared, id: u32, peer: PeerIdx) -> bool {
        let FamilyTable { slots, paths, .. } = self;
        let slot = *slots.get(id);
        let mut changed = false;
        for path in paths.get_mut(slot.list()).iter_mut().filter(|p| p.peer == peer) {
            let received = shared.attrs.base(path.attr);
            let (attr, denied) = shared.import(peer, (slot.addr, slot.len), received);
            if (attr, denied) != (path.attr, path.denied) {
                shared.attrs.retain(attr, 1);
                shared.attrs.release(path.attr);
                (path.attr, path.denied) = (attr, denied);
                changed = true;
            }
        }
        changed
    }

    /// Tells every group to look at the prefix that is concerned: by a new best path, or by any change.
    pub(crate) fn mark(&mut self, id: u32, best: bool) {
        if !best && !self.behind_best {
            return;
        }
        for group in self.groups.iter_mut().filter(|g| g.teardown.is_none()) {
            if !best && !group.looks_behind_best() {
                continue;
            }
            if group.column.mark(id) {
                self.slots.hold(id);
            }
        }
    }

    pub(crate) fn group_of(&self, peer: PeerIdx) -> Option<&Group> {
        self.groups.iter().find(|g| g.member(peer).is_some())
    }
}

pub(crate) fn candidate<A: Addr>(shared: &Shared, path: &Path) -> Candidate {
    let head = shared.attrs.head(path.attr);
    let rank = shared.peers.rank(path.peer);
    Candidate {
        long_lived: long_lived::is_last_choice(head, rank),
        stale: shared.peers.stale(path.peer, A::FAMILY).loses(path.mark),
        local_pref: if rank.is_last_choice(head.flags) { LAST_CHOICE_PREF } else { head.local_pref },
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
