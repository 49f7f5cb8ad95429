//! Who watches the best routes is told of their changes, in lists, and of what is there, in steps of a walk.
//!
//! A prefix whose best path has changed waits in a queue with what the best path was when it was last told; what
//! changes again before it is told is told once. So whoever is slow to listen costs no more than an entry a prefix,
//! and nothing where nobody watches. Only as many lists are given out as the listener has room for.
//!
//! A snapshot is a walk over the slots. It goes on only while no change waits to be told, so that what it shows of a
//! prefix is what all changes told before it have led to. A change names its slot: it is news for a snapshot that has
//! walked past it, and no news for one that has yet to come there. For that to be true of prefixes that go and come
//! again, they keep their slots as long as there are snapshots.

use std::collections::VecDeque;

use bgp::Family;
use ipnet::IpNet;

use crate::attrs::AttrId;
use crate::family::{FamilyTable, Shared};
use crate::paths::Path;
use crate::peers::PeerIdx;
use crate::query::{self, Found, QueryTable, RouteKey};
use crate::rib::Rib;
use crate::slots::Addr;

/// Changes of one list, and slots of one step of a snapshot.
const LIST: usize = 512;

/// Octets of routes after which a list is full, estimated.
const OCTETS: usize = 48 << 10;

/// Entries of the queue that are looked at for one list.
const LOOK: usize = 4 * 1024;

/// Lists that may be on their way to the listener, of changes and of each snapshot.
const ROOM: u32 = 2;

/// Who a route is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// The peer's label, `None` for an injected route.
    pub peer: Option<u16>,
    /// The peer's path identifier, 0 = none.
    pub path_id: u32,
}

impl Whose {
    /// `route`: what [`Path::route`] gives.
    pub(crate) fn of(shared: &Shared, (_, path_id, peer): (AttrId, u32, PeerIdx)) -> Whose {
        Whose { peer: shared.peers.get(peer).and_then(|p| p.info.label), path_id }
    }
}

/// The best route of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestRoute {
    /// What it leads to.
    pub prefix: IpNet,
    /// Who it is from.
    pub whose: Whose,
    /// All about it, where that was asked for.
    pub found: Option<Found>,
}

/// The best route of a prefix is another one, or has other attributes; or there is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestChange {
    /// What it leads to.
    pub prefix: IpNet,
    /// Where the prefix is, in the tables of its family in this shard.
    pub slot: u32,
    /// Who the route is from now.
    pub now: Option<Whose>,
    /// Who it was from when it was last told.
    pub before: Option<Whose>,
    /// All about it, where that was asked for.
    pub found: Option<Found>,
}

/// Which best routes a snapshot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotOf {
    /// Of this family only.
    pub family: Option<Family>,
    /// Of the peer with this label only, or with `Some(None)` injected ones.
    pub peer: Option<Option<u16>>,
}

/// A step of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The snapshot, as its asker calls it.
    pub id: u64,
    /// The family of the step.
    pub family: Family,
    /// All slots below this one have been walked.
    pub upto: u32,
    /// What was there.
    pub routes: Vec<BestRoute>,
    /// It was the last one.
    pub last: bool,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What has changed. Empty where there is more to look at before anything can be told.
    Changes(Vec<BestChange>),
    /// What is there.
    Walked(Walked),
}

/// Who watches this shard.
#[derive(Debug)]
pub(crate) struct Watch {
    attributes: bool,
    room: u32,
    /// They take turns.
    snapshots: VecDeque<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    id: u64,
    of: SnapshotOf,
    family: Family,
    cursor: u32,
    room: u32,
}

/// A set of slots.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Puts a slot in; says whether it was not there.
    fn insert(&mut self, id: u32) -> bool {
        let (at, bit) = (id as usize / 64, 1 << (id % 64));
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let Some(word) = self.0.get_mut(at) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn remove(&mut self, id: u32) {
        if let Some(word) = self.0.get_mut(id as usize / 64) {
            *word &= !(1 << (id % 64));
        }
    }

    fn take(&mut self) -> impl Iterator<Item = u32> + use<> {
        let words = (0u32..).step_by(64).zip(std::mem::take(&mut self.0));
        words
            .flat_map(|(first, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |b| first + b))
    }
}

