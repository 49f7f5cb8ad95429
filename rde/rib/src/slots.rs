//! Prefixes: a slot each, found by an exact-match index. Handles are slot numbers, so that the columns of
//! update groups lie parallel to the slots.

use std::hash::Hasher;
use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::Family;
use hashbrown::hash_table::Entry;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::batch::HashKey;
use crate::index::Index;
use crate::paths::List;
use crate::slab::{Cell, Single, Slab};

/// The addresses of a family, as a slot holds them.
pub(crate) trait Addr: Copy + Eq + Ord + std::fmt::Debug + Default {
    const FAMILY: Family;
    /// Puts the prefix into a hasher, in one piece: hashers take most of their time for what is in pieces.
    fn hash_with(self, len: u8, hasher: &mut impl Hasher);
    /// The longest prefix in NLRI encoding without path identifier, in octets.
    const MAX_NLRI: usize;
    const ZERO: Self;

    fn net(self, len: u8) -> IpNet;
    fn of(net: &IpNet) -> Option<Self>;
    fn write(self, len: u8, path_id: Option<u32>, out: &mut Vec<u8>);
}

/// An IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct V4(pub(crate) u32);

/// An IPv6 address, in four parts to keep the alignment of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct V6(pub(crate) [u32; 4]);

impl V6 {
    fn bits(self) -> u128 {
        self.0.iter().fold(0, |bits, part| bits << 32 | u128::from(*part))
    }
}

impl Addr for V4 {
    const FAMILY: Family = Family::Ipv4Unicast;
    const MAX_NLRI: usize = 5;
    const ZERO: V4 = V4(0);

    fn hash_with(self, len: u8, hasher: &mut impl Hasher) {
        hasher.write(&(u64::from(self.0) << 8 | u64::from(len)).to_ne_bytes());
    }

    fn net(self, len: u8) -> IpNet {
        Ipv4Net::new(Ipv4Addr::from_bits(self.0), len).unwrap_or_default().into()
    }

    fn of(net: &IpNet) -> Option<V4> {
        match net {
            IpNet::V4(n) => Some(V4(n.network().to_bits())),
            IpNet::V6(_) => None,
        }
    }

    fn write(self, len: u8, path_id: Option<u32>, out: &mut Vec<u8>) {
        let net = Ipv4Net::new(Ipv4Addr::from_bits(self.0), len).unwrap_or_default();
        bgp::nlri::write_ipv4(out, path_id, net);
    }
}

impl Addr for V6 {
    const FAMILY: Family = Family::Ipv6Unicast;
    const MAX_NLRI: usize = 17;
    const ZERO: V6 = V6([0; 4]);

    fn hash_with(self, len: u8, hasher: &mut impl Hasher) {
        let mut octets = [0; 24];
        let parts = self.0.into_iter().chain([len.into()]);
        for (place, part) in octets.chunks_exact_mut(4).zip(parts) {
            place.copy_from_slice(&part.to_ne_bytes());
        }
        hasher.write(&octets);
    }

    fn net(self, len: u8) -> IpNet {
        Ipv6Net::new(Ipv6Addr::from_bits(self.bits()), len).unwrap_or_default().into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "cuts the address into its parts")]
    fn of(net: &IpNet) -> Option<V6> {
        let IpNet::V6(n) = net else { return None };
        let b = n.network().to_bits();
        Some(V6([(b >> 96) as u32, (b >> 64) as u32, (b >> 32) as u32, b as u32]))
    }

    fn write(self, len: u8, path_id: Option<u32>, out: &mut Vec<u8>) {
        let net = Ipv6Net::new(Ipv6Addr::from_bits(self.bits()), len).unwrap_or_default();
        bgp::nlri::write_ipv6(out, path_id, net);
    }
}

/// A prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<A> {
    pub(crate) addr: A,
    cell: u32,
    count: u16,
    /// Columns and queues that name the slot: it is not reused before all have let go.
    pub(crate) holders: u16,
    pub(crate) len: u8,
    class: u8,
}

impl<A> Slot<A> {
    /// Its paths, the best one first.
    pub(crate) fn list(&self) -> List {
        List { cell: self.cell, count: self.count, class: self.class }
    }

