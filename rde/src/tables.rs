//! The tables as the engine sees them: one way in, any number of shards, one way out.
//!
//! With one shard everything happens in the engine's thread, at once. With more each has a thread; commands go
//! to it in order, what it says comes back in order, and what only all of them together can say (End-of-RIB, a
//! page, a sum) is put together here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use bgp::attr::canonical::Summary;
use bgp::refresh::Subtype;
use bgp::update::{ReadContext, Update};
use bgp::{Family, FamilySet, NextHop};
use ipc::session_rde::{Run, Source};
use ipc::{GroupId, QueryId};
use ipnet::IpNet;
use rib::{
    Applied, Batch, BestChange, Explained, HashKey, Intake, PageDone, PeerIdx, PeerInfo, PeerPolicy, Query,
    Question, Refreshes, Rib, Settings, SnapshotOf, Target, Told, Walked,
};
use tokio::sync::mpsc as wakes;

use crate::shard::{Backlog, Command, Counted, Output, Shard, Tally};
use crate::threads;

/// Batches on their way through the shards; then no more is read.
const IN_FLIGHT: usize = 4;

/// What was asked for in a batch, to be answered when it is in.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Octets of sessions.
    pub(crate) consumed: Vec<(Source, u64)>,
    /// Injected routes.
    pub(crate) injected: Option<(QueryId, u32)>,
    /// Prefixes that counted peers have announced or withdrawn.
    pub(crate) tallies: Vec<Tally>,
}

impl Due {
    /// A shard has so many prefixes more: only the sum of all shards says how many there are.
    fn add_tallies(&mut self, tallies: Vec<Tally>) {
        for (idx, more) in tallies {
            match self.tallies.iter_mut().find(|(i, _)| *i == idx) {
                Some((_, sum)) => sum.iter_mut().zip(more).for_each(|(s, n)| *s += n),
                None => self.tallies.push((idx, more)),
            }
        }
    }
}

/// What all shards together say.
#[derive(Debug)]
pub(crate) enum Said {
    Send {
        runs: Vec<Run<Target>>,
        octets: Vec<u8>,
    },
    Join {
        group: GroupId,
        peer: PeerIdx,
    },
    Leave {
        group: GroupId,
        peer: PeerIdx,
    },
    EndOfRib(PeerIdx, Family),
    /// So many paths of the peer were left out: it has too many for one prefix.
    Refused(PeerIdx, u64),
    /// A peer's table is sent again from here on, or up to here.
    Refresh(PeerIdx, Family, Subtype),
    Due(Due),
    /// A shard announces so many routes to counted peers.
    Advertised(usize, Vec<(PeerIdx, Family, u64)>),
    Withdrawn {
        id: QueryId,
        there: bool,
    },
    Explained(QueryId, Vec<Explained>),
    Page(u64, PageDone),
    /// How many injected routes each owner had when that was asked, by its number.
    Owned(u64, Box<[u64; 256]>),
    /// All shards tell of changes now, with all about routes or not.
    Watching(QueryId, bool),
    /// A shard tells what has changed.
    Changes(u16, Vec<BestChange>),
    /// A shard has gone on with a snapshot; the step is the last one where it is that for all of them.
    Walked(u16, Walked),
    Counted(u64, Counted),
    /// All shards are at work.
    Pong(u32),
}

/// A command to watch, or not to any more.
#[derive(Debug)]
struct WatchCommand {
    number: u64,
    /// Shards that have yet to obey.
    left: usize,
    /// Who is told then, and whether it gets all about routes.
    asker: Option<(QueryId, bool)>,
}

/// What a shard's thread sends: its number, what it says.
pub(crate) type FromShard = (usize, Vec<Output>);

#[derive(Debug)]
enum Shards {
    Here(Box<Shard>),
    Threads(Vec<mpsc::Sender<Command>>),
}

