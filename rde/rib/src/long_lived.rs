//! Long-lived stale routes (RFC 9494 §4.2 and §4.3): those of a peer that stays away for longer than a restart takes.
//!
//! They are marked with a community, so that all who get them know, are the last choice of the decision process, and go
//! to peers only that have said that they know what it means. The mark is in the attributes: a walk gives each stale
//! route a set with it, and from there on it is a route like any other. Nothing is kept beside it.

use bgp::Family;
use bgp::attr::canonical::{SummaryFlags, summarize, with_community};
use bgp::community::well_known;

use crate::attrs::Head;
use crate::family::{FamilyTable, Shared};
use crate::paths::Path;
use crate::peers::{PeerIdx, Rank};
use crate::rib::Rib;
use crate::slots::Addr;
use crate::walk::Task;

/// What was said about long-lived graceful restart between us and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongLived {
    /// We announced it: its routes with LLGR_STALE are what they say (RFC 9494 §4.3).
    pub announced: bool,
    /// The peer announced it: it may have such routes.
    pub received: bool,
}

/// Whether a route of such a source is long-lived stale, whoever made it that.
pub(crate) fn is_last_choice(head: &Head, source: Rank) -> bool {
    source.long_lived && head.flags.contains(SummaryFlags::LLGR_STALE)
}

/// Whether a stale route that would become long-lived goes instead (RFC 9494 §4.2).
pub(crate) fn must_not_be(head: &Head) -> bool {
    head.flags.contains(SummaryFlags::NO_LLGR)
}

impl Rib {
    /// The stale routes of a peer that is away become long-lived stale, but for those that want to go with the session.
    pub fn make_long_lived(&mut self, peer: PeerIdx, family: Family) {
        match family {
            Family::Ipv4Unicast => self.v4.make_long_lived(&self.shared, peer),
            Family::Ipv6Unicast => self.v6.make_long_lived(&self.shared, peer),
            Family::Ipv4Flowspec | Family::Ipv6Flowspec => {}
        }
    }
}

impl<A: Addr> FamilyTable<A> {
    fn make_long_lived(&mut self, shared: &Shared, peer: PeerIdx) {
        let stale = shared.peers.stale(peer, A::FAMILY);
        if stale.count > 0 {
            self.walks.begin(peer, Task::LongLived(stale.mark()));
        }
    }

    /// Marks the paths of a peer to a prefix that were announced before `mark` was current.
    pub(crate) fn mark_long_lived(&mut self, shared: &mut Shared, id: u32, peer: PeerIdx, mark: u8) {
        let slot = *self.slots.get(id);
        let stale = shared.peers.stale(peer, A::FAMILY);
        let before = self.best(id).map(Path::route);
        let counted = self.counted(shared, id, peer);
        let FamilyTable { slots, paths, .. } = self;
        let mut marked = false;
        for path in paths.get_mut(slot.list()) {
            let received = shared.attrs.base(path.attr);
            let is_marked = shared.attrs.head(received).flags.contains(SummaryFlags::LLGR_STALE);
            if path.peer != peer || is_marked || !stale.is_older(path.mark, mark) {
                continue;
            }
            let attributes = with_community(shared.attrs.canonical(received), well_known::LLGR_STALE);
            let next_hop = shared.attrs.next_hop(received);
            let hash = slots.key().set(&attributes, next_hop);
            let received = shared.attrs.intern(hash, &attributes, next_hop, &summarize(&attributes));
            let (attr, denied) = shared.import(peer, (slot.addr, slot.len), received);
            shared.attrs.retain(attr, 1);
            shared.attrs.release(received);
            shared.attrs.release(path.attr);
            (path.attr, path.denied) = (attr, denied);
            marked = true;
        }
        if marked {
            self.tally(shared, id, peer, counted);
            self.decide_and_mark(shared, id, before);
        }
    }
}
