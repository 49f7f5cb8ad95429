//! BGP messages and path attributes: a codec without I/O.
//!
//! Invariants: no input makes it panic or allocate more than a small multiple of the message's size;
//! what is accepted is encoded back to the same meaning.
//!
//! [`header`] cuts a stream into messages; [`open`], [`update`], [`notification`] and [`refresh`] read
//! and write their bodies. An UPDATE is read in place: [`update::parse`] checks it once, with the
//! verdicts of RFC 7606, and [`attr::canonical`] turns its attributes into the form that tables keep.

pub mod aspath;
pub mod attr;
pub mod capability;
pub mod community;
pub mod error;
pub mod header;
pub mod nlri;
pub mod notification;
pub mod open;
mod private_as;
pub mod refresh;
mod role;
pub mod types;
pub mod update;
mod wire;

pub use error::{AttributeFault, FaultKind, Verdict};
pub use notification::Notification;
pub use private_as::RemovePrivateAs;
pub use role::BgpRole;
pub use types::{
    AS_TRANS, Afi, Asn, Family, FamilySet, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, NextHop, RouterId, Safi,
    UnknownFamily,
};
