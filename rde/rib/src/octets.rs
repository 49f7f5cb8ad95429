//! Octets of attribute sets, in cells of some sixty sizes.
//!
//! Steps of 8 octets up to 256, where nearly all sets are, and then of a quarter; what is longer than 4 KiB is
//! allocated on its own.

use crate::slab::{Cell, Slab, Wide};

/// Octets that are allocated together.
const CHUNK: usize = 64 << 10;

/// Lengths up to here go in steps of [`STEP`].
const FINE: usize = 256;
const STEP: usize = 8;

/// Longer ones are on their own.
const LONGEST: usize = 4096;

impl Cell for u8 {
    const VACANT: u8 = 0;

    fn link(cell: &mut [u8], next: u32) {
        if let Some(start) = cell.first_chunk_mut() {
            *start = next.to_le_bytes();
        }
    }

    fn next(cell: &[u8]) -> u32 {
        cell.first_chunk().map_or(0, |start| u32::from_le_bytes(*start))
    }
}

/// Where a string of octets is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    cell: u32,
    len: u32,
}

impl Place {
    /// The empty string.
    pub(crate) const NONE: Place = Place { cell: 0, len: 0 };
}

/// Strings of octets.
#[derive(Debug, Default)]
pub(crate) struct Octets {
    classes: Vec<Slab<u8, Wide>>,
    long: Vec<Box<[u8]>>,
    long_free: Vec<u32>,
}

/// The class of strings of this length, at most [`LONGEST`], and the size of its cells.
fn class(len: usize) -> (usize, usize) {
    if len <= FINE {
        let steps = len.div_ceil(STEP).max(1);
        return (steps - 1, steps * STEP);
    }
    // Four to each power of two.
    let power = (len - 1).ilog2();
    let quarter = 1_usize << (power - 2);
    let quarters = (len - (1 << power)).div_ceil(quarter);
    let doublings = (power - FINE.ilog2()) as usize;
    (FINE / STEP + doublings * 4 + quarters - 1, (1 << power) + quarters * quarter)
}

impl Octets {
    pub(crate) fn get(&self, place: Place) -> &[u8] {
        let len = place.len as usize;
        match len {
            0 => &[],
            1..=LONGEST => self.classes[class(len).0].cell(place.cell, len),
            _ => &self.long[place.cell as usize],
        }
    }

    pub(crate) fn put(&mut self, octets: &[u8]) -> Place {
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        let cell = match octets.len() {
            0 => 0,
            1..=LONGEST => {
                let (class, width) = class(octets.len());
                while self.classes.len() <= class {
                    // Set to its own width when the first cell is taken.
                    self.classes.push(Slab::new(Wide { width: 0, bits: 0 }));
                }
                let slab = &mut self.classes[class];
                if slab.width() == 0 {
                    *slab = Slab::new(Wide { width, bits: (CHUNK / width).ilog2() });
                }
                let cell = slab.take();
                slab.cell_mut(cell, octets.len()).copy_from_slice(octets);
                cell
            }
            _ => match self.long_free.pop() {
                Some(cell) => {
                    self.long[cell as usize] = octets.into();
                    cell
                }
                None => {
                    self.long.push(octets.into());
                    u32::try_from(self.long.len() - 1).unwrap_or(u32::MAX)
                }
            },
        };
        Place { cell, len }
    }

    pub(crate) fn remove(&mut self, place: Place) {
        match place.len as usize {
            0 => {}
            len @ 1..=LONGEST => self.classes[class(len).0].give_back(place.cell),
            _ => {
                self.long[place.cell as usize] = Box::default();
                self.long_free.push(place.cell);
                if self.long_free.len() == self.long.len() {
                    (self.long, self.long_free) = (Vec::new(), Vec::new());
                }
            }
        }
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let long: usize = self.long.iter().map(|l| l.len() + size_of_val(l)).sum();
        self.classes.iter().map(Slab::allocated).sum::<usize>() + long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_rise_without_gaps_and_waste_little() {
        let mut before = (0, 8);
        for len in 1..=LONGEST {
            let (at, width) = class(len);
            assert!(width >= len && width - len < STEP.max(width / 4), "{len} in {width}");
            assert!((at, width) == before || (at == before.0 + 1 && width > before.1), "{len}");
            before = (at, width);
        }
    }

    #[test]
    fn strings_of_all_lengths_come_back_as_they_were() {
        let mut octets = Octets::default();
        let string = |n: usize| -> Vec<u8> { (0..n).map(|i| (n * 7 + i) as u8).collect() };
        let lengths = || (0..300).chain((300..5000).step_by(37)).chain([65_535, 130_000]);
        let mut first = 0;
        for _ in 0..3 {
            let mut places: Vec<Place> = lengths().map(|n| octets.put(&string(n))).collect();
            for place in places.extract_if(.., |p| p.len % 3 == 0) {
                octets.remove(place);
            }
            assert!(places.iter().all(|p| octets.get(*p) == string(p.len as usize)));
            first = if first == 0 { octets.allocated() } else { first };
            assert_eq!(octets.allocated(), first, "freed cells are used again");
            places.drain(..).for_each(|p| octets.remove(p));
        }
    }
}
