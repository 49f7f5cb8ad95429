//! One shard of the tables: what it is told, and what it says. The same whether it has a thread of its own or
//! lives in the engine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bgp::{Family, FamilySet};
use ipc::QueryId;
use ipc::channel::BATCH;
use ipc::session_rde::Run;
use ipnet::IpNet;
use rib::{
    Batch, Counters, Explained, Flow, PageDone, PeerIdx, PeerInfo, Query, Question, Rib, Sink, SnapshotOf,
    Target, Told,
};

/// Runs in one output: their list must fit a datagram beside the messages.
const MAX_RUNS: usize = 1024;

/// Octets that may wait for session before the tables stop producing more.
const FULL: usize = 512 << 10;

/// Buffers that are kept for the next messages.
const SPARE: usize = 8;

/// Routes that are removed before memory is given back, once there is nothing else to do.
const TRIM: u64 = 50_000;

/// What a shard is told, in order.
#[derive(Debug)]
pub(crate) enum Command {
    PeerUp {
        peer: PeerIdx,
        info: Arc<PeerInfo>,
        flow: Arc<Flow>,
    },
    PeerDown(PeerIdx),
    /// The session has ended, and the peer is expected back.
    PeerAway {
        peer: PeerIdx,
        keep: FamilySet,
        purge: FamilySet,
    },
    /// What is stale of its routes becomes long-lived stale.
    LongLived(PeerIdx, Family),
    /// It is.
    PeerBack {
        peer: PeerIdx,
        info: Arc<PeerInfo>,
        flow: Arc<Flow>,
    },
    /// Sends nothing of these families, until they are released.
    Defer(FamilySet),
    Release(Family),
    /// Sends a family's table again (RFC 2918 §4).
    Refresh(PeerIdx, Family),
    /// Begins or ends the graceful shutdown of a session (RFC 8326 §4.2).
    Drain(PeerIdx, bool),
    Honour(PeerIdx, Arc<PeerInfo>),
    /// Peers have other policies.
    Policies(Arc<[(PeerIdx, Arc<PeerInfo>)]>),
    /// Looks at a peer's routes again.
    Reevaluate(PeerIdx, Family),
    Apply(Arc<Batch>),
    /// Withdraws an injected route.
    Withdraw {
        id: QueryId,
        prefix: IpNet,
        path_id: u32,
    },
    Explain(QueryId, Question, IpNet),
    Query(u64, Query),
    /// Tells of changes of best routes, with all about them or not; or of none any more. The number is repeated.
    Watch(u64, Option<bool>),
    Snapshot(u64, SnapshotOf),
    /// How many injected routes does each owner have? The number is repeated.
    Owned(u64),
    RemoveOwned(u8),
    /// A list of changes, or of a snapshot, is dealt with.
    More(Option<u64>),
    Cancel(u64),
    Count(u64),
    /// Answered at once: the shard is at work.
    Ping(u32),
    /// Work that could not go on perhaps can now.
    Wake,
}

/// Sizes of a shard, or of all.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) tables: Counters,
    /// Received, advertised and stale routes of each incarnation, by family number.
    pub(crate) peers: Vec<(PeerIdx, [[u64; 4]; 3])>,
}

/// How many prefixes more a peer has announced, by family number.
pub(crate) type Tally = (PeerIdx, [i64; 4]);

/// What a shard says, in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Whole messages.
    Send {
        runs: Vec<Run<Target>>,
        octets: Vec<u8>,
    },
    Join {
        group: u32,
        peer: PeerIdx,
    },
    Leave {
        group: u32,
        peer: PeerIdx,
    },
    /// This shard has sent all that was there.
    EndOfRib(PeerIdx, Family),
    /// What was said so far to this peer was for the session that has ended.
    Away(PeerIdx),
    /// This shard has sent again all that was there.
    Refreshed(PeerIdx, Family),
    /// Nothing of this incarnation is left here.
    Forgotten(PeerIdx),
    /// So many paths of the peer were left out: it has too many for one prefix.
    Refused(PeerIdx, u64),
    /// The oldest batch that was not answered is in; with it, so many prefixes more or less of counted peers.
    Applied(Vec<Tally>),
    /// So many routes are announced to counted peers here.
    Advertised(Vec<(PeerIdx, Family, u64)>),
    Withdrawn {
        id: QueryId,
        there: bool,
    },
    Explained(QueryId, Vec<Explained>),
    Page(u64, PageDone),
    Owned(u64, Box<[u64; 256]>),
    /// The command of this number is obeyed.
    Watching(u64),
    Told(Told),
    Counted(u64, Counted),
    Pong(u32),
}