/// Prefixes whose best path has changed since it was last told. Each holds its slot.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    queue: VecDeque<(u32, Option<Whose>)>,
    queued: Bits,
    /// Prefixes that were told to be gone since snapshots are under way.
    gone: Bits,
}

impl Untold {
    /// The best path of a prefix has changed; `before`: who it was from. Says whether that is news.
    pub(crate) fn mark(&mut self, id: u32, before: Option<Whose>) -> bool {
        let new = self.queued.insert(id);
        if new {
            self.queue.push_back((id, before));
        }
        new
    }
}

impl Rib {
    /// Somebody watches from now on, or nobody does. `attributes`: routes are told with all that is known of them.
    pub fn watch(&mut self, attributes: Option<bool>) {
        match (attributes, &mut self.watch) {
            (Some(attributes), Some(watch)) => watch.attributes = attributes,
            (Some(attributes), None) => {
                self.watch = Some(Watch { attributes, room: ROOM, snapshots: VecDeque::new() });
                self.v4.untold = Some(Box::default());
                self.v6.untold = Some(Box::default());
            }
            (None, _) => {
                self.watch = None;
                self.v4.unwatch();
                self.v6.unwatch();
            }
        }
    }

    /// Begins to show what is there to somebody who watches; `id` is the caller's. Without anybody who watches there
    /// is no snapshot.
    pub fn begin_snapshot(&mut self, id: u64, of: SnapshotOf) {
        let family = of.family.unwrap_or(Family::Ipv4Unicast);
        if let Some(watch) = &mut self.watch {
            watch.snapshots.push_back(Snapshot { id, of, family, cursor: 0, room: ROOM });
        }
    }

    /// The rest of a snapshot is not wanted.
    pub fn cancel_snapshot(&mut self, id: u64) {
        let Some(watch) = &mut self.watch else { return };
        let before = watch.snapshots.len();
        watch.snapshots.retain(|s| s.id != id);
        if watch.snapshots.len() < before {
            self.snapshot_ended();
        }
    }

    /// The listener has taken a list in, of changes or of a snapshot, and has room for another one.
    pub fn taken(&mut self, snapshot: Option<u64>) {
        let Some(watch) = &mut self.watch else { return };
        let room = match snapshot {
            None => Some(&mut watch.room),
            Some(id) => watch.snapshots.iter_mut().find(|s| s.id == id).map(|s| &mut s.room),
        };
        if let Some(room) = room {
            *room = (*room + 1).min(ROOM);
        }
    }

    /// The next list for whoever watches, if there is something to tell and room for it. All changes of a prefix are
    /// told in their order.
    pub fn tell(&mut self) -> Option<Told> {
        let Rib { watch, shared, v4, v6, .. } = self;
        let watch = watch.as_mut()?;
        let waiting = v4.is_untold() || v6.is_untold();
        if waiting {
            if watch.room == 0 {
                return None;
            }
            let mut list = List { entries: Vec::new(), octets: 0, attributes: watch.attributes };
            let keep = !watch.snapshots.is_empty();
            v4.take_changes(shared, keep, &mut list);
            v6.take_changes(shared, keep, &mut list);
            watch.room -= u32::from(!list.entries.is_empty());
            return Some(Told::Changes(list.entries));
        }
        let at = watch.snapshots.iter().position(|s| s.room > 0)?;
        let mut snapshot = watch.snapshots.remove(at)?;
        snapshot.room -= 1;
        let walked = match snapshot.family {
            Family::Ipv6Unicast => v6.walk_best(shared, &mut snapshot, watch.attributes),
            _ => v4.walk_best(shared, &mut snapshot, watch.attributes),
        };
        if walked.last {
            self.snapshot_ended();
        } else {
            watch.snapshots.push_back(snapshot);
        }
        Some(Told::Walked(walked))
    }

