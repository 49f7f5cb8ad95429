//! The Adj-RIB-Out of an update group that is sent several paths of a prefix (RFC 7911): beside the column, which
//! says that there is something, a list for each prefix.
//!
//! A path is known by who it is from and the identifier that it came with; it gets an identifier of ours when it is
//! sent for the first time and keeps it until it is gone, whether it is sent all that time or not. Identifiers are
//! counted up in the whole group, so that one that was withdrawn does not soon stand for another path.

use smallvec::SmallVec;

use crate::attrs::AttrId;
use crate::column::Sent;
use crate::family::Shared;
use crate::peers::PeerIdx;

/// A path that a group was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentPath {
    /// The attribute set before export rules; none: it is not sent now, and only keeps its identifier.
    pub(crate) attr: AttrId,
    /// Our identifier.
    pub(crate) id: u32,
    /// The identifier that its source gave it.
    pub(crate) path_id: u32,
    /// Who it is from: the one member that does not have it.
    pub(crate) source: PeerIdx,
    /// It was sent as the last choice (RFC 8326 §4.2).
    pub(crate) last_choice: bool,
}

impl SentPath {
    /// What the path is known by in its prefix.
    pub(crate) fn name(&self) -> (PeerIdx, u32) {
        (self.source, self.path_id)
    }

    /// As a column has it.
    pub(crate) fn as_sent(&self) -> Sent {
        Sent { attr: self.attr, source: self.source, last_choice: self.last_choice, dirty: false }
    }
}

/// Lists that are allocated together: 64 KiB.
const CHUNK: usize = 4096;

#[derive(Debug, Default)]
struct Chunk {
    lists: Vec<Box<[SentPath]>>,
    /// Lists that are not empty.
    used: usize,
}

/// What a member does not have because it is the source.
#[derive(Debug, Clone, Copy, Default)]
struct Fewer {
    paths: u64,
    prefixes: u64,
}

/// The lists of a group, by slot. In each come first the paths that are sent, the best one first, then those that
/// keep their identifiers.
#[derive(Debug)]
pub(crate) struct SentPaths {
    /// How many paths of a prefix a member is sent at most.
    pub(crate) limit: usize,
    chunks: Vec<Chunk>,
    last_id: u32,
    /// Paths that a member has which is the source of none.
    routes: u64,
    /// How many fewer a peer has that is the source of some, indexed by [`PeerIdx`].
    fewer: Vec<Fewer>,
}

/// Lets go of the attribute sets of a list.
pub(crate) fn release(shared: &mut Shared, list: &[SentPath]) {
    list.iter().for_each(|p| shared.attrs.release(p.attr));
}

/// The paths of a list that are sent.
pub(crate) fn sent(list: &[SentPath]) -> &[SentPath] {
    list.get(..list.partition_point(|p| p.attr.is_some())).unwrap_or_default()
}

impl SentPaths {
    /// `limit`: the most paths of a prefix for a member, 0 = all.
    pub(crate) fn new(limit: u32) -> SentPaths {
        let limit = match limit {
            0 => usize::MAX,
            n => n as usize,
        };
        SentPaths { limit, chunks: Vec::new(), last_id: 0, routes: 0, fewer: Vec::new() }
    }

