//! The default route that a group is sent by configuration (`default_originate`), whatever the table has for the same
//! prefix: so no default route of the table is announced beside it, and none that comes or goes is noticed.

use bgp::attr::canonical::summarize;

use crate::attrs::AttrId;
use crate::column::Sent;
use crate::family::{FamilyTable, Shared};
use crate::peers::PeerIdx;
use crate::slots::Addr;

/// What stands in the group's column for the default route. Slot and attribute set are held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefaultRoute {
    pub(crate) slot: u32,
    pub(crate) attr: AttrId,
}

impl DefaultRoute {
    /// As any route that is injected here.
    pub(crate) fn sent(self) -> Sent {
        Sent { attr: self.attr, source: PeerIdx::LOCAL, ..Sent::NOTHING }
    }
}

impl<A: Addr> FamilyTable<A> {
    /// Gives a new group, the last one, its default route, if its rules have one.
    pub(crate) fn originate_default(&mut self, shared: &mut Shared) {
        let Some(group) = self.groups.last_mut() else { return };
        let Some((attributes, next_hop)) = group.rules.default_route() else { return };
        let hash = self.slots.key().set(&attributes, next_hop);
        let attr = shared.attrs.intern(hash, &attributes, next_hop, &summarize(&attributes));
        let slot = self.slots.find_or_make(self.slots.hash(A::ZERO, 0), A::ZERO, 0);
        self.slots.hold(slot);
        group.default_route = Some(DefaultRoute { slot, attr });
        if group.column.mark(slot) {
            self.slots.hold(slot);
        }
    }
}
