//! What an attribute may look like: the one place for the rules of RFC 7606 §3, §5.3 and §7 and of the
//! RFCs that it refers to.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::list::RawAttribute;
use super::{code, flags};
use crate::aspath::{self, Width};
use crate::error::{AttributeFault, FaultKind, Verdict};
use crate::nlri::Nlri;
use crate::types::{Afi, Family, NextHop, Safi};
use crate::update::ReadContext;
use crate::wire::Reader;

/// What is wrong and what it leads to.
type Check<T = ()> = Result<T, (FaultKind, Verdict)>;

const WITHDRAW: Verdict = Verdict::TreatAsWithdraw;
const DISCARD: Verdict = Verdict::Discard;

/// Checks an attribute other than MP_REACH_NLRI and MP_UNREACH_NLRI by itself: whether its sender may
/// send it, its flags, its value.
#[inline]
pub(crate) fn attribute(a: &RawAttribute<'_>, ctx: &ReadContext) -> Result<(), AttributeFault> {
    let checked = sender(a.code, ctx).and_then(|()| attribute_flags(a)).and_then(|()| value(a, ctx));
    checked.map_err(|(kind, verdict)| AttributeFault::new(a.code, kind, verdict))
}

/// Attributes that the peer should not send at all are discarded, however malformed they are.
#[inline]
fn sender(code: u8, ctx: &ReadContext) -> Check {
    match code {
        // RFC 7606 §7.5, §7.9, §7.10.
        code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST if ctx.external => {
            Err((FaultKind::FromExternalPeer, DISCARD))
        }
        // RFC 6793 §6.
        code::AS4_PATH | code::AS4_AGGREGATOR if ctx.four_octet_as => {
            Err((FaultKind::FromNewSpeaker, DISCARD))
        }
        _ => Ok(()),
    }
}

/// RFC 7606 §3 c; for MP_REACH_NLRI and MP_UNREACH_NLRI §5.3, where the prefixes then count as not found.
/// An attribute that claims to be well-known and that we don't know still ends the session: RFC 4271
/// §6.3, which RFC 7606 leaves as it is.
#[inline]
fn attribute_flags(a: &RawAttribute<'_>) -> Check {
    const MASK: u8 = flags::OPTIONAL | flags::TRANSITIVE;
    match code::specified_flags(a.code) {
        Some(specified) if a.flags & MASK == specified => Ok(()),
        Some(_) if matches!(a.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) => {
            Err((FaultKind::Flags, Verdict::Reset))
        }
        Some(_) => Err((FaultKind::Flags, WITHDRAW)),
        None if a.flags & flags::OPTIONAL == 0 => Err((FaultKind::UnrecognizedWellKnown, Verdict::Reset)),
        None => Ok(()),
    }
}

#[inline]
fn value(a: &RawAttribute<'_>, ctx: &ReadContext) -> Check {
    let len = a.value.len();
    let length = |ok: bool, verdict| if ok { Ok(()) } else { Err((FaultKind::Length, verdict)) };
    // "Non-zero multiple": RFC 7606 §7.8, §7.10, §7.14, §7.15, RFC 8092 §6.
    let multiple_of = |n| length(len != 0 && len.is_multiple_of(n), WITHDRAW);
    match a.code {
        code::ORIGIN => match a.value {
            [0..=2] => Ok(()),
            [_] => Err((FaultKind::UndefinedOrigin, WITHDRAW)),
            _ => Err((FaultKind::Length, WITHDRAW)),
        },
        code::AS_PATH => as_path(a.value, ctx),
        // RFC 7606 §7.3, §7.4, §7.5, §7.9, RFC 9234 §5.
        code::NEXT_HOP
        | code::MULTI_EXIT_DISC
        | code::LOCAL_PREF
        | code::ORIGINATOR_ID
        | code::ONLY_TO_CUSTOMER => length(len == 4, WITHDRAW),
        code::ATOMIC_AGGREGATE => length(len == 0, DISCARD),
        code::AGGREGATOR => aggregator(a.value, width(ctx)),
        code::COMMUNITIES | code::CLUSTER_LIST => multiple_of(4),
        code::EXTENDED_COMMUNITIES => multiple_of(8),
        code::LARGE_COMMUNITY => multiple_of(12),
        code::IPV6_EXTENDED_COMMUNITIES => multiple_of(20),
        code::AS4_PATH => as4_path(a.value),
        code::AS4_AGGREGATOR => aggregator(a.value, Width::Four),
        _ => Ok(()),
    }
}

pub(crate) fn width(ctx: &ReadContext) -> Width {
    if ctx.four_octet_as { Width::Four } else { Width::Two }
}

/// RFC 7606 §7.2, RFC 7607 §2, RFC 5065 §5.
#[inline]
fn as_path(value: &[u8], ctx: &ReadContext) -> Check {
    let width = width(ctx);
    // With 4-octet AS numbers it would not fit an attribute any more.
    if width == Width::Two && value.len() > usize::from(u16::MAX) / 2 {
        return Err((FaultKind::MalformedPath, WITHDRAW));
    }
    match aspath::check(value, width) {
        Ok(false) => Ok(()),
        Ok(true) => Err((FaultKind::ConfederationSegment, WITHDRAW)),
        Err(kind) => Err((kind, WITHDRAW)),
    }
}

/// RFC 6793 §6, RFC 7607 §2. Confederation segments in it are left out, not an error.
fn as4_path(value: &[u8]) -> Check {
    if value.len() < 6 || !value.len().is_multiple_of(2) {
        return Err((FaultKind::Length, DISCARD));
    }
    aspath::check(value, Width::Four).map(drop).map_err(|kind| (kind, DISCARD))
}

