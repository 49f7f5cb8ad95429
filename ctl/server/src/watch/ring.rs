//! The last changes: who watches reads them from here, and who was away goes on where it was.

use std::collections::VecDeque;
use std::sync::Arc;

use ipc::control_rde::{BestChange, RouteView};

/// Changes that are kept.
pub(super) const EVENTS: usize = 128 << 10;

/// Octets that they may take, estimated.
const OCTETS: usize = 32 << 20;

/// Changes that were told together.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Number of the first one.
    pub(super) first: u64,
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
    /// The shard of the tables.
    pub(super) shard: u16,
    /// At least one.
    pub(super) changes: Vec<BestChange>,
}

impl Chunk {
    /// Number of the last one.
    pub(super) fn last(&self) -> u64 {
        self.first + self.changes.len().saturating_sub(1) as u64
    }

    /// Whether routes come with their attributes.
    fn is_whole(&self) -> bool {
        self.changes.iter().all(|c| c.now.is_none() || c.route.is_some())
    }

    fn octets(&self) -> usize {
        let of = |r: &RouteView| {
            let asns: usize = r.as_path.iter().map(|s| 32 + 4 * s.asns.len()).sum();
            let communities = 4 * r.communities.len() + 8 * r.extended_communities.len();
            size_of::<RouteView>() + asns + communities + 12 * r.large_communities.len()
        };
        let routes: usize = self.changes.iter().filter_map(|c| c.route.as_deref()).map(of).sum();
        size_of::<Chunk>() + self.changes.len() * size_of::<BestChange>() + routes
    }
}

/// Why a reader cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// What it would read next is not kept any more; the number of the oldest change that is.
    Past(u64),
    /// Its number is beyond the last one, which is this.
    Future(u64),
    /// What it would read next is there, but not with attributes.
    NotWhole,
}

/// Bounded: the oldest changes go.
#[derive(Debug, Default)]
pub(super) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    /// All changes behind this number are here.
    base: u64,
    /// Number of the last one.
    end: u64,
    events: usize,
    octets: usize,
}

impl Ring {
    /// Begins anew, behind the change of this number.
    pub(super) fn begin(&mut self, sequence: u64) {
        *self = Ring { base: sequence, end: sequence, ..Ring::default() };
    }

    /// Number of the last change.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Takes the next changes; says no where they are not those.
    pub(super) fn push(&mut self, chunk: Chunk) -> bool {
        if chunk.first != self.end + 1 || chunk.changes.is_empty() {
            return false;
        }
        self.end = chunk.last();
        self.events += chunk.changes.len();
        self.octets += chunk.octets();
        self.chunks.push_back(Arc::new(chunk));
        while self.events > EVENTS || self.octets > OCTETS {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.base = oldest.last();
            self.events -= oldest.changes.len();
            self.octets -= oldest.octets();
        }
        true
    }

    /// Whether changes behind this number are still there.
    pub(super) fn keeps(&self, position: u64) -> bool {
        position >= self.base
    }

    /// The chunk with the change behind this number, if there is one by now.
    ///
    /// # Errors
    /// Where it is not kept any more.
    pub(super) fn after(&self, position: u64) -> Result<Option<Arc<Chunk>>, Lost> {
        if !self.keeps(position) {
            return Err(Lost::Past(self.base + 1));
        }
        let at = self.chunks.partition_point(|c| c.last() <= position);
        Ok(self.chunks.get(at).cloned())
    }

    /// Whether a reader can begin behind this number.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn resume(&self, position: u64, whole: bool) -> Result<(), Lost> {
        if position > self.end {
            return Err(Lost::Future(self.end));
        }
        self.after(position)?;
        let at = self.chunks.partition_point(|c| c.last() <= position);
        let lacks = whole && self.chunks.iter().skip(at).any(|c| !c.is_whole());
        if lacks { Err(Lost::NotWhole) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::PeerId;
    use ipc::control_rde::Whose;

    fn chunk(first: u64, count: usize) -> Chunk {
        let whose = Some(Whose { peer: Some(PeerId(1)), path_id: 0 });
        let prefix = "10.0.0.0/8".parse().unwrap();
        let change = BestChange { prefix, slot: 0, now: whose, before: None, route: None };
        Chunk { first, at: 0, shard: 0, changes: vec![change; count] }
    }

    #[test]
    fn readers_find_what_is_behind_their_number_until_it_goes() {
        let mut ring = Ring::default();
        ring.begin(100);
        assert!(ring.after(100).unwrap().is_none());
        assert_eq!(ring.resume(99, false), Err(Lost::Past(101)));
        assert_eq!(ring.resume(101, false), Err(Lost::Future(100)));
        assert!(ring.push(chunk(101, 3)) && ring.push(chunk(104, 2)));
        assert!(!ring.push(chunk(104, 2)) && !ring.push(chunk(107, 1)), "they are not the next ones");
        for (position, first) in [(100, 101), (102, 101), (103, 104), (104, 104)] {
            assert_eq!(ring.after(position).unwrap().unwrap().first, first, "{position}");
        }
        assert!(ring.after(105).unwrap().is_none());
        assert_eq!(ring.resume(102, true), Err(Lost::NotWhole));
        assert_eq!((ring.resume(102, false), ring.resume(105, true)), (Ok(()), Ok(())));
        let mut next = 106;
        while ring.keeps(100) {
            assert!(ring.push(chunk(next, 512)));
            next += 512;
            assert!(ring.events <= EVENTS);
        }
        let Err(Lost::Past(oldest)) = ring.after(100) else { panic!("it is kept") };
        assert!(oldest > 103 && ring.after(oldest - 1).is_ok(), "{oldest}");
    }

    #[test]
    fn long_routes_count_for_what_they_take() {
        let mut ring = Ring::default();
        ring.begin(0);
        let mut next = 1;
        while ring.keeps(0) {
            let mut long = chunk(next, 100);
            let route = RouteView {
                prefix: "10.0.0.0/8".parse().unwrap(),
                peer: None,
                path_id: 0,
                best: true,
                stale: false,
                denied: false,
                origin: 0,
                as_path: vec![],
                next_hop: bgp::NextHop::V4([192, 0, 2, 1].into()),
                local_pref: None,
                med: None,
                communities: vec![7; 1000],
                extended_communities: vec![],
                large_communities: vec![],
                only_to_customer: None,
            };
            long.changes.iter_mut().for_each(|c| c.route = Some(Box::new(route.clone())));
            assert!(ring.push(long));
            next += 100;
        }
        assert!(next < 10_000, "{next} changes of more than 4,000 octets each");
    }
}
