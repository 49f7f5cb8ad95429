//! The peer that a policy is evaluated for: where the route is from on import, where it goes on export.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::def::NeighborSet;

/// What neighbor sets look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its AS number.
    pub remote_asn: u32,
    /// Its peer group, if it has one.
    pub peer_group: Option<String>,
}

impl Peer {
    /// Whether the set has it.
    fn is_in(&self, set: &NeighborSet) -> bool {
        set.addresses.contains(&self.address)
            || set.remote_asns.contains(&self.remote_asn)
            || self.peer_group.as_ref().is_some_and(|g| set.peer_groups.contains(g))
    }
}

/// The neighbor sets that a peer is in, found once: see [`Policies::context`](crate::Policies::context). Two peers
/// with the same one are the same to every policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Context(SmallVec<[u64; 1]>);

impl Context {
    /// Of this peer, among these sets.
    pub(crate) fn of<'s>(peer: &Peer, sets: impl IntoIterator<Item = &'s NeighborSet>) -> Context {
        let mut words = SmallVec::new();
        for (n, set) in sets.into_iter().enumerate() {
            if n % 64 == 0 {
                words.push(0);
            }
            if let Some(word) = words.last_mut() {
                *word |= u64::from(peer.is_in(set)) << (n % 64);
            }
        }
        Context(words)
    }

    /// Whether the peer is in the set with this number.
    pub(crate) fn is_in(&self, set: usize) -> bool {
        self.0.get(set / 64).is_some_and(|word| word >> (set % 64) & 1 == 1)
    }
}
