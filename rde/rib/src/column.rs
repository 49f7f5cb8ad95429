//! The Adj-RIB-Out of an update group: a column parallel to the slots, and sets of slots to look at.

use std::collections::VecDeque;

use crate::attrs::AttrId;
use crate::peers::PeerIdx;

/// What a group was sent for a prefix: 8 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The attribute set before export rules, or none: not advertised.
    pub(crate) attr: AttrId,
    /// Who the route is from: the one member that does not have it.
    pub(crate) source: PeerIdx,
    /// Waits in the queue.
    pub(crate) dirty: bool,
}

impl Sent {
    pub(crate) const NOTHING: Sent = Sent { attr: AttrId::NONE, source: PeerIdx::LOCAL, dirty: false };

    /// Whether both say the same of the route.
    pub(crate) fn same_route(&self, other: &Sent) -> bool {
        self.attr == other.attr && (self.source == other.source || !self.attr.is_some())
    }
}

/// The column, and the queue of slots whose entry may be wrong.
#[derive(Debug, Default)]
pub(crate) struct Column {
    entries: Vec<Sent>,
    queue: VecDeque<u32>,
    /// Entries that hold a route.
    pub(crate) routes: u64,
    /// The same by source, indexed by [`PeerIdx`].
    by_source: Vec<u32>,
    /// How many slots were ever put into the queue and taken out of it.
    pub(crate) queued: u64,
    pub(crate) taken: u64,
}

impl Column {
    pub(crate) fn get(&self, slot: u32) -> Sent {
        self.entries.get(slot as usize).copied().unwrap_or(Sent::NOTHING)
    }

    /// Puts a slot into the queue; `true` where it was not in it, so that it must be held.
    pub(crate) fn mark(&mut self, slot: u32) -> bool {
        let at = slot as usize;
        if self.entries.len() <= at {
            self.entries.resize(at + 1, Sent::NOTHING);
        }
        let entry = &mut self.entries[at];
        if entry.dirty {
            return false;
        }
        entry.dirty = true;
        self.queue.push_back(slot);
        self.queued += 1;
        true
    }

    /// Takes a slot out of the queue.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = self.queue.pop_front()?;
        self.taken += 1;
        if let Some(e) = self.entries.get_mut(slot as usize) {
            e.dirty = false;
        }
        if self.queue.is_empty() && self.queue.capacity() > 1 << 16 {
            self.queue = VecDeque::new();
        }
        Some(slot)
    }

    /// Replaces an entry that is in the column.
    pub(crate) fn set(&mut self, slot: u32, attr: AttrId, source: PeerIdx) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        if entry.attr.is_some() {
            self.routes -= 1;
            if let Some(n) = self.by_source.get_mut(usize::from(entry.source.0)) {
                *n -= 1;
            }
        }
        (entry.attr, entry.source) = (attr, source);
        if attr.is_some() {
            self.routes += 1;
            let at = usize::from(source.0);
            if self.by_source.len() <= at {
                self.by_source.resize(at + 1, 0);
            }
            self.by_source[at] += 1;
        }
    }

    /// How many of its routes come from this peer.
    pub(crate) fn routes_from(&self, source: PeerIdx) -> u64 {
        self.by_source.get(usize::from(source.0)).copied().unwrap_or(0).into()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }
}

/// A set of slots in the order of their first insertion.
#[derive(Debug, Default)]
pub(crate) struct SlotSet {
    bits: Vec<u64>,
    queue: VecDeque<u32>,
}

impl SlotSet {
    /// `true` where it was not in the set.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = ((slot / 64) as usize, 1 << (slot % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit != 0 {
            return false;
        }
        self.bits[word] |= bit;
        self.queue.push_back(slot);
        true
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let slot = self.queue.pop_front()?;
        if let Some(word) = self.bits.get_mut((slot / 64) as usize) {
            *word &= !(1 << (slot % 64));
        }
        Some(slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
