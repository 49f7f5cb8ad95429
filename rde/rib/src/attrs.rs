//! Attribute sets, each held once.
//!
//! A set is the canonical wire form of a route's attributes (`bgp::attr::canonical`) and its next hop.
//! The hash is keyed, since peers choose what is hashed.

use std::hash::RandomState;

use bgp::NextHop;
use bgp::attr::canonical::{Canonical, Summary, SummaryFlags};

use crate::index::Index;
use crate::octets::{Octets, Place};
use crate::slab::{Cell, Single, Slab};

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
#[derive(Debug, Clone, Copy)]
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
    /// What the export policy has set for whom the route is sent to.
    pub(crate) own: Own,
}

/// What a route is sent with because our policy says so, though other routes are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Own {
    /// Its MULTI_EXIT_DISC also to external peers (RFC 4271 §5.1.4 is about a neighbor's).
    pub(crate) med: bool,
    /// Its next hop, where it would be ours.
    pub(crate) next_hop: bool,
}

impl Head {
    const NONE: Head = Head {
        local_pref: 0,
        med: 0,
        neighbor_as: 0,
        originator_id: 0,
        path_len: 0,
        flags: SummaryFlags::EMPTY,
        origin: 0,
        cluster_list_len: 0,
        own: Own { med: false, next_hop: false },
    };
}

/// LOCAL_PREF of a route that has none.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// LOCAL_PREF of a route that is the last choice (RFC 8326 §4).
pub(crate) const LAST_CHOICE_PREF: u32 = 0;

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
            own: Own::default(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    bytes: Place,
    head: Head,
    next_hop: u32,
    hash: u32,
    refs: u32,
    /// The set that a policy has made this one of, which is held.
    base: AttrId,
}

/// Sets are allocated 2 to this power at a time: 48 KiB.
const CHUNK: u32 = 10;

impl Cell for Entry {
    const VACANT: Entry =
        Entry { bytes: Place::NONE, head: Head::NONE, next_hop: 0, hash: 0, refs: 0, base: AttrId::NONE };

    fn link(cell: &mut [Entry], next: u32) {
        if let Some(entry) = cell.first_mut() {
            entry.next_hop = next;
        }
    }

    fn next(cell: &[Entry]) -> u32 {
        cell.first().map_or(0, |e| e.next_hop)
    }
}

#[derive(Debug)]
struct NextHopEntry {
    next_hop: NextHop,
    refs: u32,
}

/// The store of attribute sets.
#[derive(Debug)]
pub struct Attrs {
    entries: Slab<Entry, Single<CHUNK>>,
    octets: Octets,
    index: Index,
    // Few, and shared by everything.
    next_hops: Vec<NextHopEntry>,
    next_hop_index: hashbrown::HashMap<NextHop, u32, RandomState>,
    next_hop_free: Vec<u32>,
    /// How many sets were made of others by policies.
    made: usize,
}

impl Default for Attrs {
    fn default() -> Attrs {
        let mut entries = Slab::new(Single);
        // The first number means no set.
        let nobody = entries.take();
        *entries.get_mut(nobody) = Entry { refs: u32::MAX, ..Entry::VACANT };
        Attrs {
            entries,
            octets: Octets::default(),
            index: Index::default(),
            next_hops: Vec::new(),
            next_hop_index: hashbrown::HashMap::with_hasher(RandomState::new()),
            next_hop_free: Vec::new(),
            made: 0,
        }
    }
}