    /// After the last snapshot, prefixes that are gone need no slots any more.
    fn snapshot_ended(&mut self) {
        if self.watch.as_ref().is_some_and(|w| w.snapshots.is_empty()) {
            self.v4.let_gone_go();
            self.v6.let_gone_go();
        }
    }
}

/// A list that is being filled.
struct List<T> {
    entries: Vec<T>,
    octets: usize,
    attributes: bool,
}

impl<T> List<T> {
    fn is_full(&self) -> bool {
        self.entries.len() >= LIST || self.octets >= OCTETS
    }

    /// All about a best path, where that is asked for.
    fn found<A: Addr>(&mut self, shared: &Shared, prefix: IpNet, path: &Path, whose: Whose) -> Option<Found> {
        self.octets += 48;
        let Whose { peer, path_id } = whose;
        let key = RouteKey { family: A::FAMILY, prefix, peer, path_id };
        let found =
            self.attributes.then(|| query::spelled_out::<A>(shared, QueryTable::LocRib, path, key, true))?;
        self.octets += 64 + 2 * found.attributes.len();
        Some(found)
    }
}

impl<A: Addr> FamilyTable<A> {
    fn is_untold(&self) -> bool {
        self.untold.as_ref().is_some_and(|u| !u.queue.is_empty())
    }

    /// Takes changes out of the queue. `keep`: prefixes that are gone keep their slots.
    fn take_changes(&mut self, shared: &Shared, keep: bool, list: &mut List<BestChange>) {
        let Some(mut untold) = self.untold.take() else { return };
        for _ in 0..LOOK {
            if list.is_full() {
                break;
            }
            let Some((id, before)) = untold.queue.pop_front() else { break };
            untold.queued.remove(id);
            let slot = self.slots.get(id);
            let prefix = slot.addr.net(slot.len);
            let best = self.best(id).copied();
            let now = best.map(|p| Whose::of(shared, p.route()));
            if now.is_some() || before.is_some() {
                let found = best.zip(now).and_then(|(p, whose)| list.found::<A>(shared, prefix, &p, whose));
                list.entries.push(BestChange { prefix, slot: id, now, before, found });
            }
            if keep && now.is_none() && untold.gone.insert(id) {
                continue;
            }
            self.slots.let_go(id);
        }
        self.untold = Some(untold);
    }

    /// Shows the best paths of the next slots.
    fn walk_best(&self, shared: &Shared, snapshot: &mut Snapshot, attributes: bool) -> Walked {
        let mut list = List { entries: Vec::new(), octets: 0, attributes };
        let family = snapshot.family;
        let end = snapshot.cursor.saturating_add(LIST as u32).min(self.slots.len());
        while snapshot.cursor < end && !list.is_full() {
            let id = snapshot.cursor;
            snapshot.cursor += 1;
            let Some(path) = self.best(id) else { continue };
            let whose = Whose::of(shared, path.route());
            if snapshot.of.peer.is_some_and(|peer| peer != whose.peer) {
                continue;
            }
            let slot = self.slots.get(id);
            let prefix = slot.addr.net(slot.len);
            let found = list.found::<A>(shared, prefix, path, whose);
            list.entries.push(BestRoute { prefix, whose, found });
        }
        let mut upto = snapshot.cursor;
        let mut last = false;
        if snapshot.cursor >= self.slots.len() {
            // Slots that come into being behind the end of the walk are past it, too.
            upto = u32::MAX;
            last = snapshot.of.family.is_some() || family == Family::Ipv6Unicast;
            (snapshot.family, snapshot.cursor) = (Family::Ipv6Unicast, 0);
        }
        Walked { id: snapshot.id, family, upto, routes: list.entries, last }
    }

    fn let_gone_go(&mut self) {
        let Some(untold) = &mut self.untold else { return };
        for id in untold.gone.take() {
            self.slots.let_go(id);
        }
    }

    fn unwatch(&mut self) {
        self.let_gone_go();
        let Some(untold) = self.untold.take() else { return };
        for (id, _) in untold.queue {
            self.slots.let_go(id);
        }
    }
}
