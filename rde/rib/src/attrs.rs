//! Attribute sets, each held once.
//!
//! A set is the canonical wire form of a route's attributes (`bgp::attr::canonical`) and its next hop.
//! The hash is keyed, since peers choose what is hashed.

use std::hash::{BuildHasher, RandomState};

use bgp::NextHop;
use bgp::attr::canonical::{Canonical, Summary, SummaryFlags};
use hashbrown::HashTable;

/// Handle of an attribute set; [`AttrId::NONE`] is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AttrId(pub(crate) u32);

impl AttrId {
    /// No attribute set.
    pub const NONE: AttrId = AttrId(0);

    /// Whether it is a set at all.
    pub fn is_some(self) -> bool {
        self != AttrId::NONE
    }
}

/// What the decision process and the export rules look at, taken from the set once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    /// LOCAL_PREF, 100 where there is none.
    pub(crate) local_pref: u32,
    /// MULTI_EXIT_DISC, 0 where there is none (RFC 4271 §9.1.2.2 c).
    pub(crate) med: u32,
    /// First AS of the path, 0 if it is empty.
    pub(crate) neighbor_as: u32,
    /// ORIGINATOR_ID, 0 where there is none.
    pub(crate) originator_id: u32,
    /// AS_PATH length as the decision process counts it.
    pub(crate) path_len: u16,
    /// Communities that have a meaning, and other marks.
    pub(crate) flags: SummaryFlags,
    /// ORIGIN.
    pub(crate) origin: u8,
    /// Length of CLUSTER_LIST.
    pub(crate) cluster_list_len: u8,
}

/// LOCAL_PREF of a route that has none.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

impl From<Summary> for Head {
    fn from(s: Summary) -> Head {
        Head {
            local_pref: s.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            med: s.med.unwrap_or(0),
            neighbor_as: s.neighbor_as,
            originator_id: s.originator_id.unwrap_or(0),
            path_len: s.path_len,
            flags: s.flags,
            origin: s.origin,
            cluster_list_len: s.cluster_list_len,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    bytes: Box<[u8]>,
    head: Head,
    next_hop: u32,
    hash: u32,
    refs: u32,
}

#[derive(Debug)]
struct NextHopEntry {
    next_hop: NextHop,
    refs: u32,
}

/// The store of attribute sets.
#[derive(Debug)]
pub struct Attrs {
    entries: Vec<Entry>,
    free: Vec<u32>,
    index: HashTable<u32>,
    // Few, and shared by everything.
    next_hops: Vec<NextHopEntry>,
    next_hop_index: hashbrown::HashMap<NextHop, u32, RandomState>,
    next_hop_free: Vec<u32>,
    hasher: RandomState,
}

impl Default for Attrs {
    fn default() -> Attrs {
        let hasher = RandomState::new();
        let nobody =
            Entry { bytes: Box::default(), head: Head::default(), next_hop: 0, hash: 0, refs: u32::MAX };
        Attrs {
            entries: vec![nobody],
            free: Vec::new(),
            index: HashTable::new(),
            next_hops: Vec::new(),
            next_hop_index: hashbrown::HashMap::with_hasher(hasher.clone()),
            next_hop_free: Vec::new(),
            hasher,
        }
    }
}

/// 32 bits of hash are kept with a set; the index wants 64, of which it uses the top and the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Attrs {
    /// The handle of this set, with one reference more.
    pub fn intern(&mut self, canonical: &[u8], next_hop: NextHop, summary: &Summary) -> AttrId {
        let next_hop = self.intern_next_hop(next_hop);
        #[expect(clippy::cast_possible_truncation, reason = "32 bits of the hash are kept")]
        let hash = self.hasher.hash_one((next_hop, canonical)) as u32;
        let found = self.index.find(spread(hash), |id| {
            let e = &self.entries[*id as usize];
            e.hash == hash && e.next_hop == next_hop && *e.bytes == *canonical
        });
        if let Some(id) = found {
            let id = *id;
            self.entries[id as usize].refs += 1;
            return AttrId(id);
        }
        if let Some(n) = self.next_hops.get_mut(next_hop as usize) {
            n.refs += 1;
        }
        let entry = Entry { bytes: canonical.into(), head: (*summary).into(), next_hop, hash, refs: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(spread(hash), id, |id| spread(entries[*id as usize].hash));
        AttrId(id)
    }

    fn intern_next_hop(&mut self, next_hop: NextHop) -> u32 {
        if let Some(id) = self.next_hop_index.get(&next_hop) {
            return *id;
        }
        let entry = NextHopEntry { next_hop, refs: 0 };
        let id = match self.next_hop_free.pop() {
            Some(id) => {
                self.next_hops[id as usize] = entry;
                id
            }
            None => {
                self.next_hops.push(entry);
                u32::try_from(self.next_hops.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.next_hop_index.insert(next_hop, id);
        id
    }

    /// More references to a set that is held.
    pub fn retain(&mut self, id: AttrId, more: u32) {
        if id.is_some() {
            self.entries[id.0 as usize].refs += more;
        }
    }

    /// One reference less; the last one frees the set.
    pub fn release(&mut self, id: AttrId) {
        if !id.is_some() {
            return;
        }
        let entry = &mut self.entries[id.0 as usize];
        entry.refs -= 1;
        if entry.refs > 0 {
            return;
        }
        let (hash, next_hop) = (entry.hash, entry.next_hop);
        entry.bytes = Box::default();
        if let Ok(found) = self.index.find_entry(spread(hash), |i| *i == id.0) {
            found.remove();
        }
        self.free.push(id.0);
        let n = &mut self.next_hops[next_hop as usize];
        n.refs -= 1;
        if n.refs == 0 {
            self.next_hop_index.remove(&n.next_hop);
            self.next_hop_free.push(next_hop);
        }
    }

    pub(crate) fn head(&self, id: AttrId) -> &Head {
        &self.entries[id.0 as usize].head
    }

    /// The attributes of a set, without next hop.
    pub fn canonical(&self, id: AttrId) -> Canonical<'_> {
        Canonical::new(&self.entries[id.0 as usize].bytes)
    }

    /// The next hop of a set.
    pub fn next_hop(&self, id: AttrId) -> NextHop {
        self.next_hops[self.entries[id.0 as usize].next_hop as usize].next_hop
    }

    /// How many sets are held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}
