//! The whole: tables of both families behind one interface.

use std::sync::Arc;

use bgp::{Family, FamilySet};
use ipnet::IpNet;

use crate::attrs::{AttrId, Attrs};
use crate::batch::{Batch, Change, HashKey, MARK_STALE, SWEEP_STALE, WITHDRAW, shard_of};
use crate::export::Rules;
use crate::family::{AHEAD, FamilyTable, Shared};
use crate::flow::Flow;
use crate::flush::Scratch;
use crate::group::{CatchUp, Group, Member};
use crate::peers::{Peer, PeerIdx, PeerInfo, Peers};
use crate::policies::Judge;
use crate::query::{self, Page, PageDone, Query};
use crate::slots::{Addr, V4, V6};
use crate::walk::Task;
use crate::watch::Watch;

/// Slots that a step of work looks at before it returns: a millisecond or two.
const STEP: u32 = 4 * 1024;

/// What holds for all peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: u32,
    /// Our cluster as a route reflector (RFC 4456 §7).
    pub cluster_id: u32,
    /// MED counts between routes of different neighbor ASes too.
    pub med_always_compare: bool,
    /// When peers that read slowly are left behind.
    pub limits: Limits,
}

/// How far behind a peer may be with reading what it is sent, in octets that have not reached its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From here on the group's shared stream waits for the peer, as long as most members are like that.
    pub soft: u64,
    /// From here on the peer leaves the shared stream and catches up on its own.
    pub hard: u64,
    /// A peer over the soft limit that took nothing for so many milliseconds leaves it too.
    pub stalled: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { soft: 256 << 10, hard: 16 << 20, stalled: 1000 }
    }
}

/// Who is sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// One peer.
    Peer(PeerIdx),
    /// All who joined the group.
    Group(u32),
    /// All but this one.
    GroupExcept(u32, PeerIdx),
}

/// Where messages go. Order matters: a peer that joins a group gets what is sent to it from there on.
pub trait Sink {
    /// The buffer to append one whole message to.
    fn begin(&mut self, target: Target) -> &mut Vec<u8>;
    /// The message is complete.
    fn end(&mut self);
    /// The peer gets what is sent to the group.
    fn join(&mut self, group: u32, peer: PeerIdx);
    /// It does not any more.
    fn leave(&mut self, group: u32, peer: PeerIdx);
    /// The peer has been sent all that was there when its session came up (RFC 4724 §2).
    fn end_of_rib(&mut self, peer: PeerIdx, family: Family);
    /// The peer has been sent all that was there when [`Rib::refresh`] was called for it.
    fn refreshed(&mut self, peer: PeerIdx, family: Family);
    /// Nothing of this incarnation of a peer is left.
    fn forgotten(&mut self, peer: PeerIdx);
    /// Enough for now: work should return soon.
    fn is_full(&self) -> bool;
}

/// Sizes of tables, by family number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Prefixes with a best route.
    pub loc_rib: [u64; 4],
    /// Routes received and injected.
    pub adj_rib_in: [u64; 4],
    /// Routes sent, summed over the peers.
    pub adj_rib_out: [u64; 4],
    /// Distinct attribute sets.
    pub attribute_sets: u64,
}

impl Counters {
    /// Adds those of another shard. A set that several shards have counts for each.
    pub fn add(&mut self, other: &Counters) {
        let pairs = [
            (&mut self.loc_rib, &other.loc_rib),
            (&mut self.adj_rib_in, &other.adj_rib_in),
            (&mut self.adj_rib_out, &other.adj_rib_out),
        ];
        for (sum, more) in pairs {
            sum.iter_mut().zip(more).for_each(|(s, n)| *s += n);
        }
        self.attribute_sets += other.attribute_sets;
    }
}

