//! Reading canonical attributes in place.

use crate::aspath::AsPath;
use crate::attr::typed::{aggregator, large};
use crate::attr::{Aggregator, Origin, RawAttribute, code, next_attribute};
use crate::community::LargeCommunity;
use crate::types::Asn;
use crate::wire::{Reader, words};

/// Attributes in canonical form, as [`write`](super::write) made them. Reading other octets gives wrong
/// answers, nothing worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canonical<'a>(&'a [u8]);

impl<'a> From<&'a [u8]> for Canonical<'a> {
    fn from(bytes: &'a [u8]) -> Canonical<'a> {
        Canonical(bytes)
    }
}

impl<'a> Canonical<'a> {
    /// Attributes to read.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Canonical<'a> {
        Canonical(bytes)
    }

    /// The octets.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// All attributes, sorted by type code.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = RawAttribute<'a>> + Clone + 'a {
        let mut reader = Reader(self.0);
        std::iter::from_fn(move || next_attribute(&mut reader).ok())
    }

    /// The value of the attribute of this type code.
    #[inline]
    pub fn get(self, code: u8) -> Option<&'a [u8]> {
        self.iter().take_while(|a| a.code <= code).find(|a| a.code == code).map(|a| a.value)
    }

    fn number(self, code: u8) -> Option<u32> {
        self.get(code)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
    }

    /// ORIGIN.
    pub fn origin(self) -> Option<Origin> {
        self.get(code::ORIGIN)?.first().and_then(|n| Origin::try_from(*n).ok())
    }

    /// AS_PATH; empty if there is none.
    #[inline]
    pub fn as_path(self) -> AsPath<'a> {
        AsPath::from_checked(self.get(code::AS_PATH).unwrap_or_default())
    }

    /// MULTI_EXIT_DISC.
    pub fn med(self) -> Option<u32> {
        self.number(code::MULTI_EXIT_DISC)
    }

    /// LOCAL_PREF.
    pub fn local_pref(self) -> Option<u32> {
        self.number(code::LOCAL_PREF)
    }

    /// Whether ATOMIC_AGGREGATE is there.
    pub fn atomic_aggregate(self) -> bool {
        self.get(code::ATOMIC_AGGREGATE).is_some()
    }

    /// AGGREGATOR.
    pub fn aggregator(self) -> Option<Aggregator> {
        self.get(code::AGGREGATOR).and_then(aggregator)
    }

    /// Standard communities, sorted.
    pub fn communities(self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + Clone + 'a {
        words(self.get(code::COMMUNITIES).unwrap_or_default())
    }

    /// ORIGINATOR_ID.
    pub fn originator_id(self) -> Option<u32> {
        self.number(code::ORIGINATOR_ID)
    }

    /// CLUSTER_LIST, the nearest cluster first.
    pub fn cluster_list(self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + Clone + 'a {
        words(self.get(code::CLUSTER_LIST).unwrap_or_default())
    }

    /// Extended communities, sorted.
    pub fn extended_communities(self) -> impl ExactSizeIterator<Item = u64> + Clone + 'a {
        let value = self.get(code::EXTENDED_COMMUNITIES).unwrap_or_default();
        value.as_chunks::<8>().0.iter().map(|c| u64::from_be_bytes(*c))
    }

    /// IPv6 address specific extended communities, sorted (RFC 5701).
    pub fn ipv6_extended_communities(self) -> impl ExactSizeIterator<Item = &'a [u8; 20]> + Clone + 'a {
        let value = self.get(code::IPV6_EXTENDED_COMMUNITIES).unwrap_or_default();
        value.as_chunks::<20>().0.iter()
    }

    /// Large communities, sorted.
    pub fn large_communities(self) -> impl ExactSizeIterator<Item = (u32, u32, u32)> + Clone + 'a {
        let value = self.get(code::LARGE_COMMUNITY).unwrap_or_default();
        large(value).map(|LargeCommunity(a, b, c)| (a, b, c))
    }

    /// ONLY_TO_CUSTOMER.
    pub fn only_to_customer(self) -> Option<Asn> {
        self.number(code::ONLY_TO_CUSTOMER).map(Asn)
    }

    /// Attributes that are not known here, all transitive.
    pub fn unknown(self) -> impl Iterator<Item = RawAttribute<'a>> + Clone + 'a {
        self.iter().filter(|a| code::specified_flags(a.code).is_none())
    }
}
