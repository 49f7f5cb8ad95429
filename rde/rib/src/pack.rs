//! UPDATE messages from attributes and prefixes (RFC 4271 §4.3, RFC 4760 §3 and §4): as many prefixes in a
//! message as fit.

use bgp::attr::{code, flags, mp_next_hop};
use bgp::header::{self, MessageType};
use bgp::{Family, NextHop};

use crate::rib::{Sink, Target};
use crate::slots::Addr;

/// Octets of an UPDATE beside attributes and prefixes: header, two length fields.
pub(crate) const UPDATE_OVERHEAD: usize = header::HEADER_LEN + 4;

/// Octets of MP_REACH_NLRI beside next hop and prefixes: attribute header, AFI, SAFI, next hop length,
/// reserved.
const MP_REACH_OVERHEAD: usize = 4 + 2 + 1 + 1 + 1;

/// The flags of MP_REACH_NLRI and MP_UNREACH_NLRI: optional, extended length.
const MP_FLAGS: u8 = 0x90;

fn patch(out: &mut [u8], at: usize, len: usize) {
    if let (Ok(len), Some(place)) = (u16::try_from(len), out.get_mut(at..at + 2)) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// Octets that a next hop adds to MP_REACH_NLRI.
fn next_hop_len(next_hop: NextHop) -> usize {
    match next_hop {
        NextHop::V4(_) => 4,
        NextHop::V6(_) => 16,
        NextHop::V6Pair(..) => 32,
    }
}

fn afi_safi(out: &mut Vec<u8>, family: Family) {
    out.extend_from_slice(&family.afi().0.to_be_bytes());
    out.push(family.safi().0);
}

/// The shape of an announcement: what comes before its prefixes and behind them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    /// Path attributes, ready; NEXT_HOP among them unless `mp` is set.
    pub(crate) attributes: &'a [u8],
    /// Carry prefixes and this next hop in MP_REACH_NLRI.
    pub(crate) mp: Option<NextHop>,
    pub(crate) max_message: usize,
}

impl Shape<'_> {
    /// Whether a message has room for one prefix at least.
    pub(crate) fn fits(&self, max_nlri: usize) -> bool {
        let mp = self.mp.map_or(0, |n| MP_REACH_OVERHEAD + next_hop_len(n));
        UPDATE_OVERHEAD + mp + self.attributes.len() + max_nlri <= self.max_message
    }
}

/// A prefix as it is written: address, length, path identifier where the peer wants one (RFC 7911 §3).
pub(crate) type Nlri<A> = (A, u8, Option<u32>);

/// Octets of a path identifier.
pub(crate) const PATH_ID: usize = 4;

/// Writes announcements of `prefixes` for `target`; returns the octets written.
pub(crate) fn announce<A: Addr>(
    shape: Shape<'_>,
    prefixes: impl Iterator<Item = Nlri<A>>,
    target: Target,
    sink: &mut impl Sink,
) -> u64 {
    // With MP_REACH_NLRI in front, the attributes follow behind the prefixes.
    let behind = if shape.mp.is_some() { shape.attributes.len() } else { 0 };
    write_all(prefixes, shape.max_message - behind, target, sink, |out| {
        let start = header::write(out, MessageType::Update);
        out.extend_from_slice(&[0, 0]);
        let Some(next_hop) = shape.mp else {
            let len_at = out.len();
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(shape.attributes);
            patch(out, len_at, shape.attributes.len());
            return Message { start, attributes_at: None, prefixes_at: None, behind: &[] };
        };
        let attributes_at = Some(out.len());
        out.extend_from_slice(&[0, 0, MP_FLAGS, code::MP_REACH_NLRI, 0, 0]);
        let prefixes_at = Some(out.len() - 2);
        afi_safi(out, A::FAMILY);
        mp_next_hop(out, next_hop);
        out.push(0);
        Message { start, attributes_at, prefixes_at, behind: shape.attributes }
    })
}

/// Writes withdrawals of `prefixes` for `target`; returns the octets written.
pub(crate) fn withdraw<A: Addr>(
    max_message: usize,
    prefixes: impl Iterator<Item = Nlri<A>>,
    target: Target,
    sink: &mut impl Sink,
) -> u64 {
    if A::FAMILY == Family::Ipv4Unicast {
        return write_all(prefixes, max_message - 2, target, sink, |out| {
            let start = header::write(out, MessageType::Update);
            out.extend_from_slice(&[0, 0]);
            Message { start, attributes_at: None, prefixes_at: Some(out.len() - 2), behind: &[0, 0] }
        });
    }
    write_all(prefixes, max_message, target, sink, |out| {
        let start = header::write(out, MessageType::Update);
        let attributes_at = Some(out.len() + 2);
        out.extend_from_slice(&[0, 0, 0, 0, MP_FLAGS, code::MP_UNREACH_NLRI, 0, 0]);
        let prefixes_at = Some(out.len() - 2);
        afi_safi(out, A::FAMILY);
        Message { start, attributes_at, prefixes_at, behind: &[] }
    })
}

/// The End-of-RIB marker of a family (RFC 4724 §2).
pub fn end_of_rib(family: Family) -> Vec<u8> {
    let mut out = Vec::with_capacity(UPDATE_OVERHEAD + 6);
    let start = header::write(&mut out, MessageType::Update);
    out.extend_from_slice(&[0, 0]);
    if family == Family::Ipv4Unicast {
        out.extend_from_slice(&[0, 0]);
    } else {
        out.extend_from_slice(&[0, 6, flags::OPTIONAL, code::MP_UNREACH_NLRI, 3]);
        afi_safi(&mut out, family);
    }
    header::finish(&mut out, start);
    out
}

/// A message whose prefixes are being appended.
struct Message<'a> {
    start: usize,
    /// Where the length of all attributes is patched.
    attributes_at: Option<usize>,
    /// Where the length of the field that holds the prefixes is patched.
    prefixes_at: Option<usize>,
    /// What follows the prefixes.
    behind: &'a [u8],
}

/// Writes messages until there are no prefixes left. `max`: where a message must end before `behind`.
fn write_all<'m, A: Addr>(
    prefixes: impl Iterator<Item = Nlri<A>>,
    max: usize,
    target: Target,
    sink: &mut impl Sink,
    begin: impl Fn(&mut Vec<u8>) -> Message<'m>,
) -> u64 {
    let mut prefixes = prefixes.peekable();
    let mut total = 0;
    while let Some((.., path_id)) = prefixes.peek() {
        let longest = A::MAX_NLRI + path_id.map_or(0, |_| PATH_ID);
        let out = sink.begin(target);
        let message = begin(out);
        while out.len() - message.start + longest <= max {
            let Some((addr, len, path_id)) = prefixes.next() else { break };
            addr.write(len, path_id, out);
        }
        if let Some(at) = message.prefixes_at {
            let len = out.len() - at - 2;
            patch(out, at, len);
        }
        out.extend_from_slice(message.behind);
        if let Some(at) = message.attributes_at {
            let len = out.len() - at - 2;
            patch(out, at, len);
        }
        header::finish(out, message.start);
        total += (out.len() - message.start) as u64;
        sink.end();
    }
    total
}