/// A shard of the tables, or all of them.
#[derive(Debug)]
pub struct Rib {
    pub(crate) shared: Shared,
    pub(crate) v4: FamilyTable<V4>,
    pub(crate) v6: FamilyTable<V6>,
    scratch: Scratch,
    /// Handles of a batch's attribute sets, as far as they were met.
    interned: Vec<AttrId>,
    pub(crate) cluster_id: u32,
    /// Families whose default route is in this shard.
    defaults: FamilySet,
    pub(crate) next_group: u32,
    /// Incarnations whose routes are being removed.
    leaving: Vec<PeerIdx>,
    /// Families of which nobody is sent anything yet.
    deferred: FamilySet,
    /// Sessions for which it is asked how much they are announced.
    counted_out: usize,
    /// Pages under way.
    pages: Vec<(u64, Page)>,
    /// Somebody watches.
    pub(crate) watch: Option<Watch>,
}

macro_rules! of_family {
    ($rib:expr, $family:expr, $table:ident => $do:expr, else $none:expr) => {
        match $family {
            Family::Ipv4Unicast => {
                let $table = &mut $rib.v4;
                $do
            }
            Family::Ipv6Unicast => {
                let $table = &mut $rib.v6;
                $do
            }
            Family::Ipv4Flowspec | Family::Ipv6Flowspec => $none,
        }
    };
}

impl Rib {
    /// Empty tables, with the hash key of the batches that come in: shard number `shard` of `shards`.
    pub fn new(settings: Settings, key: HashKey, shard: usize, shards: usize) -> Rib {
        let Settings { asn, router_id, cluster_id, med_always_compare, limits } = settings;
        let peers = Peers::new(asn, router_id, cluster_id);
        let here = |hash| shard_of(hash, shards.max(1)) == shard;
        let defaults = [(V4::FAMILY, key.prefix(V4::ZERO, 0)), (V6::FAMILY, key.prefix(V6::ZERO, 0))];
        let defaults =
            defaults.into_iter().filter(|(_, hash)| here(*hash)).map(|(family, _)| family).collect();
        Rib {
            shared: Shared {
                attrs: Attrs::default(),
                peers,
                med_always_compare,
                limits,
                refused: false,
                judge: Judge::default(),
                judged: None,
                owned: Box::new([0; 256]),
            },
            v4: FamilyTable::new(key.clone()),
            v6: FamilyTable::new(key),
            scratch: Scratch::default(),
            interned: Vec::new(),
            cluster_id,
            defaults,
            next_group: 0,
            leaving: Vec::new(),
            deferred: FamilySet::EMPTY,
            counted_out: 0,
            pages: Vec::new(),
            watch: None,
        }
    }

    /// A session reached Established; handle and account are those of the `Intake`.
    pub fn peer_up(&mut self, peer: PeerIdx, info: Arc<PeerInfo>, flow: Arc<Flow>) {
        self.counted_out += usize::from(info.counted.advertised);
        self.shared.peers.put(peer, Arc::clone(&info), flow);
        self.enter(peer, &info);
    }

    /// Begins to send to a peer.
    fn enter(&mut self, peer: PeerIdx, info: &PeerInfo) {
        for family in info.families.iter().filter(|f| !self.deferred.contains(*f)) {
            let id = self.next_group;
            let mut rules = Rules::of(info, family, self.cluster_id);
            rules.default_originate &= self.defaults.contains(family);
            let (shared, counted) = (&mut self.shared, info.counted.advertised);
            let made = of_family!(self, family, t => t.enter(shared, id, rules, peer, counted), else false);
            self.next_group += u32::from(made);
        }
    }

    /// Nothing of these families is sent to anybody before they are [released](Self::release) (RFC 4724 §4.1). Before
    /// the first peer comes up.
    pub fn defer(&mut self, families: FamilySet) {
        self.deferred = families;
    }

    /// What is known of the family by now is sent to all who are there.
    pub fn release(&mut self, family: Family) {
        if !self.deferred.contains(family) {
            return;
        }
        let rest = self.deferred.iter().filter(|f| *f != family).collect();
        // Only this family, of those that were deferred: the others of a peer are under way.
        self.deferred = Family::ALL.into_iter().filter(|f| *f != family).collect();
        let here: Vec<(PeerIdx, Arc<PeerInfo>)> = (self.shared.peers.iter())
            .filter(|(_, p)| !p.gone && !p.away)
            .map(|(idx, p)| (idx, Arc::clone(&p.info)))
            .collect();
        for (peer, info) in here {
            self.enter(peer, &info);
        }
        self.deferred = rest;
    }

