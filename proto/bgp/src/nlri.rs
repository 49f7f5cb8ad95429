//! Prefixes on the wire: RFC 4271 §4.3, RFC 4760 §5, with path identifiers by RFC 7911 §3.
//!
//! A list of prefixes is checked once ([`Nlri::parse`]); from then on walking it cannot fail.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::types::{Afi, Family};
use crate::wire::Reader;

/// A list of prefixes of one family, in wire form, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nlri<'a> {
    bytes: &'a [u8],
    family: Family,
    add_path: bool,
}

/// A list of prefixes that cannot be read (RFC 7606 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is too long for its family or for its field")]
pub struct MalformedNlri;

impl<'a> Nlri<'a> {
    /// An empty list.
    pub const fn empty(family: Family) -> Nlri<'a> {
        Nlri { bytes: &[], family, add_path: false }
    }

    /// Checks a list of prefixes; with `add_path`, each follows a path identifier (RFC 7911 §3).
    ///
    /// # Errors
    /// [`MalformedNlri`] for a prefix longer than the family's addresses, or one that ends beyond `bytes`
    /// (RFC 7606 §5.3).
    #[inline]
    pub fn parse(bytes: &'a [u8], family: Family, add_path: bool) -> Result<Nlri<'a>, MalformedNlri> {
        let mut reader = Reader(bytes);
        while !reader.is_empty() {
            if add_path {
                reader.u32().ok_or(MalformedNlri)?;
            }
            let len = match family {
                Family::Ipv4Unicast => prefix_octets(reader.u8(), 32),
                Family::Ipv6Unicast => prefix_octets(reader.u8(), 128),
                Family::Ipv4Flowspec | Family::Ipv6Flowspec => flow_octets(&mut reader),
            };
            reader.take(len.ok_or(MalformedNlri)?).ok_or(MalformedNlri)?;
        }
        Ok(Nlri { bytes, family, add_path })
    }

    /// The family of the prefixes.
    #[inline]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether there is no prefix.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether each prefix has a path identifier.
    #[inline]
    pub fn has_path_ids(&self) -> bool {
        self.add_path
    }

    /// The wire form.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The IPv4 prefixes with their path identifiers (0 without add-path), host bits cleared; none for
    /// another family.
    #[inline]
    pub fn ipv4(&self) -> Ipv4Iter<'a> {
        let bytes: &[u8] = if self.family == Family::Ipv4Unicast { self.bytes } else { &[] };
        Ipv4Iter { rest: bytes, add_path: self.add_path }
    }

    /// The IPv6 prefixes with their path identifiers (0 without add-path), host bits cleared; none for
    /// another family.
    #[inline]
    pub fn ipv6(&self) -> Ipv6Iter<'a> {
        let bytes: &[u8] = if self.family == Family::Ipv6Unicast { self.bytes } else { &[] };
        Ipv6Iter { rest: bytes, add_path: self.add_path }
    }

    /// The prefixes of either family with their path identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, IpNet)> + use<'a> {
        let v4 = self.ipv4().map(|(id, p)| (id, IpNet::V4(p)));
        v4.chain(self.ipv6().map(|(id, p)| (id, IpNet::V6(p))))
    }

    /// How many prefixes there are. Counts by walking.
    pub fn count(&self) -> usize {
        if self.family.afi() == Afi::IPV4 { self.ipv4().count() } else { self.ipv6().count() }
    }
}

#[inline]
fn prefix_octets(bits: Option<u8>, max: u8) -> Option<usize> {
    bits.filter(|b| *b <= max).map(|b| usize::from(b).div_ceil(8))
}

/// The length field of a flow specification: one octet below 240, else twelve bits (RFC 8955 §4.1).
fn flow_octets(reader: &mut Reader<'_>) -> Option<usize> {
    let first = reader.u8()?;
    if first < 0xf0 {
        return Some(usize::from(first));
    }
    let second = reader.u8()?;
    Some(usize::from(first & 0x0f) << 8 | usize::from(second))
}

/// Reads the path identifier, if there is one, and the prefix as a left-aligned number of `N` octets.
#[inline]
fn next_prefix<'a, const N: usize>(rest: &mut &'a [u8], add_path: bool) -> Option<(u32, [u8; N], u8)> {
    let mut bytes: &'a [u8] = rest;
    let mut id = 0;
    if add_path {
        let (head, tail) = bytes.split_first_chunk::<4>()?;
        id = u32::from_be_bytes(*head);
        bytes = tail;
    }
    let (&len, tail) = bytes.split_first()?;
    let octets = usize::from(len).div_ceil(8);
    let mut address = [0; N];
    // Nearly always more follows, so that a whole address can be read and masked later: a copy of
    // constant length is a plain load.
    if let (Some(whole), true) = (tail.first_chunk::<N>(), octets <= N) {
        address = *whole;
    } else {
        address.get_mut(..octets)?.copy_from_slice(tail.get(..octets)?);
    }
    *rest = tail.get(octets..)?;
    Some((id, address, len))
}

/// Iterator over IPv4 prefixes: [`Nlri::ipv4`].
#[derive(Debug, Clone)]
pub struct Ipv4Iter<'a> {
    rest: &'a [u8],
    add_path: bool,
}

impl Iterator for Ipv4Iter<'_> {
    type Item = (u32, Ipv4Net);

    #[inline]
    fn next(&mut self) -> Option<(u32, Ipv4Net)> {
        let (id, address, len) = next_prefix::<4>(&mut self.rest, self.add_path)?;
        let mask = u32::MAX.checked_shl(32 - u32::from(len).min(32)).unwrap_or(0);
        let address = Ipv4Addr::from(u32::from_be_bytes(address) & mask);
        Ipv4Net::new(address, len).ok().map(|p| (id, p))
    }
}

