//! Names of things that cross process borders.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A peer. Given by the parent, the same for as long as the peer is configured, or is there where it is a dynamic
    /// one; used again as late as possible. Small, so that engines index by it.
    PeerId(u16)
}
id! {
    /// One incarnation of one peer's BGP connection. Counts up per peer with every new connection that
    /// reaches Established; what arrives for another epoch than the current one is dropped.
    Epoch(u32)
}
id! {
    /// The number of a committed configuration.
    Generation(u64)
}
id! {
    /// A query of one client; given by the side that asks.
    QueryId(u64)
}
id! {
    /// A set of peers that are sent the same bytes. Given by rde, never reused while it runs.
    GroupId(u32)
}
id! {
    /// One attempt to open a TCP connection to a peer; counts up per peer.
    Attempt(u32)
}
id! {
    /// A range of dynamic peers, within one configuration.
    RangeId(u16)
}