/// RFC 7606 §7.7, RFC 6793 §6, RFC 7607 §2: an AS number of this width and an IPv4 address.
#[inline]
fn aggregator(value: &[u8], width: Width) -> Check {
    let octets = width as usize;
    match value.split_at_checked(octets) {
        Some((asn, address)) if address.len() == 4 => {
            if asn.iter().all(|b| *b == 0) {
                Err((FaultKind::AsZero, DISCARD))
            } else {
                Ok(())
            }
        }
        _ => Err((FaultKind::Length, DISCARD)),
    }
}

/// MP_REACH_NLRI as far as it could be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MpReach<'a> {
    pub(crate) nlri: Nlri<'a>,
    /// Flow specifications have none (RFC 8955 §4).
    pub(crate) next_hop: Option<NextHop>,
    /// RFC 4760 §3: the same rules as for NEXT_HOP.
    pub(crate) next_hop_is_host: bool,
}

/// Reads MP_REACH_NLRI (RFC 4760 §3). Where prefixes or next hop can't be found the verdict is
/// [`Verdict::Reset`] (RFC 7606 §5.3, §7.11); a family that was not agreed on is discarded.
#[inline]
pub(crate) fn mp_reach<'a>(a: &RawAttribute<'a>, ctx: &ReadContext) -> Result<MpReach<'a>, AttributeFault> {
    let fault = |(kind, verdict)| AttributeFault::new(a.code, kind, verdict);
    attribute_flags(a).map_err(fault)?;
    mp_reach_value(a.value, ctx).map_err(fault)
}

const MALFORMED_NLRI: (FaultKind, Verdict) = (FaultKind::MalformedNlri, Verdict::Reset);

#[inline]
fn mp_reach_value<'a>(value: &'a [u8], ctx: &ReadContext) -> Check<MpReach<'a>> {
    if value.len() < 5 {
        return Err(MALFORMED_NLRI);
    }
    let mut reader = Reader(value);
    let family = family(&mut reader, ctx)?;
    let next_hop = reader.u8().and_then(|n| reader.take(usize::from(n))).ok_or(MALFORMED_NLRI)?;
    let next_hop = next_hop_field(next_hop, family).ok_or(MALFORMED_NLRI)?;
    // Reserved: ignored on receipt (RFC 4760 §3).
    reader.u8().ok_or(MALFORMED_NLRI)?;
    let nlri = nlri(reader.0, family, ctx)?;
    Ok(MpReach { nlri, next_hop, next_hop_is_host: next_hop.is_none_or(next_hop_is_host) })
}

/// Reads MP_UNREACH_NLRI (RFC 4760 §4), with the verdicts of [`mp_reach`].
#[inline]
pub(crate) fn mp_unreach<'a>(a: &RawAttribute<'a>, ctx: &ReadContext) -> Result<Nlri<'a>, AttributeFault> {
    let fault = |(kind, verdict)| AttributeFault::new(a.code, kind, verdict);
    attribute_flags(a).map_err(fault)?;
    let mut reader = Reader(a.value);
    family(&mut reader, ctx).and_then(|family| nlri(reader.0, family, ctx)).map_err(fault)
}

#[inline]
fn family(reader: &mut Reader<'_>, ctx: &ReadContext) -> Check<Family> {
    let afi = Afi(reader.u16().ok_or(MALFORMED_NLRI)?);
    let safi = Safi(reader.u8().ok_or(MALFORMED_NLRI)?);
    Family::from_afi_safi(afi, safi)
        .filter(|f| ctx.families.contains(*f))
        .ok_or((FaultKind::FamilyNotNegotiated { afi, safi }, DISCARD))
}

#[inline]
fn nlri<'a>(bytes: &'a [u8], family: Family, ctx: &ReadContext) -> Check<Nlri<'a>> {
    Nlri::parse(bytes, family, ctx.add_path.contains(family)).map_err(|_| MALFORMED_NLRI)
}

/// The next hop of MP_REACH_NLRI; the outer `None` is for a length that the family doesn't have
/// (RFC 2545 §3, RFC 8950 §3, RFC 8955 §4).
#[inline]
fn next_hop_field(bytes: &[u8], family: Family) -> Option<Option<NextHop>> {
    let v6 = |b: &[u8; 16]| Ipv6Addr::from(*b);
    match (family, bytes.len()) {
        (Family::Ipv4Flowspec | Family::Ipv6Flowspec, 0) => Some(None),
        (Family::Ipv4Unicast | Family::Ipv4Flowspec, 4) => {
            bytes.first_chunk::<4>().map(|b| Some(NextHop::V4(Ipv4Addr::from(*b))))
        }
        (_, 16) => bytes.first_chunk::<16>().map(|b| Some(NextHop::V6(v6(b)))),
        (_, 32) => {
            let (global, rest) = bytes.split_first_chunk::<16>()?;
            Some(Some(pair(v6(global), v6(rest.first_chunk::<16>()?))))
        }
        _ => None,
    }
}

/// Speakers on a link without global addresses leave one half unspecified; what is left then is an
/// ordinary next hop.
fn pair(global: Ipv6Addr, link_local: Ipv6Addr) -> NextHop {
    match (global.is_unspecified(), link_local.is_unspecified()) {
        (_, true) => NextHop::V6(global),
        (true, false) => NextHop::V6(link_local),
        (false, false) => NextHop::V6Pair(global, link_local),
    }
}

/// Whether it can be the address of a host (RFC 4271 §6.3): not 0/8, multicast or class E, not `::`.
#[inline]
pub(crate) fn next_hop_is_host(next_hop: NextHop) -> bool {
    match next_hop {
        NextHop::V4(a) => (1..224).contains(&a.octets()[0]),
        NextHop::V6(a) | NextHop::V6Pair(a, _) => !a.is_unspecified() && !a.is_multicast(),
    }
}
