//! Attributes in the form in which they are kept, compared and sent: wire encoding, sorted by type code,
//! each once, with 4-octet AS numbers, communities sorted and without duplicates.
//!
//! Two routes whose attributes mean the same have the same octets, so that a table keeps them once.
//! NEXT_HOP, MP_REACH_NLRI and MP_UNREACH_NLRI are not in it: next hops and prefixes are kept on their
//! own. AS4_PATH and AS4_AGGREGATOR aren't either: what they say is in AS_PATH and AGGREGATOR.

mod as4;
mod build;
mod community;
mod read;
mod summary;
mod write;

pub use build::Builder;
pub use community::with_community;
pub use read::Canonical;
pub use summary::{Summary, SummaryFlags, summarize};
pub use write::{insert, write};