/// Octets that wait for session, for all shards.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Between a shard and the engine's outbox.
    moving: AtomicUsize,
    /// In the outbox.
    waiting: AtomicUsize,
}

impl Backlog {
    /// Octets have come to the outbox, which holds so many now.
    pub(crate) fn moved(&self, octets: usize, waiting: usize) {
        self.moving.fetch_sub(octets, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// The outbox holds so many; whether that lets shards go on that had to stop.
    pub(crate) fn drained(&self, waiting: usize) -> bool {
        let was_full = self.is_full();
        self.waiting.store(waiting, Ordering::Relaxed);
        was_full && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.moving.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed) > FULL
    }
}

/// A table and what it has to say.
#[derive(Debug)]
pub(crate) struct Shard {
    number: usize,
    rib: Rib,
    says: Says,
    started: Instant,
    /// Routes that were removed when memory was last given back.
    trimmed_at: u64,
}

impl Shard {
    /// `started`: where the clock of all shards begins.
    pub(crate) fn new(number: usize, rib: Rib, backlog: Arc<Backlog>, started: Instant) -> Shard {
        Shard { number, rib, says: Says::new(backlog), started, trimmed_at: 0 }
    }

    pub(crate) fn handle(&mut self, command: Command) {
        match command {
            Command::PeerUp { peer, info, flow } => self.rib.peer_up(peer, info, flow),
            Command::PeerDown(peer) => self.rib.peer_down(peer),
            Command::PeerAway { peer, keep, purge } => {
                self.rib.peer_away(peer, keep, purge);
                self.says.push(Output::Away(peer));
            }
            Command::LongLived(peer, family) => self.rib.make_long_lived(peer, family),
            Command::PeerBack { peer, info, flow } => self.rib.peer_back(peer, info, flow),
            Command::Defer(families) => self.rib.defer(families),
            Command::Release(family) => self.rib.release(family),
            Command::Refresh(peer, family) => self.rib.refresh(peer, family, &mut self.says),
            Command::Drain(peer, on) => self.rib.drain(peer, on, &mut self.says),
            Command::Honour(peer, info) => self.rib.honour(peer, info),
            Command::Policies(list) => self.rib.set_policies(&list),
            Command::Reevaluate(peer, family) => self.rib.reevaluate(peer, family),
            Command::Apply(batch) => {
                self.rib.apply(&batch, self.number);
                // Before the answer, so that whoever made the batch has it for itself again.
                drop(batch);
                let refused = self.rib.take_refused();
                refused.into_iter().for_each(|(peer, n)| self.says.push(Output::Refused(peer, n)));
                self.says.push(Output::Applied(self.rib.tallies()));
            }
            Command::Withdraw { id, prefix, path_id } => {
                let there = self.rib.withdraw_injected(prefix, path_id);
                self.says.push(Output::Withdrawn { id, there });
            }
            Command::Explain(id, question, prefix) => {
                let paths = self.rib.explain(question, prefix);
                self.says.push(Output::Explained(id, paths));
            }
            Command::Query(id, query) => self.rib.begin_query(id, query),
            Command::Watch(number, whole) => {
                self.rib.watch(whole);
                self.says.push(Output::Watching(number));
            }
            Command::Owned(number) => {
                let owned = Box::new(*self.rib.owned());
                self.says.push(Output::Owned(number, owned));
            }
            Command::RemoveOwned(owner) => self.rib.remove_owned(owner),
            Command::Snapshot(id, of) => self.rib.begin_snapshot(id, of),
            Command::More(snapshot) => self.rib.taken(snapshot),
            Command::Cancel(id) => {
                self.rib.cancel_query(id);
                self.rib.cancel_snapshot(id);
            }
            Command::Count(id) => {
                let counted = Counted { tables: self.rib.counters(), peers: self.rib.all_peer_counters() };
                self.says.push(Output::Counted(id, counted));
            }
            Command::Ping(number) => self.says.push(Output::Pong(number)),
            Command::Wake => {}
        }
    }

