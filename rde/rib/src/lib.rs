//! The tables of the route decision engine: Adj-RIBs-In, Loc-RIB, Adj-RIBs-Out, the decision process and
//! update groups.
//!
//! No sockets, no clock, no threads: updates come in with [`Rib::apply`], messages for peers go out to a
//! [`Sink`] in bounded steps of [`Rib::work`], time is an argument. A table does not assume that it is
//! the only one.
//!
//! What a route costs (checked by a test): 12 octets a path, 16 a prefix of IPv4 and 28 of
//! IPv6 plus its index entry, 8 octets a prefix in each update group. Attributes are held once per
//! distinct set.
//!
//! RFC 4271 §3.2 and §9, RFC 4760, RFC 7606 §2 (treat-as-withdraw), RFC 1997.

mod attrs;
mod catchup;
mod column;
mod decide;
mod export;
mod family;
mod flush;
mod group;
mod pack;
mod paths;
mod peers;
mod query;
mod rib;
mod slots;

pub use attrs::{AttrId, Attrs};
pub use decide::{Candidate, best};
pub use export::{Outgoing, PeerClass};
pub use peers::{PeerIdx, PeerInfo};
pub use query::{Found, Query, QueryTable, RouteKey};
pub use rib::{Applied, Counters, Limits, Rib, Settings, Sink, Target};

#[cfg(test)]
mod sizes;