    /// What is known of a prefix.
    pub(crate) fn get(&self, slot: u32) -> &[SentPath] {
        let (chunk, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        self.chunks.get(chunk).and_then(|c| c.lists.get(at)).map_or(&[], |l| l)
    }

    /// What a member has of a prefix: the best ones that are not from itself.
    pub(crate) fn of(&self, slot: u32, member: PeerIdx) -> impl Iterator<Item = &SentPath> {
        sent(self.get(slot)).iter().filter(move |p| p.source != member).take(self.limit)
    }

    /// An identifier that no path of this list has.
    pub(crate) fn next_id(&mut self, list: &[SentPath]) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && list.iter().all(|p| p.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// New identifiers are counted on from where those of another group are, whose lists are in this one.
    pub(crate) fn count_on(&mut self, from: &SentPaths) {
        self.last_id = from.last_id;
    }

    /// Replaces what is known of a prefix; returns what was.
    pub(crate) fn replace(&mut self, slot: u32, list: Box<[SentPath]>) -> Box<[SentPath]> {
        let (chunk, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        self.count(&list, u64::wrapping_add);
        if self.chunks.len() <= chunk {
            if list.is_empty() {
                return list;
            }
            self.chunks.resize_with(chunk + 1, Chunk::default);
        }
        let c = &mut self.chunks[chunk];
        if c.lists.len() <= at {
            if list.is_empty() {
                return list;
            }
            c.lists.resize_with(at + 1, Box::default);
        }
        let has = usize::from(!list.is_empty());
        let old = std::mem::replace(&mut c.lists[at], list);
        c.used = c.used + has - usize::from(!old.is_empty());
        if c.used == 0 {
            c.lists = Vec::new();
            while self.chunks.pop_if(|c| c.used == 0).is_some() {}
        }
        self.count(&old, u64::wrapping_sub);
        old
    }

    /// Adds what a list means to the counters, or takes it away.
    fn count(&mut self, list: &[SentPath], change: impl Fn(u64, u64) -> u64) {
        let sent = sent(list);
        let has = sent.len().min(self.limit);
        self.routes = change(self.routes, has as u64);
        let mut sources: SmallVec<[PeerIdx; 16]> = sent.iter().map(|p| p.source).collect();
        sources.sort_unstable();
        for own in sources.chunk_by(PartialEq::eq) {
            let Some(source) = own.first() else { continue };
            let others = sent.len() - own.len();
            let at = source.index();
            if self.fewer.len() <= at {
                self.fewer.resize(at + 1, Fewer::default());
            }
            let fewer = &mut self.fewer[at];
            fewer.paths = change(fewer.paths, (has - others.min(self.limit)) as u64);
            fewer.prefixes = change(fewer.prefixes, u64::from(others == 0));
        }
    }

    /// How many paths this member has been sent.
    pub(crate) fn advertised_to(&self, member: PeerIdx) -> u64 {
        self.routes - self.fewer.get(member.index()).map_or(0, |f| f.paths)
    }

    /// Of how many prefixes all paths that are sent are from this member.
    pub(crate) fn only_from(&self, member: PeerIdx) -> u64 {
        self.fewer.get(member.index()).map_or(0, |f| f.prefixes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn list() -> impl Strategy<Value = Box<[SentPath]>> {
        (prop::collection::vec(1..4_u16, 0..7), 0..3_usize).prop_map(|(sources, kept)| {
            let sent = sources.len().saturating_sub(kept);
            let path = |(n, source): (usize, u16)| SentPath {
                attr: AttrId(u32::from(n < sent)),
                id: 1,
                path_id: 0,
                source: PeerIdx(source),
                last_choice: false,
            };
            sources.into_iter().enumerate().map(path).collect()
        })
    }

    proptest! {
        #[test]
        fn counters_say_what_the_lists_of_each_member_add_up_to(
            limit in 0..4_u32,
            changes in prop::collection::vec((0..6_u32, list()), 1..40),
        ) {
            let (mut paths, mut model) = (SentPaths::new(limit), HashMap::new());
            for (slot, list) in changes {
                let slot = slot * 3000;
                let old = paths.replace(slot, list.clone());
                prop_assert_eq!(old, model.insert(slot, list).unwrap_or_default());
                for member in (0..5).map(PeerIdx) {
                    let has: usize = model.keys().map(|slot| paths.of(*slot, member).count()).sum();
                    prop_assert_eq!(paths.advertised_to(member), has as u64);
                    let sent: Vec<_> = model.values().map(|list| sent(list)).filter(|l| !l.is_empty()).collect();
                    let own = sent.iter().filter(|list| list.iter().all(|p| p.source == member)).count();
                    prop_assert_eq!(paths.only_from(member), own as u64);
                }
                prop_assert!(model.iter().all(|(slot, list)| paths.get(*slot) == &**list));
            }
            for slot in model.into_keys() {
                paths.replace(slot, Box::default());
            }
            prop_assert!(paths.chunks.is_empty(), "lists that are empty take no room");
        }
    }

    #[test]
    fn an_identifier_does_not_come_back_and_is_never_zero() {
        let mut paths = SentPaths::new(0);
        assert_eq!((paths.next_id(&[]), paths.next_id(&[])), (1, 2));
        paths.last_id = u32::MAX - 1;
        let source = PeerIdx(1);
        let path = |id| SentPath { attr: AttrId(1), id, path_id: 0, source, last_choice: false };
        let ids = [paths.next_id(&[]), paths.next_id(&[path(1), path(2)])];
        assert_eq!(ids, [u32::MAX, 3], "after so many, those that are in use are left out");
    }
}
