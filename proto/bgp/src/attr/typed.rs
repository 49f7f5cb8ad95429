//! Every known attribute as a typed value, for tests, tools and routes that we make ourselves. What comes
//! from peers is read in place instead.

use std::net::Ipv4Addr;

use ipnet::IpNet;

use super::list::RawAttribute;
use super::{check, code, flags};
use crate::aspath::{AsPathBuf, Width, raw_segments};
use crate::community::{Community, ExtendedCommunity, LargeCommunity};
use crate::error::{AttributeFault, FaultKind, Verdict};
use crate::nlri::Nlri;
use crate::types::{Asn, Family, NextHop, RouterId};
use crate::update::ReadContext;
use crate::wire::words;

/// Where a route came from first (RFC 4271 §5.1.1). The lower is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Origin {
    /// Interior to the originating AS.
    #[default]
    Igp = 0,
    /// Learned by EGP (RFC 904).
    Egp = 1,
    /// Learned some other way.
    Incomplete = 2,
}

impl TryFrom<u8> for Origin {
    type Error = FaultKind;

    fn try_from(n: u8) -> Result<Origin, FaultKind> {
        match n {
            0 => Ok(Origin::Igp),
            1 => Ok(Origin::Egp),
            2 => Ok(Origin::Incomplete),
            _ => Err(FaultKind::UndefinedOrigin),
        }
    }
}

/// Who aggregated a route (RFC 4271 §5.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// Its AS.
    pub asn: Asn,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A prefix with its path identifier, where there are some (RFC 7911).
pub type PathPrefix = (Option<u32>, IpNet);

/// A path attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathAttribute {
    /// RFC 4271 §5.1.1.
    Origin(Origin),
    /// RFC 4271 §5.1.2.
    AsPath(AsPathBuf),
    /// RFC 4271 §5.1.3.
    NextHop(Ipv4Addr),
    /// RFC 4271 §5.1.4.
    MultiExitDisc(u32),
    /// RFC 4271 §5.1.5.
    LocalPref(u32),
    /// RFC 4271 §5.1.6.
    AtomicAggregate,
    /// RFC 4271 §5.1.7.
    Aggregator(Aggregator),
    /// RFC 1997.
    Communities(Vec<Community>),
    /// RFC 4456 §8.
    OriginatorId(RouterId),
    /// RFC 4456 §8, the nearest cluster first.
    ClusterList(Vec<RouterId>),
    /// RFC 4760 §3.
    MpReach {
        /// The family of the prefixes.
        family: Family,
        /// Their next hop.
        next_hop: NextHop,
        /// The prefixes.
        nlri: Vec<PathPrefix>,
    },
    /// RFC 4760 §4.
    MpUnreach {
        /// The family of the prefixes.
        family: Family,
        /// The prefixes.
        nlri: Vec<PathPrefix>,
    },
    /// RFC 4360.
    ExtendedCommunities(Vec<ExtendedCommunity>),
    /// RFC 6793 §3.
    As4Path(AsPathBuf),
    /// RFC 6793 §3.
    As4Aggregator(Aggregator),
    /// RFC 5701.
    Ipv6ExtendedCommunities(Vec<[u8; 20]>),
    /// RFC 8092.
    LargeCommunities(Vec<LargeCommunity>),
    /// RFC 9234 §5.
    OnlyToCustomer(Asn),
    /// One that is not known, or an MP attribute of a typed family that has no typed form here.
    Unknown {
        /// Flags.
        flags: u8,
        /// Type code.
        code: u8,
        /// Value.
        value: Vec<u8>,
    },
}

/// Reads one attribute into its typed form.
///
/// # Errors
/// The fault with its verdict, as [`update::parse`](crate::update::parse) finds it.
pub fn decode(flags: u8, code: u8, value: &[u8], ctx: &ReadContext) -> Result<PathAttribute, AttributeFault> {
    let raw = RawAttribute { flags, code, value };
    match code {
        code::MP_REACH_NLRI => mp_reach(&raw, ctx),
        code::MP_UNREACH_NLRI => {
            let nlri = check::mp_unreach(&raw, ctx)?;
            Ok(prefixes(&nlri).map_or_else(
                || unknown(&raw),
                |list| PathAttribute::MpUnreach { family: nlri.family(), nlri: list },
            ))
        }
        _ => {
            check::attribute(&raw, ctx)?;
            known(&raw, ctx)
                .ok_or_else(|| AttributeFault::new(code, FaultKind::Length, Verdict::TreatAsWithdraw))
        }
    }
}

fn unknown(raw: &RawAttribute<'_>) -> PathAttribute {
    let flags = raw.flags & !flags::EXTENDED;
    PathAttribute::Unknown { flags, code: raw.code, value: raw.value.to_vec() }
}

fn mp_reach(raw: &RawAttribute<'_>, ctx: &ReadContext) -> Result<PathAttribute, AttributeFault> {
    let read = check::mp_reach(raw, ctx)?;
    if !read.next_hop_is_host {
        return Err(AttributeFault::new(raw.code, FaultKind::InvalidNextHop, Verdict::TreatAsWithdraw));
    }
    Ok(match (read.next_hop, prefixes(&read.nlri)) {
        (Some(next_hop), Some(nlri)) => PathAttribute::MpReach { family: read.nlri.family(), next_hop, nlri },
        _ => unknown(raw),
    })
}

