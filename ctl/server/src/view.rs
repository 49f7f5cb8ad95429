//! What control knows of the configuration: staged by the parent, then committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipc::config::{ControlGlobal, ControlPeer, ControlRange};
use ipc::{Generation, PeerId};

/// A committed configuration.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The daemon as a whole.
    pub(crate) global: ControlGlobal,
    /// The peers, ordered by address.
    pub(crate) peers: BTreeMap<IpAddr, ControlPeer>,
    /// The ranges of dynamic peers, in the order of their prefixes.
    pub(crate) ranges: Vec<ControlRange>,
    /// Whom an id belongs to. Keeps peers that are gone, since their routes may still be on the way.
    addresses: HashMap<PeerId, IpAddr>,
}

impl View {
    /// The address of the peer, also of one that was removed; `None` for an id never heard of.
    pub(crate) fn address(&self, id: PeerId) -> Option<IpAddr> {
        self.addresses.get(&id).copied()
    }

    /// Dynamic peers are there from now on.
    pub(crate) fn add(&mut self, peers: Vec<ControlPeer>) {
        for peer in peers {
            self.addresses.insert(peer.id, peer.address);
            self.peers.insert(peer.address, peer);
        }
    }

    /// Dynamic peers are not there any more.
    pub(crate) fn remove(&mut self, peers: &[PeerId]) {
        for id in peers {
            let address = self.address(*id);
            // Another peer may have the address by now.
            if let Some(address) = address.filter(|a| self.peers.get(a).is_some_and(|p| p.id == *id)) {
                self.peers.remove(&address);
            }
        }
    }

    /// The configured address that looks most like `wanted`, if one is close enough to be a typing error.
    pub(crate) fn nearest(&self, wanted: &str) -> Option<IpAddr> {
        self.peers
            .keys()
            .map(|a| (edit_distance(wanted, &a.to_string()), *a))
            .min()
            .filter(|(distance, _)| *distance <= 2)
            .map(|(_, address)| address)
    }
}

/// A configuration on its way in.
#[derive(Debug)]
pub(crate) struct Staging {
    generation: Generation,
    global: ControlGlobal,
    peers: Vec<ControlPeer>,
    ranges: Vec<ControlRange>,
    whole: bool,
}

impl Staging {
    /// Begins with what holds for the daemon.
    pub(crate) fn new(generation: Generation, global: ControlGlobal) -> Staging {
        Staging { generation, global, peers: Vec::new(), ranges: Vec::new(), whole: false }
    }

    /// Takes more peers; says no where the configuration is whole already or has more peers than ids.
    pub(crate) fn add(&mut self, peers: Vec<ControlPeer>) -> bool {
        self.peers.extend(peers);
        !self.whole && self.peers.len() <= usize::from(u16::MAX) + 1
    }

    /// Takes more ranges; says no where the configuration is whole already or has more ranges than there can be.
    pub(crate) fn add_ranges(&mut self, ranges: Vec<ControlRange>) -> bool {
        self.ranges.extend(ranges);
        !self.whole && self.ranges.len() <= usize::from(u16::MAX)
    }

    /// Dynamic peers have come meanwhile.
    pub(crate) fn peers_came(&mut self, peers: &[ControlPeer]) {
        self.peers.extend_from_slice(peers);
    }

    /// Dynamic peers are gone meanwhile.
    pub(crate) fn peers_went(&mut self, peers: &[PeerId]) {
        let gone: HashSet<&PeerId> = peers.iter().collect();
        self.peers.retain(|p| !gone.contains(&p.id));
    }

    /// Marks it whole.
    pub(crate) fn end(&mut self) -> Generation {
        self.whole = true;
        self.generation
    }

    /// Whether it is whole and of this number.
    pub(crate) fn is_ready(&self, generation: Generation) -> bool {
        self.whole && self.generation == generation
    }

    /// Makes it the configuration that follows `before`.
    pub(crate) fn commit(self, before: Option<&View>) -> View {
        let mut addresses = before.map(|v| v.addresses.clone()).unwrap_or_default();
        addresses.extend(self.peers.iter().map(|p| (p.id, p.address)));
        let peers = self.peers.into_iter().map(|p| (p.address, p)).collect();
        View { global: self.global, peers, ranges: self.ranges, addresses }
    }
}

/// Levenshtein distance of two short texts.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((cb, &diagonal), &above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(i + 1);
            next.push((diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::edit_distance;

    #[test]
    fn edit_distance_counts_changes() {
        for (a, b, distance) in [
            ("", "", 0),
            ("10.0.0.1", "10.0.0.1", 0),
            ("10.0.0.1", "10.0.0.12", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
