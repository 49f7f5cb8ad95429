//! Numbered cells in chunks, for tables that grow to millions of entries and shrink again.
//!
//! A chunk is allocated when it is needed and given back when nothing in it is used, so that neither growing nor
//! shrinking ever copies more than one chunk. The lowest chunk with a vacancy is used first: what stays gathers
//! at the low end. Vacant cells of a chunk are linked through themselves and cost nothing beside.

/// What a slab is made of. A vacant cell holds the number of the next one.
pub(crate) trait Cell: Copy {
    const VACANT: Self;
    /// Makes a cell vacant.
    fn link(cell: &mut [Self], next: u32);
    /// What [`link`](Self::link) wrote.
    fn next(cell: &[Self]) -> u32;
}

/// The end of the list of vacant cells.
const END: u32 = u32::MAX;

#[derive(Debug)]
struct Chunk<T> {
    /// Cells that were ever used; no capacity at all where the chunk is given back.
    cells: Vec<T>,
    vacant: u32,
    used: u32,
}

/// How cells lie in chunks.
pub(crate) trait Shape {
    /// Elements of a cell.
    fn width(&self) -> usize;
    /// Cells in a chunk, as a power of two.
    fn bits(&self) -> u32;
}

/// Cells of one element, 2 to the power of `BITS` in a chunk: known when compiling, since they are looked at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Single<const BITS: u32>;

impl<const BITS: u32> Shape for Single<BITS> {
    #[inline]
    fn width(&self) -> usize {
        1
    }

    #[inline]
    fn bits(&self) -> u32 {
        BITS
    }
}

/// Cells of any width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide {
    pub(crate) width: usize,
    pub(crate) bits: u32,
}

impl Shape for Wide {
    #[inline]
    fn width(&self) -> usize {
        self.width
    }

    #[inline]
    fn bits(&self) -> u32 {
        self.bits
    }
}

/// Cells in chunks.
#[derive(Debug)]
pub(crate) struct Slab<T, S> {
    chunks: Vec<Chunk<T>>,
    /// A bit for each chunk that is allocated and not full.
    open: Vec<u64>,
    /// How many chunks are given back, though higher ones are in use.
    gaps: usize,
    /// An empty chunk that is kept, so that a single entry that comes and goes costs no allocation.
    spare: Option<usize>,
    shape: S,
    vacant: T,
}

impl<T: Cell, S: Shape> Slab<T, S> {
    pub(crate) fn new(shape: S) -> Slab<T, S> {
        Slab { chunks: Vec::new(), open: Vec::new(), gaps: 0, spare: None, shape, vacant: T::VACANT }
    }

    /// Elements of a cell.
    pub(crate) fn width(&self) -> usize {
        self.shape.width()
    }

