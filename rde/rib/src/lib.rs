//! The tables of the route decision engine: Adj-RIBs-In, Loc-RIB, Adj-RIBs-Out, the decision process and
//! update groups.
//!
//! No sockets, no clock, no threads of its own. [`Intake`] makes UPDATEs into a [`Batch`] of changes, sorted by
//! shard; [`Rib`] is one shard: it takes its part of a batch with [`Rib::apply`], messages for peers go out to a
//! [`Sink`] in bounded steps of [`Rib::work`], time is an argument. Shards share nothing but what is said of
//! peers; one shard is the same code.
//!
//! Policies (crate `policy`) are applied where a path is stored and where a group decides what it is sent.
//!
//! What a route costs (checked by a test): 12 octets a path, 16 a prefix of IPv4 and 28 of
//! IPv6 plus its index entry, 8 octets a prefix in each update group. Attributes are held once per
//! distinct set.
//!
//! RFC 4271 §3.2 and §9, RFC 4456, RFC 4760, RFC 7606 §2 (treat-as-withdraw), RFC 1997, RFC 8326, RFC 9234 §5, RFC
//! 9494 §4.

mod attrs;
mod batch;
mod catchup;
mod column;
mod decide;
mod default_route;
mod drain;
mod entry;
mod explain;
mod export;
mod family;
mod flow;
mod flush;
mod group;
mod index;
mod instead;
mod intake;
mod long_lived;
mod octets;
mod otc;
mod pacing;
mod pack;
mod paths;
mod peers;
mod policies;
mod query;
mod queue;
mod refreshes;
mod regroup;
mod rib;
mod sent_paths;
mod several;
mod slab;
mod slots;
mod stale;
mod walk;
mod watch;

pub use attrs::{AttrId, Attrs};
pub use batch::{Batch, HashKey};
pub use decide::{Candidate, Step, best, compare, rank};
pub use explain::{Explained, Fate, Question};
pub use export::{Outgoing, PeerClass, Refusal};
pub use family::MAX_PATHS;
pub use flow::Flow;
pub use intake::{Applied, Intake};
pub use long_lived::LongLived;
pub use pack::end_of_rib;
pub use peers::{Barred, Counted, PeerIdx, PeerInfo};
pub use policies::PeerPolicy;
pub use query::{Found, PageDone, Query, QueryTable, RouteKey};
pub use refreshes::Refreshes;
pub use rib::{Counters, Limits, Rib, Settings, Sink, Target};
pub use watch::{BestChange, BestRoute, SnapshotOf, Told, Walked, Whose};

#[cfg(test)]
mod memory;
#[cfg(test)]
mod sizes;
