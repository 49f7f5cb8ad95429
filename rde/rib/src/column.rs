//! The Adj-RIB-Out of an update group: a column parallel to the slots, and sets of slots to look at.
//!
//! Like the slots, a column is allocated in chunks; those that say nothing are given back.

use crate::attrs::AttrId;
use crate::peers::PeerIdx;
use crate::queue::Queue;

/// What a group was sent for a prefix: 8 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The attribute set before export rules, or none: not advertised.
    pub(crate) attr: AttrId,
    /// Who the route is from: the one member that does not have it.
    pub(crate) source: PeerIdx,
    /// It was sent as the last choice (RFC 8326 §4.2).
    pub(crate) last_choice: bool,
    /// Waits in the queue.
    pub(crate) dirty: bool,
}

impl Sent {
    pub(crate) const NOTHING: Sent =
        Sent { attr: AttrId::NONE, source: PeerIdx::LOCAL, last_choice: false, dirty: false };

    /// Whether both say the same of the route.
    pub(crate) fn same_route(&self, other: &Sent) -> bool {
        let same_source = self.source == other.source && self.last_choice == other.last_choice;
        self.attr == other.attr && (same_source || !self.attr.is_some())
    }
}

/// Entries that are allocated together: 32 KiB.
const CHUNK: usize = 4096;

#[derive(Debug, Default)]
struct Chunk {
    entries: Vec<Sent>,
    /// Entries that say something: a route, or that they wait.
    used: usize,
}

/// The column, and the queue of slots whose entry may be wrong.
#[derive(Debug, Default)]
pub(crate) struct Column {
    chunks: Vec<Chunk>,
    /// An empty chunk that is kept, so that a single route that comes and goes costs no allocation.
    spare: Option<usize>,
    queue: Queue,
    /// Entries that hold a route.
    pub(crate) routes: u64,
    /// The same by source, indexed by [`PeerIdx`].
    by_source: Vec<u32>,
    /// How many slots were ever put into the queue and taken out of it.
    pub(crate) queued: u64,
    pub(crate) taken: u64,
}

impl Sent {
    #[inline]
    fn says_something(&self) -> bool {
        self.attr.is_some() || self.dirty
    }
}

impl Column {
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Sent {
        let (chunk, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        self.chunks.get(chunk).and_then(|c| c.entries.get(at)).copied().unwrap_or(Sent::NOTHING)
    }

    /// Changes an entry; its chunk is allocated where it is needed, and given back where it is not any more.
    #[inline]
    fn change<R>(&mut self, slot: u32, change: impl FnOnce(&mut Sent) -> R) -> R {
        let (chunk, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        if self.chunks.get(chunk).is_none_or(|c| c.entries.len() <= at) {
            self.allocate(chunk, at);
        }
        let c = &mut self.chunks[chunk];
        let entry = &mut c.entries[at];
        let before = entry.says_something();
        let result = change(entry);
        c.used = c.used + usize::from(entry.says_something()) - usize::from(before);
        if c.used == 0 {
            self.emptied(chunk);
        }
        result
    }

    #[cold]
    fn allocate(&mut self, chunk: usize, at: usize) {
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, Chunk::default);
        }
        // Small tables are many: their only chunk grows as it is filled.
        let len = if chunk == 0 { (at + 1).next_power_of_two().max(16) } else { CHUNK };
        self.chunks[chunk].entries.resize(len, Sent::NOTHING);
    }

    /// Of two empty chunks the higher one is given back.
    #[cold]
    fn emptied(&mut self, at: usize) {
        let spare = self.spare.replace(at).filter(|s| *s != at);
        let empty = |s: &usize| self.chunks.get(*s).is_some_and(|c| c.used == 0 && !c.entries.is_empty());
        let Some(other) = spare.filter(empty) else { return };
        self.spare = Some(at.min(other));
        self.chunks[at.max(other)].entries = Vec::new();
        while self.chunks.pop_if(|c| c.entries.is_empty()).is_some() {}
    }

