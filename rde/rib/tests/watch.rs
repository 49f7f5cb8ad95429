//! Who watches can say at any time what the best routes are: changes replayed over what was there at the beginning, or
//! over a snapshot, give the table, whatever happens, however late the listener hears of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod model_peer;
mod net;
mod tables;

use std::collections::{BTreeMap, HashMap};

use bgp::{Family, NextHop};
use ipnet::IpNet;
use model_peer::World;
use proptest::prelude::*;
use rib::{BestChange, BestRoute, Found, Query, QueryTable, SnapshotOf, Told, Walked, Whose};

/// What is known of the best route of a prefix: who it is from, and with attributes asked for, these.
type Best = (Whose, Option<(Vec<u8>, NextHop)>);
type Table = BTreeMap<IpNet, Best>;

fn best(whose: Whose, found: Option<&Found>) -> Best {
    (whose, found.map(|f| (f.attributes.clone(), f.next_hop)))
}

fn family(prefix: IpNet) -> Family {
    if prefix.addr().is_ipv4() { Family::Ipv4Unicast } else { Family::Ipv6Unicast }
}

/// One that has asked for a snapshot.
struct Asker {
    id: u64,
    of: SnapshotOf,
    table: Table,
    /// Up to where each part of the tables has been walked.
    walked: HashMap<(usize, Family), u32>,
    /// What has changed behind that: to be looked at behind the end.
    held: Vec<BestChange>,
    ended: bool,
}

impl Asker {
    fn concerns(&self, change: &BestChange) -> bool {
        let of_peer = |w: Whose| self.of.peer.is_none_or(|p| p == w.peer);
        let prefix = change.prefix;
        self.of.family.is_none_or(|f| f == family(prefix))
            && [change.now, change.before].into_iter().flatten().any(of_peer)
    }

    fn change(&mut self, shard: usize, change: &BestChange) {
        let walked = self.walked.get(&(shard, family(change.prefix))).copied().unwrap_or(0);
        if self.ended {
            self.replay(change);
        } else if change.slot < walked {
            self.held.push(change.clone());
        }
    }

    fn replay(&mut self, change: &BestChange) {
        if !self.concerns(change) {
            return;
        }
        let of_peer = |w: &Whose| self.of.peer.is_none_or(|p| p == w.peer);
        let before = change.before.filter(of_peer);
        let known = self.table.get(&change.prefix).map(|(whose, _)| *whose);
        assert_eq!(before, known, "lost or doubled at the seam: {change:?}");
        apply(&mut self.table, change);
        self.table.retain(|_, (whose, _)| self.of.peer.is_none_or(|p| p == whose.peer));
    }

    fn walk(&mut self, shard: usize, walked: &Walked) {
        assert!(!self.ended);
        for BestRoute { prefix, whose, found } in &walked.routes {
            let before = self.table.insert(*prefix, best(*whose, found.as_ref()));
            assert!(before.is_none(), "{prefix} is shown twice");
        }
        self.walked.insert((shard, walked.family), walked.upto);
    }

    fn end(&mut self) {
        self.ended = true;
        for change in std::mem::take(&mut self.held) {
            self.replay(&change);
        }
    }
}

fn apply(table: &mut Table, change: &BestChange) {
    match change.now {
        Some(whose) => table.insert(change.prefix, best(whose, change.found.as_ref())),
        None => table.remove(&change.prefix),
    };
}

/// Somebody who watches all shards.
struct Listener {
    whole: bool,
    table: Table,
    askers: Vec<Asker>,
    ends: HashMap<u64, usize>,
    /// Lists that came, and are not dealt with: of which shard, of which snapshot.
    owed: Vec<(usize, Option<u64>)>,
}