    /// The first element of a cell; a vacant one where there is no such cell.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> &T {
        let (chunk, at) = self.place(id);
        self.chunks.get(chunk).and_then(|c| c.cells.get(at)).unwrap_or(&self.vacant)
    }

    /// The first element of a cell that is in use.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut T {
        let (chunk, at) = self.place(id);
        &mut self.chunks[chunk].cells[at]
    }

    /// The first `count` elements of a cell that is in use.
    #[inline]
    pub(crate) fn cell(&self, id: u32, count: usize) -> &[T] {
        let (chunk, at) = self.place(id);
        &self.chunks[chunk].cells[at..at + count]
    }

    /// The same to be written to.
    #[inline]
    pub(crate) fn cell_mut(&mut self, id: u32, count: usize) -> &mut [T] {
        let (chunk, at) = self.place(id);
        &mut self.chunks[chunk].cells[at..at + count]
    }

    #[inline]
    fn place(&self, id: u32) -> (usize, usize) {
        let mask = (1 << self.shape.bits()) - 1;
        ((id >> self.shape.bits()) as usize, (id & mask) as usize * self.shape.width())
    }

    /// A cell to be filled; what is in it has no meaning.
    pub(crate) fn take(&mut self) -> u32 {
        let at = self.open_chunk();
        let (bits, width) = (self.shape.bits(), self.shape.width());
        let chunk = &mut self.chunks[at];
        let within = if chunk.vacant == END {
            let fresh = chunk.cells.len();
            if width == 1 {
                chunk.cells.push(T::VACANT);
            } else {
                chunk.cells.resize(fresh + width, T::VACANT);
            }
            u32::try_from(fresh / width).unwrap_or(END)
        } else {
            let place = chunk.vacant as usize * width;
            let vacant = chunk.vacant;
            chunk.vacant = T::next(&chunk.cells[place..place + width]);
            vacant
        };
        chunk.used += 1;
        if chunk.used >> bits != 0 {
            self.open[at / 64] &= !(1 << (at % 64));
        }
        (u32::try_from(at).unwrap_or(END) << bits) | within
    }

    /// The lowest chunk with room.
    fn open_chunk(&mut self) -> usize {
        match self.open.iter().enumerate().find(|(_, w)| **w != 0) {
            Some((word, bits)) => word * 64 + bits.trailing_zeros() as usize,
            None => self.allocate(),
        }
    }

    #[cold]
    fn allocate(&mut self) -> usize {
        let gap = if self.gaps > 0 { self.chunks.iter().position(|c| c.cells.capacity() == 0) } else { None };
        let at = gap.unwrap_or(self.chunks.len());
        // Small tables are many: their only chunk grows as it is filled.
        let capacity = if at == 0 { self.shape.width() } else { self.shape.width() << self.shape.bits() };
        let chunk = Chunk { cells: Vec::with_capacity(capacity), vacant: END, used: 0 };
        match self.chunks.get_mut(at) {
            Some(place) => {
                *place = chunk;
                self.gaps -= 1;
            }
            None => self.chunks.push(chunk),
        }
        if self.open.len() <= at / 64 {
            self.open.resize(at / 64 + 1, 0);
        }
        self.open[at / 64] |= 1 << (at % 64);
        at
    }

    /// The cell is not used any more.
    pub(crate) fn give_back(&mut self, id: u32) {
        let (at, place) = self.place(id);
        let mask = (1 << self.shape.bits()) - 1;
        let chunk = &mut self.chunks[at];
        T::link(&mut chunk.cells[place..place + self.shape.width()], chunk.vacant);
        chunk.vacant = id & mask;
        chunk.used -= 1;
        self.open[at / 64] |= 1 << (at % 64);
        if chunk.used == 0 {
            chunk.cells.clear();
            chunk.vacant = END;
            self.emptied(at);
        }
    }

    /// Of two empty chunks the higher one is given back.
    fn emptied(&mut self, at: usize) {
        let spare = self.spare.replace(at).filter(|s| *s != at);
        let Some(other) = spare.filter(|s| self.chunks.get(*s).is_some_and(|c| c.is_spare())) else { return };
        self.spare = Some(at.min(other));
        let high = at.max(other);
        self.chunks[high].cells = Vec::new();
        self.open[high / 64] &= !(1 << (high % 64));
        self.gaps += 1;
        while self.chunks.pop_if(|c| c.cells.capacity() == 0).is_some() {
            self.gaps -= 1;
        }
    }

    /// One more than the highest number in use; at most a chunk too much.
    pub(crate) fn len(&self) -> u32 {
        let Some((last, below)) = self.chunks.split_last() else { return 0 };
        let cells = (below.len() << self.shape.bits()) + last.cells.len() / self.shape.width();
        u32::try_from(cells).unwrap_or(u32::MAX)
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let cells: usize = self.chunks.iter().map(|c| c.cells.capacity() * size_of::<T>()).sum();
        cells + self.chunks.capacity() * size_of::<Chunk<T>>() + self.open.capacity() * 8
    }
}

impl<T> Chunk<T> {
    /// Allocated, and nothing in it is used.
    fn is_spare(&self) -> bool {
        self.used == 0 && self.cells.capacity() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl Cell for u64 {
        const VACANT: u64 = u64::MAX;

        fn link(cell: &mut [u64], next: u32) {
            cell[0] = next.into();
        }

        fn next(cell: &[u64]) -> u32 {
            cell[0] as u32
        }
    }

    proptest! {
        #[test]
        fn cells_keep_what_is_written(width in 1_usize..4, ops in prop::collection::vec(0_u64..100, 1..600)) {
            let mut slab = Slab::<u64, Wide>::new(Wide { width, bits: 3 });
            let mut model: HashMap<u32, u64> = HashMap::new();
            for (n, op) in (1_000..).zip(ops) {
                if op < 55 {
                    let id = slab.take();
                    prop_assert!(model.insert(id, n).is_none(), "{id} is in use");
                    slab.cell_mut(id, width).fill(n);
                } else if let Some(id) = model.keys().copied().nth(op as usize % model.len().max(1)) {
                    model.remove(&id);
                    slab.give_back(id);
                }
                for (id, n) in &model {
                    prop_assert!(slab.cell(*id, width).iter().all(|v| v == n));
                    prop_assert!(*id < slab.len());
                }
            }
            for id in model.into_keys() {
                slab.give_back(id);
            }
            let kept: usize = slab.chunks.iter().map(|c| c.cells.capacity()).sum();
            prop_assert!(kept <= width << 3, "one chunk is kept: {kept}");
            prop_assert_eq!(slab.len(), 0);
        }
    }

    #[test]
    fn low_numbers_are_used_first_and_the_high_end_is_given_back() {
        let mut slab = Slab::<u64, Single<6>>::new(Single);
        let ids: Vec<u32> = (0..640).map(|_| slab.take()).collect();
        let full = slab.allocated();
        ids[192..].iter().for_each(|id| slab.give_back(*id));
        assert!(slab.len() <= 256 && slab.allocated() < full / 2);
        slab.give_back(3);
        assert_eq!(slab.take(), 3);
        assert_eq!(*slab.get(600), u64::VACANT, "a cell that is given back reads as vacant");
    }
}
