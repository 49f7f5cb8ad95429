//! Communities: standard (RFC 1997), extended (RFC 4360, RFC 5668) and large (RFC 8092), and the
//! well-known ones.

use std::fmt;

/// Well-known standard communities.
pub mod well_known {
    /// Lowest preference before maintenance (RFC 8326 §4).
    pub const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;
    /// Kept beyond graceful restart (RFC 9494 §3.2).
    pub const LLGR_STALE: u32 = 0xffff_0006;
    /// Not to be kept beyond graceful restart (RFC 9494 §3.3).
    pub const NO_LLGR: u32 = 0xffff_0007;
    /// Traffic is to be dropped (RFC 7999 §5).
    pub const BLACKHOLE: u32 = 0xffff_029a;
    /// Not beyond the AS or confederation (RFC 1997).
    pub const NO_EXPORT: u32 = 0xffff_ff01;
    /// To nobody (RFC 1997).
    pub const NO_ADVERTISE: u32 = 0xffff_ff02;
    /// Not beyond the member AS (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: u32 = 0xffff_ff03;
    /// Not to bilateral peers (RFC 3765).
    pub const NOPEER: u32 = 0xffff_ff04;
}

/// A standard community, shown as `65001:100`, well-known ones by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Community(pub u32);

impl Community {
    /// The name of a well-known community.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            well_known::GRACEFUL_SHUTDOWN => "graceful-shutdown",
            well_known::LLGR_STALE => "llgr-stale",
            well_known::NO_LLGR => "no-llgr",
            well_known::BLACKHOLE => "blackhole",
            well_known::NO_EXPORT => "no-export",
            well_known::NO_ADVERTISE => "no-advertise",
            well_known::NO_EXPORT_SUBCONFED => "no-export-subconfed",
            well_known::NOPEER => "no-peer",
            _ => return None,
        })
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff),
        }
    }
}

/// An extended community: eight octets as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub u64);

impl ExtendedCommunity {
    /// Whether it may be passed on to another AS (RFC 4360 §2).
    pub fn is_transitive(self) -> bool {
        self.0 >> 62 & 1 == 0
    }

    /// Type and subtype octets without the authority and transitivity bits of the type.
    fn kind(self) -> (u8, u8) {
        let [kind, subtype, ..] = self.0.to_be_bytes();
        (kind & 0x3f, subtype)
    }
}

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, subtype) = self.kind();
        let name = match subtype {
            2 => "rt",
            3 => "soo",
            _ => return write!(f, "0x{:016x}", self.0),
        };
        let value = self.0 & 0xffff_ffff_ffff;
        match kind {
            0 => write!(f, "{name}:{}:{}", value >> 32, value & 0xffff_ffff),
            1 => {
                let [_, _, a, b, c, d, _, _] = self.0.to_be_bytes();
                write!(f, "{name}:{a}.{b}.{c}.{d}:{}", value & 0xffff)
            }
            2 => write!(f, "{name}:{}:{}", value >> 16, value & 0xffff),
            _ => write!(f, "0x{:016x}", self.0),
        }
    }
}

/// A large community: global administrator and two local data parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LargeCommunity(pub u32, pub u32, pub u32);

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_shown_as_operators_write_them() {
        assert_eq!(Community(65001 << 16 | 100).to_string(), "65001:100");
        assert_eq!(Community(0xffff_ff01).to_string(), "no-export");
        assert_eq!(LargeCommunity(4_200_000_000, 1, 2).to_string(), "4200000000:1:2");
        let cases = [
            (0x0002_fde9_0000_0064, "rt:65001:100"),
            (0x0003_fde9_0000_0064, "soo:65001:100"),
            (0x0102_c000_0201_0064, "rt:192.0.2.1:100"),
            (0x0202_0001_0000_0064, "rt:65536:100"),
            (0x8006_0000_4700_0000, "0x8006000047000000"),
        ];
        for (value, text) in cases {
            assert_eq!(ExtendedCommunity(value).to_string(), text);
        }
        assert!(ExtendedCommunity(0x0002_0000_0000_0000).is_transitive());
        assert!(!ExtendedCommunity(0x4300_0000_0000_0000).is_transitive());
    }
}