impl Listener {
    /// Hears what a shard has to say.
    fn hear(&mut self, world: &mut World, shard: usize) -> bool {
        let shards = world.tables().shards.len();
        let Some(told) = world.tables().shards[shard].tell() else { return false };
        match told {
            Told::Changes(list) => {
                if !list.is_empty() {
                    self.owed.push((shard, None));
                }
                for change in &list {
                    let known = self.table.get(&change.prefix).map(|(whose, _)| *whose);
                    assert_eq!(change.before, known, "{change:?}");
                    assert_eq!(change.found.is_some(), self.whole && change.now.is_some());
                    apply(&mut self.table, change);
                    self.askers.iter_mut().for_each(|a| a.change(shard, change));
                }
            }
            Told::Walked(walked) => {
                self.owed.push((shard, Some(walked.id)));
                let asker = self.askers.iter_mut().find(|a| a.id == walked.id).unwrap();
                asker.walk(shard, &walked);
                let ends = self.ends.entry(walked.id).or_default();
                *ends += usize::from(walked.last);
                if *ends == shards {
                    asker.end();
                }
            }
        }
        let lists = |of| self.owed.iter().filter(|o| **o == (shard, of)).count();
        assert!(lists(None) <= 2, "more lists than there is room for");
        true
    }

    fn deal(&mut self, world: &mut World) {
        for (shard, of) in std::mem::take(&mut self.owed) {
            world.tables().shards[shard].taken(of);
        }
    }

    fn hear_all(&mut self, world: &mut World) {
        loop {
            let mut heard = !self.owed.is_empty();
            self.deal(world);
            for shard in 0..world.tables().shards.len() {
                while self.hear(world, shard) {
                    heard = true;
                }
            }
            if !heard {
                return;
            }
        }
    }
}

fn loc_rib(world: &mut World, whole: bool) -> Table {
    let query = Query {
        table: QueryTable::LocRib,
        family: None,
        prefix: None,
        longer: false,
        origin_asn: 0,
        communities: vec![],
        large_communities: vec![],
        after: None,
        limit: 1000,
    };
    let routes = world.tables().page(&query).routes;
    let whose = |f: &Found| Whose { peer: f.key.peer, path_id: f.key.path_id };
    routes.iter().map(|f| (f.key.prefix, best(whose(f), Some(f).filter(|_| whole)))).collect()
}

#[derive(Debug, Clone)]
enum Event {
    Up(usize),
    Down(usize),
    Announce(usize, Vec<u8>, u8),
    Withdraw(usize, Vec<u8>),
    Inject(u8, u8),
    WithdrawInjected(u8),
    Anew(usize, bool, bool),
    Sweep(usize, bool),
    Reevaluate(usize),
    Work(u8),
    Watch(bool),
    Unwatch,
    Snapshot(Option<bool>, Option<Option<u16>>),
    Cancel(usize),
    Hear(usize),
    Deal,
}

