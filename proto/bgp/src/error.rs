//! What is wrong with an UPDATE and what follows from it: the verdicts of RFC 7606 as types.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::attr::code;
use crate::notification::{Notification, update_error};
use crate::types::{Afi, Safi};

/// What a malformation leads to (RFC 7606 §2), the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing is wrong.
    #[default]
    Accept,
    /// The attribute is left out and the rest of the UPDATE counts: "attribute discard".
    Discard,
    /// Every route of the UPDATE counts as withdrawn: "treat-as-withdraw".
    TreatAsWithdraw,
    /// The session ends: "session reset". Never the verdict of an [`Update`](crate::update::Update):
    /// there it is that of the error that [`read`](crate::update::read) returns.
    Reset,
}

impl Verdict {
    /// A short name for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Discard => "attribute_discard",
            Verdict::TreatAsWithdraw => "treat_as_withdraw",
            Verdict::Reset => "session_reset",
        }
    }
}

/// What is wrong with an attribute, or with the routes that an UPDATE carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The Optional or Transitive flag is not as specified (RFC 7606 §3 c).
    Flags,
    /// The length is not one that the attribute can have (RFC 7606 §7).
    Length,
    /// The attribute ends beyond the end of all attributes (RFC 7606 §4).
    Overrun,
    /// Too few octets are left for one more attribute (RFC 7606 §4).
    Truncated,
    /// The attribute came before in the same UPDATE (RFC 7606 §3 g).
    Duplicate,
    /// A mandatory attribute is not there (RFC 7606 §3 d).
    Missing,
    /// ORIGIN with an undefined value (RFC 7606 §7.1).
    UndefinedOrigin,
    /// An AS_PATH or AS4_PATH whose segments cannot be read (RFC 7606 §7.2, RFC 6793 §6).
    MalformedPath,
    /// Confederation segments from a peer that is not a member (RFC 5065 §5).
    ConfederationSegment,
    /// AS number 0 (RFC 7607 §2).
    AsZero,
    /// A next hop that is no host address (RFC 4271 §6.3).
    InvalidNextHop,
    /// An attribute that only internal peers may send (RFC 7606 §7.5, §7.9, §7.10).
    FromExternalPeer,
    /// AS4_PATH or AS4_AGGREGATOR from a speaker of 4-octet AS numbers (RFC 6793 §6).
    FromNewSpeaker,
    /// An attribute that claims to be well-known and is not (RFC 4271 §6.3).
    UnrecognizedWellKnown,
    /// MP_REACH_NLRI or MP_UNREACH_NLRI whose prefixes cannot be found (RFC 7606 §5.3, §7.11).
    MalformedNlri,
    /// Routes of an address family that was not agreed on; they are left out (RFC 4760 §8).
    FamilyNotNegotiated {
        /// Address family identifier.
        afi: Afi,
        /// Subsequent address family identifier.
        safi: Safi,
    },
    /// The lengths of the UPDATE's fields do not fit the message (RFC 7606 §3 b).
    FieldLengths,
    /// The path of an external peer does not begin with its AS (RFC 4271 §6.3). Found by whoever knows the peer's
    /// number, not here.
    FirstAs,
    /// The path has an AS_SET or AS_CONFED_SET, and such are not taken (RFC 9774 §3). Found by whoever knows that.
    AsSet,
}

impl FaultKind {
    /// All names, in an order that does not change while a daemon runs.
    pub const NAMES: [&'static str; 19] = [
        "attribute_flags",
        "attribute_length",
        "attribute_overrun",
        "attribute_truncated",
        "duplicate_attribute",
        "missing_attribute",
        "undefined_origin",
        "malformed_as_path",
        "confederation_segment",
        "as_zero",
        "invalid_next_hop",
        "internal_attribute_from_external_peer",
        "as4_attribute_from_new_speaker",
        "unrecognized_well_known",
        "malformed_nlri",
        "family_not_negotiated",
        "field_lengths",
        "first_as",
        "as_set",
    ];

    /// The place of the kind among the [`NAMES`](Self::NAMES).
    pub fn number(self) -> usize {
        FaultKind::NAMES.iter().position(|name| *name == self.name()).unwrap_or(0)
    }

    /// A short name for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Flags => "attribute_flags",
            FaultKind::Length => "attribute_length",
            FaultKind::Overrun => "attribute_overrun",
            FaultKind::Truncated => "attribute_truncated",
            FaultKind::Duplicate => "duplicate_attribute",
            FaultKind::Missing => "missing_attribute",
            FaultKind::UndefinedOrigin => "undefined_origin",
            FaultKind::MalformedPath => "malformed_as_path",
            FaultKind::ConfederationSegment => "confederation_segment",
            FaultKind::AsZero => "as_zero",
            FaultKind::InvalidNextHop => "invalid_next_hop",
            FaultKind::FromExternalPeer => "internal_attribute_from_external_peer",
            FaultKind::FromNewSpeaker => "as4_attribute_from_new_speaker",
            FaultKind::UnrecognizedWellKnown => "unrecognized_well_known",
            FaultKind::MalformedNlri => "malformed_nlri",
            FaultKind::FamilyNotNegotiated { .. } => "family_not_negotiated",
            FaultKind::FieldLengths => "field_lengths",
            FaultKind::FirstAs => "first_as",
            FaultKind::AsSet => "as_set",
        }
    }
}

/// The most octets of an attribute that [`AttributeFault::excerpt`] shows.
pub const MAX_EXCERPT: usize = 256;

