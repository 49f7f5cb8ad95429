//! A hash index of handles in parts, so that it grows and shrinks a part at a time.
//!
//! One table of a million entries takes tens of milliseconds to grow, in which no UPDATE is taken in. A part of a
//! table of that size takes a fraction of a millisecond.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// How many parts there are, as a power of two.
const PART_BITS: u32 = 8;

/// Entries that a part may keep room for without having them.
const SMALL: usize = 28;

/// Handles by hash.
#[derive(Debug)]
pub(crate) struct Index {
    parts: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Index {
        let mut parts = Vec::new();
        parts.resize_with(1 << PART_BITS, HashTable::new);
        Index { parts }
    }
}

/// The part of a hash. A table takes its place from the low bits and its tag from the top seven; shards
/// differ in the second 16 bits.
fn part(hash: u64) -> usize {
    ((hash >> 48) & ((1 << PART_BITS) - 1)) as usize
}

impl Index {
    pub(crate) fn find(&self, hash: u64, eq: impl FnMut(&u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash, eq).copied()
    }

    /// The place of an entry, or where it would be.
    pub(crate) fn entry(
        &mut self,
        hash: u64,
        eq: impl FnMut(&u32) -> bool,
        rehash: impl Fn(&u32) -> u64,
    ) -> Entry<'_, u32> {
        self.parts[part(hash)].entry(hash, eq, rehash)
    }

    /// An entry that is not in it yet.
    pub(crate) fn insert_unique(&mut self, hash: u64, id: u32, rehash: impl Fn(&u32) -> u64) {
        self.parts[part(hash)].insert_unique(hash, id, rehash);
    }

    /// Removes an entry. A part that is mostly empty shrinks to twice what is in it, so that it must double or
    /// halve again before it moves once more.
    pub(crate) fn remove(&mut self, hash: u64, id: u32, rehash: impl Fn(&u32) -> u64) {
        let part = &mut self.parts[part(hash)];
        let Ok(entry) = part.find_entry(hash, |i| *i == id) else { return };
        entry.remove();
        if part.capacity() > SMALL && part.len() * 8 < part.capacity() {
            part.shrink_to(part.len() * 2, rehash);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.parts.iter().map(|p| size_of_val(p) + p.allocation_size()).sum()
    }
}
