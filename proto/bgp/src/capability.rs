//! Capabilities in OPEN: RFC 5492, and the RFC of each.

use std::fmt;

use crate::role::BgpRole;
use crate::types::{Afi, Asn, Family, Safi};
use crate::wire::Reader;

/// Capability codes (IANA registry "Capability Codes").
pub mod code {
    /// RFC 4760 §8.
    pub const MULTIPROTOCOL: u8 = 1;
    /// RFC 2918 §2.
    pub const ROUTE_REFRESH: u8 = 2;
    /// RFC 8950 §4.
    pub const EXTENDED_NEXT_HOP: u8 = 5;
    /// RFC 8654 §3.
    pub const EXTENDED_MESSAGE: u8 = 6;
    /// RFC 9234 §4.1.
    pub const ROLE: u8 = 9;
    /// RFC 4724 §3.
    pub const GRACEFUL_RESTART: u8 = 64;
    /// RFC 6793 §3.
    pub const FOUR_OCTET_AS: u8 = 65;
    /// RFC 7911 §4.
    pub const ADD_PATH: u8 = 69;
    /// RFC 7313 §3.1.
    pub const ENHANCED_ROUTE_REFRESH: u8 = 70;
    /// RFC 9494 §3.1.
    pub const LONG_LIVED_GRACEFUL_RESTART: u8 = 71;
}

/// Who may send several paths (RFC 7911 §4), seen from who announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AddPathMode {
    /// Able to receive.
    Receive = 1,
    /// Able to send.
    Send = 2,
    /// Both.
    Both = 3,
}

impl AddPathMode {
    /// Whether the announcer takes several paths.
    pub fn receives(self) -> bool {
        self != AddPathMode::Send
    }

    /// Whether the announcer sends several paths.
    pub fn sends(self) -> bool {
        self != AddPathMode::Receive
    }

    fn from_u8(n: u8) -> Option<AddPathMode> {
        match n {
            1 => Some(AddPathMode::Receive),
            2 => Some(AddPathMode::Send),
            3 => Some(AddPathMode::Both),
            _ => None,
        }
    }
}

/// A family in the graceful restart capability (RFC 4724 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GracefulFamily {
    /// Address family identifier.
    pub afi: Afi,
    /// Subsequent address family identifier.
    pub safi: Safi,
    /// F bit: forwarding went on during the restart.
    pub forwarding: bool,
}

/// A family in the long-lived graceful restart capability (RFC 9494 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongLivedFamily {
    /// Address family identifier.
    pub afi: Afi,
    /// Subsequent address family identifier.
    pub safi: Safi,
    /// F bit: forwarding went on during the restart.
    pub forwarding: bool,
    /// How long stale routes may be kept, in seconds (24 bits).
    pub stale_time: u32,
}

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// RFC 4760 §8.
    MultiProtocol(Afi, Safi),
    /// RFC 2918 §2.
    RouteRefresh,
    /// RFC 7313 §3.1.
    EnhancedRouteRefresh,
    /// RFC 8654 §3.
    ExtendedMessage,
    /// RFC 8950 §4: prefixes of this family may have next hops of that AFI.
    ExtendedNextHop(Vec<(Afi, Safi, Afi)>),
    /// RFC 6793 §3.
    FourOctetAs(u32),
    /// RFC 7911 §4.
    AddPath(Vec<(Afi, Safi, AddPathMode)>),
    /// RFC 4724 §3.
    GracefulRestart {
        /// R bit: the speaker has restarted.
        restarting: bool,
        /// N bit: NOTIFICATIONs don't end graceful restart (RFC 8538 §2).
        notification: bool,
        /// How long the restart may take, in seconds (12 bits).
        restart_time: u16,
        /// The families whose forwarding state can be kept.
        families: Vec<GracefulFamily>,
    },
    /// RFC 9494 §3.1.
    LongLivedGracefulRestart(Vec<LongLivedFamily>),
    /// RFC 9234 §4.1.
    Role(u8),
    /// One that is not known, or says something that is not known.
    Unknown {
        /// Its code.
        code: u8,
        /// Its value, at most 255 octets.
        value: Vec<u8>,
    },
}

/// A capability of a known code whose value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed capability {0}")]
pub struct MalformedCapability(pub u8);

/// Octets of a family in each list.
const EXTENDED_NEXT_HOP_ENTRY: usize = 6;
const ADD_PATH_ENTRY: usize = 4;
const GRACEFUL_ENTRY: usize = 4;
const LONG_LIVED_ENTRY: usize = 7;

const FORWARDING: u8 = 0x80;
const RESTARTING: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000;
const RESTART_TIME: u16 = 0x0fff;

