//! The tables against a plain model: after any sequence of events each peer has exactly what it should
//! have, seen through the messages that it was sent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod model_peer;
mod net;
mod tables;

use std::collections::BTreeMap;

use model_peer::{Seen, World};
use proptest::prelude::*;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    Up(usize),
    Down(usize),
    Announce {
        peer: usize,
        prefixes: Vec<u8>,
        variant: u8,
    },
    Withdraw {
        peer: usize,
        prefixes: Vec<u8>,
    },
    Inject {
        prefix: u8,
        variant: u8,
    },
    WithdrawInjected(u8),
    /// A peer asks for the table of a family again.
    Refresh {
        peer: usize,
        v6: bool,
    },
    /// A peer begins to announce its routes of a family anew; its old ones lose meanwhile, or they do not.
    Anew {
        peer: usize,
        v6: bool,
        loses: bool,
    },
    /// It has announced all.
    Sweep {
        peer: usize,
        v6: bool,
    },
    /// Its routes are looked at again.
    Reevaluate(usize),
    /// The session with a peer is about to be shut down, or not any more.
    Drain(usize, bool),
    /// A peer stops or goes on reading.
    Reads(usize, bool),
    /// So many steps of work.
    Work(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..World::PEERS;
    let prefixes = || prop::collection::vec(0..24u8, 1..6);
    prop_oneof![
        3 => peer.clone().prop_map(Event::Up),
        1 => peer.clone().prop_map(Event::Down),
        8 => (peer.clone(), prefixes(), 0..12u8)
            .prop_map(|(peer, prefixes, variant)| Event::Announce { peer, prefixes, variant }),
        4 => (peer.clone(), prefixes()).prop_map(|(peer, prefixes)| Event::Withdraw { peer, prefixes }),
        2 => (0..24u8, 0..12u8).prop_map(|(prefix, variant)| Event::Inject { prefix, variant }),
        1 => (0..24u8).prop_map(Event::WithdrawInjected),
        2 => (peer.clone(), any::<bool>()).prop_map(|(peer, v6)| Event::Refresh { peer, v6 }),
        1 => (peer.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(peer, v6, loses)| Event::Anew { peer, v6, loses }),
        1 => (peer.clone(), any::<bool>()).prop_map(|(peer, v6)| Event::Sweep { peer, v6 }),
        1 => peer.clone().prop_map(Event::Reevaluate),
        2 => (peer.clone(), any::<bool>()).prop_map(|(p, on)| Event::Drain(p, on)),
        2 => (peer, any::<bool>()).prop_map(|(p, on)| Event::Reads(p, on)),
        5 => (1..4u8).prop_map(Event::Work),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_peer_has_what_it_should_have(
        shards in prop::sample::select(&[1, 4][..]),
        roles: bool,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new(shards, roles);
        for event in events {
            match event {
                Event::Up(p) => world.up(p),
                Event::Down(p) => world.down(p),
                Event::Announce { peer, prefixes, variant } => world.announce(peer, &prefixes, variant),
                Event::Withdraw { peer, prefixes } => world.withdraw(peer, &prefixes),
                Event::Inject { prefix, variant } => world.inject(prefix, variant),
                Event::WithdrawInjected(prefix) => world.withdraw_injected(prefix),
                Event::Refresh { peer, v6 } => world.refresh(peer, v6),
                Event::Anew { peer, v6, loses } => world.anew(peer, v6, loses),
                Event::Sweep { peer, v6 } => world.sweep(peer, v6),
                Event::Reevaluate(p) => world.reevaluate(p),
                Event::Drain(p, on) => world.drain(p, on),
                Event::Reads(p, on) => world.reads(p, on),
                Event::Work(n) => (0..n).for_each(|_| { world.work(); }),
            }
        }
        world.settle();
        for p in world.peers_up() {
            let expected: BTreeMap<u8, Seen> = world.expected(p);
            prop_assert_eq!(world.seen(p), &expected, "peer {}", p);
            prop_assert!(world.end_of_rib(p), "peer {} waits for End-of-RIB", p);
            prop_assert!(world.refreshed(p), "peer {} waits for EoRR", p);
            prop_assert_eq!(world.advertised(p), expected.len() as u64, "counted for peer {}", p);
            let (stale, model) = world.stale(p);
            prop_assert_eq!(stale, model, "stale of peer {}", p);
        }
        world.all_down();
        prop_assert_eq!(world.left_behind(), rib::Counters::default(), "after all have gone");
    }
}
