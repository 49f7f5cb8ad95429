//! Memory goes back: what the tables hold after a flap does not depend on how many there were before.

use bgp::NextHop;
use bgp::attr::canonical::{Builder, summarize};
use bgp::attr::{code, flags, write_attribute};

use crate::attrs::Attrs;
use crate::batch::{Change, HashKey, WITHDRAW};
use crate::column::{Column, Sent};
use crate::family::{FamilyTable, Shared};
use crate::peers::{PeerIdx, Peers};
use crate::policies::Judge;
use crate::rib::Limits;
use crate::slots::V4;

const PREFIXES: u32 = 20_000;

struct Table {
    key: HashKey,
    shared: Shared,
    table: FamilyTable<V4>,
    column: Column,
}

impl Table {
    fn new() -> Table {
        let (key, peers) = (HashKey::default(), Peers::new(65000, 1, 1));
        let limits = Limits::default();
        let attrs = Attrs::default();
        let shared = Shared {
            attrs,
            peers,
            med_always_compare: false,
            limits,
            refused: false,
            judge: Judge::default(),
            judged: None,
            owned: Box::new([0; 256]),
        };
        Table { table: FamilyTable::new(key.clone()), key, shared, column: Column::default() }
    }

    fn change(&self, flap: u32, n: u32, set: u32) -> Change<V4> {
        // Each flap is of other prefixes, in another order.
        let addr = V4((n + flap * 7001).wrapping_mul(40_503) << 8);
        Change {
            hash: self.key.prefix(addr, 24),
            addr,
            path_id: 0,
            set,
            peer: PeerIdx::LOCAL,
            len: 24,
            owner: 0,
        }
    }

    fn announce(&mut self, flap: u32, n: u32) {
        let mut octets = Builder::new().build();
        let set = flap.wrapping_mul(977) + n / 5;
        let communities: Vec<u8> = (0..=set % 12).flat_map(|c| (set + c).to_be_bytes()).collect();
        write_attribute(&mut octets, flags::OPTIONAL | flags::TRANSITIVE, code::COMMUNITIES, &communities);
        let next_hop = NextHop::V4([192, 0, 2, 1].into());
        let hash = self.key.set(&octets, next_hop);
        let attr = self.shared.attrs.intern(hash, &octets, next_hop, &summarize(&octets));
        let change = self.change(flap, n, 0);
        self.table.announce(&mut self.shared, &change, None, attr);
        self.shared.attrs.release(attr);
        if let Some(id) = self.table.slots.find(change.hash, change.addr, change.len) {
            self.column.mark(id);
            self.column.take();
            self.column.set(id, Sent { attr, ..Sent::NOTHING });
        }
    }

    fn withdraw(&mut self, flap: u32, n: u32) {
        let change = self.change(flap, n, WITHDRAW);
        if let Some(id) = self.table.slots.find(change.hash, change.addr, change.len) {
            self.column.set(id, Sent::NOTHING);
        }
        assert!(self.table.withdraw(&mut self.shared, &change, None));
    }

    fn held(&self) -> usize {
        let FamilyTable { slots, paths, .. } = &self.table;
        slots.allocated() + paths.allocated() + self.shared.attrs.allocated() + self.column.allocated()
    }
}

#[test]
fn flaps_of_a_table_leave_nothing_behind() {
    let mut t = Table::new();
    let empty = t.held();
    (0..PREFIXES).for_each(|n| t.announce(0, n));
    let first = t.held();
    (0..PREFIXES).for_each(|n| t.withdraw(0, n));
    for flap in 1..=100 {
        (0..PREFIXES).for_each(|n| t.announce(flap, n));
        if flap % 2 == 0 {
            // A part goes and comes back.
            let third = |n: &u32| n % 10 < 3 || n.is_multiple_of(7);
            (0..PREFIXES).filter(|n| !third(n)).for_each(|n| t.withdraw(flap, n));
            (0..PREFIXES).filter(|n| !third(n)).for_each(|n| t.announce(flap, n));
        }
        let full = t.held();
        assert!(full <= first + first / 10, "flap {flap}: {full} octets, {first} at first");
        (0..PREFIXES).for_each(|n| t.withdraw(flap, n));
        // Of each kind of chunk one is kept.
        let kept = t.held() - empty;
        assert!(kept < first / 2, "flap {flap}: {kept} octets are kept of {first}");
    }
}
