//! Lists of paths, one a prefix, in slabs of equal capacity: 1, 2, 4, 8 ... paths each.
//!
//! Most prefixes have one path, so that a list is one 12-octet cell without any header; the length and
//! the capacity are kept with the prefix.

use crate::attrs::AttrId;
use crate::peers::PeerIdx;

/// One route of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) attr: AttrId,
    /// The identifier that the peer gave it (RFC 7911), 0 = none.
    pub(crate) path_id: u32,
    pub(crate) peer: PeerIdx,
}

/// Where a prefix's paths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct List {
    pub(crate) cell: u32,
    pub(crate) count: u16,
    pub(crate) class: u8,
}

const EMPTY: Path = Path { attr: AttrId::NONE, path_id: 0, peer: PeerIdx::LOCAL };

#[derive(Debug, Default)]
struct Class {
    cells: Vec<Path>,
    free: Vec<u32>,
}

/// All lists of a table.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    classes: Vec<Class>,
}

impl Paths {
    pub(crate) fn get(&self, list: List) -> &[Path] {
        if list.count == 0 {
            return &[];
        }
        let start = (list.cell as usize) << list.class;
        &self.classes[usize::from(list.class)].cells[start..start + usize::from(list.count)]
    }

    pub(crate) fn get_mut(&mut self, list: List) -> &mut [Path] {
        if list.count == 0 {
            return &mut [];
        }
        let start = (list.cell as usize) << list.class;
        &mut self.classes[usize::from(list.class)].cells[start..start + usize::from(list.count)]
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
        let at = usize::from(class);
        if self.classes.len() <= at {
            self.classes.resize_with(at + 1, Class::default);
        }
        let c = &mut self.classes[at];
        c.free.pop().unwrap_or_else(|| {
            let cell = c.cells.len() >> class;
            c.cells.resize(c.cells.len() + (1 << class), EMPTY);
            u32::try_from(cell).unwrap_or(u32::MAX)
        })
    }

    fn give_back(&mut self, class: u8, cell: u32) {
        self.classes[usize::from(class)].free.push(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_paths_while_they_grow_and_shrink() {
        let mut paths = Paths::default();
        let path = |n| Path { attr: AttrId(n), path_id: n, peer: PeerIdx(7) };
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
        let before = paths.classes[0].cells.len();
        assert!(paths.push(&mut a, path(1)));
        assert_eq!(paths.classes[0].cells.len(), before, "freed cells are used again");
    }
}
