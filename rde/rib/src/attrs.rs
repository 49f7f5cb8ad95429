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
    link: Link,
}

/// How sets are related that policies have made of others. Of a set that has come as it is: the first one that was made of
/// it, which is found without a hash, and whether more were, which are in the index. Of one that was made: of which,
/// which it holds; what an export policy makes of it is in the index.
#[derive(Debug, Clone, Copy)]
struct Link(u32);

impl Link {
    const NONE: Link = Link(0);
    const MADE: u32 = 1 << 31;
    const SEVERAL: u32 = 1 << 30;

    fn made_of(base: AttrId) -> Link {
        Link(base.0 | Link::MADE)
    }

    /// The set that this one was made of.
    fn base(self) -> AttrId {
        if self.0 & Link::MADE == 0 { AttrId::NONE } else { AttrId(self.0 & !Link::MADE) }
    }

    /// The first one that was made of this one.
    fn first(self) -> AttrId {
        if self.0 & Link::MADE == 0 { AttrId(self.0 & !Link::SEVERAL) } else { AttrId::NONE }
    }

    /// Whether the index may have one that was made of this one.
    fn has_more(self) -> bool {
        self.0 & (Link::MADE | Link::SEVERAL) != 0
    }

    /// Whether the next one that is made of this one is the first.
    fn takes_first(self) -> bool {
        self.0 & Link::MADE == 0 && !self.first().is_some()
    }

    fn with_first(self, first: AttrId) -> Link {
        Link(self.0 & Link::SEVERAL | first.0)
    }

    fn with_more(self) -> Link {
        Link(if self.0 & Link::MADE == 0 { self.0 | Link::SEVERAL } else { self.0 })
    }
}

/// Sets are allocated 2 to this power at a time: 48 KiB.
const CHUNK: u32 = 10;

impl Cell for Entry {
    const VACANT: Entry =
        Entry { bytes: Place::NONE, head: Head::NONE, next_hop: 0, hash: 0, refs: 0, link: Link::NONE };

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
    last_next_hop: u32,
    /// How many sets were made of others by policies.
    made: usize,
    /// How many of them are not in the index.
    first: usize,
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
            last_next_hop: 0,
            made: 0,
            first: 0,
        }
    }
}

/// 32 bits of hash are kept with a set; the index wants 64, of which it uses the top and the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The hash of what a policy has made of a set with the hash `base`. Cheaper than one with a key of its own, and as hard to
/// aim at: it begins with one that has a key.
fn hash_of_made(base: u32, next_hop: u32, canonical: &[u8]) -> u32 {
    let fold = |hash: u64, word: u64| {
        let wide = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = [wide, wide >> 64].map(|half| half & u128::from(u64::MAX));
        u64::try_from(low ^ high).unwrap_or(0)
    };
    let (words, rest) = canonical.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, octet)| *to = *octet);
    let begin = fold(spread(base), u64::from(next_hop) << 32 | canonical.len() as u64);
    let words = words.iter().chain([&last]).map(|w| u64::from_ne_bytes(*w));
    u32::try_from(words.fold(begin, fold) >> 32).unwrap_or(0)
}

impl Attrs {
    /// The handle of this set, with one reference more. `hash` is [`HashKey::set`](crate::HashKey::set).
    pub fn intern(&mut self, hash: u32, canonical: &[u8], next_hop: NextHop, summary: &Summary) -> AttrId {
        let next_hop = self.intern_next_hop(next_hop);
        let found = self.index.find(spread(hash), |id| {
            let e = self.entries.get(*id);
            e.hash == hash && self.is(e, canonical, next_hop, Own::default(), AttrId::NONE)
        });
        if let Some(id) = found {
            self.entries.get_mut(id).refs += 1;
            return AttrId(id);
        }
        let id = self.put(hash, canonical, next_hop, (*summary).into(), Link::NONE);
        self.list(hash, id);
        id
    }

    /// The same for what a policy has made of the set `base`, which is held as long. Apart from all that came like
    /// this: it is known what each was made of.
    pub(crate) fn intern_changed(
        &mut self,
        canonical: &[u8],
        next_hop: NextHop,
        head: Head,
        base: AttrId,
    ) -> AttrId {
        let from = *self.entries.get(base.0);
        // Few policies set another one.
        let same = self.next_hops.get(from.next_hop as usize).is_some_and(|n| n.next_hop == next_hop);
        let next_hop = if same { from.next_hop } else { self.intern_next_hop(next_hop) };
        let is_it = |e: &Entry| self.is(e, canonical, next_hop, head.own, base);
        let (first, mut hash) = (from.link.first(), 0);
        let mut found = Some(first).filter(|f| f.is_some() && is_it(self.entries.get(f.0)));
        if found.is_none() && (first.is_some() || from.link.has_more()) {
            hash = hash_of_made(from.hash, next_hop, canonical);
            let is_it = |id: &u32| {
                let e = self.entries.get(*id);
                e.hash == hash && is_it(e)
            };
            found = self.index.find(spread(hash), is_it).map(AttrId);
        }
        if let Some(id) = found {
            self.entries.get_mut(id.0).refs += 1;
            return id;
        }
        self.retain(base, 1);
        self.made += 1;
        let id = self.put(hash, canonical, next_hop, head, Link::made_of(base));
        let link = &mut self.entries.get_mut(base.0).link;
        if link.takes_first() {
            *link = link.with_first(id);
            self.first += 1;
        } else {
            *link = link.with_more();
            self.list(hash, id);
        }
        id
    }

