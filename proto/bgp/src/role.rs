//! BGP roles: RFC 9234 §4.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a speaker is to the other end of an external session (RFC 9234 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum BgpRole {
    /// Gives the other side transit.
    Provider = 0,
    /// A route server; the other side is its client.
    Rs = 1,
    /// A client of the other side, which is a route server.
    RsClient = 2,
    /// Gets transit from the other side.
    Customer = 3,
    /// A lateral peer.
    Peer = 4,
}

impl BgpRole {
    /// Every role, in the order of their values.
    pub const ALL: [BgpRole; 5] =
        [BgpRole::Provider, BgpRole::Rs, BgpRole::RsClient, BgpRole::Customer, BgpRole::Peer];

    /// The role of this value in the capability; `None` for one that is not assigned.
    pub fn from_value(value: u8) -> Option<BgpRole> {
        BgpRole::ALL.into_iter().find(|r| *r as u8 == value)
    }

    /// The role that the other side must have (RFC 9234 §4.2).
    #[must_use]
    pub fn counterpart(self) -> BgpRole {
        match self {
            BgpRole::Provider => BgpRole::Customer,
            BgpRole::Rs => BgpRole::RsClient,
            BgpRole::RsClient => BgpRole::Rs,
            BgpRole::Customer => BgpRole::Provider,
            BgpRole::Peer => BgpRole::Peer,
        }
    }

    /// The name that configuration, API and command line use.
    pub fn name(self) -> &'static str {
        match self {
            BgpRole::Provider => "provider",
            BgpRole::Rs => "rs",
            BgpRole::RsClient => "rs-client",
            BgpRole::Customer => "customer",
            BgpRole::Peer => "peer",
        }
    }
}

impl fmt::Display for BgpRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
