//! Communities to look for, of all three kinds: exact ones by binary search, those with a wildcard by mask.

use crate::def::{Administrator, CommunityPattern};
use crate::looks::Looks;

/// Communities to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommunityTest {
    pub(crate) standard: Matcher<4>,
    pub(crate) extended: Matcher<8>,
    pub(crate) large: Matcher<12>,
}

impl CommunityTest {
    /// Which communities of a route must be looked at.
    pub(crate) fn looks(&self) -> Looks {
        let mut looks = Looks::default();
        for (some, at) in [
            (!self.standard.is_empty(), Looks::COMMUNITIES),
            (!self.extended.is_empty(), Looks::EXTENDED),
            (!self.large.is_empty(), Looks::LARGE),
        ] {
            if some {
                looks = looks.with(at);
            }
        }
        looks
    }

    /// Octets that it takes.
    pub fn memory(&self) -> usize {
        self.standard.memory() + self.extended.memory() + self.large.memory()
    }
}

impl<'c> FromIterator<&'c CommunityPattern> for CommunityTest {
    fn from_iter<T: IntoIterator<Item = &'c CommunityPattern>>(patterns: T) -> CommunityTest {
        let mut lists = (Vec::new(), Vec::new(), Vec::new());
        for pattern in patterns {
            match *pattern {
                CommunityPattern::WellKnown(number) => lists.0.push(masked(number, 4)),
                CommunityPattern::Standard(asn, value) => lists.0.push(parts([half(asn), half(value)])),
                CommunityPattern::Extended { kind, administrator, value } => {
                    lists.1.extend(forms(kind.subtype(), administrator, value));
                }
                CommunityPattern::Large(a, b, c) => lists.2.push(parts([word(a), word(b), word(c)])),
            }
        }
        CommunityTest {
            standard: Matcher::new(lists.0),
            extended: Matcher::new(lists.1),
            large: Matcher::new(lists.2),
        }
    }
}

/// The wire form of a community without wildcards, as it is added to a route: 4, 8 or 12 octets.
pub(crate) fn exact(pattern: CommunityPattern) -> Vec<u8> {
    match pattern {
        CommunityPattern::WellKnown(number) => number.to_be_bytes().to_vec(),
        CommunityPattern::Standard(asn, value) => parts::<2, 4>([half(asn), half(value)]).value.to_vec(),
        CommunityPattern::Extended { kind, administrator, value } => {
            // The first form is the one to write.
            let form = forms(kind.subtype(), administrator, value).next();
            form.map_or_else(Vec::new, |f| f.value.to_vec())
        }
        CommunityPattern::Large(a, b, c) => parts::<3, 12>([word(a), word(b), word(c)]).value.to_vec(),
    }
}

/// Octets, and which of their bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Masked<const N: usize> {
    mask: [u8; N],
    value: [u8; N],
}

/// A part of a community: a number of so many octets, or anything.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: Option<u32>,
    octets: usize,
}

fn half(number: Option<u16>) -> Part {
    Part { number: number.map(u32::from), octets: 2 }
}

fn word(number: Option<u32>) -> Part {
    Part { number, octets: 4 }
}

fn masked(number: u32, octets: usize) -> Masked<4> {
    parts([Part { number: Some(number), octets }])
}

/// Puts parts together, the first at the front.
fn parts<const P: usize, const N: usize>(parts: [Part; P]) -> Masked<N> {
    let mut all = Masked { mask: [0; N], value: [0; N] };
    let mut at = 0;
    for Part { number, octets } in parts {
        let bytes = number.unwrap_or(0).to_be_bytes();
        let low = bytes.get(4 - octets..).unwrap_or_default();
        let place = at..at + octets;
        if let (Some(value), Some(mask)) = (all.value.get_mut(place.clone()), all.mask.get_mut(place)) {
            value.copy_from_slice(low);
            mask.fill(if number.is_some() { 0xff } else { 0 });
        }
        at += octets;
    }
    all
}

