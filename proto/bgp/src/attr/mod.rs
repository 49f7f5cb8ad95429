//! Path attributes: RFC 4271 §4.3 and §5.
//!
//! `check` has the one set of rules for what an attribute may look like; reading in place
//! ([`crate::update::parse`]) and reading into typed values ([`PathAttribute`]) both use it.
//! [`canonical`] is the form in which attributes are kept and compared.

pub mod canonical;
pub(crate) mod check;
mod encode;
mod list;
mod typed;

pub use encode::mp_next_hop;
pub use list::{Attributes, RawAttribute};
pub(crate) use list::{Framing, next_attribute};
pub use typed::{Aggregator, Origin, PathAttribute, PathPrefix, decode};

/// Attribute flags (RFC 4271 §4.3).
pub mod flags {
    /// Not well-known.
    pub const OPTIONAL: u8 = 0x80;
    /// To be passed on, also by those who do not know it.
    pub const TRANSITIVE: u8 = 0x40;
    /// Someone on the way did not know it.
    pub const PARTIAL: u8 = 0x20;
    /// The length has two octets.
    pub const EXTENDED: u8 = 0x10;

    /// Well-known attributes.
    pub const WELL_KNOWN: u8 = TRANSITIVE;
    /// Optional attributes that are passed on.
    pub const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;
    /// Optional attributes that are not.
    pub const OPTIONAL_NON_TRANSITIVE: u8 = OPTIONAL;
}

/// Defines type codes together with the functions that know their names and flags.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $flags:ident;)*) => {
        /// Type codes (IANA registry "BGP Path Attributes").
        pub mod code {
            use super::flags;

            $($(#[$doc])* pub const $name: u8 = $code;)*

            /// The name of a known attribute as its RFC writes it.
            pub fn name(code: u8) -> Option<&'static str> {
                match code { $($code => Some(stringify!($name)),)* _ => None }
            }

            /// The Optional and Transitive flags that a known attribute must have; `None` for one that
            /// is not known.
            #[inline]
            pub fn specified_flags(code: u8) -> Option<u8> {
                match code { $($code => Some(flags::$flags),)* _ => None }
            }
        }
    };
}

codes! {
    /// RFC 4271 §5.1.1.
    ORIGIN = 1, WELL_KNOWN;
    /// RFC 4271 §5.1.2.
    AS_PATH = 2, WELL_KNOWN;
    /// RFC 4271 §5.1.3.
    NEXT_HOP = 3, WELL_KNOWN;
    /// RFC 4271 §5.1.4.
    MULTI_EXIT_DISC = 4, OPTIONAL_NON_TRANSITIVE;
    /// RFC 4271 §5.1.5.
    LOCAL_PREF = 5, WELL_KNOWN;
    /// RFC 4271 §5.1.6.
    ATOMIC_AGGREGATE = 6, WELL_KNOWN;
    /// RFC 4271 §5.1.7.
    AGGREGATOR = 7, OPTIONAL_TRANSITIVE;
    /// RFC 1997.
    COMMUNITIES = 8, OPTIONAL_TRANSITIVE;
    /// RFC 4456 §8.
    ORIGINATOR_ID = 9, OPTIONAL_NON_TRANSITIVE;
    /// RFC 4456 §8.
    CLUSTER_LIST = 10, OPTIONAL_NON_TRANSITIVE;
    /// RFC 4760 §3.
    MP_REACH_NLRI = 14, OPTIONAL_NON_TRANSITIVE;
    /// RFC 4760 §4.
    MP_UNREACH_NLRI = 15, OPTIONAL_NON_TRANSITIVE;
    /// RFC 4360 §2.
    EXTENDED_COMMUNITIES = 16, OPTIONAL_TRANSITIVE;
    /// RFC 6793 §3.
    AS4_PATH = 17, OPTIONAL_TRANSITIVE;
    /// RFC 6793 §3.
    AS4_AGGREGATOR = 18, OPTIONAL_TRANSITIVE;
    /// RFC 5701 §2.
    IPV6_EXTENDED_COMMUNITIES = 25, OPTIONAL_TRANSITIVE;
    /// RFC 8092 §3.
    LARGE_COMMUNITY = 32, OPTIONAL_TRANSITIVE;
    /// RFC 9234 §5.
    ONLY_TO_CUSTOMER = 35, OPTIONAL_TRANSITIVE;
}

/// Appends an attribute. The Extended Length flag is set exactly where the length needs it; a value must
/// not be longer than 65535 octets.
#[inline]
pub fn write_attribute(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    write_head(out, flags, code, value.len());
    out.extend_from_slice(value);
}

/// Appends flags, type code and length of an attribute whose value follows.
#[inline]
pub(crate) fn write_head(out: &mut Vec<u8>, flags: u8, code: u8, len: usize) {
    debug_assert!(len <= usize::from(u16::MAX), "attribute {code} of {len} octets");
    match u8::try_from(len) {
        Ok(len) => out.extend_from_slice(&[flags & !flags::EXTENDED, code, len]),
        Err(_) => {
            let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
            out.extend_from_slice(&[flags | flags::EXTENDED, code, high, low]);
        }
    }
}