impl Capability {
    /// Reads a capability.
    ///
    /// # Errors
    /// [`MalformedCapability`] for a known code with a length that it can't have.
    pub fn decode(code: u8, value: &[u8]) -> Result<Capability, MalformedCapability> {
        let empty = |capability| if value.is_empty() { Some(capability) } else { None };
        let read = match code {
            code::MULTIPROTOCOL => match value {
                [high, low, _, safi] => {
                    Some(Capability::MultiProtocol(Afi(u16::from_be_bytes([*high, *low])), Safi(*safi)))
                }
                _ => None,
            },
            code::ROUTE_REFRESH => empty(Capability::RouteRefresh),
            code::ENHANCED_ROUTE_REFRESH => empty(Capability::EnhancedRouteRefresh),
            code::EXTENDED_MESSAGE => empty(Capability::ExtendedMessage),
            code::EXTENDED_NEXT_HOP => extended_next_hop(value),
            code::FOUR_OCTET_AS => {
                value.try_into().ok().map(|b| Capability::FourOctetAs(u32::from_be_bytes(b)))
            }
            code::ADD_PATH => add_path(value),
            code::GRACEFUL_RESTART => graceful_restart(value),
            code::LONG_LIVED_GRACEFUL_RESTART => long_lived(value),
            code::ROLE => match value {
                [role] => Some(Capability::Role(*role)),
                _ => None,
            },
            _ => Some(Capability::Unknown { code, value: value.to_vec() }),
        };
        read.ok_or(MalformedCapability(code))
    }

    /// The capability code.
    pub fn code(&self) -> u8 {
        match self {
            Capability::MultiProtocol(..) => code::MULTIPROTOCOL,
            Capability::RouteRefresh => code::ROUTE_REFRESH,
            Capability::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
            Capability::ExtendedNextHop(_) => code::EXTENDED_NEXT_HOP,
            Capability::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Capability::AddPath(_) => code::ADD_PATH,
            Capability::GracefulRestart { .. } => code::GRACEFUL_RESTART,
            Capability::LongLivedGracefulRestart(_) => code::LONG_LIVED_GRACEFUL_RESTART,
            Capability::Role(_) => code::ROLE,
            Capability::Unknown { code, .. } => *code,
        }
    }

    /// The capability for a family that is known here.
    pub fn multi_protocol(family: Family) -> Capability {
        Capability::MultiProtocol(family.afi(), family.safi())
    }

    /// Appends code, length and value. What doesn't fit the 255 octets of a value is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let value = self.value();
        let value = value.get(..usize::from(u8::MAX)).unwrap_or(&value);
        out.extend_from_slice(&[self.code(), u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        out.extend_from_slice(value);
    }

    fn value(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Capability::MultiProtocol(afi, safi) => {
                out.extend_from_slice(&afi.0.to_be_bytes());
                out.extend_from_slice(&[0, safi.0]);
            }
            Capability::RouteRefresh | Capability::EnhancedRouteRefresh | Capability::ExtendedMessage => {}
            Capability::ExtendedNextHop(list) => {
                for (afi, safi, next_hop) in list.iter().take(fitting(EXTENDED_NEXT_HOP_ENTRY, 0)) {
                    out.extend_from_slice(&afi.0.to_be_bytes());
                    out.extend_from_slice(&u16::from(safi.0).to_be_bytes());
                    out.extend_from_slice(&next_hop.0.to_be_bytes());
                }
            }
            Capability::FourOctetAs(asn) => out.extend_from_slice(&asn.to_be_bytes()),
            Capability::AddPath(list) => {
                for (afi, safi, mode) in list.iter().take(fitting(ADD_PATH_ENTRY, 0)) {
                    out.extend_from_slice(&afi.0.to_be_bytes());
                    out.extend_from_slice(&[safi.0, *mode as u8]);
                }
            }
            Capability::GracefulRestart { restarting, notification, restart_time, families } => {
                let restarting = if *restarting { RESTARTING } else { 0 };
                let notification = if *notification { NOTIFICATION } else { 0 };
                let time = (*restart_time).min(RESTART_TIME);
                out.extend_from_slice(&(restarting | notification | time).to_be_bytes());
                for f in families.iter().take(fitting(GRACEFUL_ENTRY, 2)) {
                    out.extend_from_slice(&f.afi.0.to_be_bytes());
                    out.extend_from_slice(&[f.safi.0, if f.forwarding { FORWARDING } else { 0 }]);
                }
            }
            Capability::LongLivedGracefulRestart(families) => {
                for f in families.iter().take(fitting(LONG_LIVED_ENTRY, 0)) {
                    out.extend_from_slice(&f.afi.0.to_be_bytes());
                    out.extend_from_slice(&[f.safi.0, if f.forwarding { FORWARDING } else { 0 }]);
                    let [_, time @ ..] = f.stale_time.min(0x00ff_ffff).to_be_bytes();
                    out.extend_from_slice(&time);
                }
            }
            Capability::Role(role) => out.push(*role),
            Capability::Unknown { value, .. } => out.extend_from_slice(value),
        }
        out
    }
}

/// How many entries of this size fit a value behind `before` octets.
fn fitting(entry: usize, before: usize) -> usize {
    (usize::from(u8::MAX) - before) / entry
}