    /// Whether an entry is this set.
    fn is(&self, e: &Entry, canonical: &[u8], next_hop: u32, own: Own, base: AttrId) -> bool {
        (e.next_hop, e.link.base(), e.head.own) == (next_hop, base, own)
            && self.octets.get(e.bytes) == canonical
    }

    /// A set that is not there yet.
    fn put(&mut self, hash: u32, canonical: &[u8], next_hop: u32, head: Head, link: Link) -> AttrId {
        if let Some(n) = self.next_hops.get_mut(next_hop as usize) {
            n.refs += 1;
        }
        let id = self.entries.take();
        let bytes = self.octets.put(canonical);
        *self.entries.get_mut(id) = Entry { bytes, head, next_hop, hash, refs: 1, link };
        AttrId(id)
    }

    /// Puts a set into the index.
    fn list(&mut self, hash: u32, id: AttrId) {
        let entries = &self.entries;
        self.index.insert_unique(spread(hash), id.0, |id| spread(entries.get(*id).hash));
    }

    fn intern_next_hop(&mut self, next_hop: NextHop) -> u32 {
        // Routes come in rows with the same one.
        let last = self.next_hops.get(self.last_next_hop as usize);
        if last.is_some_and(|n| n.refs > 0 && n.next_hop == next_hop) {
            return self.last_next_hop;
        }
        self.last_next_hop = self.find_next_hop(next_hop);
        self.last_next_hop
    }

    fn find_next_hop(&mut self, next_hop: NextHop) -> u32 {
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
            let base = entry.link.base();
            self.free(id);
            id = base;
        }
    }

    fn free(&mut self, id: AttrId) {
        let Entry { hash, next_hop, bytes, link, .. } = *self.entries.get(id.0);
        let base = link.base();
        self.made -= usize::from(base.is_some());
        self.octets.remove(bytes);
        let of_base = if base.is_some() { self.entries.get(base.0).link } else { Link::NONE };
        if base.is_some() && of_base.first() == id {
            self.entries.get_mut(base.0).link = of_base.with_first(AttrId::NONE);
            self.first -= 1;
        } else {
            let entries = &self.entries;
            self.index.remove(spread(hash), id.0, |id| spread(entries.get(*id).hash));
        }
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
        let base = self.entries.get(id.0).link.base();
        if base.is_some() { base } else { id }
    }

    /// Whether a policy has made one of these sets of another one.
    pub(crate) fn is_made(&self, ids: [AttrId; 2]) -> bool {
        self.made > 0 && ids.iter().any(|id| self.entries.get(id.0).link.base().is_some())
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
        self.index.len() + self.first
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bgp::attr::canonical::summarize;
    use proptest::prelude::*;

    use super::*;

    /// A set by its contents: of which base it was made, if of any, which variant it is, with which next hop.
    type Name = (Option<u8>, u8, u8);

    fn octets(variant: u8) -> Vec<u8> {
        vec![0x80, 4, 4, 0, 0, 0, variant]
    }

    proptest! {
        #[test]
        fn what_policies_make_of_a_set_has_one_handle_as_long_as_somebody_holds_it(
            ops in prop::collection::vec((any::<bool>(), 0..3_u8, 0..5_u8, 0..2_u8), 1..200),
        ) {
            let next_hop = |n: u8| NextHop::V4([192, 0, 2, n].into());
            let mut attrs = Attrs::default();
            let mut bases: Vec<AttrId> = (0..2_u8)
                .map(|n| attrs.intern(u32::from(n), &octets(100 + n), next_hop(0), &summarize(&octets(100 + n))))
                .collect();
            // One that was made itself, as what an import policy has made is for export.
            bases.push(attrs.intern_changed(&octets(102), next_hop(0), summarize(&octets(102)).into(), bases[1]));
            let mut held: HashMap<Name, (AttrId, u32)> = HashMap::new();
            for (more, base, variant, hop) in ops {
                let name = (Some(base), variant, hop);
                if more {
                    let head = summarize(&octets(variant)).into();
                    let of = bases[usize::from(base)];
                    let id = attrs.intern_changed(&octets(variant), next_hop(hop), head, of);
                    let known = held.entry(name).or_insert((id, 0));
                    prop_assert_eq!(known.0, id, "the same as before");
                    known.1 += 1;
                } else if let Some((id, times)) = held.get_mut(&name) {
                    attrs.release(*id);
                    *times -= 1;
                    held.retain(|_, (_, times)| *times > 0);
                }
                prop_assert_eq!(attrs.len(), bases.len() + held.len());
                for ((base, variant, hop), (id, _)) in &held {
                    prop_assert_eq!(attrs.base(*id), bases[usize::from(base.unwrap())]);
                    prop_assert_eq!(attrs.canonical(*id).as_bytes(), octets(*variant));
                    prop_assert_eq!(attrs.next_hop(*id), next_hop(*hop));
                    prop_assert!(attrs.is_made([*id, AttrId::NONE]));
                }
            }
            // What was made holds what it was made of.
            bases.iter().for_each(|id| attrs.release(*id));
            for (id, times) in held.into_values() {
                (0..times).for_each(|_| attrs.release(id));
            }
            prop_assert!(attrs.is_empty());
        }
    }
}