    /// The session ended, and the peer is expected back (RFC 4724 §4.2): nothing is sent to it any more, and what it
    /// announced is stale. It stays in the families `keep`. In those of `purge`, what was stale before goes.
    pub fn peer_away(&mut self, peer: PeerIdx, keep: FamilySet, purge: FamilySet) {
        let Some(p) = self.shared.peers.get_mut(peer) else { return };
        p.away = true;
        self.v4.leave(peer);
        self.v6.leave(peer);
        for family in Family::ALL {
            let stays = keep.contains(family);
            if stays && purge.contains(family) {
                self.sweep_stale(peer, family);
            }
            self.mark_stale(peer, family, true);
            if !stays {
                self.sweep_stale(peer, family);
            }
        }
    }

    /// The peer is back in its place, with another session. What it announces replaces what is stale.
    pub fn peer_back(&mut self, peer: PeerIdx, info: Arc<PeerInfo>, flow: Arc<Flow>) {
        let before = self.shared.peers.get(peer).is_some_and(|p| p.info.counted.advertised);
        self.counted_out += usize::from(info.counted.advertised);
        self.counted_out -= usize::from(before);
        self.shared.peers.replace(peer, Arc::clone(&info), flow);
        self.enter(peer, &info);
    }

    /// Whose prefixes have become more or less since the last call, and by how many in each family. Only of peers
    /// that are counted and whose session goes on. Several paths of a peer for a prefix (RFC 7911) count as one.
    pub fn tallies(&mut self) -> Vec<(PeerIdx, [i64; 4])> {
        self.shared.peers.take_tallies()
    }

    /// Of how many prefixes of a family counted peers are announced routes, where that has changed since the last call: those
    /// that they have been sent, and those that are on the way to a new member of a group.
    pub fn advertised(&mut self) -> Vec<(PeerIdx, Family, u64)> {
        let mut list = Vec::new();
        if self.counted_out > 0 {
            self.v4.report_advertised(&mut list);
            self.v6.report_advertised(&mut list);
        }
        list
    }

    /// The session ended: nothing is sent to the peer any more, and its routes go in steps of
    /// [`work`](Self::work).
    pub fn peer_down(&mut self, peer: PeerIdx) {
        let Some(p) = self.shared.peers.get_mut(peer) else { return };
        if p.gone {
            return;
        }
        p.gone = true;
        self.counted_out -= usize::from(p.info.counted.advertised);
        self.leaving.push(peer);
        self.v4.leave(peer);
        self.v6.leave(peer);
        self.v4.walks.begin(peer, Task::Remove);
        self.v6.walks.begin(peer, Task::Remove);
    }

    /// All routes of a peer in a family are stale from now on: they stay until they are announced again or swept.
    /// `loses`: until then they lose against all others in the decision process.
    pub fn mark_stale(&mut self, peer: PeerIdx, family: Family, loses: bool) {
        of_family!(self, family, t => t.mark_stale(&mut self.shared, peer, loses), else ());
    }

    /// Those of the peer's routes go that are stale and not announced again before they are come to.
    pub fn sweep_stale(&mut self, peer: PeerIdx, family: Family) {
        of_family!(self, family, t => t.sweep_stale(&self.shared, peer), else ());
    }

    /// How many routes of a peer are stale, by family number.
    pub fn stale_routes(&self, peer: PeerIdx) -> [u64; 4] {
        self.shared.peers.get(peer).map_or([0; 4], |p| p.stale.map(|s| s.count))
    }

    /// Looks at all that a peer announced again, as stored: whether it may come in, and what is best.
    pub fn reevaluate(&mut self, peer: PeerIdx, family: Family) {
        of_family!(self, family, t => t.walks.begin(peer, Task::Evaluate), else ());
    }

    /// Sends the whole table of a family again (RFC 2918 §4), and says so when it is out ([`Sink::refreshed`]).
    pub fn refresh(&mut self, peer: PeerIdx, family: Family, sink: &mut impl Sink) {
        of_family!(self, family, t => t.refresh(peer, sink), else ());
    }

