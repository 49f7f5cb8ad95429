//! Control watches the best routes, for all clients that do: changes are told once, with numbers, and snapshots begin at
//! a number.

use std::time::{SystemTime, UNIX_EPOCH};

use bgp::Family;
use ipc::control_rde::{BestChange, BestRoute, RdeToControl, Whose};
use ipc::{PeerId, QueryId};
use rib::{SnapshotOf, Walked};

use crate::engine::Engine;
use crate::view;

/// Who watches, and how far it is.
#[derive(Debug)]
pub(crate) struct Watching {
    id: Option<QueryId>,
    /// Of the last change.
    sequence: u64,
}

impl Watching {
    /// Nobody yet. Numbers begin at the microseconds since 1970: less than one change a microsecond is told, and so
    /// they are beyond all that an engine before this one has used.
    pub(crate) fn new() -> Watching {
        Watching { id: None, sequence: since_1970().as_micros().try_into().unwrap_or(u64::MAX / 2) }
    }
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Engine {
    /// Control wants to be told of changes, or to be told them otherwise.
    pub(crate) fn watch(&mut self, id: QueryId, whole: bool) {
        let Some(tables) = &mut self.tables else {
            let error = "rde has no configuration yet".to_owned();
            return self.control.push(RdeToControl::Failed { id, error }, Vec::new());
        };
        if self.watching.id != Some(id) {
            // Changes that nobody was told of have no numbers: one is left out for them.
            self.watching.sequence += 1;
            if self.watching.id.replace(id).is_some() {
                tables.watch(None);
            }
        }
        tables.watch(Some((id, whole)));
    }

    /// Nobody watches any more, or not the one with this id.
    pub(crate) fn unwatch(&mut self, only: Option<QueryId>) {
        if only.is_some() && only != self.watching.id {
            return;
        }
        if let (Some(_), Some(tables)) = (self.watching.id.take(), &mut self.tables) {
            tables.watch(None);
        }
    }

    /// Control wants to be shown what is there.
    pub(crate) fn snapshot(&mut self, id: QueryId, family: Option<Family>, peer: Option<Option<PeerId>>) {
        match &mut self.tables {
            Some(tables) if self.watching.id.is_some() => {
                tables.snapshot(id.0, SnapshotOf { family, peer: peer.map(|p| p.map(|p| p.0)) });
            }
            _ => {
                let error = "only who watches is shown what is there".to_owned();
                self.control.push(RdeToControl::Failed { id, error }, Vec::new());
            }
        }
    }

    /// Control has room for another list.
    pub(crate) fn more(&mut self, id: QueryId, shard: u16) {
        if let Some(tables) = &mut self.tables {
            let snapshot = (self.watching.id != Some(id)).then_some(id.0);
            tables.more(shard.into(), snapshot);
        }
    }

    /// All shards tell of changes now.
    pub(crate) fn watching(&mut self, id: QueryId, whole: bool) {
        let sequence = self.watching.sequence;
        if self.watching.id == Some(id) {
            self.control.push(RdeToControl::Watching { id, whole, sequence }, Vec::new());
        }
    }

    /// A shard tells what has changed.
    pub(crate) fn changes(&mut self, shard: u16, changes: &[rib::BestChange]) {
        // Some may be on their way when nobody watches any more.
        let Some(id) = self.watching.id else { return };
        let first = self.watching.sequence + 1;
        self.watching.sequence += changes.len() as u64;
        let at = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
        let changes = changes.iter().map(change).collect();
        self.control.push(RdeToControl::Changes { id, shard, first, at, changes }, Vec::new());
    }

    /// A shard has gone on with a snapshot.
    pub(crate) fn walked(&mut self, shard: u16, walked: &Walked) {
        let Walked { id, family, upto, last, .. } = *walked;
        let routes = walked.routes.iter().map(best).collect();
        let (id, sequence) = (QueryId(id), self.watching.sequence);
        self.control
            .push(RdeToControl::Walked { id, shard, family, upto, sequence, routes, last }, Vec::new());
    }
}

fn whose(whose: rib::Whose) -> Whose {
    Whose { peer: whose.peer.map(PeerId), path_id: whose.path_id }
}

fn change(change: &rib::BestChange) -> BestChange {
    BestChange {
        prefix: change.prefix,
        slot: change.slot,
        now: change.now.map(whose),
        before: change.before.map(whose),
        route: change.found.as_ref().map(|f| Box::new(view::route(f))),
    }
}

fn best(best: &rib::BestRoute) -> BestRoute {
    BestRoute {
        prefix: best.prefix,
        whose: whose(best.whose),
        route: best.found.as_ref().map(|f| Box::new(view::route(f))),
    }
}