/// Iterator over IPv6 prefixes: [`Nlri::ipv6`].
#[derive(Debug, Clone)]
pub struct Ipv6Iter<'a> {
    rest: &'a [u8],
    add_path: bool,
}

impl Iterator for Ipv6Iter<'_> {
    type Item = (u32, Ipv6Net);

    #[inline]
    fn next(&mut self) -> Option<(u32, Ipv6Net)> {
        let (id, address, len) = next_prefix::<16>(&mut self.rest, self.add_path)?;
        let mask = u128::MAX.checked_shl(128 - u32::from(len).min(128)).unwrap_or(0);
        let address = Ipv6Addr::from(u128::from_be_bytes(address) & mask);
        Ipv6Net::new(address, len).ok().map(|p| (id, p))
    }
}

#[inline]
fn write_prefix(out: &mut Vec<u8>, path_id: Option<u32>, address: &[u8], len: u8) {
    if let Some(id) = path_id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.push(len);
    out.extend_from_slice(address.get(..usize::from(len).div_ceil(8)).unwrap_or(address));
}

/// Appends a prefix, behind its path identifier if it has one (RFC 7911 §3).
#[inline]
pub fn write_ipv4(out: &mut Vec<u8>, path_id: Option<u32>, prefix: Ipv4Net) {
    write_prefix(out, path_id, &prefix.network().octets(), prefix.prefix_len());
}

/// Appends a prefix, behind its path identifier if it has one (RFC 7911 §3).
#[inline]
pub fn write_ipv6(out: &mut Vec<u8>, path_id: Option<u32>, prefix: Ipv6Net) {
    write_prefix(out, path_id, &prefix.network().octets(), prefix.prefix_len());
}

/// Appends a prefix of either family.
pub fn write(out: &mut Vec<u8>, path_id: Option<u32>, prefix: IpNet) {
    match prefix {
        IpNet::V4(p) => write_ipv4(out, path_id, p),
        IpNet::V6(p) => write_ipv6(out, path_id, p),
    }
}

/// How many octets a prefix of this length takes.
#[inline]
pub fn encoded_len(prefix_len: u8, path_id: bool) -> usize {
    1 + usize::from(prefix_len).div_ceil(8) + if path_id { 4 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn rfc4271_4_3_prefixes_of_every_length() {
        for len in 0..=32 {
            let prefix = Ipv4Net::new("203.0.113.255".parse().unwrap(), len).unwrap().trunc();
            let mut out = Vec::new();
            write_ipv4(&mut out, None, prefix);
            assert_eq!(out.len(), encoded_len(len, false));
            // The last prefix of a field and one with more behind it are read by different code.
            out.extend_from_within(..);
            out.extend_from_slice(&[0; 8]);
            let nlri = Nlri::parse(&out, Family::Ipv4Unicast, false).unwrap();
            let got: Vec<_> = nlri.ipv4().take(2).collect();
            assert_eq!(got, [(0, prefix), (0, prefix)]);
            let alone = Nlri::parse(&out[..encoded_len(len, false)], Family::Ipv4Unicast, false).unwrap();
            assert_eq!(alone.ipv4().collect::<Vec<_>>(), [(0, prefix)]);
        }
        for len in 0..=128 {
            let prefix = Ipv6Net::new("2001:db8:ffff:ffff::ffff".parse().unwrap(), len).unwrap().trunc();
            let mut out = Vec::new();
            write_ipv6(&mut out, Some(7), prefix);
            assert_eq!(out.len(), encoded_len(len, true));
            let nlri = Nlri::parse(&out, Family::Ipv6Unicast, true).unwrap();
            assert_eq!(nlri.ipv6().collect::<Vec<_>>(), [(7, prefix)]);
            assert_eq!(nlri.ipv4().count(), 0);
        }
    }

    #[test]
    fn rfc4760_5_trailing_bits_are_irrelevant() {
        let bytes = [20, 10, 1, 0xff, 20, 10, 1, 0xff, 0, 0, 0, 0];
        let nlri = Nlri::parse(&bytes[..8], Family::Ipv4Unicast, false).unwrap();
        assert_eq!(nlri.ipv4().map(|(_, p)| p).collect::<Vec<_>>(), [v4("10.1.240.0/20"); 2]);
    }

    #[test]
    fn rfc7606_5_3_syntactic_correctness() {
        let cases: [(&[u8], Family, bool, bool); 12] = [
            (&[], Family::Ipv4Unicast, false, true),
            (&[0], Family::Ipv4Unicast, false, true),
            (&[32, 1, 2, 3, 4], Family::Ipv4Unicast, false, true),
            (&[33, 1, 2, 3, 4, 5], Family::Ipv4Unicast, false, false),
            (&[24, 1, 2], Family::Ipv4Unicast, false, false),
            (&[8, 1, 9], Family::Ipv4Unicast, false, false),
            (&[129; 18], Family::Ipv6Unicast, false, false),
            (&[33, 1, 2, 3, 4, 5], Family::Ipv6Unicast, false, true),
            (&[0, 0, 0, 1], Family::Ipv4Unicast, true, false),
            (&[0, 0, 0, 1, 8, 10], Family::Ipv4Unicast, true, true),
            (&[3, 1, 8, 10], Family::Ipv4Flowspec, false, true),
            (&[0xf0, 4, 1, 8, 10], Family::Ipv4Flowspec, false, false),
        ];
        for (bytes, family, add_path, accepted) in cases {
            let got = Nlri::parse(bytes, family, add_path);
            assert_eq!(got.is_ok(), accepted, "{bytes:?} {family} {add_path}");
        }
    }
}
