//! The small values that everything else is made of: AS numbers, identifiers, address families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The 2-octet AS number that stands for a 4-octet one towards an old speaker (RFC 6793 §9).
pub const AS_TRANS: u16 = 23456;

/// The largest BGP message without the extended message capability, in octets (RFC 4271 §4).
pub const MAX_MESSAGE: usize = 4096;

/// The largest BGP message with the extended message capability, in octets (RFC 8654 §3).
pub const MAX_EXTENDED_MESSAGE: usize = 65535;

/// Address family identifier (RFC 4760 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Afi(pub u16);

impl Afi {
    /// IPv4.
    pub const IPV4: Afi = Afi(1);
    /// IPv6.
    pub const IPV6: Afi = Afi(2);
}

/// Subsequent address family identifier (RFC 4760 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Safi(pub u8);

impl Safi {
    /// Unicast forwarding.
    pub const UNICAST: Safi = Safi(1);
    /// Flow specification (RFC 8955 §4).
    pub const FLOWSPEC: Safi = Safi(133);
}

/// An address family (AFI and SAFI) that this daemon knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4Unicast = 0,
    /// AFI 2, SAFI 1.
    Ipv6Unicast = 1,
    /// AFI 1, SAFI 133 (RFC 8955).
    Ipv4Flowspec = 2,
    /// AFI 2, SAFI 133 (RFC 8956).
    Ipv6Flowspec = 3,
}

impl Family {
    /// Every family, in the order of their numbers.
    pub const ALL: [Family; 4] =
        [Family::Ipv4Unicast, Family::Ipv6Unicast, Family::Ipv4Flowspec, Family::Ipv6Flowspec];

    /// The family of these identifiers, or `None` for one that is not known here.
    pub fn from_afi_safi(afi: Afi, safi: Safi) -> Option<Family> {
        match (afi, safi) {
            (Afi::IPV4, Safi::UNICAST) => Some(Family::Ipv4Unicast),
            (Afi::IPV6, Safi::UNICAST) => Some(Family::Ipv6Unicast),
            (Afi::IPV4, Safi::FLOWSPEC) => Some(Family::Ipv4Flowspec),
            (Afi::IPV6, Safi::FLOWSPEC) => Some(Family::Ipv6Flowspec),
            _ => None,
        }
    }

    /// The address family identifier.
    pub fn afi(self) -> Afi {
        match self {
            Family::Ipv4Unicast | Family::Ipv4Flowspec => Afi::IPV4,
            Family::Ipv6Unicast | Family::Ipv6Flowspec => Afi::IPV6,
        }
    }

    /// The subsequent address family identifier.
    pub fn safi(self) -> Safi {
        match self {
            Family::Ipv4Unicast | Family::Ipv6Unicast => Safi::UNICAST,
            Family::Ipv4Flowspec | Family::Ipv6Flowspec => Safi::FLOWSPEC,
        }
    }

    /// The longest prefix of the family's addresses, in bits: 32 or 128.
    pub fn max_prefix_len(self) -> u8 {
        if self.afi() == Afi::IPV4 { 32 } else { 128 }
    }

    /// The name that configuration, API and command line use.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ipv4Unicast => "ipv4_unicast",
            Family::Ipv6Unicast => "ipv6_unicast",
            Family::Ipv4Flowspec => "ipv4_flowspec",
            Family::Ipv6Flowspec => "ipv6_flowspec",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no address family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown address family {0:?}: must be ipv4_unicast, ipv6_unicast, ipv4_flowspec or ipv6_flowspec")]
pub struct UnknownFamily(pub String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(s: &str) -> Result<Family, UnknownFamily> {
        Family::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| UnknownFamily(s.to_owned()))
    }
}

/// A set of address families, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: FamilySet = FamilySet(0);

    /// The set with `family` as well.
    #[must_use]
    pub fn with(self, family: Family) -> FamilySet {
        FamilySet(self.0 | 1 << family as u8)
    }

    /// Adds `family`.
    pub fn insert(&mut self, family: Family) {
        *self = self.with(family);
    }

    /// Whether `family` is in the set.
    pub fn contains(self, family: Family) -> bool {
        self.0 & (1 << family as u8) != 0
    }

    /// The families that both sets have.
    #[must_use]
    pub fn intersection(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 & other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The families in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<T: IntoIterator<Item = Family>>(iter: T) -> FamilySet {
        iter.into_iter().fold(FamilySet::EMPTY, FamilySet::with)
    }
}

/// An autonomous system number of four octets (RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asn(pub u32);

impl Asn {
    /// The number as an old speaker's 2-octet field carries it: itself, or [`AS_TRANS`].
    pub fn to_two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(AS_TRANS)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BGP identifier: four octets, not zero, written like an IPv4 address (RFC 6286 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouterId(pub Ipv4Addr);

impl RouterId {
    /// The identifier as a number, which is how identifiers are compared (RFC 6286 §2.3).
    pub fn to_u32(self) -> u32 {
        self.0.into()
    }
}

impl From<u32> for RouterId {
    fn from(n: u32) -> RouterId {
        RouterId(n.into())
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The next hop of a route: one address, or an IPv6 pair (RFC 2545 §3, RFC 8950 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NextHop {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A global IPv6 address.
    V6(Ipv6Addr),
    /// A global and a link-local IPv6 address.
    V6Pair(Ipv6Addr, Ipv6Addr),
}

impl NextHop {
    /// The address that counts outside of the link: the only one, or the global one.
    pub fn global(self) -> IpAddr {
        match self {
            NextHop::V4(a) => a.into(),
            NextHop::V6(a) | NextHop::V6Pair(a, _) => a.into(),
        }
    }
}

impl From<IpAddr> for NextHop {
    fn from(a: IpAddr) -> NextHop {
        match a {
            IpAddr::V4(a) => NextHop::V4(a),
            IpAddr::V6(a) => NextHop::V6(a),
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.global().fmt(f)
    }
}