    /// Takes in this shard's part of a batch.
    pub fn apply(&mut self, batch: &Batch, shard: usize) {
        let Some(changes) = batch.shards.get(shard) else { return };
        self.interned.clear();
        self.interned.resize(batch.sets.len(), AttrId::NONE);
        apply(&mut self.v4, &mut self.shared, batch, &changes.v4, &mut self.interned);
        apply(&mut self.v6, &mut self.shared, batch, &changes.v6, &mut self.interned);
        for attr in &self.interned {
            self.shared.attrs.release(*attr);
        }
    }

    /// How many paths of each peer were left out since the last call, because it had too many for one prefix.
    pub fn take_refused(&mut self) -> Vec<(PeerIdx, u64)> {
        if !std::mem::take(&mut self.shared.refused) {
            return Vec::new();
        }
        let peers = self.shared.peers.iter_mut().filter(|(_, p)| p.refused > 0);
        peers.map(|(idx, p)| (idx, std::mem::take(&mut p.refused))).collect()
    }

    /// Withdraws an injected route; says whether it was there.
    pub fn withdraw_injected(&mut self, prefix: IpNet, path_id: u32) -> bool {
        fn change<A: Addr>(table: &FamilyTable<A>, addr: A, len: u8, path_id: u32) -> Change<A> {
            let hash = table.slots.hash(addr, len);
            Change { hash, addr, path_id, set: WITHDRAW, peer: PeerIdx::LOCAL, len, owner: 0 }
        }
        let len = prefix.prefix_len();
        if let Some(addr) = V4::of(&prefix) {
            let change = change(&self.v4, addr, len, path_id);
            return self.v4.withdraw(&mut self.shared, &change, None);
        }
        V6::of(&prefix).is_some_and(|addr| {
            let change = change(&self.v6, addr, len, path_id);
            self.v6.withdraw(&mut self.shared, &change, None)
        })
    }

    /// How many injected routes each owner has, by its number.
    pub fn owned(&self) -> &[u64; 256] {
        &self.shared.owned
    }

    /// All injected routes of an owner go, in steps of [`work`](Self::work); those apart that are injected for another
    /// one before they are come to.
    pub fn remove_owned(&mut self, owner: u8) {
        self.v4.walks.begin(PeerIdx::LOCAL, Task::RemoveOwned(owner));
        self.v6.walks.begin(PeerIdx::LOCAL, Task::RemoveOwned(owner));
    }

    /// A bounded step of what there is to do: removing routes of ended sessions and stale ones, sending what changed.
    /// Returns whether it did anything; if not, nothing can be done before something comes in.
    pub fn work(&mut self, now: u64, sink: &mut impl Sink) -> bool {
        self.work_copying(STEP, now, sink)
    }

    /// The same where copies of groups are made in steps of so many slots: for tests, whose tables are small.
    #[doc(hidden)]
    pub fn work_copying(&mut self, slots: u32, now: u64, sink: &mut impl Sink) -> bool {
        let (shared, scratch, next) = (&mut self.shared, &mut self.scratch, &mut self.next_group);
        let mut looked = self.v4.walk_step(shared, STEP) + self.v6.walk_step(shared, STEP);
        looked += self.v4.copy_step(shared, next, slots, sink);
        looked += self.v6.copy_step(shared, next, slots, sink);
        looked += self.v4.flush_step(shared, scratch, STEP, now, sink);
        looked += self.v6.flush_step(shared, scratch, STEP, now, sink);
        self.forget_leaving(sink);
        looked > 0
    }

    /// Whether routes of ended sessions are still being removed.
    pub fn is_sweeping(&self) -> bool {
        self.v4.walks.remove_any() || self.v6.walks.remove_any()
    }

    /// Forgets incarnations that nothing refers to any more.
    fn forget_leaving(&mut self, sink: &mut impl Sink) {
        if self.leaving.is_empty() {
            return;
        }
        let quiet = self.v4.groups_are_quiet() && self.v6.groups_are_quiet();
        let (v4, v6, peers) = (&self.v4, &self.v6, &mut self.shared.peers);
        self.leaving.retain(|peer| {
            let busy = !quiet || v4.walks.has(*peer) || v6.walks.has(*peer);
            if !busy {
                peers.remove(*peer);
                sink.forgotten(*peer);
            }
            busy
        });
    }

