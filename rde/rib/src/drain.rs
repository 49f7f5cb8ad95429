//! Graceful shutdown of a session, by the side that is about to end it (RFC 8326 §4.2): all that the peer was sent
//! is sent again with GRACEFUL_SHUTDOWN, and its own routes become the last choice.
//!
//! The peer stays in its update groups, since these know what it was sent. It leaves the shared stream and gets
//! everything on its own, as long as the drain lasts.

use std::sync::Arc;

use crate::family::FamilyTable;
use crate::group::CatchUp;
use crate::peers::{PeerIdx, PeerInfo};
use crate::rib::{Rib, Sink};
use crate::slots::Addr;
use crate::walk::Task;

impl Rib {
    /// Begins or ends it for an external peer, also for one that is away; the rest is done in steps of [`work`](Rib::work).
    pub fn drain(&mut self, peer: PeerIdx, on: bool, sink: &mut impl Sink) {
        if !self.shared.peers.set_last_choice(peer, on) {
            return;
        }
        self.v4.walks.begin(peer, Task::Evaluate);
        self.v6.walks.begin(peer, Task::Evaluate);
        self.v4.drain(peer, on, sink);
        self.v6.drain(peer, on, sink);
    }

    /// What GRACEFUL_SHUTDOWN on a route of the peer means is another thing, as this info of the `Intake` says; its routes are
    /// looked at again in steps of [`work`](Rib::work).
    pub fn honour(&mut self, idx: PeerIdx, info: Arc<PeerInfo>) {
        let Some(peer) = self.shared.peers.get_mut(idx).filter(|p| !p.gone) else { return };
        let on = info.graceful_shutdown && info.external();
        let before = std::mem::replace(&mut peer.rank.graceful_shutdown, on);
        peer.info = info;
        if before != on {
            self.v4.walks.begin(idx, Task::Evaluate);
            self.v6.walks.begin(idx, Task::Evaluate);
        }
    }
}

impl<A: Addr> FamilyTable<A> {
    fn drain(&mut self, peer: PeerIdx, on: bool, sink: &mut impl Sink) {
        for group in &mut self.groups {
            let id = group.id;
            let Some(member) = group.members.iter_mut().find(|m| m.peer == peer) else { continue };
            let in_stream = member.catch_up.is_none();
            member.draining = on;
            member.catch_up.get_or_insert_with(|| Box::new(CatchUp::behind())).restart();
            if in_stream {
                group.set_in_stream(peer, false);
                sink.leave(id, peer);
            }
        }
    }
}
