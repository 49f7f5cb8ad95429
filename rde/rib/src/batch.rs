//! Changes of routes, read from messages once and sorted by shard.
//!
//! Whoever reads messages fills a batch (`Intake`); each shard takes its own list out of it. Attribute sets
//! lie in the batch once, whichever shards need them; what is hashed is hashed once.

use std::hash::{BuildHasher, Hasher, RandomState};

use bgp::attr::canonical::{Canonical, Summary};
use bgp::{Family, NextHop};
use ipnet::IpNet;

use crate::peers::PeerIdx;
use crate::slots::{Addr, V4, V6};

/// The key of all hashes: prefixes and attributes are chosen by peers. All shards of a table share it.
#[derive(Debug, Clone, Default)]
pub struct HashKey(RandomState);

impl HashKey {
    /// The hash of a prefix.
    pub(crate) fn prefix<A: Addr>(&self, addr: A, len: u8) -> u64 {
        let mut hasher = self.0.build_hasher();
        addr.hash_with(len, &mut hasher);
        hasher.finish()
    }

    /// The hash of an attribute set in canonical form with its next hop.
    #[expect(clippy::cast_possible_truncation, reason = "32 bits of it are kept with the set")]
    pub fn set(&self, canonical: &[u8], next_hop: NextHop) -> u32 {
        self.0.hash_one((next_hop, canonical)) as u32
    }
}

/// The shard of a prefix, by bits of its hash that an index of up to 2^16 prefixes does not use.
pub(crate) fn shard_of(hash: u64, shards: usize) -> usize {
    let bits = (hash >> 16) & 0xffff;
    usize::try_from((bits * shards as u64) >> 16).unwrap_or(0)
}

/// An attribute set of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    start: u32,
    end: u32,
    pub(crate) hash: u32,
    pub(crate) next_hop: NextHop,
    pub(crate) summary: Summary,
}

/// `set` of a change that is a withdrawal.
pub(crate) const WITHDRAW: u32 = u32::MAX;

/// `set` of what is no change of a route: all routes of the peer are stale from here on.
pub(crate) const MARK_STALE: u32 = u32::MAX - 1;

/// The same: routes of the peer that are still stale here go.
pub(crate) const SWEEP_STALE: u32 = u32::MAX - 2;

/// A route announced or withdrawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<A> {
    pub(crate) hash: u64,
    pub(crate) addr: A,
    pub(crate) path_id: u32,
    /// Number of the attribute set, or [`WITHDRAW`], [`MARK_STALE`], [`SWEEP_STALE`].
    pub(crate) set: u32,
    pub(crate) peer: PeerIdx,
    pub(crate) len: u8,
    /// Whose an injected route is: a number of the engine's, 0 = nobody's.
    pub(crate) owner: u8,
}

/// What a shard has to do, in order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) v4: Vec<Change<V4>>,
    pub(crate) v6: Vec<Change<V6>>,
}

/// Changes for all shards.
#[derive(Debug)]
pub struct Batch {
    key: HashKey,
    octets: Vec<u8>,
    pub(crate) sets: Vec<Set>,
    pub(crate) shards: Vec<Changes>,
    changes: usize,
    /// Of injected routes that are added now.
    owner: u8,
}

impl Batch {
    /// An empty batch for so many shards, at least one. `key` is that of the shards.
    pub fn new(key: HashKey, shards: usize) -> Batch {
        let mut lists = Vec::new();
        lists.resize_with(shards.max(1), Changes::default);
        Batch { key, octets: Vec::new(), sets: Vec::new(), shards: lists, changes: 0, owner: 0 }
    }

    /// How many routes are announced and withdrawn.
    pub fn len(&self) -> usize {
        self.changes
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Empties it; its memory is kept.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.sets.clear();
        (self.changes, self.owner) = (0, 0);
        for list in &mut self.shards {
            list.v4.clear();
            list.v6.clear();
        }
    }

    /// The buffer that the canonical form of the next set is appended to, before [`set`](Self::set).
    pub(crate) fn canonical(&mut self) -> (usize, &mut Vec<u8>) {
        (self.octets.len(), &mut self.octets)
    }

