//! Several paths of a prefix (RFC 7911), against a plain model: after any sequence of events each peer has exactly the
//! paths that it should have, under identifiers that stay with their paths.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod several_paths;
mod tables;

use proptest::prelude::*;
use several_paths::World;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    Up(usize),
    Down(usize),
    Announce {
        peer: usize,
        prefix: u8,
        path_id: u32,
        variant: u8,
    },
    Withdraw {
        peer: usize,
        prefix: u8,
        path_id: u32,
    },
    Inject {
        prefix: u8,
        path_id: u32,
        variant: u8,
    },
    WithdrawInjected {
        prefix: u8,
        path_id: u32,
    },
    /// A peer asks for the table of a family again.
    Refresh(usize, bool),
    /// A peer begins to announce its paths of a family anew; its old ones lose meanwhile, or they do not.
    Anew {
        peer: usize,
        v6: bool,
        loses: bool,
    },
    /// It has announced all.
    Sweep(usize, bool),
    /// Its paths are looked at again.
    Reevaluate(usize),
    /// The session with a peer is about to be shut down, or not any more.
    Drain(usize, bool),
    /// A peer stops or goes on reading.
    Reads(usize, bool),
    /// So many steps of work.
    Work(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let (peer, prefix, path_id) = (0..World::PEERS, 0..World::PREFIXES, 0..4_u32);
    let path = (peer.clone(), prefix.clone(), path_id.clone());
    prop_oneof![
        3 => peer.clone().prop_map(Event::Up),
        1 => peer.clone().prop_map(Event::Down),
        10 => (path.clone(), 0..12_u8).prop_map(|((peer, prefix, path_id), variant)| {
            Event::Announce { peer, prefix, path_id, variant }
        }),
        5 => path.prop_map(|(peer, prefix, path_id)| Event::Withdraw { peer, prefix, path_id }),
        2 => (prefix.clone(), path_id.clone(), 0..12_u8)
            .prop_map(|(prefix, path_id, variant)| Event::Inject { prefix, path_id, variant }),
        1 => (prefix, path_id).prop_map(|(prefix, path_id)| Event::WithdrawInjected { prefix, path_id }),
        1 => (peer.clone(), any::<bool>()).prop_map(|(p, v6)| Event::Refresh(p, v6)),
        1 => (peer.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(peer, v6, loses)| Event::Anew { peer, v6, loses }),
        1 => (peer.clone(), any::<bool>()).prop_map(|(p, v6)| Event::Sweep(p, v6)),
        1 => peer.clone().prop_map(Event::Reevaluate),
        2 => (peer.clone(), any::<bool>()).prop_map(|(p, on)| Event::Drain(p, on)),
        2 => (peer, any::<bool>()).prop_map(|(p, on)| Event::Reads(p, on)),
        5 => (1..4_u8).prop_map(Event::Work),
    ]
}