/// One malformation, and what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeFault {
    /// Type code of the attribute; 0 for the UPDATE's own fields, which have none.
    pub code: u8,
    /// What is wrong.
    pub kind: FaultKind,
    /// What it leads to.
    pub verdict: Verdict,
    start: u16,
    len: u16,
}

impl AttributeFault {
    /// A fault without a place in an UPDATE.
    pub(crate) fn new(code: u8, kind: FaultKind, verdict: Verdict) -> AttributeFault {
        AttributeFault { code, kind, verdict, start: 0, len: 0 }
    }

    /// A path that does not begin with the AS of the external peer that sent it (RFC 4271 §6.3); who accepts such
    /// paths does not make one.
    pub fn first_as() -> AttributeFault {
        AttributeFault::new(code::AS_PATH, FaultKind::FirstAs, Verdict::TreatAsWithdraw)
    }

    /// A path with a set (RFC 9774 §3), from a peer from which such are not taken.
    pub fn as_set() -> AttributeFault {
        AttributeFault::new(code::AS_PATH, FaultKind::AsSet, Verdict::TreatAsWithdraw)
    }

    /// The fault of an UPDATE in which nothing less than a reset is safe.
    pub(crate) fn resets(self) -> AttributeFault {
        AttributeFault { verdict: Verdict::Reset, ..self }
    }

    /// The fault with the place of the whole attribute (flags, type, length, value) in the UPDATE's body.
    pub(crate) fn at(self, start: usize, len: usize) -> AttributeFault {
        let clip = |n| u16::try_from(n).unwrap_or(u16::MAX);
        AttributeFault { start: clip(start), len: clip(len), ..self }
    }

    /// Where the attribute with its flags, type and length lies in the body that was parsed; empty for
    /// one that is missing.
    pub fn range(&self) -> Range<usize> {
        let start = usize::from(self.start);
        start..start + usize::from(self.len)
    }

    /// The attribute with its flags, type and length: a slice of the `body` that was parsed.
    pub fn bytes<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.range()).unwrap_or_default()
    }

    /// The first [`MAX_EXCERPT`] octets of it, for logs.
    pub fn excerpt<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let bytes = self.bytes(body);
        bytes.get(..MAX_EXCERPT).unwrap_or(bytes)
    }

    /// The NOTIFICATION of a session that this fault ends (RFC 4271 §6.3, RFC 4760 §7); `body` is what
    /// was parsed.
    pub fn notification(&self, body: &[u8]) -> Notification {
        let well_known_path = self.code == code::AS_PATH;
        let (subcode, data) = match self.kind {
            FaultKind::Overrun | FaultKind::Truncated | FaultKind::Duplicate | FaultKind::FieldLengths => {
                (update_error::MALFORMED_ATTRIBUTE_LIST, Vec::new())
            }
            FaultKind::UnrecognizedWellKnown => {
                (update_error::UNRECOGNIZED_WELL_KNOWN, self.bytes(body).to_vec())
            }
            FaultKind::Missing => (update_error::MISSING_WELL_KNOWN, vec![self.code]),
            FaultKind::Flags if !self.is_multiprotocol() => {
                (update_error::ATTRIBUTE_FLAGS, self.bytes(body).to_vec())
            }
            FaultKind::Length if !well_known_path => {
                (update_error::ATTRIBUTE_LENGTH, self.bytes(body).to_vec())
            }
            FaultKind::UndefinedOrigin => (update_error::INVALID_ORIGIN, self.bytes(body).to_vec()),
            FaultKind::InvalidNextHop => (update_error::INVALID_NEXT_HOP, self.bytes(body).to_vec()),
            _ if well_known_path => (update_error::MALFORMED_AS_PATH, Vec::new()),
            FaultKind::MalformedNlri if self.code == 0 => (update_error::INVALID_NETWORK_FIELD, Vec::new()),
            _ => (update_error::OPTIONAL_ATTRIBUTE, self.bytes(body).to_vec()),
        };
        Notification::update(subcode, data)
    }

    fn is_multiprotocol(&self) -> bool {
        self.code == code::MP_REACH_NLRI || self.code == code::MP_UNREACH_NLRI
    }
}

impl fmt::Display for AttributeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match code::name(self.code) {
            Some(name) => write!(f, "{name}: ")?,
            None if self.code == 0 => f.write_str("UPDATE: ")?,
            None => write!(f, "attribute {}: ", self.code)?,
        }
        match self.kind {
            FaultKind::FamilyNotNegotiated { afi, safi } => {
                write!(f, "address family {}/{} was not negotiated", afi.0, safi.0)
            }
            kind => f.write_str(&kind.name().replace('_', " ")),
        }
    }
}

impl std::error::Error for AttributeFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_a_number_of_its_own() {
        let (afi, safi) = (Afi(1), Safi(1));
        let kinds = [
            FaultKind::Flags,
            FaultKind::Length,
            FaultKind::Overrun,
            FaultKind::Truncated,
            FaultKind::Duplicate,
            FaultKind::Missing,
            FaultKind::UndefinedOrigin,
            FaultKind::MalformedPath,
            FaultKind::ConfederationSegment,
            FaultKind::AsZero,
            FaultKind::InvalidNextHop,
            FaultKind::FromExternalPeer,
            FaultKind::FromNewSpeaker,
            FaultKind::UnrecognizedWellKnown,
            FaultKind::MalformedNlri,
            FaultKind::FamilyNotNegotiated { afi, safi },
            FaultKind::FieldLengths,
            FaultKind::FirstAs,
            FaultKind::AsSet,
        ];
        let numbers: Vec<usize> = kinds.iter().map(|k| k.number()).collect();
        assert_eq!(numbers, (0..FaultKind::NAMES.len()).collect::<Vec<_>>());
    }
}