/// The forms on the wire that an extended community may have; one without wildcards is written in the first.
fn forms(subtype: u8, who: Administrator, value: Option<u32>) -> impl Iterator<Item = Masked<8>> {
    let kind = |high: u8| Part { number: Some(u32::from(high) << 8 | u32::from(subtype)), octets: 2 };
    // A value that does not fit 16 bits is not in the forms with a long administrator.
    let short = match value {
        None => Some(half(None)),
        Some(n) => u16::try_from(n).ok().map(|n| half(Some(n))),
    };
    let (two_octet, address, four_octet) = match who {
        Administrator::Any => (Some(half(None)), Some(word(None)), Some(word(None))),
        Administrator::As(asn) => {
            (u16::try_from(asn).ok().map(|a| half(Some(a))), None, Some(word(Some(asn))))
        }
        Administrator::Address(a) => (None, Some(word(Some(a.to_bits()))), None),
    };
    let long =
        |high: u8, who: Option<Part>| who.zip(short).map(|(who, value)| parts([kind(high), who, value]));
    let first = two_octet.map(|who| parts([kind(0), who, word(value)]));
    [first, long(1, address), long(2, four_octet)].into_iter().flatten()
}

/// So many communities are looked through one by one.
const FEW: usize = 16;

/// Communities of `N` octets each to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher<const N: usize> {
    /// Sorted.
    exact: Box<[[u8; N]]>,
    masked: Box<[Masked<N>]>,
}

impl<const N: usize> Default for Matcher<N> {
    fn default() -> Matcher<N> {
        Matcher { exact: Box::default(), masked: Box::default() }
    }
}