/// 32 bits of hash are kept with a set; the index wants 64, of which it uses the top and the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Attrs {
    /// The handle of this set, with one reference more. `hash` is [`HashKey::set`](crate::HashKey::set).
    pub fn intern(&mut self, hash: u32, canonical: &[u8], next_hop: NextHop, summary: &Summary) -> AttrId {
        self.put(hash, canonical, next_hop, (*summary).into(), AttrId::NONE)
    }

    /// The same for what a policy has made of the set `base`, which is held as long. Apart from all that came like
    /// this: it is known what each was made of.
    pub(crate) fn intern_changed(
        &mut self,
        hash: u32,
        canonical: &[u8],
        next_hop: NextHop,
        head: Head,
        base: AttrId,
    ) -> AttrId {
        self.put(hash ^ base.0.wrapping_mul(0x9e37_79b1), canonical, next_hop, head, base)
    }

    fn put(&mut self, hash: u32, canonical: &[u8], next_hop: NextHop, head: Head, base: AttrId) -> AttrId {
        let next_hop = self.intern_next_hop(next_hop);
        let found = self.index.find(spread(hash), |id| {
            let e = self.entries.get(*id);
            e.hash == hash
                && (e.next_hop, e.base, e.head.own) == (next_hop, base, head.own)
                && self.octets.get(e.bytes) == canonical
        });
        if let Some(id) = found {
            self.entries.get_mut(id).refs += 1;
            return AttrId(id);
        }
        if let Some(n) = self.next_hops.get_mut(next_hop as usize) {
            n.refs += 1;
        }
        self.retain(base, 1);
        self.made += usize::from(base.is_some());
        let id = self.entries.take();
        let bytes = self.octets.put(canonical);
        *self.entries.get_mut(id) = Entry { bytes, head, next_hop, hash, refs: 1, base };
        let entries = &self.entries;
        self.index.insert_unique(spread(hash), id, |id| spread(entries.get(*id).hash));
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
            self.entries.get_mut(id.0).refs += more;
        }
    }

    /// One reference less; the last one frees the set, and lets go of what it was made of.
    pub fn release(&mut self, mut id: AttrId) {
        while id.is_some() {
            let entry = self.entries.get_mut(id.0);
            entry.refs -= 1;
            if entry.refs > 0 {
                return;
            }
            let base = entry.base;
            self.free(id);
            id = base;
        }
    }

    fn free(&mut self, id: AttrId) {
        let Entry { hash, next_hop, bytes, base, .. } = *self.entries.get(id.0);
        self.made -= usize::from(base.is_some());
        self.octets.remove(bytes);
        let entries = &self.entries;
        self.index.remove(spread(hash), id.0, |id| spread(entries.get(*id).hash));
        self.entries.give_back(id.0);
        let n = &mut self.next_hops[next_hop as usize];
        n.refs -= 1;
        if n.refs == 0 {
            self.next_hop_index.remove(&n.next_hop);
            self.next_hop_free.push(next_hop);
        }
    }

    /// What a policy has made this set of: itself where none has.
    pub(crate) fn base(&self, id: AttrId) -> AttrId {
        let base = self.entries.get(id.0).base;
        if base.is_some() { base } else { id }
    }

    /// Whether a policy has made one of these sets of another one.
    pub(crate) fn is_made(&self, ids: [AttrId; 2]) -> bool {
        self.made > 0 && ids.iter().any(|id| self.entries.get(id.0).base.is_some())
    }

    pub(crate) fn head(&self, id: AttrId) -> &Head {
        &self.entries.get(id.0).head
    }

    /// The attributes of a set, without next hop.
    pub fn canonical(&self, id: AttrId) -> Canonical<'_> {
        Canonical::new(self.octets.get(self.entries.get(id.0).bytes))
    }

    /// The same, with what is special about sending it.
    pub(crate) fn outgoing(&self, id: AttrId) -> (Canonical<'_>, Own) {
        (self.canonical(id), self.head(id).own)
    }

    /// The next hop of a set.
    pub fn next_hop(&self, id: AttrId) -> NextHop {
        self.next_hops[self.entries.get(id.0).next_hop as usize].next_hop
    }

    /// How many sets are held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let next_hops = self.next_hops.capacity() * size_of::<NextHopEntry>();
        self.entries.allocated() + self.octets.allocated() + self.index.allocated() + next_hops
    }
}