    pub(crate) fn set_list(&mut self, list: List) {
        (self.cell, self.count, self.class) = (list.cell, list.count, list.class);
    }

    fn is_free(&self) -> bool {
        self.len == FREE
    }
}

/// `len` of a slot that holds no prefix.
const FREE: u8 = u8::MAX;

/// Slots are allocated 2 to this power at a time: 64 KiB of IPv4.
const CHUNK: u32 = 12;

impl<A: Addr> Cell for Slot<A> {
    const VACANT: Slot<A> = Slot { addr: A::ZERO, cell: 0, count: 0, holders: 0, len: FREE, class: 0 };

    fn link(cell: &mut [Slot<A>], next: u32) {
        if let Some(slot) = cell.first_mut() {
            *slot = Slot { cell: next, ..Slot::VACANT };
        }
    }

    fn next(cell: &[Slot<A>]) -> u32 {
        cell.first().map_or(0, |s| s.cell)
    }
}

/// The prefixes of a table.
#[derive(Debug)]
pub(crate) struct Slots<A> {
    slots: Slab<Slot<A>, Single<CHUNK>>,
    index: Index,
    key: HashKey,
}

impl<A: Addr> Slots<A> {
    pub(crate) fn new(key: HashKey) -> Slots<A> {
        Slots { slots: Slab::new(Single), index: Index::default(), key }
    }

    /// The key of all hashes.
    pub(crate) fn key(&self) -> &HashKey {
        &self.key
    }

    /// The hash of a prefix, for the calls that want it.
    pub(crate) fn hash(&self, addr: A, len: u8) -> u64 {
        self.key.prefix(addr, len)
    }

    /// The prefix's slot, if it has one.
    pub(crate) fn find(&self, hash: u64, addr: A, len: u8) -> Option<u32> {
        self.index.find(hash, |s| {
            let s = self.slots.get(*s);
            s.addr == addr && s.len == len
        })
    }

    /// The prefix's slot, made where it has none.
    pub(crate) fn find_or_make(&mut self, hash: u64, addr: A, len: u8) -> u32 {
        let (slots, key) = (&mut self.slots, &self.key);
        let entry = self.index.entry(
            hash,
            |s| {
                let s = slots.get(*s);
                s.addr == addr && s.len == len
            },
            |s| {
                let s = slots.get(*s);
                key.prefix(s.addr, s.len)
            },
        );
        match entry {
            Entry::Occupied(e) => *e.get(),
            Entry::Vacant(e) => {
                let id = self.slots.take();
                *self.slots.get_mut(id) = Slot { addr, cell: 0, count: 0, holders: 0, len, class: 0 };
                e.insert(id);
                id
            }
        }
    }

    /// The slot; a free one where nothing is stored under the number.
    pub(crate) fn get(&self, id: u32) -> &Slot<A> {
        self.slots.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> &mut Slot<A> {
        self.slots.get_mut(id)
    }

    /// One more that names the slot.
    pub(crate) fn hold(&mut self, id: u32) {
        self.get_mut(id).holders += 1;
    }

    /// One less; a slot without paths and without holders is freed.
    pub(crate) fn let_go(&mut self, id: u32) {
        self.get_mut(id).holders -= 1;
        self.free_if_unused(id);
    }

    pub(crate) fn free_if_unused(&mut self, id: u32) {
        let slot = self.get(id);
        if slot.count > 0 || slot.holders > 0 || slot.is_free() {
            return;
        }
        let hash = self.key.prefix(slot.addr, slot.len);
        let (slots, key) = (&self.slots, &self.key);
        self.index.remove(hash, id, |s| {
            let s = slots.get(*s);
            key.prefix(s.addr, s.len)
        });
        self.slots.give_back(id);
    }

    /// All slots have lower numbers: the length of walks. It shrinks when the last ones are freed.
    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }

    /// Slots with prefixes from `from` on.
    pub(crate) fn range(&self, from: u32, count: u32) -> impl Iterator<Item = (u32, &Slot<A>)> {
        let end = from.saturating_add(count).min(self.len());
        (from..end).map(|id| (id, self.slots.get(id))).filter(|(_, s)| !s.is_free())
    }

    /// Octets that are allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.slots.allocated() + self.index.allocated()
    }
}
