//! Sets of prefixes with ranges of lengths.
//!
//! Ranges lie inside of each other or apart, so that the addresses fall into intervals, each with the lengths that
//! the ranges around it take together. An interval knows the lengths of all ranges around it: one search for the
//! address of a prefix, and one bit for its length, are the answer. What a range deeper than the prefix adds are
//! lengths beyond its own, so that finding the deepest one is never wrong.

use std::collections::HashMap;
use std::fmt::Debug;

use ipnet::IpNet;

use crate::def::PrefixRange;

/// A set of prefix ranges of both families.
#[derive(Debug, Clone)]
pub struct PrefixSet {
    v4: Intervals<u32>,
    v6: V6,
}

/// IPv6 ranges; nearly all sets have none beyond 64 bits.
#[derive(Debug, Clone)]
enum V6 {
    /// By the high half of the address.
    High(Intervals<u64>),
    Whole(Intervals<u128>),
}

impl PrefixSet {
    /// Whether one of the ranges has the prefix.
    pub fn contains(&self, prefix: IpNet) -> bool {
        self.has(Prefix::of(&prefix))
    }

    #[inline]
    pub(crate) fn has(&self, prefix: Prefix) -> bool {
        match (prefix, &self.v6) {
            (Prefix::V4 { bits, len }, _) => self.v4.has(bits, len),
            (Prefix::V6 { bits, len }, V6::High(v6)) => v6.has(high(bits), len),
            (Prefix::V6 { bits, len }, V6::Whole(v6)) => v6.has(bits, len),
        }
    }

    /// Octets that it takes.
    pub fn memory(&self) -> usize {
        let v6 = match &self.v6 {
            V6::High(v6) => v6.memory(),
            V6::Whole(v6) => v6.memory(),
        };
        self.v4.memory() + v6
    }
}

/// A prefix in numbers, without bits beyond its length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prefix {
    V4 { bits: u32, len: u8 },
    V6 { bits: u128, len: u8 },
}

impl Prefix {
    #[inline]
    pub(crate) fn of(prefix: &IpNet) -> Prefix {
        let len = prefix.prefix_len();
        match prefix {
            IpNet::V4(net) => Prefix::V4 { bits: net.network().to_bits(), len },
            IpNet::V6(net) => Prefix::V6 { bits: net.network().to_bits(), len },
        }
    }
}

/// A single range, outside of sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    inside: Prefix,
    least: u8,
    most: u8,
}

impl Range {
    pub(crate) fn of(range: &PrefixRange) -> Range {
        let lengths = range.lengths();
        Range { inside: Prefix::of(&range.prefix()), least: *lengths.start(), most: *lengths.end() }
    }

    /// Whether the prefix is in it. All its lengths are at least that of its own prefix.
    #[inline]
    pub(crate) fn has(&self, prefix: Prefix) -> bool {
        let fits = |len: u8| (self.least..=self.most).contains(&len);
        match (self.inside, prefix) {
            (Prefix::V4 { bits: inside, len: of }, Prefix::V4 { bits, len }) => {
                fits(len) && (bits ^ inside).checked_shr(32 - u32::from(of)).unwrap_or(0) == 0
            }
            (Prefix::V6 { bits: inside, len: of }, Prefix::V6 { bits, len }) => {
                fits(len) && (bits ^ inside).checked_shr(128 - u32::from(of)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl<'r> FromIterator<&'r PrefixRange> for PrefixSet {
    fn from_iter<T: IntoIterator<Item = &'r PrefixRange>>(ranges: T) -> PrefixSet {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for range in ranges {
            let lengths = Lengths::of(range);
            match range.prefix() {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.prefix_len(), lengths)),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.prefix_len(), lengths)),
            }
        }
        let v6 = if v6.iter().all(|(_, len, _)| *len <= 64) {
            V6::High(Intervals::new(v6.into_iter().map(|(start, len, l)| (high(start), len, l)).collect()))
        } else {
            V6::Whole(Intervals::new(v6))
        };
        PrefixSet { v4: Intervals::new(v4), v6 }
    }
}

fn high(address: u128) -> u64 {
    u64::try_from(address >> 64).unwrap_or(u64::MAX)
}

/// A set of prefix lengths, 0 to 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Lengths([u64; 3]);

impl Lengths {
    fn of(range: &PrefixRange) -> Lengths {
        let mut lengths = Lengths::default();
        for len in range.lengths() {
            if let Some(word) = lengths.0.get_mut(usize::from(len / 64)) {
                *word |= 1 << (len % 64);
            }
        }
        lengths
    }

    fn with(self, more: Lengths) -> Lengths {
        let Lengths([a, b, c]) = self;
        let Lengths([d, e, f]) = more;
        Lengths([a | d, b | e, c | f])
    }

    fn has(self, len: u8) -> bool {
        self.0.get(usize::from(len / 64)).is_some_and(|word| word >> (len % 64) & 1 == 1)
    }
}

/// An address, or as much of it as ranges differ in.
trait Key: Copy + Ord + Debug {
    const ZERO: Self;

    /// The last address of the range that begins at `self` and has this length.
    fn last(self, len: u8) -> Self;
    /// The next address, if there is one.
    fn next(self) -> Option<Self>;
}

macro_rules! key {
    ($($type:ty),*) => { $(
        impl Key for $type {
            const ZERO: $type = 0;

            fn last(self, len: u8) -> $type {
                self | <$type>::MAX.checked_shr(len.into()).unwrap_or(0)
            }

            fn next(self) -> Option<$type> {
                self.checked_add(1)
            }
        }
    )* };
}

