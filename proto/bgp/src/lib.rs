//! BGP messages and path attributes: a codec without I/O.
//!
//! Invariants: no input makes it panic or allocate more than a small multiple of the message's size;
//! what is accepted is encoded back to the same meaning.

pub mod types;

pub use types::{
    AS_TRANS, Afi, Asn, Family, FamilySet, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, NextHop, RouterId, Safi,
    UnknownFamily,
};