    /// Octets from `start` on.
    pub(crate) fn octets_from(&self, start: usize) -> &[u8] {
        self.octets.get(start..).unwrap_or_default()
    }

    /// What was appended from `start` on is a set; returns its number.
    pub(crate) fn set(&mut self, start: usize, next_hop: NextHop, summary: Summary) -> u32 {
        let hash = self.key.set(self.octets_from(start), next_hop);
        let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.sets.push(Set { start: at(start), end: at(self.octets.len()), hash, next_hop, summary });
        at(self.sets.len() - 1)
    }

    /// The attributes of a set.
    pub(crate) fn attributes(&self, set: &Set) -> Canonical<'_> {
        Canonical::new(self.octets.get(set.start as usize..set.end as usize).unwrap_or_default())
    }

    /// All routes of the peer in the family are stale, those apart that are announced behind this.
    pub fn mark_stale(&mut self, peer: PeerIdx, family: Family) {
        self.tell_all(peer, family, MARK_STALE);
    }

    /// Those of the peer's routes go that are still stale here.
    pub fn sweep_stale(&mut self, peer: PeerIdx, family: Family) {
        self.tell_all(peer, family, SWEEP_STALE);
    }

    fn tell_all(&mut self, peer: PeerIdx, family: Family, set: u32) {
        self.changes += 1;
        for list in &mut self.shards {
            let (hash, path_id, len, owner) = (0, 0, 0, 0);
            match family {
                Family::Ipv4Unicast => {
                    list.v4.push(Change { hash, addr: V4::ZERO, path_id, set, peer, len, owner });
                }
                Family::Ipv6Unicast => {
                    list.v6.push(Change { hash, addr: V6::ZERO, path_id, set, peer, len, owner });
                }
                Family::Ipv4Flowspec | Family::Ipv6Flowspec => {}
            }
        }
    }

    /// Adds a change of an IPv4 route.
    pub(crate) fn change_v4(&mut self, peer: PeerIdx, set: u32, path_id: u32, addr: V4, len: u8) {
        let hash = self.key.prefix(addr, len);
        self.changes += 1;
        let shard = shard_of(hash, self.shards.len());
        if let Some(list) = self.shards.get_mut(shard) {
            list.v4.push(Change { hash, addr, path_id, set, peer, len, owner: self.owner });
        }
    }

    /// Adds a change of an IPv6 route.
    pub(crate) fn change_v6(&mut self, peer: PeerIdx, set: u32, path_id: u32, addr: V6, len: u8) {
        let hash = self.key.prefix(addr, len);
        self.changes += 1;
        let shard = shard_of(hash, self.shards.len());
        if let Some(list) = self.shards.get_mut(shard) {
            list.v6.push(Change { hash, addr, path_id, set, peer, len, owner: self.owner });
        }
    }

    /// Whose the injected routes are that are added from now on: a number of the caller's, 0 = nobody's.
    pub fn set_owner(&mut self, owner: u8) {
        self.owner = owner;
    }

    /// Adds the withdrawal of an injected route, if it is there.
    pub fn withdraw_injected(&mut self, prefix: IpNet, path_id: u32) {
        self.change(PeerIdx::LOCAL, WITHDRAW, path_id, prefix);
    }

    /// Adds a change of a route of either family.
    pub(crate) fn change(&mut self, peer: PeerIdx, set: u32, path_id: u32, prefix: IpNet) {
        if let Some(addr) = V4::of(&prefix) {
            self.change_v4(peer, set, path_id, addr, prefix.prefix_len());
        } else if let Some(addr) = V6::of(&prefix) {
            self.change_v6(peer, set, path_id, addr, prefix.prefix_len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_gets_its_share_and_nobody_elses() {
        let key = HashKey::default();
        for shards in [1, 3, 4, 64] {
            let mut batch = Batch::new(key.clone(), shards);
            for n in 0..64_000_u32 {
                batch.change_v4(PeerIdx::LOCAL, WITHDRAW, 0, V4(n << 8), 24);
            }
            let sizes: Vec<usize> = batch.shards.iter().map(|l| l.v4.len()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), batch.len());
            let fair = 64_000 / shards;
            assert!(sizes.iter().all(|n| n.abs_diff(fair) < fair / 4), "{shards} shards: {sizes:?}");
        }
    }
}
