//! The changes that rde tells of. It is asked to as long as somebody watches, and a while longer, so that who comes back
//! finds what it has missed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc::QueryId;
use ipc::control_rde::{ControlToRde, RdeToControl};
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Status;

use crate::engine::{Engine, TIMEOUT};
use crate::error;
use crate::watch::ring::{Chunk, Lost, Ring};

/// Clients that may watch at a time.
const WATCHERS: usize = 256;

/// How long changes are kept for clients to come back when none watches any more.
const LINGER: Duration = Duration::from_secs(60);

/// rde hears that a short list is dealt with only after a while: what changes meanwhile comes in one list.
const PAUSE: Duration = Duration::from_millis(5);

/// From so many changes on, a list is not short.
const FULL: usize = 128;

/// What rde tells, for all who watch.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    /// There is something new for those who watch.
    news: Notify,
    /// Others watch, or want to see something else.
    wants: Notify,
}

#[derive(Debug)]
struct State {
    /// A task follows what rde tells.
    following: bool,
    /// rde tells of all that changes, with attributes or not.
    ready: Option<bool>,
    watchers: usize,
    /// Those of them who want attributes.
    whole: usize,
    ring: Ring,
    /// Counts what was followed from beginning to end.
    incarnation: u64,
    /// Why the last one ended.
    ended: Status,
    /// Snapshots under way, and behind which change each wants to go on.
    snapshots: Vec<(QueryId, u64)>,
    /// The process ends.
    closing: bool,
}