    /// Puts a slot into the queue; `true` where it was not in it, so that it must be held.
    pub(crate) fn mark(&mut self, slot: u32) -> bool {
        if self.change(slot, |e| std::mem::replace(&mut e.dirty, true)) {
            return false;
        }
        self.queue.push(slot);
        self.queued += 1;
        true
    }

    /// Takes a slot out of the queue.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = self.queue.pop()?;
        self.taken += 1;
        self.change(slot, |e| e.dirty = false);
        Some(slot)
    }

    /// Replaces what an entry says of the route.
    pub(crate) fn set(&mut self, slot: u32, new: Sent) {
        let Sent { attr, source, last_choice, .. } = new;
        let old = self.change(slot, |e| {
            let old = *e;
            (e.attr, e.source, e.last_choice) = (attr, source, last_choice);
            old
        });
        if old.attr.is_some() {
            self.routes -= 1;
            if let Some(n) = self.by_source.get_mut(usize::from(old.source.0)) {
                *n -= 1;
            }
        }
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

    /// All entries that say something have lower numbers: the length of walks. It shrinks with the table.
    pub(crate) fn len(&self) -> u32 {
        let Some((last, below)) = self.chunks.split_last() else { return 0 };
        u32::try_from(below.len() * CHUNK + last.entries.len()).unwrap_or(u32::MAX)
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let entries: usize = self.chunks.iter().map(|c| c.entries.capacity() * size_of::<Sent>()).sum();
        entries + self.chunks.capacity() * size_of::<Chunk>() + self.queue.allocated()
    }
}

/// Words of an empty set that are kept.
const KEPT_WORDS: usize = 1024;

/// A set of slots in the order of their first insertion.
#[derive(Debug, Default)]
pub(crate) struct SlotSet {
    bits: Vec<u64>,
    queue: Queue,
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
        self.queue.push(slot);
        true
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let slot = self.queue.pop()?;
        if let Some(word) = self.bits.get_mut((slot / 64) as usize) {
            *word &= !(1 << (slot % 64));
        }
        if self.queue.is_empty() && self.bits.len() > KEPT_WORDS {
            self.bits = Vec::new();
        }
        Some(slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    fn sent(attr: AttrId) -> Sent {
        Sent { attr, source: PeerIdx(3), ..Sent::NOTHING }
    }

    proptest! {
        #[test]
        fn a_column_is_like_a_map_with_a_queue(
            ops in prop::collection::vec((0_u8..3, 0_u32..64, any::<bool>()), 1..400),
        ) {
            let (mut column, mut map, mut queue) = (Column::default(), HashMap::new(), VecDeque::new());
            for (op, slot, route) in ops {
                // Spread over chunks, several slots in each.
                let slot = slot % 8 * 4096 + slot;
                match op {
                    0 => {
                        let new = !queue.contains(&slot);
                        prop_assert_eq!(column.mark(slot), new);
                        if new {
                            queue.push_back(slot);
                        }
                    }
                    1 => prop_assert_eq!(column.take(), queue.pop_front()),
                    _ if route => {
                        column.set(slot, sent(AttrId(slot + 1)));
                        map.insert(slot, AttrId(slot + 1));
                    }
                    _ => {
                        column.set(slot, sent(AttrId::NONE));
                        map.remove(&slot);
                    }
                }
                prop_assert_eq!(column.routes, map.len() as u64);
                prop_assert!(map.keys().all(|s| *s < column.len()));
                for slot in (0..8).flat_map(|c| (0..64).map(move |n| c * 4096 + n)) {
                    let expected = map.get(&slot).copied().unwrap_or(AttrId::NONE);
                    let entry = column.get(slot);
                    prop_assert_eq!((entry.attr, entry.dirty), (expected, queue.contains(&slot)));
                }
            }
            while column.take().is_some() {}
            map.keys().for_each(|slot| column.set(*slot, sent(AttrId::NONE)));
            let kept: usize = column.chunks.iter().map(|c| c.entries.capacity()).sum();
            prop_assert!(kept <= CHUNK, "one chunk is kept: {}", kept);
        }
    }
}