/// The prefixes of a unicast family; flow specifications have none.
fn prefixes(nlri: &Nlri<'_>) -> Option<Vec<PathPrefix>> {
    let ids = nlri.has_path_ids();
    matches!(nlri.family(), Family::Ipv4Unicast | Family::Ipv6Unicast)
        .then(|| nlri.iter().map(|(id, prefix)| (ids.then_some(id), prefix)).collect())
}

/// Reads a value that [`check`] accepted.
fn known(raw: &RawAttribute<'_>, ctx: &ReadContext) -> Option<PathAttribute> {
    let value = raw.value;
    let number = || value.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
    Some(match raw.code {
        code::ORIGIN => PathAttribute::Origin(Origin::try_from(*value.first()?).ok()?),
        code::AS_PATH => PathAttribute::AsPath(path(value, check::width(ctx))),
        code::NEXT_HOP => PathAttribute::NextHop(number()?.into()),
        code::MULTI_EXIT_DISC => PathAttribute::MultiExitDisc(number()?),
        code::LOCAL_PREF => PathAttribute::LocalPref(number()?),
        code::ATOMIC_AGGREGATE => PathAttribute::AtomicAggregate,
        code::AGGREGATOR => PathAttribute::Aggregator(aggregator(value)?),
        code::COMMUNITIES => PathAttribute::Communities(words(value).map(Community).collect()),
        code::ORIGINATOR_ID => PathAttribute::OriginatorId(number()?.into()),
        code::CLUSTER_LIST => PathAttribute::ClusterList(words(value).map(RouterId::from).collect()),
        code::EXTENDED_COMMUNITIES => PathAttribute::ExtendedCommunities(
            value.as_chunks::<8>().0.iter().map(|c| ExtendedCommunity(u64::from_be_bytes(*c))).collect(),
        ),
        code::AS4_PATH => PathAttribute::As4Path(path_without_confederation(value)),
        code::AS4_AGGREGATOR => PathAttribute::As4Aggregator(aggregator(value)?),
        code::IPV6_EXTENDED_COMMUNITIES => {
            PathAttribute::Ipv6ExtendedCommunities(value.as_chunks::<20>().0.to_vec())
        }
        code::LARGE_COMMUNITY => PathAttribute::LargeCommunities(large(value).collect()),
        code::ONLY_TO_CUSTOMER => PathAttribute::OnlyToCustomer(Asn(number()?)),
        _ => unknown(raw),
    })
}

fn path(value: &[u8], width: Width) -> AsPathBuf {
    let mut path = AsPathBuf::new();
    for segment in raw_segments(value, width) {
        path.push(segment.kind, segment.asns().map(Asn));
    }
    path
}

/// RFC 6793 §6: such segments of an AS4_PATH are discarded.
fn path_without_confederation(value: &[u8]) -> AsPathBuf {
    let mut path = AsPathBuf::new();
    for segment in raw_segments(value, Width::Four).filter(|s| !s.kind.is_confederation()) {
        path.push(segment.kind, segment.asns().map(Asn));
    }
    path
}

/// The triples of a LARGE_COMMUNITY value.
pub(crate) fn large(value: &[u8]) -> impl ExactSizeIterator<Item = LargeCommunity> + Clone + '_ {
    let word = |c: &[u8; 12], n: usize| c.as_chunks::<4>().0.get(n).map_or(0, |w| u32::from_be_bytes(*w));
    value.as_chunks::<12>().0.iter().map(move |c| LargeCommunity(word(c, 0), word(c, 1), word(c, 2)))
}

/// An AGGREGATOR value with an AS number of either width.
pub(crate) fn aggregator(value: &[u8]) -> Option<Aggregator> {
    let (asn, address) = value.split_last_chunk::<4>()?;
    let asn = asn.iter().fold(0, |n, b| n << 8 | u32::from(*b));
    Some(Aggregator { asn: Asn(asn), address: Ipv4Addr::from(*address) })
}

impl PathAttribute {
    /// The type code.
    pub fn code(&self) -> u8 {
        match self {
            PathAttribute::Origin(_) => code::ORIGIN,
            PathAttribute::AsPath(_) => code::AS_PATH,
            PathAttribute::NextHop(_) => code::NEXT_HOP,
            PathAttribute::MultiExitDisc(_) => code::MULTI_EXIT_DISC,
            PathAttribute::LocalPref(_) => code::LOCAL_PREF,
            PathAttribute::AtomicAggregate => code::ATOMIC_AGGREGATE,
            PathAttribute::Aggregator(_) => code::AGGREGATOR,
            PathAttribute::Communities(_) => code::COMMUNITIES,
            PathAttribute::OriginatorId(_) => code::ORIGINATOR_ID,
            PathAttribute::ClusterList(_) => code::CLUSTER_LIST,
            PathAttribute::MpReach { .. } => code::MP_REACH_NLRI,
            PathAttribute::MpUnreach { .. } => code::MP_UNREACH_NLRI,
            PathAttribute::ExtendedCommunities(_) => code::EXTENDED_COMMUNITIES,
            PathAttribute::As4Path(_) => code::AS4_PATH,
            PathAttribute::As4Aggregator(_) => code::AS4_AGGREGATOR,
            PathAttribute::Ipv6ExtendedCommunities(_) => code::IPV6_EXTENDED_COMMUNITIES,
            PathAttribute::LargeCommunities(_) => code::LARGE_COMMUNITY,
            PathAttribute::OnlyToCustomer(_) => code::ONLY_TO_CUSTOMER,
            PathAttribute::Unknown { code, .. } => *code,
        }
    }
}