key!(u32, u64, u128);

/// The intervals of a family.
#[derive(Debug, Clone)]
struct Intervals<K> {
    /// Where each begins, the first at 0; it ends where the next one begins.
    starts: Box<[K]>,
    /// For each its place in `kinds`.
    kind: Box<[u32]>,
    /// The different sets of lengths; few.
    kinds: Box<[Lengths]>,
}

impl<K: Key> Intervals<K> {
    /// From ranges: where they begin, the length of their prefix, and the lengths that they take.
    fn new(mut ranges: Vec<(K, u8, Lengths)>) -> Intervals<K> {
        ranges.sort_unstable_by_key(|(start, len, _)| (*start, *len));
        let mut build = Build {
            starts: vec![K::ZERO],
            kind: vec![0],
            kinds: vec![Lengths::default()],
            known: HashMap::new(),
        };
        // The ranges around the place that is being looked at: where each ends, and what they take together.
        let mut around: Vec<(K, Lengths)> = Vec::new();
        for (start, len, lengths) in ranges {
            while let Some((last, _)) = around.last().copied().filter(|(last, _)| *last < start) {
                around.pop();
                build.end(last, &around);
            }
            let lengths = lengths.with(around.last().map_or(Lengths::default(), |(_, l)| *l));
            around.push((start.last(len), lengths));
            build.begin(start, lengths);
        }
        while let Some((last, _)) = around.pop() {
            build.end(last, &around);
        }
        Intervals { starts: build.starts.into(), kind: build.kind.into(), kinds: build.kinds.into() }
    }

    /// Whether a prefix that begins at this address may have this length.
    #[inline]
    fn has(&self, address: K, len: u8) -> bool {
        let behind = self.starts.partition_point(|start| *start <= address);
        let kind = self.kind.get(behind.wrapping_sub(1)).and_then(|kind| self.kinds.get(*kind as usize));
        kind.is_some_and(|lengths| lengths.has(len))
    }

    fn memory(&self) -> usize {
        size_of_val::<[K]>(&self.starts)
            + size_of_val::<[u32]>(&self.kind)
            + size_of_val::<[Lengths]>(&self.kinds)
    }
}

struct Build<K> {
    starts: Vec<K>,
    kind: Vec<u32>,
    kinds: Vec<Lengths>,
    known: HashMap<Lengths, u32>,
}

impl<K: Key> Build<K> {
    /// From here on these lengths are taken.
    fn begin(&mut self, start: K, lengths: Lengths) {
        let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        let kind = match lengths {
            none if none == Lengths::default() => 0,
            _ => *self.known.entry(lengths).or_insert_with(|| {
                self.kinds.push(lengths);
                next
            }),
        };
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.kind.pop();
        }
        if self.kind.last() != Some(&kind) || self.starts.is_empty() {
            self.starts.push(start);
            self.kind.push(kind);
        }
    }

    /// A range has ended, and these are still around.
    fn end<L>(&mut self, last: K, around: &[(L, Lengths)]) {
        if let Some(next) = last.next() {
            self.begin(next, around.last().map_or(Lengths::default(), |(_, l)| *l));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[&str]) -> PrefixSet {
        let ranges: Vec<PrefixRange> = ranges.iter().map(|r| r.parse().unwrap()).collect();
        ranges.iter().collect()
    }

    #[test]
    fn ranges_inside_of_ranges() {
        let set = set(&[
            "10.0.0.0/8 le 16",
            "10.1.0.0/16 ge 24 le 24",
            "10.1.0.0/24",
            "192.0.2.0/24",
            "192.0.3.0/24",
            "255.255.255.255/32",
            "0.0.0.0/0",
            "2001:db8::/32 ge 48",
        ]);
        for (prefix, expected) in [
            ("0.0.0.0/0", true),
            ("0.0.0.0/1", false),
            ("10.0.0.0/8", true),
            ("10.255.0.0/16", true),
            ("10.255.0.0/17", false),
            ("10.1.0.0/16", true),
            ("10.1.0.0/24", true),
            ("10.1.255.0/24", true),
            ("10.1.255.0/25", false),
            ("10.2.0.0/24", false),
            ("192.0.2.0/24", true),
            ("192.0.2.0/23", false),
            ("192.0.3.0/24", true),
            ("192.0.3.0/25", false),
            ("255.255.255.255/32", true),
            ("255.255.255.254/32", false),
            ("2001:db8::/32", false),
            ("2001:db8:1::/48", true),
            ("2001:db8::1/128", true),
            ("2001:db9::/48", false),
            ("::/0", false),
        ] {
            assert_eq!(set.contains(prefix.parse().unwrap()), expected, "{prefix}");
        }
    }

    #[test]
    fn nothing_and_everything() {
        assert!(!set(&[]).contains("0.0.0.0/0".parse().unwrap()));
        let all = set(&["0.0.0.0/0 le 32", "::/0 le 128", "2001:db8::1/128"]);
        for prefix in ["0.0.0.0/0", "255.255.255.255/32", "::/0", "2001:db8::1/128", "ffff::/16"] {
            assert!(all.contains(prefix.parse().unwrap()), "{prefix}");
        }
    }

    /// Neighbors of one kind are one interval.
    #[test]
    fn what_is_alike_is_kept_once() {
        let ranges: Vec<String> = (0..=255).map(|n| format!("10.0.{n}.0/24")).collect();
        let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
        assert!(set(&ranges).memory() < 200);
    }
}
