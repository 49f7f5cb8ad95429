//! Graceful restarts of peers (RFC 4724 §4.2, RFC 8538 §4.1): which routes are kept as stale, and for how long.
//!
//! A peer that restarts keeps its place in the tables: only the sending side of its session is gone. When it is back,
//! what it announces replaces what was stale, and its End-of-RIB ends what is stale still. Two clocks run: by when it
//! must be back (what it asked for), and by when all must be over (what the operator allows).

use bgp::{Family, FamilySet};
use ipc::PeerId;
use ipc::control_rde::Restart;
use ipc::session_rde::{GracefulRestart, Source};
use rib::PeerIdx;

use crate::engine::Engine;
use crate::peers::Session;

/// Stale routes of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// The peer's place in the tables.
    pub(crate) idx: PeerIdx,
    /// Families that still have some.
    pub(crate) families: FamilySet,
    /// When the peer must be back; `None`: it is. This and what follows in milliseconds of the engine's clock.
    back_by: Option<u64>,
    /// When they go in any case.
    until: u64,
}

impl Kept {
    /// What there is when a session ends whose peer said this. `before`: what was stale already and still is.
    fn begin(idx: PeerIdx, peer: GracefulRestart, now: u64, stale_time: u16, before: Option<&Kept>) -> Kept {
        let after = |seconds: u16| now + 1000 * u64::from(seconds);
        let until = after(stale_time);
        Kept {
            idx,
            families: peer.families,
            back_by: Some(after(peer.restart_time)),
            until: before.map_or(until, |b| b.until.min(until)),
        }
    }

    /// The peer is back, with this capability: the families whose stale routes go at once.
    fn back(&mut self, capability: Option<GracefulRestart>) -> FamilySet {
        self.back_by = None;
        let stay = self.families.intersection(capability.map_or(FamilySet::EMPTY, |c| c.forwarding));
        let go = self.families.iter().filter(|f| !stay.contains(*f)).collect();
        self.families = stay;
        go
    }

    /// A family is over; whether all are.
    fn ended(&mut self, family: Family) -> bool {
        self.families = self.families.iter().filter(|f| *f != family).collect();
        self.families.is_empty()
    }

    /// When the next of its clocks runs out.
    fn deadline(&self) -> u64 {
        self.back_by.map_or(self.until, |b| b.min(self.until))
    }

    /// For the API.
    pub(crate) fn state(&self, now: u64) -> Restart {
        let seconds_left = self.deadline().saturating_sub(now).div_ceil(1000);
        Restart {
            back: self.back_by.is_none(),
            seconds_left: u32::try_from(seconds_left).unwrap_or(u32::MAX),
            families: self.families,
        }
    }
}

impl Engine {
    /// The session of a peer that is expected back has ended.
    pub(crate) fn begin_restart(&mut self, source: Source, session: &Session, graceful: GracefulRestart) {
        let now = self.now();
        let configured = self.config.as_ref().and_then(|c| c.peers.get(&source.peer));
        let stale_time = configured.map_or(0, |p| p.stale_routes_time);
        let peer = self.peers.entry(source.peer);
        // RFC 8538 §4.1: without the N bit, what is stale already goes.
        let before = peer.kept.take().filter(|_| graceful.notification);
        peer.kept = Some(Kept::begin(session.idx, graceful, now, stale_time, before.as_ref()));
        if let Some(tables) = &mut self.tables {
            tables.peer_away(session.idx, graceful.families, before.is_none());
        }
        let _span = self.span(source).entered();
        tracing::info!(
            families = names(graceful.families),
            restart_time = graceful.restart_time,
            stale_routes_time = stale_time,
            "peer is restarting: its routes are kept as stale"
        );
    }

    /// A peer whose routes are kept is back in its place in the tables.
    pub(crate) fn end_of_absence(
        &mut self,
        source: Source,
        mut kept: Kept,
        graceful: Option<GracefulRestart>,
    ) {
        let go = kept.back(graceful);
        self.sweep(kept.idx, go);
        let stay = kept.families;
        self.peers.entry(source.peer).kept = (!stay.is_empty()).then_some(kept);
        let _span = self.span(source).entered();
        tracing::info!(
            kept = names(stay),
            removed = names(go),
            "peer is back: stale routes are kept until it has sent its own, or removed where it has lost its \
             forwarding state"
        );
    }

    /// The peer has sent all that it has of a family (RFC 4724 §2).
    pub(crate) fn end_of_rib(&mut self, source: Source, family: Family) {
        self.not_awaited(source.peer, |f| f == family);
        let peer = self.peers.entry(source.peer);
        let Some(kept) = peer.kept.as_mut().filter(|k| k.families.contains(family)) else { return };
        let idx = kept.idx;
        let over = kept.ended(family);
        if over {
            peer.kept = None;
        }
        self.sweep(idx, FamilySet::EMPTY.with(family));
        let _span = self.span(source).entered();
        tracing::info!(%family, over, "End-of-RIB of a peer that restarted: routes that are stale still are removed");
    }

    /// What is kept of a peer's routes goes: it shall not come back.
    pub(crate) fn forget_kept(&mut self, peer: PeerId) {
        self.not_awaited(peer, |_| true);
        let entry = self.peers.entry(peer);
        if entry.session.is_none()
            && let Some(kept) = entry.kept.take()
            && let Some(tables) = &mut self.tables
        {
            tables.peer_down(kept.idx);
        }
        self.wake();
    }

    /// Ends what takes too long.
    pub(crate) fn restarts_in_time(&mut self) {
        let now = self.now();
        let late: Vec<(PeerId, Kept)> = (self.peers.iter())
            .filter_map(|(id, p)| Some((id, p.kept.filter(|k| k.deadline() <= now)?)))
            .collect();
        for (id, kept) in late {
            let peer = self.peers.entry(id);
            peer.kept = None;
            peer.stats.restarts_expired += 1;
            let epoch = peer.session.as_ref().map(|s| s.epoch);
            match (epoch, &mut self.tables) {
                (Some(_), _) => self.sweep(kept.idx, kept.families),
                (None, Some(tables)) => tables.peer_down(kept.idx),
                (None, None) => {}
            }
            let _span = self.span(Source { peer: id, epoch: epoch.unwrap_or(ipc::Epoch(0)) }).entered();
            let what = if epoch.is_some() { "its End-of-RIB" } else { "the peer" };
            tracing::warn!(
                families = names(kept.families),
                "graceful restart: {what} did not come in time: stale routes are removed"
            );
            self.wake();
        }
    }

    fn sweep(&mut self, idx: PeerIdx, families: FamilySet) {
        if let Some(tables) = &mut self.tables {
            families.iter().for_each(|f| tables.sweep_stale(idx, f));
        }
    }
}

fn names(families: FamilySet) -> String {
    families.iter().map(Family::name).collect::<Vec<_>>().join(",")
}
