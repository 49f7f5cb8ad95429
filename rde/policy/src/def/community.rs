//! How operators write communities: standard (RFC 1997), extended route targets and origins (RFC 4360, RFC 5668),
//! large (RFC 8092), with `*` for a part that may be anything.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use bgp::community::well_known;
use serde::{Deserialize, Serialize};

use crate::sets::exact;

/// One community, or all that have some parts in common. `None` as a part is `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CommunityPattern {
    /// One with a name of its own, such as `NO_EXPORT`.
    WellKnown(u32),
    /// `ASN:VALUE`.
    Standard(Option<u16>, Option<u16>),
    /// `RT:` or `RO:` with `ASN:VALUE` or `IP:VALUE`.
    Extended {
        /// Route target or route origin.
        kind: ExtendedKind,
        /// What is before the value.
        administrator: Administrator,
        /// The value; has 16 bits where the administrator has 32.
        value: Option<u32>,
    },
    /// `LC:G:L1:L2`.
    Large(Option<u32>, Option<u32>, Option<u32>),
}

/// The extended communities that policies know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExtendedKind {
    /// RFC 4360 §4.
    RouteTarget,
    /// RFC 4360 §5.
    RouteOrigin,
}

impl ExtendedKind {
    /// The low-order octet of the type.
    pub(crate) fn subtype(self) -> u8 {
        match self {
            ExtendedKind::RouteTarget => 2,
            ExtendedKind::RouteOrigin => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ExtendedKind::RouteTarget => "RT",
            ExtendedKind::RouteOrigin => "RO",
        }
    }
}

/// The part of an extended community that says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Administrator {
    /// Anybody.
    Any,
    /// An AS. One up to 65535 is written with 2 octets, and recognised with 4 as well (RFC 5668 §2).
    As(u32),
    /// An IPv4 address.
    Address(Ipv4Addr),
}

const NAMES: [(&str, u32); 7] = [
    ("NO_EXPORT", well_known::NO_EXPORT),
    ("NO_ADVERTISE", well_known::NO_ADVERTISE),
    ("NO_EXPORT_SUBCONFED", well_known::NO_EXPORT_SUBCONFED),
    ("BLACKHOLE", well_known::BLACKHOLE),
    ("GRACEFUL_SHUTDOWN", well_known::GRACEFUL_SHUTDOWN),
    ("LLGR_STALE", well_known::LLGR_STALE),
    ("NO_LLGR", well_known::NO_LLGR),
];

/// A text that is no community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommunityError {
    /// It has no such form.
    #[error("must be ASN:VALUE, RT: or RO: with ASN:VALUE or IP:VALUE, LC:G:L1:L2, or a well-known name")]
    Shape,
    /// A part is too large.
    #[error("must have parts that fit: 16 bits in ASN:VALUE, 32 in LC:G:L1:L2, 48 in RT: and RO:")]
    TooLarge,
    /// A part is `*` where one community is wanted.
    #[error("must have no `*`: it is for matching and removing")]
    Wildcard,
}

impl CommunityPattern {
    /// Reads one community, without a wildcard.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse_exact(text: &str) -> Result<CommunityPattern, CommunityError> {
        if text.contains('*') { Err(CommunityError::Wildcard) } else { text.parse() }
    }

    /// A standard community as policies write it.
    pub fn of_standard(community: u32) -> CommunityPattern {
        if NAMES.iter().any(|(_, n)| *n == community) {
            return CommunityPattern::WellKnown(community);
        }
        let [a, b, c, d] = community.to_be_bytes();
        CommunityPattern::Standard(Some(u16::from_be_bytes([a, b])), Some(u16::from_be_bytes([c, d])))
    }

    /// An extended community as policies write it; `None` for a kind that they do not know.
    pub fn of_extended(community: u64) -> Option<CommunityPattern> {
        let [high, low, a, b, c, d, e, f] = community.to_be_bytes();
        let kind = match low {
            2 => ExtendedKind::RouteTarget,
            3 => ExtendedKind::RouteOrigin,
            _ => return None,
        };
        let long = u32::from_be_bytes([a, b, c, d]);
        let (administrator, value) = match high {
            0 => (Administrator::As(u32::from(u16::from_be_bytes([a, b]))), u32::from_be_bytes([c, d, e, f])),
            1 => (Administrator::Address(long.into()), u16::from_be_bytes([e, f]).into()),
            2 => (Administrator::As(long), u16::from_be_bytes([e, f]).into()),
            _ => return None,
        };
        Some(CommunityPattern::Extended { kind, administrator, value: Some(value) })
    }

    /// Its form on the wire: 4, 8 or 12 octets. `None` where a part may be anything.
    pub fn octets(self) -> Option<Vec<u8>> {
        (!self.is_wild()).then(|| exact(self))
    }

    /// Whether a part of it may be anything.
    pub fn is_wild(self) -> bool {
        match self {
            CommunityPattern::WellKnown(_) => false,
            CommunityPattern::Standard(a, b) => a.is_none() || b.is_none(),
            CommunityPattern::Extended { administrator, value, .. } => {
                administrator == Administrator::Any || value.is_none()
            }
            CommunityPattern::Large(a, b, c) => a.is_none() || b.is_none() || c.is_none(),
        }
    }
}