impl<const N: usize> Matcher<N> {
    fn new(mut list: Vec<Masked<N>>) -> Matcher<N> {
        list.sort_unstable();
        list.dedup();
        let (exact, masked): (Vec<Masked<N>>, Vec<Masked<N>>) =
            list.into_iter().partition(|m| m.mask == [0xff; N]);
        Matcher { exact: exact.into_iter().map(|m| m.value).collect(), masked: masked.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.masked.is_empty()
    }

    /// Whether it is one of those that are looked for.
    pub(crate) fn has(&self, community: &[u8; N]) -> bool {
        !self.exact.is_empty() && self.exact.binary_search(community).is_ok() || self.fits_mask(community)
    }

    fn fits_mask(&self, community: &[u8; N]) -> bool {
        let words = |octets: &[u8; N]| -> [u32; 3] {
            // Four octets at once: all kinds have a multiple of them, at most three times as many.
            let mut words = [0; 3];
            for (word, octets) in words.iter_mut().zip(octets.as_chunks::<4>().0) {
                *word = u32::from_ne_bytes(*octets);
            }
            words
        };
        let community = words(community);
        self.masked.iter().any(|m| {
            let parts = community.iter().zip(words(&m.mask)).zip(words(&m.value));
            parts.fold(0, |differ, ((c, mask), value)| differ | (c & mask ^ value)) == 0
        })
    }

    /// Whether one of these, which are sorted, is looked for.
    #[inline]
    pub(crate) fn any(&self, communities: &[[u8; N]]) -> bool {
        if communities.is_empty() {
            return false;
        }
        match (&*self.exact, &*self.masked) {
            ([], []) => false,
            // What most statements look for, on a route as most are.
            ([one], []) if communities.len() <= FEW => communities.contains(one),
            _ => self.any_of(communities),
        }
    }

    fn any_of(&self, communities: &[[u8; N]]) -> bool {
        let exact = if self.exact.len() < communities.len() {
            self.exact.iter().any(|e| communities.binary_search(e).is_ok())
        } else {
            communities.iter().any(|c| self.exact.binary_search(c).is_ok())
        };
        exact || !self.masked.is_empty() && communities.iter().any(|c| self.fits_mask(c))
    }

    fn memory(&self) -> usize {
        size_of_val::<[[u8; N]]>(&self.exact) + size_of_val::<[Masked<N>]>(&self.masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(patterns: &[&str]) -> CommunityTest {
        let patterns: Vec<CommunityPattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
        patterns.iter().collect()
    }

    fn wire(pattern: &str) -> Vec<u8> {
        exact(CommunityPattern::parse_exact(pattern).unwrap())
    }

    #[test]
    fn rfc4360_rfc5668_how_communities_are_written() {
        for (pattern, expected) in [
            ("65001:100", vec![0xfd, 0xe9, 0, 100]),
            ("NO_EXPORT", vec![0xff, 0xff, 0xff, 0x01]),
            ("RT:65001:100", vec![0, 2, 0xfd, 0xe9, 0, 0, 0, 100]),
            ("RO:65001:4294967295", vec![0, 3, 0xfd, 0xe9, 0xff, 0xff, 0xff, 0xff]),
            ("RT:192.0.2.1:7", vec![1, 2, 192, 0, 2, 1, 0, 7]),
            ("RT:4200000000:7", vec![2, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
            ("LC:1:2:4294967295", vec![0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(wire(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn wildcards_and_forms_on_the_wire() {
        // pattern, found, not found
        type Case = (&'static str, &'static [&'static str], &'static [&'static str]);
        let cases: [Case; 9] = [
            ("65001:*", &["65001:0", "65001:65535"], &["65002:0"]),
            ("*:100", &["1:100"], &["100:1"]),
            ("*:*", &["0:0", "NO_EXPORT"], &[]),
            ("65535:65281", &["NO_EXPORT"], &["NO_ADVERTISE"]),
            ("RT:65001:*", &["RT:65001:1", "RT:65001:4294967295"], &["RO:65001:1", "RT:65002:1"]),
            ("RT:*:7", &["RT:65001:7", "RT:192.0.2.1:7", "RT:4200000000:7"], &["RT:65001:8", "RO:65001:7"]),
            ("RT:*:65536", &["RT:65001:65536"], &["RT:192.0.2.1:0", "RT:4200000000:0"]),
            ("RO:4200000000:*", &["RO:4200000000:7"], &["RO:192.0.2.1:7", "RO:65001:7"]),
            ("LC:1:*:3", &["LC:1:2:3", "LC:1:4294967295:3"], &["LC:1:2:4", "LC:2:2:3"]),
        ];
        fn found(test: &CommunityTest, wire: &[u8]) -> bool {
            match wire.len() {
                4 => test.standard.any(wire.as_chunks().0),
                8 => test.extended.any(wire.as_chunks().0),
                _ => test.large.any(wire.as_chunks().0),
            }
        }
        for (pattern, good, bad) in cases {
            let test = test(&[pattern]);
            for (list, expected) in [(good, true), (bad, false)] {
                for community in list {
                    assert_eq!(found(&test, &wire(community)), expected, "{pattern} on {community}");
                }
            }
        }
        // RFC 5668 §2: a small AS number may have come with four octets.
        let four_octets = [2, 2, 0, 0, 0xfd, 0xe9, 0, 100];
        assert!(found(&test(&["RT:65001:100"]), &four_octets));
        assert!(!found(&test(&["RT:65001:65636"]), &four_octets));
    }

    #[test]
    fn long_lists_of_both_sides() {
        let many: Vec<String> = (0..1000).map(|n| format!("65001:{}", 2 * n)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let set = test(&many);
        let carried = |values: &[u16]| -> Vec<[u8; 4]> {
            values.iter().map(|v| (65001 << 16 | u32::from(*v)).to_be_bytes()).collect()
        };
        assert!(set.standard.any(&carried(&[1, 3, 1998])));
        assert!(!set.standard.any(&carried(&[1, 3, 1999])));
        let one = test(&["65001:5"]);
        assert!(one.standard.any(&carried(&[1, 3, 5])) && !one.standard.any(&carried(&[1, 3, 6])));
        assert!(!one.standard.any(&[]));
    }
}