fn event() -> impl Strategy<Value = Event> {
    let peer = || 0..World::PEERS;
    let prefixes = || prop::collection::vec(0..24u8, 1..6);
    let of = prop_oneof![
        3 => Just(None),
        1 => Just(Some(None)),
        1 => (0..4u16).prop_map(|p| Some(Some(p))),
    ];
    prop_oneof![
        3 => peer().prop_map(Event::Up),
        1 => peer().prop_map(Event::Down),
        8 => (peer(), prefixes(), 0..12u8).prop_map(|(p, n, v)| Event::Announce(p, n, v)),
        5 => (peer(), prefixes()).prop_map(|(p, n)| Event::Withdraw(p, n)),
        3 => (0..24u8, 0..12u8).prop_map(|(n, v)| Event::Inject(n, v)),
        3 => (0..24u8).prop_map(Event::WithdrawInjected),
        1 => (peer(), any::<bool>(), any::<bool>()).prop_map(|(p, v6, l)| Event::Anew(p, v6, l)),
        1 => (peer(), any::<bool>()).prop_map(|(p, v6)| Event::Sweep(p, v6)),
        1 => peer().prop_map(Event::Reevaluate),
        4 => (1..4u8).prop_map(Event::Work),
        1 => any::<bool>().prop_map(Event::Watch),
        1 => Just(Event::Unwatch),
        2 => (any::<Option<bool>>(), of).prop_map(|(v6, peer)| Event::Snapshot(v6, peer)),
        1 => (0..4usize).prop_map(Event::Cancel),
        8 => (0..4usize).prop_map(Event::Hear),
        3 => Just(Event::Deal),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn changes_over_what_was_there_give_the_table(
        shards in prop::sample::select(&[1, 4][..]),
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::new(shards, false);
        let shards = shards as usize;
        let mut listener: Option<Listener> = None;
        let mut next = 0;
        for event in events {
            match event {
                Event::Up(p) => world.up(p),
                Event::Down(p) => world.down(p),
                Event::Announce(p, prefixes, variant) => world.announce(p, &prefixes, variant),
                Event::Withdraw(p, prefixes) => world.withdraw(p, &prefixes),
                Event::Inject(prefix, variant) => world.inject(prefix, variant),
                Event::WithdrawInjected(prefix) => world.withdraw_injected(prefix),
                Event::Anew(p, v6, loses) => world.anew(p, v6, loses),
                Event::Sweep(p, v6) => world.sweep(p, v6),
                Event::Reevaluate(p) => world.reevaluate(p),
                Event::Work(n) => (0..n).for_each(|_| { world.work(); }),
                Event::Watch(whole) if listener.is_none() => {
                    let (askers, ends, owed) = (vec![], HashMap::new(), vec![]);
                    let table = loc_rib(&mut world, whole);
                    listener = Some(Listener { whole, table, askers, ends, owed });
                    world.tables().shards.iter_mut().for_each(|s| s.watch(Some(whole)));
                }
                Event::Unwatch => {
                    listener = None;
                    world.tables().shards.iter_mut().for_each(|s| s.watch(None));
                }
                Event::Snapshot(v6, peer) => if let Some(listener) = &mut listener {
                    next += 1;
                    let family = v6.map(|v6| if v6 { Family::Ipv6Unicast } else { Family::Ipv4Unicast });
                    let of = SnapshotOf { family, peer };
                    let (table, walked, held, ended) = (Table::new(), HashMap::new(), vec![], false);
                    listener.askers.push(Asker { id: next, of, table, walked, held, ended });
                    world.tables().shards.iter_mut().for_each(|s| s.begin_snapshot(next, of));
                },
                Event::Cancel(n) => if let Some(listener) = &mut listener
                    && n < listener.askers.len()
                {
                    let asker = listener.askers.remove(n);
                    world.tables().shards.iter_mut().for_each(|s| s.cancel_snapshot(asker.id));
                },
                Event::Hear(shard) => if let Some(listener) = &mut listener {
                    listener.hear(&mut world, shard % shards);
                },
                Event::Deal => if let Some(listener) = &mut listener {
                    listener.deal(&mut world);
                },
                Event::Watch(_) => {}
            }
        }
        if let Some(mut listener) = listener {
            listener.hear_all(&mut world);
            let table = loc_rib(&mut world, listener.whole);
            prop_assert_eq!(&listener.table, &table);
            for asker in &listener.askers {
                prop_assert!(asker.ended, "snapshot {} never ends", asker.id);
                let mut expected = table.clone();
                expected.retain(|prefix, (whose, _)| {
                    asker.of.family.is_none_or(|f| f == family(*prefix))
                        && asker.of.peer.is_none_or(|p| p == whose.peer)
                });
                prop_assert_eq!(&asker.table, &expected);
            }
            // What came late and was told last holds no slots.
            world.settle();
            world.all_down();
            listener.askers.clear();
            listener.hear_all(&mut world);
            prop_assert!(listener.table.is_empty());
        }
        world.tables().shards.iter_mut().for_each(|s| s.watch(None));
        world.all_down();
        prop_assert_eq!(world.left_behind(), rib::Counters::default(), "after all have gone");
    }
}