impl Feed {
    /// Follows nothing yet.
    pub(crate) fn new() -> Arc<Feed> {
        let state = State {
            following: false,
            ready: None,
            watchers: 0,
            whole: 0,
            ring: Ring::default(),
            incarnation: 0,
            ended: error::unavailable("rde"),
            snapshots: Vec::new(),
            closing: false,
        };
        Arc::new(Feed { state: Mutex::new(state), news: Notify::new(), wants: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all who watch: the process ends.
    pub(crate) fn close(&self) {
        {
            let mut state = self.lock();
            state.closing = true;
            state.end(Status::unavailable("rustbgpd-control ends: try again"));
        }
        self.news.notify_waiters();
    }

    /// Begins to watch; returns when rde tells of all that changes. `whole`: with attributes.
    ///
    /// # Errors
    /// UNAVAILABLE where rde is not there, RESOURCE_EXHAUSTED where too many watch.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        rde: &Arc<Engine<ControlToRde>>,
        whole: bool,
    ) -> Result<Subscription, Status> {
        let subscription = {
            let mut state = self.lock();
            if state.closing {
                return Err(state.ended.clone());
            }
            if state.watchers >= WATCHERS {
                let text = format!("{WATCHERS} clients watch already: end one of them, or try again later");
                return Err(Status::resource_exhausted(text));
            }
            if !state.following {
                state.following = true;
                state.incarnation += 1;
                tokio::spawn(Arc::clone(self).run(Arc::clone(rde)));
            }
            state.watchers += 1;
            state.whole += usize::from(whole);
            Subscription { feed: Arc::clone(self), incarnation: state.incarnation, whole, snapshot: None }
        };
        self.wants.notify_one();
        let ready = subscription.wait(|state| Ok(state.ready.filter(|with| *with || !whole)));
        match tokio::time::timeout(TIMEOUT, ready).await {
            Ok(ready) => ready.map(|_| subscription),
            Err(_) => Err(Status::deadline_exceeded("rde did not answer in time")),
        }
    }

    /// Follows rde until nobody is interested any more, or it is gone.
    async fn run(self: Arc<Self>, rde: Arc<Engine<ControlToRde>>) {
        if let Err(status) = self.follow(&rde).await {
            self.lock().end(status);
        }
        self.news.notify_waiters();
    }

    async fn follow(&self, rde: &Arc<Engine<ControlToRde>>) -> Result<(), Status> {
        let mut whole = self.lock().whole > 0;
        let mut query = rde.ask(|id| ControlToRde::Watch { id, whole }).await?;
        let id = query.id();
        // Shards whose short lists are dealt with, to be told all at once.
        let mut owed: Vec<u16> = Vec::new();
        let mut due = Instant::now();
        let mut idle_since = None;
        loop {
            let idle_until = idle_since.unwrap_or_else(Instant::now) + LINGER;
            tokio::select! {
                answer = query.next_ever() => match answer? {
                    RdeToControl::Watching { whole, sequence, .. } => {
                        let mut state = self.lock();
                        if state.ready.replace(whole).is_none() {
                            state.ring.begin(sequence);
                        }
                    }
                    RdeToControl::Changes { shard, first, at, changes, .. } => {
                        if changes.len() >= FULL {
                            query.say(ControlToRde::More { id, shard }).await?;
                        } else {
                            if owed.is_empty() {
                                due = Instant::now() + PAUSE;
                            }
                            owed.push(shard);
                        }
                        let Some(doomed) = self.take(Chunk { first, at, shard, changes }) else {
                            return Err(query.confused());
                        };
                        for id in doomed {
                            query.say(ControlToRde::Cancel { id }).await?;
                        }
                    }
                    RdeToControl::Failed { error, .. } => return Err(Status::unavailable(error)),
                    _ => return Err(query.confused()),
                },
                () = self.wants.notified() => {
                    let (watchers, wanted) = { let state = self.lock(); (state.watchers, state.whole > 0) };
                    // Once attributes come they go on coming: who begins to watch meanwhile must not miss any.
                    if wanted && !whole {
                        whole = true;
                        query.say(ControlToRde::Watch { id, whole }).await?;
                    }
                    idle_since = if watchers == 0 { idle_since.or_else(|| Some(Instant::now())) } else { None };
                }
                () = tokio::time::sleep_until(due), if !owed.is_empty() => {
                    for shard in owed.drain(..) {
                        query.say(ControlToRde::More { id, shard }).await?;
                    }
                }
                () = tokio::time::sleep_until(idle_until), if idle_since.is_some() => {
                    let mut state = self.lock();
                    if state.watchers == 0 {
                        state.end(error::unavailable("rde"));
                        return Ok(());
                    }
                    idle_since = None;
                }
            }
            self.news.notify_waiters();
        }
    }

    /// Keeps changes; returns snapshots that would go on behind what is not kept any more. `None`: changes are missing.
    fn take(&self, chunk: Chunk) -> Option<Vec<QueryId>> {
        let mut state = self.lock();
        if state.ready.is_none() {
            // Not all shards have begun: these are numbered before the beginning.
            return Some(Vec::new());
        }
        if !state.ring.push(chunk) {
            return None;
        }
        let State { snapshots, ring, .. } = &mut *state;
        Some(snapshots.extract_if(.., |(_, position)| !ring.keeps(*position)).map(|(id, _)| id).collect())
    }
}

impl State {
    /// What was followed is over.
    fn end(&mut self, why: Status) {
        self.following = false;
        self.ready = None;
        self.ring = Ring::default();
        self.incarnation += 1;
        self.ended = why;
        self.snapshots.clear();
    }
}

/// Somebody who watches, as long as it lives.
#[derive(Debug)]
pub(super) struct Subscription {
    feed: Arc<Feed>,
    incarnation: u64,
    whole: bool,
    snapshot: Option<QueryId>,
}

impl Subscription {
    /// Waits until there is something to see.
    async fn wait<T>(&self, see: impl Fn(&State) -> Result<Option<T>, Status>) -> Result<T, Status> {
        loop {
            // First of all, so that nothing new is missed.
            let mut news = std::pin::pin!(self.feed.news.notified());
            news.as_mut().enable();
            {
                let state = self.feed.lock();
                if state.incarnation != self.incarnation {
                    return Err(state.ended.clone());
                }
                if let Some(seen) = see(&state)? {
                    return Ok(seen);
                }
            }
            news.await;
        }
    }

    /// Number of the last change.
    pub(super) fn end(&self) -> u64 {
        self.feed.lock().ring.end()
    }

    /// Whether one can go on behind the change of this number.
    ///
    /// # Errors
    /// OUT_OF_RANGE where that is not so.
    pub(super) fn resume(&self, position: u64) -> Result<(), Status> {
        self.feed.lock().ring.resume(position, self.whole).map_err(|lost| {
            let why = match lost {
                Lost::Past(oldest) => {
                    format!("what came next is not kept any more, the oldest event is {oldest}")
                }
                Lost::Future(last) => format!("the last event is {last}"),
                Lost::NotWhole => "what came next is kept without attributes".to_owned(),
            };
            let text = format!("cannot go on behind event {position}: {why}; ask again with snapshot");
            Status::out_of_range(format!("resume_after: {text}"))
        })
    }

    /// The changes from behind this number on, some at a time; waits for them.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED where they are not kept any more, UNAVAILABLE where rde is gone.
    pub(super) async fn after(&self, position: u64) -> Result<Arc<Chunk>, Status> {
        self.wait(|state| state.ring.after(position).map_err(|_| too_slow(position))).await
    }

    /// Waits until the changes behind this number, if there is one, are not kept any more, or rde is gone; says so.
    pub(super) async fn lost(&self, position: Option<u64>) -> Status {
        let lost = |state: &State| position.filter(|p| !state.ring.keeps(*p));
        match self.wait(|state| Ok(lost(state))).await {
            Ok(position) => too_slow(position),
            Err(status) => status,
        }
    }

    /// A snapshot has begun that wants to go on behind this change: it is pointless without what follows.
    pub(super) fn snapshot_begins(&mut self, id: QueryId, position: u64) {
        self.snapshot_ends();
        self.snapshot = Some(id);
        let mut state = self.feed.lock();
        if state.incarnation == self.incarnation {
            state.snapshots.push((id, position));
        }
    }

    /// It is complete.
    pub(super) fn snapshot_ends(&mut self) {
        if let Some(id) = self.snapshot.take() {
            self.feed.lock().snapshots.retain(|(i, _)| *i != id);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.snapshot_ends();
        let mut state = self.feed.lock();
        state.watchers -= 1;
        state.whole -= usize::from(self.whole);
        drop(state);
        self.feed.wants.notify_one();
    }
}

fn too_slow(position: u64) -> Status {
    Status::resource_exhausted(format!(
        "events were not read in time, those behind {position} are not kept any more: read faster, and ask again with snapshot"
    ))
}
