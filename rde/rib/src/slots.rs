//! Prefixes: a slot each, found by an exact-match index. Handles are slot numbers, so that the columns of
//! update groups lie parallel to the slots.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::Family;
use hashbrown::HashTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::paths::List;

/// The addresses of a family, as a slot holds them.
pub(crate) trait Addr: Copy + Eq + Ord + Hash + std::fmt::Debug + Default {
    const FAMILY: Family;
    /// The longest prefix in NLRI encoding without path identifier, in octets.
    const MAX_NLRI: usize;

    fn net(self, len: u8) -> IpNet;
    fn of(net: &IpNet) -> Option<Self>;
    fn write(self, len: u8, path_id: Option<u32>, out: &mut Vec<u8>);
}

/// An IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct V4(pub(crate) u32);

/// An IPv6 address, in four parts to keep the alignment of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct V6(pub(crate) [u32; 4]);

impl V6 {
    fn bits(self) -> u128 {
        self.0.iter().fold(0, |bits, part| bits << 32 | u128::from(*part))
    }
}

impl Addr for V4 {
    const FAMILY: Family = Family::Ipv4Unicast;
    const MAX_NLRI: usize = 5;

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

/// The prefixes of a table.
#[derive(Debug)]
pub(crate) struct Slots<A> {
    slots: Vec<Slot<A>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<A: Addr> Default for Slots<A> {
    fn default() -> Slots<A> {
        Slots { slots: Vec::new(), free: Vec::new(), index: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<A: Addr> Slots<A> {
    /// The prefix's slot, if it has one.
    pub(crate) fn find(&self, addr: A, len: u8) -> Option<u32> {
        let hash = self.hasher.hash_one((addr, len));
        self.index
            .find(hash, |s| {
                let s = &self.slots[*s as usize];
                s.addr == addr && s.len == len
            })
            .copied()
    }

    /// The prefix's slot, made where it has none.
    pub(crate) fn find_or_make(&mut self, addr: A, len: u8) -> u32 {
        let hash = self.hasher.hash_one((addr, len));
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let entry = self.index.entry(
            hash,
            |s| {
                let s = &slots[*s as usize];
                s.addr == addr && s.len == len
            },
            |s| {
                let s = &slots[*s as usize];
                hasher.hash_one((s.addr, s.len))
            },
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(e) => *e.get(),
            hashbrown::hash_table::Entry::Vacant(e) => {
                let slot = Slot { addr, cell: 0, count: 0, holders: 0, len, class: 0 };
                let id = match self.free.pop() {
                    Some(id) => {
                        self.slots[id as usize] = slot;
                        id
                    }
                    None => {
                        self.slots.push(slot);
                        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
                    }
                };
                e.insert(id);
                id
            }
        }
    }

    pub(crate) fn get(&self, id: u32) -> &Slot<A> {
        &self.slots[id as usize]
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> &mut Slot<A> {
        &mut self.slots[id as usize]
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
        let hash = self.hasher.hash_one((slot.addr, slot.len));
        if let Ok(e) = self.index.find_entry(hash, |s| *s == id) {
            e.remove();
        }
        self.get_mut(id).len = FREE;
        self.free.push(id);
    }

    /// Numbers of slots ever used: the length of columns.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Slots with prefixes from `from` on.
    pub(crate) fn range(&self, from: u32, count: u32) -> impl Iterator<Item = (u32, &Slot<A>)> {
        let end = from.saturating_add(count).min(self.len());
        let slots = self.slots.get(from as usize..end as usize).unwrap_or_default();
        (from..).zip(slots).filter(|(_, s)| !s.is_free())
    }
}
