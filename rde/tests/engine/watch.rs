//! Control watches the best routes: changes and snapshots over the wire, no faster than it takes them.

use bgp::Family;
use ipc::QueryId;
use ipc::control_rde::{BestChange, ControlToRde, RdeToControl, Whose};

use crate::rig::*;
use crate::{route, withdrawal};

const WATCH: QueryId = QueryId(70);
const SNAPSHOT: QueryId = QueryId(71);

/// A route of a peer to a prefix by number, and its withdrawal.
fn numbered(n: u8, prefix: u16) -> Vec<u8> {
    route(n, &format!("10.{}.{}.0/24", prefix >> 8, prefix & 255))
}

impl Rig {
    async fn say(&mut self, message: ControlToRde) {
        self.queries.send(&message).await.unwrap();
    }

    /// Watches from now on; the number behind which changes are told.
    async fn watch(&mut self, id: QueryId, whole: bool) -> u64 {
        self.say(ControlToRde::Watch { id, whole }).await;
        loop {
            match self.answer().await {
                RdeToControl::Watching { id: to, whole: how, sequence } => {
                    assert_eq!((to, how), (id, whole));
                    return sequence;
                }
                RdeToControl::Changes { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next list of changes: its shard, the number of its first one, the changes.
    async fn changes(&mut self) -> (u16, u64, Vec<BestChange>) {
        match self.answer().await {
            RdeToControl::Changes { id, shard, first, at, changes } => {
                assert_eq!(id, WATCH);
                assert!(at > 1_600_000_000_000 && !changes.is_empty());
                (shard, first, changes)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next change, the only one of its list; makes room for others.
    async fn change(&mut self) -> (u64, BestChange) {
        let (shard, first, mut changes) = self.changes().await;
        assert_eq!(changes.len(), 1, "{changes:?}");
        self.say(ControlToRde::More { id: WATCH, shard }).await;
        (first, changes.remove(0))
    }

    /// A whole snapshot, by prefix; no change comes in between.
    async fn snapshot(&mut self) -> Vec<(String, Whose, bool)> {
        let (id, family, peer) = (SNAPSHOT, None, None);
        self.say(ControlToRde::Snapshot { id, family, peer }).await;
        let mut all = Vec::new();
        loop {
            let RdeToControl::Walked { id, shard, routes, last, .. } = self.answer().await else {
                panic!("not a step of a snapshot");
            };
            assert_eq!(id, SNAPSHOT);
            all.extend(routes.into_iter().map(|r| (r.prefix.to_string(), r.whose, r.route.is_some())));
            if last {
                all.sort_by(|a, b| a.0.cmp(&b.0));
                return all;
            }
            self.say(ControlToRde::More { id, shard }).await;
        }
    }
}

fn of(peer: u8) -> Option<Whose> {
    Some(Whose { peer: Some(source(peer, 1).peer), path_id: 0 })
}

#[tokio::test]
async fn changes_of_best_routes_are_told_with_numbers_to_who_watches() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    rig.up(source(1, 1)).await;
    rig.up(source(2, 1)).await;
    // Nobody watches: this is told to nobody.
    rig.taken_in(source(2, 1), &numbered(2, 1)).await;
    let begin = rig.watch(WATCH, false).await;
    rig.taken_in(source(1, 1), &numbered(1, 1)).await;
    let (number, change) = rig.change().await;
    assert_eq!(number, begin + 1);
    assert_eq!(
        (change.prefix.to_string().as_str(), change.now, change.before),
        ("10.0.1.0/24", of(1), of(2))
    );
    assert_eq!(change.route, None);
    // Not the best one.
    rig.taken_in(source(2, 1), &withdrawal("10.0.1.0/24")).await;
    rig.taken_in(source(2, 1), &numbered(2, 2)).await;
    let (number, change) = rig.change().await;
    assert_eq!((number, change.now, change.before), (begin + 2, of(2), None));
    // The end of a session takes its routes away.
    rig.down(source(1, 1)).await;
    let (number, change) = rig.change().await;
    assert_eq!((number, change.now, change.before), (begin + 3, None, of(1)));
    // From here on with attributes.
    let again = rig.watch(WATCH, true).await;
    assert_eq!(again, begin + 3, "it goes on");
    rig.taken_in(source(2, 1), &numbered(2, 3)).await;
    let (number, change) = rig.change().await;
    assert_eq!(number, begin + 4);
    let route = change.route.unwrap();
    assert_eq!((route.prefix, route.as_path[0].asns[0]), (change.prefix, asn(2)));
    // Nobody is told what changes when nobody watches; who watches then gets other numbers.
    rig.say(ControlToRde::Cancel { id: WATCH }).await;
    rig.taken_in(source(2, 1), &numbered(2, 4)).await;
    let later = rig.watch(QueryId(80), false).await;
    assert!(later > number);
}

#[tokio::test]
async fn a_snapshot_shows_what_is_there_to_who_watches() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    for n in 0..3 {
        rig.taken_in(source(1, 1), &numbered(1, n)).await;
    }
    let (id, family, peer) = (SNAPSHOT, Some(Family::Ipv4Unicast), None);
    rig.say(ControlToRde::Snapshot { id, family, peer }).await;
    assert!(matches!(rig.answer().await, RdeToControl::Failed { id, .. } if id == SNAPSHOT));
    rig.watch(WATCH, false).await;
    let shown: Vec<(String, Whose, bool)> =
        (0..3).map(|n| (format!("10.0.{n}.0/24"), of(1).unwrap(), false)).collect();
    assert_eq!(rig.snapshot().await, shown);
    rig.watch(WATCH, true).await;
    assert!(rig.snapshot().await.iter().all(|(.., whole)| *whole));
    // What is unknown does no harm.
    rig.say(ControlToRde::More { id: QueryId(999), shard: 77 }).await;
    rig.say(ControlToRde::Cancel { id: QueryId(999) }).await;
    assert_eq!(rig.snapshot().await.len(), 3);
}

#[tokio::test]
async fn who_does_not_read_is_told_later_and_less() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    let begin = rig.watch(WATCH, false).await;
    // Ten prefixes come and go, and stay in the end; nothing is taken in meanwhile.
    for _ in 0..50 {
        for n in 0..10 {
            rig.taken_in(source(1, 1), &numbered(1, n)).await;
            rig.taken_in(source(1, 1), &withdrawal(&format!("10.0.{n}.0/24"))).await;
        }
    }
    for n in 0..10 {
        rig.taken_in(source(1, 1), &numbered(1, n)).await;
    }
    let mut there = std::collections::BTreeMap::new();
    let (mut told, mut next) = (0, begin + 1);
    while there.values().filter(|w| **w == of(1)).count() < 10 {
        let (shard, first, changes) = rig.changes().await;
        assert_eq!(first, next, "none is missing");
        next += changes.len() as u64;
        told += changes.len();
        for c in changes {
            assert_eq!(there.get(&c.prefix).copied().flatten(), c.before);
            there.insert(c.prefix, c.now);
        }
        rig.say(ControlToRde::More { id: WATCH, shard }).await;
    }
    assert!(told < 200, "{told} of 1010 changes were told one by one");
}

#[tokio::test]
async fn another_control_begins_anew() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    let before = rig.watch(WATCH, false).await;
    rig.restart_control().await;
    rig.taken_in(source(1, 1), &numbered(1, 1)).await;
    let after = rig.watch(WATCH, false).await;
    assert!(after > before);
    assert_eq!(rig.snapshot().await.len(), 1);
}