/// All tables.
#[derive(Debug)]
pub(crate) struct Tables {
    intake: Intake,
    shards: Shards,
    count: usize,
    /// Being filled.
    batch: Batch,
    due: Due,
    /// On their way, the oldest first: how many shards have not answered, what is due then.
    in_flight: VecDeque<(usize, Arc<Batch>, Due)>,
    /// Batches answered by each shard beyond the oldest in flight.
    answered: Vec<usize>,
    spare: Vec<Batch>,
    end_of_rib: HashMap<(PeerIdx, Family), usize>,
    /// Peers that went away in order to come back, and by shard, how often the shard has not heard of it yet.
    away: HashMap<PeerIdx, Vec<u32>>,
    refreshes: Refreshes,
    pages: HashMap<u64, (usize, Vec<PageDone>)>,
    counts: HashMap<u64, (usize, Counted)>,
    /// Commands to watch that not all shards have obeyed, in their order.
    watches: VecDeque<WatchCommand>,
    next_watch: u64,
    /// Owners' routes by question: how many shards have not answered, the sum of the others.
    owned: HashMap<u64, (usize, Box<[u64; 256]>)>,
    next_owned: u64,
    /// Snapshots under way: how many shards have not come to their end.
    snapshots: HashMap<u64, usize>,
    /// The parent's last question whether all are at work, and how many shards have answered it.
    ping: (u32, usize),
    pub(crate) backlog: Arc<Backlog>,
    said: VecDeque<Said>,
}

