//! Lists of paths, one a prefix, in slabs of equal capacity: 1, 2, 4, 8 ... paths each.
//!
//! Most prefixes have one path, so that a list is one 12-octet cell without any header; the length and
//! the capacity are kept with the prefix.

use crate::attrs::AttrId;
use crate::peers::PeerIdx;
use crate::slab::{Cell, Slab, Wide};

/// One route of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) attr: AttrId,
    /// The identifier that the peer gave it (RFC 7911), 0 = none.
    pub(crate) path_id: u32,
    pub(crate) peer: PeerIdx,
    /// Tells whether it is stale (see `stale.rs`); of an injected one, whose it is.
    pub(crate) mark: u8,
    /// The peer's import policy does not take it: it is kept for the day when that changes, and no candidate.
    pub(crate) denied: bool,
}

/// The paths of a list that are candidates, the best one first. Those that a policy does not take come behind them.
#[inline]
pub(crate) fn taken(paths: &[Path]) -> &[Path] {
    match paths.last() {
        Some(last) if last.denied => {
            let end = paths.iter().position(|p| p.denied).unwrap_or(paths.len());
            paths.get(..end).unwrap_or_default()
        }
        _ => paths,
    }
}

/// Puts those that are no candidates behind the others; returns how many candidates there are.
pub(crate) fn part(paths: &mut [Path]) -> usize {
    let mut taken = 0;
    for at in 0..paths.len() {
        if !paths[at].denied {
            paths.swap(taken, at);
            taken += 1;
        }
    }
    taken
}

impl Path {
    /// What makes it another route to the world.
    pub(crate) fn route(&self) -> (AttrId, u32, PeerIdx) {
        (self.attr, self.path_id, self.peer)
    }
}

/// Where a prefix's paths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct List {
    pub(crate) cell: u32,
    pub(crate) count: u16,
    pub(crate) class: u8,
}

/// Paths are allocated 2 to this power at a time, 48 KiB; a list that is longer, on its own.
const CHUNK: u32 = 12;

impl Cell for Path {
    const VACANT: Path =
        Path { attr: AttrId::NONE, path_id: 0, peer: PeerIdx::LOCAL, mark: 0, denied: false };

    fn link(cell: &mut [Path], next: u32) {
        if let Some(path) = cell.first_mut() {
            path.path_id = next;
        }
    }

    fn next(cell: &[Path]) -> u32 {
        cell.first().map_or(0, |p| p.path_id)
    }
}

/// All lists of a table.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    classes: Vec<Slab<Path, Wide>>,
}

impl Paths {
    #[inline]
    pub(crate) fn get(&self, list: List) -> &[Path] {
        if list.count == 0 {
            return &[];
        }
        self.classes[usize::from(list.class)].cell(list.cell, list.count.into())
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, list: List) -> &mut [Path] {
        if list.count == 0 {
            return &mut [];
        }
        self.classes[usize::from(list.class)].cell_mut(list.cell, list.count.into())
    }

    /// Adds a path; `false` where the prefix has as many as can be counted.
    pub(crate) fn push(&mut self, list: &mut List, path: Path) -> bool {
        if list.count == 0 {
            *list = List { cell: self.take(0), count: 0, class: 0 };
        } else if list.count == u16::MAX {
            return false;
        } else if usize::from(list.count) == 1 << list.class {
            self.resize(list, list.class + 1);
        }
        list.count += 1;
        if let Some(last) = self.get_mut(*list).last_mut() {
            *last = path;
        }
        true
    }

    /// Removes a path; the last one takes its place.
    pub(crate) fn remove(&mut self, list: &mut List, at: usize) {
        let paths = self.get_mut(*list);
        let last = paths.len() - 1;
        paths.swap(at, last);
        list.count -= 1;
        if list.count == 0 {
            self.give_back(list.class, list.cell);
            *list = List::default();
        } else if list.class > 0 && usize::from(list.count) <= 1 << (list.class - 1) {
            self.resize(list, list.class - 1);
        }
    }

    fn resize(&mut self, list: &mut List, class: u8) {
        let old: smallvec::SmallVec<[Path; 16]> = self.get(*list).into();
        self.give_back(list.class, list.cell);
        list.cell = self.take(class);
        list.class = class;
        self.get_mut(*list).copy_from_slice(&old);
    }

    fn take(&mut self, class: u8) -> u32 {
        while self.classes.len() <= usize::from(class) {
            let class = self.classes.len();
            let bits = CHUNK.saturating_sub(u32::try_from(class).unwrap_or(CHUNK));
            self.classes.push(Slab::new(Wide { width: 1 << class, bits }));
        }
        self.classes[usize::from(class)].take()
    }

    fn give_back(&mut self, class: u8, cell: u32) {
        self.classes[usize::from(class)].give_back(cell);
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.classes.iter().map(Slab::allocated).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_paths_while_they_grow_and_shrink() {
        let mut paths = Paths::default();
        let path = |n| Path { attr: AttrId(n), path_id: n, peer: PeerIdx(7), mark: 0, denied: false };
        let (mut a, mut b) = (List::default(), List::default());
        for n in 1..=20 {
            assert!(paths.push(&mut a, path(n)));
            assert!(paths.push(&mut b, path(100 + n)));
        }
        while a.count > 1 {
            paths.remove(&mut a, 0);
            assert_eq!(paths.get(b).len(), 20, "the other list");
        }
        assert_eq!(paths.get(a).len(), 1);
        assert!(paths.get(b).iter().enumerate().all(|(i, p)| p.path_id as usize == 101 + i));
        paths.remove(&mut a, 0);
        assert_eq!((paths.get(a).len(), a), (0, List::default()));
        let before = paths.allocated();
        assert!(paths.push(&mut a, path(1)));
        assert_eq!(paths.allocated(), before, "freed cells are used again");
    }
}