    /// Begins a page of routes; `id` is the caller's.
    pub fn begin_query(&mut self, id: u64, query: Query) {
        self.pages.push((id, Page::new(query)));
    }

    /// Forgets a page.
    pub fn cancel_query(&mut self, id: u64) {
        self.pages.retain(|(i, _)| *i != id);
    }

    /// Goes on with the oldest page; returns one that is complete, with its id.
    pub fn query_step(&mut self) -> Option<(u64, PageDone)> {
        let (_, page) = self.pages.first_mut()?;
        match page.family() {
            Some(Family::Ipv6Unicast) => page.walk(&self.v6, &self.shared),
            Some(_) => page.walk(&self.v4, &self.shared),
            None => {
                let (v4, v6, shared) = (&self.v4, &self.v6, &self.shared);
                let done = page.spell_out(|table, key| match key.family {
                    Family::Ipv4Unicast => query::find(v4, shared, table, key),
                    Family::Ipv6Unicast => query::find(v6, shared, table, key),
                    _ => None,
                })?;
                let (id, _) = self.pages.remove(0);
                return Some((id, done));
            }
        }
        None
    }

    /// Whether pages are under way.
    pub fn has_queries(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Sizes of the tables.
    pub fn counters(&self) -> Counters {
        let mut c = Counters { attribute_sets: self.shared.attrs.len() as u64, ..Counters::default() };
        c.loc_rib[Family::Ipv4Unicast as usize] = self.v4.prefixes;
        c.loc_rib[Family::Ipv6Unicast as usize] = self.v6.prefixes;
        for (_, peer) in self.shared.peers.iter() {
            for (sum, n) in c.adj_rib_in.iter_mut().zip(peer.received) {
                *sum += n;
            }
        }
        c.adj_rib_out[Family::Ipv4Unicast as usize] = self.v4.advertised();
        c.adj_rib_out[Family::Ipv6Unicast as usize] = self.v6.advertised();
        c
    }

    /// How many routes were ever withdrawn or swept away.
    pub fn removed(&self) -> u64 {
        self.v4.removed + self.v6.removed
    }

    /// Routes received from each peer, sent to it, and stale, by family number.
    pub fn all_peer_counters(&self) -> Vec<(PeerIdx, [[u64; 4]; 3])> {
        let figures = |p: &Peer| [p.received, [0; 4], p.stale.map(|s| s.count)];
        let mut list: Vec<_> = self.shared.peers.iter().map(|(idx, p)| (idx, figures(p))).collect();
        let v4 = self.v4.advertised_each().map(|(p, n)| (p, Family::Ipv4Unicast, n));
        let v6 = self.v6.advertised_each().map(|(p, n)| (p, Family::Ipv6Unicast, n));
        for (peer, family, n) in v4.chain(v6) {
            if let Ok(at) = list.binary_search_by_key(&peer, |(p, ..)| *p)
                && let Some((_, [_, advertised, _])) = list.get_mut(at)
            {
                advertised[family as usize] = n;
            }
        }
        list
    }

    /// Routes received from a peer and sent to it, by family number.
    pub fn peer_counters(&self, peer: PeerIdx) -> ([u64; 4], [u64; 4]) {
        let received = self.shared.peers.get(peer).map_or([0; 4], |p| p.received);
        let mut advertised = [0; 4];
        let sent = |g: Option<&Group>| g.map_or(0, |g| g.advertised_to(peer));
        advertised[Family::Ipv4Unicast as usize] = sent(self.v4.group_of(peer));
        advertised[Family::Ipv6Unicast as usize] = sent(self.v6.group_of(peer));
        (received, advertised)
    }
}

fn apply<A: Addr>(
    table: &mut FamilyTable<A>,
    shared: &mut Shared,
    batch: &Batch,
    changes: &[Change<A>],
    interned: &mut [AttrId],
) {
    let mut found = [None; AHEAD];
    for some in changes.chunks(AHEAD) {
        table.look_ahead(some, &mut found);
        for (change, ahead) in some.iter().zip(found) {
            let number = change.set as usize;
            let (Some(set), Some(attr)) = (batch.sets.get(number), interned.get_mut(number)) else {
                match change.set {
                    MARK_STALE => table.mark_stale(shared, change.peer, false),
                    SWEEP_STALE => table.sweep_stale(shared, change.peer),
                    _ => {
                        table.withdraw(shared, change, ahead);
                    }
                }
                continue;
            };
            if !attr.is_some() {
                let canonical = batch.attributes(set);
                *attr = shared.attrs.intern(set.hash, canonical.as_bytes(), set.next_hop, &set.summary);
            }
            table.announce(shared, change, ahead, *attr);
        }
    }
    shared.settle();
}

impl<A: Addr> FamilyTable<A> {
    /// How many routes each member of a group has been sent.
    fn advertised_each(&self) -> impl Iterator<Item = (PeerIdx, u64)> {
        self.groups.iter().flat_map(|g| g.members.iter().map(|m| (m.peer, g.advertised_to(m.peer))))
    }

