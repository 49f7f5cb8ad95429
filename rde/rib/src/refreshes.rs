//! Which peers are being sent a whole table again (RFC 2918 §4), as far as all shards have to do with it.
//!
//! One refresh of a peer and family runs at a time, from its begin to its end (RFC 7313 §4). Who asks meanwhile gets
//! one more behind it, however often they ask. Who asks before their initial table is out gets it behind the
//! End-of-RIB.

use std::collections::HashMap;

use bgp::{Family, FamilySet};

use crate::peers::PeerIdx;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The initial table is not out.
    Initial,
    Idle,
    /// So many shards have not sent all.
    Running(usize),
}

#[derive(Debug)]
struct Refresh {
    stage: Stage,
    asked: bool,
}

/// The refreshes of all peers.
#[derive(Debug)]
pub struct Refreshes {
    shards: usize,
    list: HashMap<(PeerIdx, Family), Refresh>,
}

impl Refreshes {
    /// For tables in so many shards.
    pub fn new(shards: usize) -> Refreshes {
        Refreshes { shards, list: HashMap::new() }
    }

    /// A session reached Established.
    pub fn peer_up(&mut self, peer: PeerIdx, families: FamilySet) {
        let initial = |family| ((peer, family), Refresh { stage: Stage::Initial, asked: false });
        self.list.extend(families.iter().map(initial));
    }

    /// It ended.
    pub fn peer_down(&mut self, peer: PeerIdx) {
        self.list.retain(|(p, _), _| *p != peer);
    }

    /// The peer's initial table is out, End-of-RIB included.
    pub fn end_of_rib(&mut self, peer: PeerIdx, family: Family) {
        if let Some(refresh) = self.list.get_mut(&(peer, family)) {
            refresh.stage = Stage::Idle;
        }
    }

    /// The peer wants a family's table again. Of one that it does not have, it is sent nothing.
    pub fn ask(&mut self, peer: PeerIdx, family: Family) {
        if let Some(refresh) = self.list.get_mut(&(peer, family)) {
            refresh.asked = true;
        }
    }

    /// Whether a refresh begins now: then BoRR goes out, and behind it all shards do [`Rib::refresh`](crate::Rib::refresh).
    pub fn begin(&mut self, peer: PeerIdx, family: Family) -> bool {
        let Some(refresh) = self.list.get_mut(&(peer, family)) else { return false };
        let begins = refresh.asked && refresh.stage == Stage::Idle;
        if begins {
            *refresh = Refresh { stage: Stage::Running(self.shards), asked: false };
        }
        begins
    }

    /// A shard has sent all it has. `true`: it was the last one, and EoRR goes out.
    pub fn end(&mut self, peer: PeerIdx, family: Family) -> bool {
        let Some(refresh) = self.list.get_mut(&(peer, family)) else { return false };
        let Stage::Running(left) = refresh.stage else { return false };
        refresh.stage = if left > 1 { Stage::Running(left - 1) } else { Stage::Idle };
        refresh.stage == Stage::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerIdx = PeerIdx(3);
    const FAMILY: Family = Family::Ipv4Unicast;

    fn asked(refreshes: &mut Refreshes, family: Family) -> bool {
        refreshes.ask(PEER, family);
        refreshes.begin(PEER, family)
    }

    #[test]
    fn rfc7313_4_a_refresh_begins_behind_end_of_rib_and_runs_to_its_end() {
        let mut refreshes = Refreshes::new(2);
        refreshes.peer_up(PEER, FamilySet::EMPTY.with(FAMILY));
        assert!(!asked(&mut refreshes, Family::Ipv6Unicast), "a family that was not agreed on");
        assert!(!asked(&mut refreshes, FAMILY), "the initial table is not out");
        refreshes.end_of_rib(PEER, FAMILY);
        assert!(refreshes.begin(PEER, FAMILY), "it was asked for");
        assert!(!refreshes.begin(PEER, FAMILY), "once");
        for _ in 0..1000 {
            assert!(!asked(&mut refreshes, FAMILY), "one at a time");
        }
        assert!(!refreshes.end(PEER, FAMILY), "one shard of two");
        assert!(!refreshes.begin(PEER, FAMILY));
        assert!(refreshes.end(PEER, FAMILY), "both");
        assert!(refreshes.begin(PEER, FAMILY), "one more, for all that were asked for");
        assert!(!refreshes.end(PEER, FAMILY));
        assert!(refreshes.end(PEER, FAMILY));
        assert!(!refreshes.begin(PEER, FAMILY), "nothing is left");
    }

    #[test]
    fn the_next_incarnation_begins_from_the_start() {
        let mut refreshes = Refreshes::new(1);
        refreshes.peer_up(PEER, FamilySet::EMPTY.with(FAMILY));
        refreshes.end_of_rib(PEER, FAMILY);
        assert!(asked(&mut refreshes, FAMILY));
        refreshes.peer_down(PEER);
        assert!(!refreshes.end(PEER, FAMILY), "late news of the one before");
        refreshes.peer_up(PEER, FamilySet::EMPTY.with(FAMILY));
        assert!(!refreshes.end(PEER, FAMILY));
        assert!(!asked(&mut refreshes, FAMILY), "its initial table is not out");
    }
}
