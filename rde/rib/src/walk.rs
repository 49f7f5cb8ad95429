//! Walks over the table for one peer, in bounded steps: all its routes go, the stale ones go or become
//! long-lived, or all are looked at again. Walks take turns, so that none has to wait for the end of another.

use std::collections::VecDeque;

use bgp::attr::canonical::summarize;

use crate::family::{FamilyTable, Shared};
use crate::intake::{self, Applied};
use crate::long_lived;
use crate::paths::Path;
use crate::peers::PeerIdx;
use crate::slots::Addr;

/// What becomes of a peer's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// All go: its session has ended.
    Remove,
    /// Those go that were announced before this mark was current (see `stale.rs`).
    Sweep(u8),
    /// They become long-lived stale, or go (RFC 9494 §4.2).
    LongLived(u8),
    /// What decides about them is looked at again: whether they may come in, and which one is best.
    Evaluate,
    /// The import policy is another one.
    Policy,
    /// Injected routes of this owner go.
    RemoveOwned(u8),
}

impl Task {
    /// Whether a walk for `other` does what one for this task was to do.
    fn is_part_of(self, other: Task) -> bool {
        if let Task::RemoveOwned(_) = self {
            return self == other;
        }
        let wider = other == Task::Remove || (self, other) == (Task::Policy, Task::Evaluate);
        wider || std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

#[derive(Debug)]
struct Walk {
    peer: PeerIdx,
    task: Task,
    /// The slot that comes next.
    cursor: u32,
    /// The round ends at this slot, once it has come by the end of the table.
    begun_at: u32,
    came_round: bool,
}

impl Walk {
    /// The next slot of a table with so many; `None` at the end of the round. What was in the table at its
    /// beginning is met: paths never move from slot to slot.
    fn next(&mut self, len: u32) -> Option<u32> {
        if self.cursor >= len {
            if self.came_round {
                return None;
            }
            (self.cursor, self.came_round) = (0, true);
        }
        if self.cursor >= len || (self.came_round && self.cursor >= self.begun_at) {
            return None;
        }
        self.cursor += 1;
        Some(self.cursor - 1)
    }
}

/// All walks over a table.
#[derive(Debug, Default)]
pub(crate) struct Walks(VecDeque<Walk>);

impl Walks {
    /// Begins a walk. One of the same kind that is under way goes on, for a whole round from where it is: who asks
    /// again and again has no more than one, and it gets everywhere.
    pub(crate) fn begin(&mut self, peer: PeerIdx, task: Task) {
        let mut cursor = 0;
        self.0.retain(|w| {
            let replaced = w.peer == peer && w.task.is_part_of(task);
            if replaced {
                cursor = w.cursor;
            }
            !replaced
        });
        self.0.push_back(Walk { peer, task, cursor, begun_at: cursor, came_round: false });
    }

    pub(crate) fn has(&self, peer: PeerIdx) -> bool {
        self.0.iter().any(|w| w.peer == peer)
    }

    /// Whether routes of ended sessions are being removed.
    pub(crate) fn remove_any(&self) -> bool {
        self.0.iter().any(|w| w.task == Task::Remove)
    }
}

impl<A: Addr> FamilyTable<A> {
    /// All routes of the peer are stale from now on; `loses`: they lose against others until they come again.
    pub(crate) fn mark_stale(&mut self, shared: &mut Shared, peer: PeerIdx, loses: bool) {
        let Some(p) = shared.peers.get_mut(peer) else { return };
        let family = A::FAMILY as usize;
        if p.stale[family].begin(p.received[family], loses) {
            self.walks.begin(peer, Task::Evaluate);
        }
    }

    /// Routes of the peer that are stale now and do not come again in time go.
    pub(crate) fn sweep_stale(&mut self, shared: &Shared, peer: PeerIdx) {
        let stale = shared.peers.stale(peer, A::FAMILY);
        if stale.count > 0 {
            self.walks.begin(peer, Task::Sweep(stale.mark()));
        }
    }

    /// Goes on with a walk, at most `budget` slots and paths; returns how many it looked at, 0 where there is none.
    pub(crate) fn walk_step(&mut self, shared: &mut Shared, budget: u32) -> u32 {
        let Some(mut walk) = self.walks.0.pop_front() else { return 0 };
        let (mut looked, mut ended) = (0, false);
        while looked < budget && !ended {
            match walk.next(self.slots.len()).filter(|_| something_left::<A>(shared, &walk)) {
                Some(id) => looked += self.visit(shared, &walk, id),
                None => (ended, looked) = (true, looked + 1),
            }
        }
        shared.settle();
        match (ended, walk.task) {
            (false, _) => self.walks.0.push_back(walk),
            (true, Task::Sweep(mark)) => {
                if let Some(peer) = shared.peers.get_mut(walk.peer) {
                    peer.stale[A::FAMILY as usize].swept(mark);
                }
            }
            _ => {}
        }
        looked
    }

    /// Does to a slot what the walk is for; returns how much there was to look at.
    fn visit(&mut self, shared: &mut Shared, walk: &Walk, id: u32) -> u32 {
        let paths = u32::from(self.slots.get(id).list().count);
        if walk.task != Task::Policy {
            self.remove(shared, id, walk.peer, |shared, path| !stays::<A>(shared, walk, path));
        }
        match walk.task {
            Task::Evaluate => self.decide_again(shared, id, walk.peer, true),
            Task::Policy => self.decide_again(shared, id, walk.peer, false),
            Task::LongLived(mark) => self.mark_long_lived(shared, id, walk.peer, mark),
            Task::Remove | Task::Sweep(_) | Task::RemoveOwned(_) => {}
        }
        // What a policy takes no more is not kept for everybody.
        if walk.task != Task::Remove && !shared.peers.keeps_rejected(walk.peer) {
            self.remove(shared, id, walk.peer, |_, path| path.denied);
        }
        paths.max(1)
    }
}

/// Whether there may be routes that the walk is for.
fn something_left<A: Addr>(shared: &Shared, walk: &Walk) -> bool {
    let Some(peer) = shared.peers.get(walk.peer) else { return false };
    match walk.task {
        Task::Remove | Task::Evaluate | Task::Policy => peer.received[A::FAMILY as usize] > 0,
        Task::Sweep(_) | Task::LongLived(_) => peer.stale[A::FAMILY as usize].count > 0,
        Task::RemoveOwned(owner) => shared.owned[usize::from(owner)] > 0,
    }
}

/// Whether a path of the peer outlives the walk.
fn stays<A: Addr>(shared: &Shared, walk: &Walk, path: &Path) -> bool {
    match walk.task {
        Task::Remove => false,
        Task::Policy => true,
        Task::RemoveOwned(owner) => path.mark != owner,
        Task::Sweep(mark) => !shared.peers.stale(walk.peer, A::FAMILY).is_older(path.mark, mark),
        Task::LongLived(mark) => {
            let stale = shared.peers.stale(walk.peer, A::FAMILY);
            !stale.is_older(path.mark, mark) || !long_lived::must_not_be(shared.attrs.head(path.attr))
        }
        Task::Evaluate => {
            let Some(info) = shared.peers.get(walk.peer).map(|p| &p.info) else { return true };
            let received = shared.attrs.base(path.attr);
            let canonical = shared.attrs.canonical(received);
            let summary = summarize(canonical.as_bytes());
            intake::check(info, shared.peers.identifiers(), canonical, &summary) == Applied::default()
                && !intake::is_own(info, shared.attrs.next_hop(received))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bgp::aspath::AsPathBuf;
    use bgp::attr::canonical::Builder;
    use bgp::attr::{Origin, PathAttribute};
    use bgp::{Asn, Family, NextHop};

    use super::*;
    use crate::attrs::Attrs;
    use crate::batch::{Change, HashKey};
    use crate::peers::{PeerInfo, Peers};
    use crate::policies::Judge;
    use crate::rib::Limits;
    use crate::slots::V4;

    /// The slots of a walk over a table of so many.
    fn rest(walks: &mut Walks, len: u32) -> Vec<u32> {
        let walk = walks.0.back_mut().unwrap();
        std::iter::from_fn(|| walk.next(len)).collect()
    }

    #[test]
    fn a_walk_that_is_asked_for_again_goes_a_whole_round_from_where_it_is() {
        let mut walks = Walks::default();
        walks.begin(PeerIdx(1), Task::Sweep(1));
        let walk = walks.0.back_mut().unwrap();
        assert_eq!([walk.next(6), walk.next(6)], [Some(0), Some(1)]);
        walks.begin(PeerIdx(1), Task::Sweep(2));
        assert_eq!(walks.0.len(), 1);
        assert_eq!(rest(&mut walks, 6), [2, 3, 4, 5, 0, 1]);
        // It may have grown or shrunk meanwhile.
        walks.begin(PeerIdx(2), Task::Evaluate);
        assert_eq!(walks.0.back_mut().unwrap().next(1), Some(0));
        walks.begin(PeerIdx(2), Task::Evaluate);
        assert_eq!(rest(&mut walks, 3), [1, 2, 0]);
        walks.begin(PeerIdx(2), Task::Evaluate);
        assert_eq!(rest(&mut walks, 0), [0; 0]);
        // The end of the session makes the others pointless.
        walks.begin(PeerIdx(1), Task::Remove);
        assert_eq!(walks.0.iter().filter(|w| w.peer == PeerIdx(1)).count(), 1);
        assert!(walks.remove_any());
    }
    #[test]
    fn what_may_not_come_in_any_more_goes_when_it_is_looked_at_again() {
        let peers = Peers::new(65000, 1, 1);
        let base = PeerInfo::clone(&peers.get(PeerIdx::LOCAL).unwrap().info);
        let settings = |allow_own_as| {
            let info = PeerInfo { label: Some(1), remote_asn: 65001, allow_own_as, ..base.clone() };
            Arc::new(PeerInfo { enforce_first_as: true, ..info })
        };
        let mut shared = Shared {
            attrs: Attrs::default(),
            peers,
            med_always_compare: false,
            limits: Limits::default(),
            refused: false,
            judge: Judge::default(),
            judged: None,
            owned: Box::new([0; 256]),
        };
        let mut table = FamilyTable::<V4>::new(HashKey::default());
        let peer = PeerIdx(1);
        shared.peers.put(peer, settings(1), Arc::default());
        for (n, path) in [(0, &[65001, 65000][..]), (1, &[65001, 65002])] {
            let canonical = Builder::new()
                .with(PathAttribute::Origin(Origin::Igp))
                .with(PathAttribute::AsPath(AsPathBuf::sequence(path.iter().map(|n| Asn(*n)))))
                .build();
            let next_hop = NextHop::V4([192, 0, 2, 1].into());
            let attr = shared.attrs.intern(n, &canonical, next_hop, &summarize(&canonical));
            let addr = V4(0x0a00_0000 | n << 8);
            let hash = table.slots.hash(addr, 24);
            let change = Change { hash, addr, path_id: 0, set: 0, peer, len: 24, owner: 0 };
            table.announce(&mut shared, &change, None, attr);
        }
        let mut left = |shared: &mut Shared| {
            table.walks.begin(peer, Task::Evaluate);
            while table.walk_step(shared, 1) > 0 {}
            shared.peers.get(peer).unwrap().received[Family::Ipv4Unicast as usize]
        };
        assert_eq!(left(&mut shared), 2, "nothing has changed");
        shared.peers.get_mut(peer).unwrap().info = settings(0);
        assert_eq!(left(&mut shared), 1, "our own AS is in the path of the other");
    }
}