    fn report_advertised(&mut self, list: &mut Vec<(PeerIdx, Family, u64)>) {
        for group in &mut self.groups {
            for at in 0..group.members.len() {
                let Some(peer) = group.members.get(at).filter(|m| m.reported.is_some()).map(|m| m.peer)
                else {
                    continue;
                };
                let now = group.prefixes_to(peer);
                let reported = group.members.get_mut(at).and_then(|m| m.reported.replace(now));
                if reported != Some(now) {
                    list.push((peer, A::FAMILY, now));
                }
            }
        }
    }

    /// Puts a peer into the group with these rules; makes the group with this id if there is none, and
    /// says whether it did.
    fn enter(&mut self, shared: &mut Shared, id: u32, rules: Rules, peer: PeerIdx, counted: bool) -> bool {
        let is_it = |g: &Group| g.rules == rules && g.teardown.is_none() && g.copying.is_none();
        let found = self.groups.iter().position(is_it);
        let made = found.is_none();
        if made {
            let group = Group::new(id, rules);
            self.behind_best |= group.looks_behind_best();
            self.groups.push(group);
            self.originate_default(shared);
        }
        let at = found.unwrap_or(self.groups.len() - 1);
        if let Some(group) = self.groups.get_mut(at) {
            let catch_up = Some(Box::<CatchUp>::default());
            let (draining, reported) = (shared.peers.rank(peer).last_choice, counted.then_some(0));
            let (end_of_rib_due, refreshing) = (true, false);
            group.members.push(Member { peer, catch_up, draining, end_of_rib_due, refreshing, reported });
        }
        made
    }

    fn leave(&mut self, peer: PeerIdx) {
        for group in &mut self.groups {
            let Some(at) = group.members.iter().position(|m| m.peer == peer) else { continue };
            let member = group.members.swap_remove(at);
            group.set_in_stream(peer, false);
            if let Some(mut catch_up) = member.catch_up {
                while let Some(id) = catch_up.pending.pop() {
                    self.slots.let_go(id);
                }
            }
            if group.members.is_empty() {
                group.teardown = Some(0);
            }
        }
    }

    fn refresh(&mut self, peer: PeerIdx, sink: &mut impl Sink) {
        for group in &mut self.groups {
            let id = group.id;
            let Some(member) = group.members.iter_mut().find(|m| m.peer == peer) else { continue };
            let in_stream = member.catch_up.is_none();
            member.refreshing = true;
            member.catch_up.get_or_insert_with(|| Box::new(CatchUp::behind())).restart();
            if in_stream {
                group.set_in_stream(peer, false);
                sink.leave(id, peer);
            }
        }
    }

    fn groups_are_quiet(&self) -> bool {
        let is_quiet =
            |g: &Group| g.is_quiet() && g.build.is_none() && g.teardown.is_none() && g.copying.is_none();
        self.groups.iter().all(is_quiet)
    }

    fn advertised(&self) -> u64 {
        self.advertised_each().map(|(_, n)| n).sum()
    }
}
