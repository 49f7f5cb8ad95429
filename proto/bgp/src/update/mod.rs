//! UPDATE: RFC 4271 §4.3 and §6.3, RFC 4760, with the error handling of RFC 7606.

mod build;
mod parse;

use smallvec::SmallVec;

use crate::attr::Attributes;
use crate::error::{AttributeFault, Verdict};
use crate::nlri::Nlri;
use crate::types::{Family, FamilySet, NextHop};

pub use build::UpdateBuilder;
pub use parse::{parse, read};

/// What the meaning of an UPDATE's octets depends on: what was negotiated, and who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContext {
    /// Both speak 4-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// The peer is in another AS.
    pub external: bool,
    /// The families that were agreed on.
    pub families: FamilySet,
    /// Those in which the peer sends path identifiers (RFC 7911).
    pub add_path: FamilySet,
}

/// An UPDATE whose fields have been found and checked. Borrows the message.
#[derive(Debug, Clone)]
pub struct Update<'a> {
    /// The Withdrawn Routes field: IPv4 unicast.
    pub withdrawn: Nlri<'a>,
    /// The NLRI field: IPv4 unicast.
    pub announced: Nlri<'a>,
    /// MP_UNREACH_NLRI.
    pub mp_unreach: Option<Nlri<'a>>,
    /// MP_REACH_NLRI.
    pub mp_reach: Option<Nlri<'a>>,
    /// The next hop of MP_REACH_NLRI.
    pub mp_next_hop: Option<NextHop>,
    /// The NEXT_HOP attribute: the next hop of `announced`.
    pub next_hop: Option<NextHop>,
    /// What was accepted. Attributes that were discarded are not in it.
    pub attributes: Attributes<'a>,
    /// The strongest verdict found: never [`Verdict::Reset`]. With [`Verdict::TreatAsWithdraw`] the
    /// prefixes of `announced` and `mp_reach` are to be withdrawn as well.
    pub verdict: Verdict,
    /// What is wrong, in the order of discovery; of repeated attributes one fault for each type code.
    pub faults: SmallVec<[AttributeFault; 1]>,
    end_of_rib: Option<Family>,
}

impl Update<'_> {
    /// The family whose initial routes end here, if this is an End-of-RIB marker (RFC 4724 §2): an UPDATE
    /// with nothing in it, or with nothing but an MP_UNREACH_NLRI without prefixes.
    #[inline]
    pub fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }
}