fn happen(world: &mut World, event: &Event) {
    match *event {
        Event::Up(p) => world.up(p),
        Event::Down(p) => world.down(p),
        Event::Announce { peer, prefix, path_id, variant } => world.announce(peer, prefix, path_id, variant),
        Event::Withdraw { peer, prefix, path_id } => world.withdraw(peer, prefix, path_id),
        Event::Inject { prefix, path_id, variant } => world.inject(prefix, path_id, variant),
        Event::WithdrawInjected { prefix, path_id } => world.withdraw_injected(prefix, path_id),
        Event::Refresh(p, v6) => world.refresh(p, v6),
        Event::Anew { peer, v6, loses } => world.anew(peer, v6, loses),
        Event::Sweep(p, v6) => world.sweep(p, v6),
        Event::Reevaluate(p) => world.reevaluate(p),
        Event::Drain(p, on) => world.drain(p, on),
        Event::Reads(p, on) => world.reads(p, on),
        Event::Work(n) => (0..n).for_each(|_| {
            world.work();
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn rfc7911_5_every_peer_has_the_paths_that_it_should_have(
        shards in prop::sample::select(&[1, 4][..]),
        all_up: bool,
        rounds in prop::collection::vec(prop::collection::vec(event(), 1..60), 1..4),
    ) {
        let mut world = World::new(shards);
        if all_up {
            (0..World::PEERS).for_each(|p| world.up(p));
        }
        for events in rounds {
            events.iter().for_each(|event| happen(&mut world, event));
            world.settle();
            for p in world.peers_up() {
                prop_assert_eq!(world.seen(p), world.expected(p), "peer {}", p);
                let (seen, listed, counted) = world.sent(p);
                prop_assert_eq!(counted, seen.len() as u64, "counted for peer {}", p);
                prop_assert_eq!(listed, seen, "listed for peer {}", p);
                let (counted, prefixes) = world.prefixes(p);
                prop_assert_eq!(counted, prefixes, "prefixes from and to peer {}", p);
                prop_assert!(world.refreshed(p), "peer {} waits for EoRR", p);
                let (stale, model) = world.stale(p);
                prop_assert_eq!(stale, model, "stale of peer {}", p);
            }
        }
        world.all_down();
        prop_assert_eq!(world.left_behind(), rib::Counters::default(), "after all have gone");
    }
}

/// A peer that gives several paths, and one that takes two of a prefix.
const GIVES: usize = 0;
const TAKES_TWO: usize = 3;

#[test]
fn rfc7911_2_an_identifier_stays_with_its_path_whatever_its_rank() {
    let mut world = World::new(1);
    world.up(GIVES);
    world.up(TAKES_TWO);
    // The first has the lowest MED, the last the highest.
    (0..3_u8).for_each(|n| world.announce(GIVES, 0, n.into(), n));
    world.settle();
    let of = |world: &World| world.identifiers(TAKES_TWO, 0);
    let first = of(&world);
    assert_eq!(first.keys().copied().collect::<Vec<_>>(), [(GIVES, 0), (GIVES, 1)]);
    // The best one gets a longer path and is the worst: it is withdrawn, the second stays what it is.
    world.announce(GIVES, 0, 0, 4);
    world.settle();
    let second = of(&world);
    assert_eq!(second.keys().copied().collect::<Vec<_>>(), [(GIVES, 1), (GIVES, 2)]);
    assert_eq!(second[&(GIVES, 1)], first[&(GIVES, 1)]);
    // It was there all the time, and gets its identifier back.
    world.announce(GIVES, 0, 0, 0);
    world.settle();
    assert_eq!(of(&world), first);
    // A path that ends and one that begins are two, whoever gives them.
    world.withdraw(GIVES, 0, 1);
    world.settle();
    assert_eq!(of(&world)[&(GIVES, 2)], second[&(GIVES, 2)]);
    world.announce(GIVES, 0, 1, 1);
    world.settle();
    let last = of(&world);
    assert_eq!(last[&(GIVES, 0)], first[&(GIVES, 0)]);
    assert!(!first.values().chain(second.values()).any(|id| *id == last[&(GIVES, 1)]));
}

#[test]
fn rfc7911_8_a_peer_has_at_most_so_many_paths_for_a_prefix() {
    let mut world = World::new(1);
    world.up(GIVES);
    world.up(2);
    let most = rib::MAX_PATHS as u32;
    (0..most + 40).for_each(|id| world.announce(GIVES, 0, id, 0));
    (0..3).for_each(|id| world.announce(GIVES, 1, id, 0));
    world.announce(2, 0, 1, 0);
    let received = |world: &World| world.left_behind().adj_rib_in[0];
    assert_eq!((received(&world), world.refused()), (u64::from(most) + 4, 40), "others have their own");
    // Of those that it has each can change, and when one goes, another one may come.
    (0..most).for_each(|id| world.announce(GIVES, 0, id, 1));
    assert_eq!((received(&world), world.refused()), (u64::from(most) + 4, 0));
    world.withdraw(GIVES, 0, 7);
    world.announce(GIVES, 0, most + 100, 0);
    assert_eq!((received(&world), world.refused()), (u64::from(most) + 4, 0));
    world.settle();
    world.down(GIVES);
    world.settle();
    assert_eq!(received(&world), 1);
}

#[test]
fn rfc4271_9_1_2_2_a_path_that_leaves_frees_those_that_its_med_held_back() {
    let mut world = World::new(1);
    let (first, second, third, plain) = (0, 1, 3, 8);
    [first, second, third, plain].into_iter().for_each(|p| world.up(p));
    // The first and the third are of one AS. The first has the lower identifier, the third the lower MED; the second
    // stands between them.
    world.announce(first, 0, 0, 2);
    world.announce(second, 0, 0, 0);
    world.announce(third, 0, 0, 0);
    world.settle();
    assert_eq!(world.identifiers(plain, 0).into_keys().collect::<Vec<_>>(), [(second, 0)]);
    world.withdraw(third, 0, 0);
    world.settle();
    assert_eq!(world.identifiers(plain, 0).into_keys().collect::<Vec<_>>(), [(first, 0)]);
}