impl FromStr for CommunityPattern {
    type Err = CommunityError;

    fn from_str(text: &str) -> Result<CommunityPattern, CommunityError> {
        if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(CommunityPattern::WellKnown(*number));
        }
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["LC", g, l1, l2] => Ok(CommunityPattern::Large(part(g)?, part(l1)?, part(l2)?)),
            ["RT", administrator, value] => extended(ExtendedKind::RouteTarget, administrator, value),
            ["RO", administrator, value] => extended(ExtendedKind::RouteOrigin, administrator, value),
            [asn, value] => Ok(CommunityPattern::Standard(part(asn)?, part(value)?)),
            _ => Err(CommunityError::Shape),
        }
    }
}

fn extended(kind: ExtendedKind, who: &str, value: &str) -> Result<CommunityPattern, CommunityError> {
    let (administrator, value) = match who.parse::<Ipv4Addr>() {
        Ok(address) => (Administrator::Address(address), part::<u16>(value)?.map(u32::from)),
        Err(_) => match part::<u32>(who)? {
            None => (Administrator::Any, part(value)?),
            Some(asn) if asn <= u16::MAX.into() => (Administrator::As(asn), part(value)?),
            Some(asn) => (Administrator::As(asn), part::<u16>(value)?.map(u32::from)),
        },
    };
    Ok(CommunityPattern::Extended { kind, administrator, value })
}

/// A number that fits a `T`, or `*`.
fn part<T: TryFrom<u64>>(text: &str) -> Result<Option<T>, CommunityError> {
    if text == "*" {
        return Ok(None);
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommunityError::Shape);
    }
    let number = text.parse::<u64>().ok().and_then(|n| T::try_from(n).ok());
    number.map(Some).ok_or(CommunityError::TooLarge)
}

impl fmt::Display for CommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn shown<T: fmt::Display>(part: &Option<T>) -> String {
            part.as_ref().map_or_else(|| "*".to_owned(), T::to_string)
        }
        match self {
            CommunityPattern::WellKnown(number) => match NAMES.iter().find(|(_, n)| n == number) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "{}:{}", number >> 16, number & 0xffff),
            },
            CommunityPattern::Standard(a, b) => write!(f, "{}:{}", shown(a), shown(b)),
            CommunityPattern::Extended { kind, administrator, value } => {
                write!(f, "{}:", kind.name())?;
                match administrator {
                    Administrator::Any => f.write_str("*")?,
                    Administrator::As(asn) => asn.fmt(f)?,
                    Administrator::Address(address) => address.fmt(f)?,
                }
                write!(f, ":{}", shown(value))
            }
            CommunityPattern::Large(a, b, c) => write!(f, "LC:{}:{}:{}", shown(a), shown(b), shown(c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_read_and_shown_alike() {
        for (good, wild) in [
            ("65001:100", false),
            ("0:65535", false),
            ("65001:*", true),
            ("*:*", true),
            ("NO_EXPORT", false),
            ("LLGR_STALE", false),
            ("RT:65001:4294967295", false),
            ("RT:4200000000:65535", false),
            ("RO:192.0.2.1:7", false),
            ("RT:192.0.2.1:*", true),
            ("RT:*:4294967295", true),
            ("LC:4294967295:0:1", false),
            ("LC:*:*:*", true),
        ] {
            let read: CommunityPattern = good.parse().unwrap();
            assert_eq!((read.to_string(), read.is_wild()), (good.to_owned(), wild));
            let exact = CommunityPattern::parse_exact(good);
            assert_eq!(exact, if wild { Err(CommunityError::Wildcard) } else { Ok(read) });
        }
        for (bad, why) in [
            ("65536:1", CommunityError::TooLarge),
            ("1:65536", CommunityError::TooLarge),
            ("RT:4200000000:65536", CommunityError::TooLarge),
            ("RT:192.0.2.1:65536", CommunityError::TooLarge),
            ("RT:4294967296:1", CommunityError::TooLarge),
            ("LC:1:2:4294967296", CommunityError::TooLarge),
            ("65001", CommunityError::Shape),
            ("-1:1", CommunityError::Shape),
            ("+1:1", CommunityError::Shape),
            ("LC:1:2", CommunityError::Shape),
            ("no_export", CommunityError::Shape),
            ("", CommunityError::Shape),
            (":", CommunityError::Shape),
        ] {
            assert_eq!(bad.parse::<CommunityPattern>(), Err(why), "{bad}");
        }
    }
}