impl Tables {
    /// Tables in so many shards; what shards in threads of their own say comes through the channel.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub(crate) fn new(
        settings: Settings,
        count: usize,
        started: Instant,
    ) -> io::Result<(Tables, Option<wakes::UnboundedReceiver<FromShard>>)> {
        let count = count.max(1);
        let (key, backlog) = (HashKey::default(), Arc::new(Backlog::default()));
        let intake = Intake::new(settings, key.clone(), count);
        let shard =
            |n| Shard::new(n, Rib::new(settings, key.clone(), n, count), Arc::clone(&backlog), started);
        let (shards, from_shards) = if count == 1 {
            (Shards::Here(Box::new(shard(0))), None)
        } else {
            let (tx, rx) = wakes::unbounded_channel();
            let threads =
                (0..count).map(|n| threads::start(n, shard(n), tx.clone())).collect::<io::Result<_>>()?;
            (Shards::Threads(threads), Some(rx))
        };
        let tables = Tables {
            batch: intake.batch(),
            intake,
            shards,
            count,
            due: Due::default(),
            in_flight: VecDeque::new(),
            answered: vec![0; count],
            spare: Vec::new(),
            end_of_rib: HashMap::new(),
            away: HashMap::new(),
            refreshes: Refreshes::new(count),
            pages: HashMap::new(),
            counts: HashMap::new(),
            watches: VecDeque::new(),
            next_watch: 0,
            snapshots: HashMap::new(),
            ping: (0, 0),
            owned: HashMap::new(),
            next_owned: 0,
            backlog: Arc::clone(&backlog),
            said: VecDeque::new(),
        };
        Ok((tables, from_shards))
    }

    /// A session reached Established; `None` where too many incarnations are held.
    pub(crate) fn peer_up(&mut self, info: PeerInfo, now: u64) -> Option<PeerIdx> {
        let (peer, info, flow) = self.intake.peer_up(info, now)?;
        self.refreshes.peer_up(peer, info.families);
        self.tell_all(|| Command::PeerUp { peer, info: Arc::clone(&info), flow: Arc::clone(&flow) });
        Some(peer)
    }

    pub(crate) fn peer_down(&mut self, peer: PeerIdx) {
        self.end_of_rib.retain(|(p, _), _| *p != peer);
        self.refreshes.peer_down(peer);
        self.tell_all(|| Command::PeerDown(peer));
    }

    /// The session has ended, and the peer is expected back. What is kept, and what goes: [`Rib::peer_away`].
    pub(crate) fn peer_away(&mut self, peer: PeerIdx, keep: FamilySet, purge: FamilySet) {
        self.end_of_rib.retain(|(p, _), _| *p != peer);
        self.refreshes.peer_down(peer);
        let behind = self.away.entry(peer).or_insert_with(|| vec![0; self.count]);
        behind.iter_mut().for_each(|n| *n += 1);
        self.tell_all(|| Command::PeerAway { peer, keep, purge });
    }

    /// What is stale of a peer's routes becomes long-lived stale (RFC 9494 §4.2).
    pub(crate) fn make_long_lived(&mut self, peer: PeerIdx, family: Family) {
        self.tell_all(|| Command::LongLived(peer, family));
    }

    /// A peer is back; `false`: it is not the same any more, and nothing was done.
    #[must_use]
    pub(crate) fn peer_back(&mut self, peer: PeerIdx, info: &PeerInfo, now: u64) -> bool {
        let Some((info, flow)) = self.intake.peer_back(peer, info, now) else { return false };
        self.refreshes.peer_up(peer, info.families);
        self.tell_all(|| Command::PeerBack { peer, info: Arc::clone(&info), flow: Arc::clone(&flow) });
        true
    }

    /// Nothing of these families is sent until they are released.
    pub(crate) fn defer(&mut self, families: FamilySet) {
        self.tell_all(|| Command::Defer(families));
    }

    pub(crate) fn release(&mut self, family: Family) {
        self.tell_all(|| Command::Release(family));
    }

    /// Removes what is stale of a peer's routes, behind all that came before.
    pub(crate) fn sweep_stale(&mut self, peer: PeerIdx, family: Family) {
        self.batch.sweep_stale(peer, family);
    }

    /// A peer wants a family's table again.
    pub(crate) fn refresh(&mut self, peer: PeerIdx, family: Family) {
        self.refreshes.ask(peer, family);
        self.begin_refresh(peer, family);
    }

    fn begin_refresh(&mut self, peer: PeerIdx, family: Family) {
        if self.refreshes.begin(peer, family) {
            // Ahead of all that the shards say from now on.
            self.said.push_back(Said::Refresh(peer, family, Subtype::Begin));
            (0..self.count).for_each(|shard| self.send(shard, Command::Refresh(peer, family)));
        }
    }

    /// A peer begins to announce its routes anew (RFC 7313 §4), behind all that it announced before.
    pub(crate) fn mark_stale(&mut self, peer: PeerIdx, family: Family) {
        self.batch.mark_stale(peer, family);
    }

    /// Looks at a peer's routes again, as they are stored.
    pub(crate) fn reevaluate(&mut self, peer: PeerIdx, family: Family) {
        self.tell_all(|| Command::Reevaluate(peer, family));
    }

    /// Peers have other policies: for import, for export.
    pub(crate) fn set_policies(&mut self, peers: Vec<(PeerIdx, [Option<Arc<PeerPolicy>>; 2])>) {
        let known = peers.into_iter().filter_map(|(idx, p)| Some((idx, self.intake.set_policies(idx, p)?)));
        let list: Arc<[(PeerIdx, Arc<PeerInfo>)]> = known.collect();
        self.tell_all(|| Command::Policies(Arc::clone(&list)));
    }

    /// Begins or ends the graceful shutdown of a session.
    pub(crate) fn drain(&mut self, peer: PeerIdx, on: bool) {
        self.tell_all(|| Command::Drain(peer, on));
    }

    /// What GRACEFUL_SHUTDOWN on a route of the peer means from now on.
    pub(crate) fn honour(&mut self, peer: PeerIdx, graceful_shutdown: bool) {
        if let Some(info) = self.intake.set_graceful_shutdown(peer, graceful_shutdown) {
            self.tell_all(|| Command::Honour(peer, Arc::clone(&info)));
        }
    }

    /// Octets were handed on that the shards know nothing of.
    pub(crate) fn sent(&self, peer: PeerIdx, octets: u64) {
        if let Some(flow) = self.intake.flow(peer) {
            flow.add_sent(octets);
        }
    }

    /// Octets reached a socket. [`wake`](Self::wake) lets work go on that waited for it.
    pub(crate) fn written(&self, peer: PeerIdx, octets: u64, now: u64) {
        if let Some(flow) = self.intake.flow(peer) {
            flow.add_written(octets, now);
        }
    }

    /// Work that could not go on perhaps can now.
    pub(crate) fn wake(&mut self) {
        if let Shards::Threads(threads) = &self.shards {
            // A thread that is gone shows where its outputs are received.
            threads.iter().for_each(|t| drop(t.send(Command::Wake)));
        }
    }

    /// Adds an UPDATE to the batch being filled.
    pub(crate) fn update(&mut self, peer: PeerIdx, update: &Update<'_>, ctx: &ReadContext) -> Applied {
        self.intake.take(peer, update, ctx, &mut self.batch)
    }

    /// How many changes the batch being filled has.
    pub(crate) fn filled(&self) -> usize {
        self.batch.len()
    }

    /// Octets of a session that are dealt with when the batch being filled is in.
    pub(crate) fn consumed(&mut self, source: Source, octets: u64) {
        match self.due.consumed.last_mut() {
            Some((s, sum)) if *s == source => *sum += octets,
            _ => self.due.consumed.push((source, octets)),
        }
    }

    /// Whose the routes are that are injected from now on, in the batch being filled.
    pub(crate) fn set_owner(&mut self, owner: u8) {
        self.batch.set_owner(owner);
    }

    /// Takes an injected route back, if it is there.
    pub(crate) fn uninject(&mut self, prefix: IpNet, path_id: u32) {
        self.batch.withdraw_injected(prefix, path_id);
    }

    /// Asks how many injected routes each owner has; returns the number of the answer.
    pub(crate) fn owned(&mut self) -> u64 {
        self.next_owned += 1;
        let number = self.next_owned;
        self.owned.insert(number, (self.count, Box::new([0; 256])));
        self.tell_all(|| Command::Owned(number));
        number
    }

    /// Removes an owner's routes, behind all that came before.
    pub(crate) fn remove_owned(&mut self, owner: u8) {
        self.tell_all(|| Command::RemoveOwned(owner));
    }

    /// Adds a route as if it were learned here.
    pub(crate) fn inject(
        &mut self,
        prefix: IpNet,
        path_id: u32,
        attributes: &[u8],
        next_hop: NextHop,
        summary: Summary,
    ) {
        self.batch.inject(prefix, path_id, attributes, next_hop, summary);
    }

    /// Answers the request when everything injected so far is in.
    pub(crate) fn acknowledge(&mut self, id: QueryId, count: u32) {
        self.due.injected = Some((id, count));
        self.apply();
    }

    /// Withdraws an injected route.
    pub(crate) fn withdraw(&mut self, id: QueryId, prefix: IpNet, path_id: u32) {
        self.apply();
        let shard = self.intake.shard(prefix);
        self.tell(shard, Command::Withdraw { id, prefix, path_id });
    }

    pub(crate) fn query(&mut self, id: u64, query: &Query) {
        self.pages.insert(id, (query.limit, Vec::new()));
        self.tell_all(|| Command::Query(id, query.clone()));
    }

    /// Asks the shard of a prefix why things are as they are.
    pub(crate) fn explain(&mut self, id: QueryId, question: Question, prefix: IpNet) {
        self.apply();
        let shard = self.intake.shard(prefix);
        self.tell(shard, Command::Explain(id, question, prefix));
    }

    /// Tells of changes of best routes from now on, with all about them or not; `None`: of none any more.
    pub(crate) fn watch(&mut self, asker: Option<(QueryId, bool)>) {
        self.next_watch += 1;
        let number = self.next_watch;
        self.watches.push_back(WatchCommand { number, left: self.count, asker });
        if asker.is_none() {
            self.snapshots.clear();
        }
        self.tell_all(|| Command::Watch(number, asker.map(|(_, whole)| whole)));
    }

    /// Shows what is there to somebody who watches.
    pub(crate) fn snapshot(&mut self, id: u64, of: SnapshotOf) {
        self.snapshots.insert(id, self.count);
        self.tell_all(|| Command::Snapshot(id, of));
    }

    /// There is room for another list of changes of a shard, or of a snapshot.
    pub(crate) fn more(&mut self, shard: usize, snapshot: Option<u64>) {
        self.tell(shard, Command::More(snapshot));
    }

    pub(crate) fn cancel(&mut self, id: u64) {
        self.pages.remove(&id);
        self.snapshots.remove(&id);
        self.tell_all(|| Command::Cancel(id));
    }

    /// Forgets all queries.
    pub(crate) fn cancel_all(&mut self) {
        let ids: Vec<u64> = self.pages.keys().chain(self.snapshots.keys()).copied().collect();
        ids.into_iter().for_each(|id| self.cancel(id));
    }

    pub(crate) fn count(&mut self, id: u64) {
        self.counts.insert(id, (0, Counted::default()));
        self.tell_all(|| Command::Count(id));
    }

    /// Asks all shards whether they are at work.
    pub(crate) fn ping(&mut self, number: u32) {
        self.ping = (number, 0);
        self.tell_all(|| Command::Ping(number));
    }

    /// Whether another batch may be filled.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT
    }

    /// Hands the batch being filled to the shards.
    pub(crate) fn apply(&mut self) {
        if self.batch.is_empty() && self.due.consumed.is_empty() && self.due.injected.is_none() {
            return;
        }
        let empty = self.spare.pop().unwrap_or_else(|| self.intake.batch());
        let batch = Arc::new(std::mem::replace(&mut self.batch, empty));
        let due = std::mem::take(&mut self.due);
        self.in_flight.push_back((self.count, Arc::clone(&batch), due));
        for shard in 0..self.count {
            self.send(shard, Command::Apply(Arc::clone(&batch)));
        }
        drop(batch);
        self.take_here();
    }

    /// A bounded step of work of the shard that lives here; `false` where nothing can be done now.
    pub(crate) fn work(&mut self) -> bool {
        let busy = match &mut self.shards {
            Shards::Here(shard) => shard.work(),
            Shards::Threads(_) => false,
        };
        self.take_here();
        busy
    }

    /// A buffer whose messages have been sent. A shard with a thread of its own makes new ones.
    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        if let Shards::Here(shard) = &mut self.shards {
            shard.give_back(buffer);
        }
    }

    /// What is to be passed on.
    pub(crate) fn said(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    /// Tells one shard, behind all that was told before.
    fn tell(&mut self, shard: usize, command: Command) {
        self.send(shard, command);
        self.take_here();
    }

    fn tell_all(&mut self, command: impl Fn() -> Command) {
        self.apply();
        for shard in 0..self.count {
            self.tell(shard, command());
        }
    }

    fn send(&mut self, shard: usize, command: Command) {
        match &mut self.shards {
            Shards::Here(here) => here.handle(command),
            Shards::Threads(threads) => {
                if let Some(thread) = threads.get(shard) {
                    // A thread that is gone shows where its outputs are received.
                    drop(thread.send(command));
                }
            }
        }
    }

    fn take_here(&mut self) {
        if let Shards::Here(shard) = &mut self.shards {
            let outputs = shard.take_outputs();
            self.take((0, outputs));
        }
    }

    /// Takes in what a shard says.
    pub(crate) fn take(&mut self, (shard, outputs): FromShard) {
        // Shards number their groups each for itself.
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (count, shard_number) = (number(self.count), number(shard));
        let shard16 = u16::try_from(shard).unwrap_or(u16::MAX);
        let group = |g: u32| GroupId(g.wrapping_mul(count).wrapping_add(shard_number));
        for output in outputs {
            let said = match output {
                // What was for a session that has ended must not reach the next one.
                Output::Join { peer, .. }
                | Output::Leave { peer, .. }
                | Output::EndOfRib(peer, _)
                | Output::Refreshed(peer, _)
                    if self.is_behind(shard, peer) =>
                {
                    continue;
                }
                Output::Away(peer) => {
                    self.heard(shard, peer);
                    continue;
                }
                Output::Send { mut runs, octets } => {
                    for run in &mut runs {
                        run.of = match run.of {
                            Target::Peer(p) if self.is_behind(shard, p) => Target::Peer(PeerIdx::LOCAL),
                            Target::Group(g) => Target::Group(group(g).0),
                            Target::GroupExcept(g, p) => Target::GroupExcept(group(g).0, p),
                            Target::Peer(p) => Target::Peer(p),
                        };
                    }
                    Said::Send { runs, octets }
                }
                Output::Join { group: g, peer } => Said::Join { group: group(g), peer },
                Output::Leave { group: g, peer } => Said::Leave { group: group(g), peer },
                Output::Explained(id, paths) => Said::Explained(id, paths),
                Output::Withdrawn { id, there } => Said::Withdrawn { id, there },
                Output::Refused(peer, paths) => Said::Refused(peer, paths),
                Output::EndOfRib(peer, family) => {
                    let told = self.end_of_rib.entry((peer, family)).or_default();
                    *told += 1;
                    if *told < self.count {
                        continue;
                    }
                    self.end_of_rib.remove(&(peer, family));
                    self.said.push_back(Said::EndOfRib(peer, family));
                    self.refreshes.end_of_rib(peer, family);
                    self.begin_refresh(peer, family);
                    continue;
                }
                Output::Refreshed(peer, family) => {
                    if self.refreshes.end(peer, family) {
                        self.said.push_back(Said::Refresh(peer, family, Subtype::End));
                        self.begin_refresh(peer, family);
                    }
                    continue;
                }
                Output::Forgotten(peer) => {
                    // What a shard said of its initial table before it heard of the end must not count for the
                    // next one of this name.
                    self.end_of_rib.retain(|(p, _), _| *p != peer);
                    self.intake.forgotten(peer);
                    continue;
                }
                Output::Applied(tallies) => {
                    self.applied(shard, tallies);
                    continue;
                }
                Output::Advertised(list) => Said::Advertised(shard, list),
                Output::Page(id, page) => {
                    let Some((limit, parts)) = self.pages.get_mut(&id) else { continue };
                    parts.push(page);
                    if parts.len() < self.count {
                        continue;
                    }
                    let page = PageDone::merge(std::mem::take(parts), *limit);
                    self.pages.remove(&id);
                    Said::Page(id, page)
                }
                Output::Watching(number) => {
                    let Some(command) = self.watches.iter_mut().find(|w| w.number == number) else {
                        continue;
                    };
                    command.left -= 1;
                    // Shards obey in order, so that the oldest is the first one that all have obeyed.
                    if self.watches.front().is_none_or(|w| w.left > 0) {
                        continue;
                    }
                    let Some((id, whole)) = self.watches.pop_front().and_then(|w| w.asker) else { continue };
                    Said::Watching(id, whole)
                }
                Output::Owned(number, owned) => {
                    let Some((left, sum)) = self.owned.get_mut(&number) else { continue };
                    sum.iter_mut().zip(owned.iter()).for_each(|(s, n)| *s += n);
                    *left -= 1;
                    if *left > 0 {
                        continue;
                    }
                    let Some((_, sum)) = self.owned.remove(&number) else { continue };
                    Said::Owned(number, sum)
                }
                Output::Told(Told::Changes(changes)) => Said::Changes(shard16, changes),
                Output::Told(Told::Walked(mut walked)) => {
                    let Some(left) = self.snapshots.get_mut(&walked.id) else { continue };
                    *left -= usize::from(walked.last);
                    walked.last = *left == 0;
                    if walked.last {
                        self.snapshots.remove(&walked.id);
                    }
                    Said::Walked(shard16, walked)
                }
                Output::Counted(id, counted) => {
                    let Some((told, sum)) = self.counts.get_mut(&id) else { continue };
                    *told += 1;
                    sum.tables.add(&counted.tables);
                    sum.peers.extend(counted.peers);
                    if *told < self.count {
                        continue;
                    }
                    let Some((_, sum)) = self.counts.remove(&id) else { continue };
                    Said::Counted(id, sum)
                }
                Output::Pong(number) => {
                    if self.ping.0 == number {
                        self.ping.1 += 1;
                    }
                    if self.ping != (number, self.count) {
                        continue;
                    }
                    Said::Pong(number)
                }
            };
            self.said.push_back(said);
        }
    }

    /// Whether what the shard says of the peer is of a session before.
    fn is_behind(&self, shard: usize, peer: PeerIdx) -> bool {
        !self.away.is_empty() && self.away.get(&peer).is_some_and(|behind| behind.get(shard) != Some(&0))
    }

    /// The shard has heard that the peer went away.
    fn heard(&mut self, shard: usize, peer: PeerIdx) {
        let Some(behind) = self.away.get_mut(&peer) else { return };
        if let Some(n) = behind.get_mut(shard) {
            *n -= 1;
        }
        if behind.iter().all(|n| *n == 0) {
            self.away.remove(&peer);
        }
    }

    /// A shard has taken in the oldest batch that it had not.
    fn applied(&mut self, shard: usize, tallies: Vec<Tally>) {
        let Some(answered) = self.answered.get_mut(shard) else { return };
        if let Some((waits_for, _, due)) = self.in_flight.get_mut(*answered) {
            *waits_for -= 1;
            due.add_tallies(tallies);
        }
        *answered += 1;
        while self.in_flight.front().is_some_and(|(waits_for, ..)| *waits_for == 0) {
            self.answered.iter_mut().for_each(|n| *n -= 1);
            let Some((_, batch, due)) = self.in_flight.pop_front() else { return };
            // Another shard may be about to let go of it; then the allocator takes it.
            if let (Ok(mut batch), true) = (Arc::try_unwrap(batch), self.spare.len() < IN_FLIGHT) {
                batch.clear();
                self.spare.push(batch);
            }
            self.said.push_back(Said::Due(due));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rib::Limits;

    /// Without a family, so that the shards have nothing to say of their own.
    fn info() -> PeerInfo {
        PeerInfo {
            router_id: 1,
            ..PeerInfo::new(Some(1), std::net::Ipv4Addr::LOCALHOST.into(), 65001, 65000)
        }
    }

    /// Whether the next thing that all shards say together is the End-of-RIB of this peer.
    fn ended(tables: &mut Tables, peer: PeerIdx) -> bool {
        matches!(tables.said(), Some(Said::EndOfRib(p, _)) if p == peer)
    }

    #[test]
    fn the_end_of_a_table_counts_for_one_incarnation_only() {
        let limits = Limits::default();
        let settings =
            Settings { asn: 65000, router_id: 1, cluster_id: 1, med_always_compare: false, limits };
        let (mut tables, _) = Tables::new(settings, 2, Instant::now()).unwrap();
        let family = Family::Ipv4Unicast;
        let peer = tables.peer_up(info(), 0).unwrap();
        tables.take((0, vec![Output::EndOfRib(peer, family)]));
        assert!(!ended(&mut tables, peer), "one shard of two");
        tables.take((1, vec![Output::EndOfRib(peer, family)]));
        assert!(ended(&mut tables, peer), "both shards");

        // One shard comes to the end before it hears that the peer has gone.
        tables.peer_down(peer);
        tables.take((0, vec![Output::EndOfRib(peer, family), Output::Forgotten(peer)]));
        tables.take((1, vec![Output::Forgotten(peer)]));
        assert_eq!(tables.peer_up(info(), 0), Some(peer), "the handle is free again");
        tables.take((1, vec![Output::EndOfRib(peer, family)]));
        assert!(!ended(&mut tables, peer), "one shard of two");
        tables.take((0, vec![Output::EndOfRib(peer, family)]));
        assert!(ended(&mut tables, peer), "both shards");
    }
}