/// Entries with a SAFI beyond one octet are none that RFC 8950 §4 allows and are left out.
fn extended_next_hop(value: &[u8]) -> Option<Capability> {
    let (entries, []) = value.as_chunks::<EXTENDED_NEXT_HOP_ENTRY>() else { return None };
    let list = entries.iter().filter(|[_, _, high, ..]| *high == 0).map(|[a, b, _, safi, c, d]| {
        (Afi(u16::from_be_bytes([*a, *b])), Safi(*safi), Afi(u16::from_be_bytes([*c, *d])))
    });
    Some(Capability::ExtendedNextHop(list.collect()))
}

/// With an undefined Send/Receive value the capability "SHOULD be treated as not understood and ignored"
/// (RFC 7911 §4).
fn add_path(value: &[u8]) -> Option<Capability> {
    let (entries, []) = value.as_chunks::<ADD_PATH_ENTRY>() else { return None };
    let list: Option<Vec<_>> = entries
        .iter()
        .map(|[a, b, safi, mode]| {
            Some((Afi(u16::from_be_bytes([*a, *b])), Safi(*safi), AddPathMode::from_u8(*mode)?))
        })
        .collect();
    Some(list.map_or_else(
        || Capability::Unknown { code: code::ADD_PATH, value: value.to_vec() },
        Capability::AddPath,
    ))
}

fn graceful_restart(value: &[u8]) -> Option<Capability> {
    let mut reader = Reader(value);
    let head = reader.u16()?;
    let (entries, []) = reader.0.as_chunks::<GRACEFUL_ENTRY>() else { return None };
    let families = entries.iter().map(|[a, b, safi, flags]| GracefulFamily {
        afi: Afi(u16::from_be_bytes([*a, *b])),
        safi: Safi(*safi),
        forwarding: flags & FORWARDING != 0,
    });
    Some(Capability::GracefulRestart {
        restarting: head & RESTARTING != 0,
        notification: head & NOTIFICATION != 0,
        restart_time: head & RESTART_TIME,
        families: families.collect(),
    })
}

fn long_lived(value: &[u8]) -> Option<Capability> {
    let (entries, []) = value.as_chunks::<LONG_LIVED_ENTRY>() else { return None };
    let families = entries.iter().map(|[a, b, safi, flags, time @ ..]| {
        let [high, middle, low] = *time;
        LongLivedFamily {
            afi: Afi(u16::from_be_bytes([*a, *b])),
            safi: Safi(*safi),
            forwarding: flags & FORWARDING != 0,
            stale_time: u32::from_be_bytes([0, high, middle, low]),
        }
    });
    Some(Capability::LongLivedGracefulRestart(families.collect()))
}

/// The name of a family, or its numbers.
struct FamilyText(Afi, Safi);

impl fmt::Display for FamilyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Family::from_afi_safi(self.0, self.1) {
            Some(family) => family.fmt(f),
            None => write!(f, "afi-{}/safi-{}", self.0.0, self.1.0),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::MultiProtocol(afi, safi) => FamilyText(*afi, *safi).fmt(f),
            Capability::RouteRefresh => f.write_str("route-refresh"),
            Capability::EnhancedRouteRefresh => f.write_str("enhanced-route-refresh"),
            Capability::ExtendedMessage => f.write_str("extended-message"),
            Capability::ExtendedNextHop(list) => {
                f.write_str("extended-next-hop")?;
                list.iter().try_for_each(|(afi, safi, _)| write!(f, " {}", FamilyText(*afi, *safi)))
            }
            Capability::FourOctetAs(asn) => write!(f, "4-octet-as {}", Asn(*asn)),
            Capability::AddPath(list) => {
                f.write_str("add-path")?;
                list.iter().try_for_each(|(afi, safi, mode)| {
                    let mode = match mode {
                        AddPathMode::Receive => "receive",
                        AddPathMode::Send => "send",
                        AddPathMode::Both => "both",
                    };
                    write!(f, " {}:{mode}", FamilyText(*afi, *safi))
                })
            }
            Capability::GracefulRestart { restarting, notification, restart_time, families } => {
                write!(f, "graceful-restart {restart_time}s")?;
                if *restarting {
                    f.write_str(" restarting")?;
                }
                if *notification {
                    f.write_str(" notification")?;
                }
                families.iter().try_for_each(|a| {
                    let kept = if a.forwarding { ":forwarding" } else { "" };
                    write!(f, " {}{kept}", FamilyText(a.afi, a.safi))
                })
            }
            Capability::LongLivedGracefulRestart(families) => {
                f.write_str("long-lived-graceful-restart")?;
                families.iter().try_for_each(|a| {
                    let kept = if a.forwarding { ":forwarding" } else { "" };
                    write!(f, " {}:{}s{kept}", FamilyText(a.afi, a.safi), a.stale_time)
                })
            }
            Capability::Role(value) => match BgpRole::from_value(*value) {
                Some(role) => write!(f, "role {role}"),
                None => write!(f, "role {value}"),
            },
            Capability::Unknown { code, .. } => write!(f, "capability {code}"),
        }
    }
}