    /// A bounded step of work; `false` where nothing can be done before something comes in.
    pub(crate) fn work(&mut self) -> bool {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let removed = self.rib.removed();
        // With a full channel to session, what changes waits in the tables, where it is coalesced.
        let mut busy = !self.says.is_full() && self.rib.work(now, &mut self.says);
        if busy {
            let advertised = self.rib.advertised();
            if !advertised.is_empty() {
                self.says.push(Output::Advertised(advertised));
            }
        }
        if let Some(told) = self.rib.tell() {
            busy = true;
            if !matches!(&told, Told::Changes(list) if list.is_empty()) {
                self.says.push(Output::Told(told));
            }
        }
        if self.rib.has_queries() {
            busy = true;
            if let Some((id, page)) = self.rib.query_step() {
                self.says.push(Output::Page(id, page));
            }
        }
        if !busy && removed - self.trimmed_at >= TRIM {
            self.trimmed_at = removed;
            sandbox::give_memory_back();
        }
        busy
    }

    /// A buffer for what it says next.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.says.spare.len() < SPARE {
            buffer.clear();
            self.says.spare.push(buffer);
        }
    }

    /// What it has said since the last call.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        self.says.seal();
        std::mem::take(&mut self.says.outputs)
    }
}

/// The sink of a shard: puts messages together.
#[derive(Debug)]
struct Says {
    outputs: Vec<Output>,
    runs: Vec<Run<Target>>,
    octets: Vec<u8>,
    /// Whom the message at hand is for, and where it begins.
    open: Option<(Target, usize)>,
    backlog: Arc<Backlog>,
    /// Buffers that were filled before.
    spare: Vec<Vec<u8>>,
}

impl Says {
    fn new(backlog: Arc<Backlog>) -> Says {
        let (outputs, runs, octets) = (Vec::new(), Vec::new(), Vec::new());
        Says { outputs, runs, octets, open: None, backlog, spare: Vec::new() }
    }

    /// What is said from now on comes behind the messages so far.
    fn seal(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        self.backlog.moving.fetch_add(self.octets.len(), Ordering::Relaxed);
        let (runs, octets) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.octets));
        self.outputs.push(Output::Send { runs, octets });
    }

    fn push(&mut self, output: Output) {
        self.seal();
        self.outputs.push(output);
    }
}

impl Sink for Says {
    fn begin(&mut self, target: Target) -> &mut Vec<u8> {
        if self.octets.capacity() == 0 {
            self.octets = self.spare.pop().unwrap_or_default();
            self.octets.reserve(BATCH + bgp::MAX_MESSAGE);
        }
        self.open = Some((target, self.octets.len()));
        &mut self.octets
    }

    fn end(&mut self) {
        let Some((target, start)) = self.open.take() else { return };
        let len = u32::try_from(self.octets.len() - start).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some(run) if run.of == target => run.len += len,
            _ => self.runs.push(Run { of: target, len }),
        }
        if self.octets.len() >= BATCH || self.runs.len() >= MAX_RUNS {
            self.seal();
        }
    }

    fn join(&mut self, group: u32, peer: PeerIdx) {
        self.push(Output::Join { group, peer });
    }

    fn leave(&mut self, group: u32, peer: PeerIdx) {
        self.push(Output::Leave { group, peer });
    }

    fn end_of_rib(&mut self, peer: PeerIdx, family: Family) {
        self.push(Output::EndOfRib(peer, family));
    }

    fn refreshed(&mut self, peer: PeerIdx, family: Family) {
        self.push(Output::Refreshed(peer, family));
    }

    fn forgotten(&mut self, peer: PeerIdx) {
        self.push(Output::Forgotten(peer));
    }

    fn is_full(&self) -> bool {
        self.backlog.is_full()
    }
}
