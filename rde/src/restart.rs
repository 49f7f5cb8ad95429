//! Graceful restarts of peers (RFC 4724 §4.2, RFC 8538 §4.1, RFC 9494 §4.2): which routes are kept as stale, and for
//! how long.
//!
//! A peer that restarts keeps its place in the tables: only the sending side of its session is gone. When it is back,
//! what it announces replaces what was stale, and its End-of-RIB ends what is stale still. Two clocks run: by when it
//! must be back (what it asked for), and by when all must be over (what the operator allows). Where the peer is not back
//! when they run out, and both sides want that, its routes are kept for longer, as long-lived stale.

use bgp::{Family, FamilySet};
use ipc::control_rde::Restart;
use ipc::session_rde::{GracefulRestart, RdeToSession, Source};
use ipc::{Epoch, PeerId};
use rib::PeerIdx;

use crate::engine::Engine;
use crate::long_lived::LongLived;
use crate::peers::Session;

/// Stale routes of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// The session that has ended.
    epoch: Epoch,
    /// The peer's place in the tables.
    pub(crate) idx: PeerIdx,
    /// Families that still have some, but for those that are long-lived.
    families: FamilySet,
    /// When the peer must be back; `None`: it is. This and what follows in milliseconds of the engine's clock.
    back_by: Option<u64>,
    /// When they go in any case.
    until: u64,
    /// What is kept for longer.
    long_lived: LongLived,
}

/// What has taken too long.
struct Late {
    /// Families whose routes go.
    gone: FamilySet,
    /// Families whose routes are long-lived stale from now on.
    long_lived: FamilySet,
}

impl Kept {
    /// What there is when a session ends whose peer said this. `before`: what was stale already and still is.
    fn begin(
        session: &Session,
        peer: GracefulRestart,
        now: u64,
        stale_time: u16,
        before: Option<&Kept>,
    ) -> Kept {
        let after = |seconds: u16| now + 1000 * u64::from(seconds);
        let until = after(stale_time);
        let mut long_lived = LongLived::begin(peer.long_lived, before.map(|b| b.long_lived));
        // RFC 9494 §4.2: at once, where there is no time for a restart, or it is over already.
        let has_restart = |f: Family| peer.families.contains(f) && peer.restart_time > 0;
        for family in Family::ALL {
            if long_lived.keeps(family) && !has_restart(family) {
                long_lived.enter(family, now);
            }
        }
        // RFC 8538 §4.1: without the N bit, what is stale already goes.
        let before = before.filter(|_| peer.notification);
        Kept {
            epoch: session.epoch,
            idx: session.idx,
            families: without(peer.families, long_lived.families()),
            back_by: Some(after(peer.restart_time)),
            until: before.map_or(until, |b| b.until.min(until)),
            long_lived,
        }
    }

    /// All families with stale routes.
    fn all(&self) -> FamilySet {
        union(self.families, self.long_lived.families())
    }

    /// The peer is back, with this capability: the families whose stale routes go at once.
    fn back(&mut self, capability: Option<GracefulRestart>) -> FamilySet {
        self.back_by = None;
        let stay = self.families.intersection(capability.map_or(FamilySet::EMPTY, |c| c.forwarding));
        let mut go = without(self.families, stay);
        self.families = stay;
        let said = capability.and_then(|c| c.long_lived);
        for family in self.long_lived.families().iter() {
            let stays = said.is_some_and(|l| l.forwarding.contains(family));
            if !stays && self.long_lived.end(family) {
                go.insert(family);
            }
        }
        go
    }

    /// A family is over; whether all are.
    fn ended(&mut self, family: Family) -> bool {
        self.families = without(self.families, FamilySet::EMPTY.with(family));
        self.long_lived.end(family);
        self.all().is_empty()
    }

    /// When a restart takes too long; `None`: nothing waits for the end of one.
    fn restart_deadline(&self) -> Option<u64> {
        let deadline = self.back_by.map_or(self.until, |b| b.min(self.until));
        let nothing = self.families.is_empty() && !self.long_lived.families().is_empty();
        (!nothing).then_some(deadline)
    }

    /// When the next of its clocks runs out.
    fn deadline(&self) -> u64 {
        let both = self.restart_deadline().into_iter().chain(self.long_lived.deadline());
        both.min().unwrap_or(self.until)
    }

    /// Ends what has taken too long by now.
    fn expire(&mut self, now: u64) -> Late {
        let mut late = Late { gone: self.long_lived.expire(now), long_lived: FamilySet::EMPTY };
        if self.restart_deadline().is_none_or(|d| d > now) {
            return late;
        }
        let away = self.back_by.is_some();
        for family in std::mem::replace(&mut self.families, FamilySet::EMPTY).iter() {
            if away && self.long_lived.keeps(family) {
                self.long_lived.enter(family, now);
                late.long_lived.insert(family);
            } else {
                late.gone.insert(family);
            }
        }
        late
    }

    /// For the API.
    pub(crate) fn state(&self, now: u64) -> Restart {
        let seconds_left = self.deadline().saturating_sub(now).div_ceil(1000);
        Restart {
            back: self.back_by.is_none(),
            seconds_left: u32::try_from(seconds_left).unwrap_or(u32::MAX),
            families: self.all(),
            long_lived: self.long_lived.families(),
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
        let before = peer.kept.take();
        let kept = Kept::begin(session, graceful, now, stale_time, before.as_ref());
        peer.kept = Some(kept);
        let long_lived = kept.long_lived.families();
        if let Some(tables) = &mut self.tables {
            // RFC 4724 §4.2: of several restarts in a row, only the last one counts, unless RFC 8538 §4.1 or RFC 9494
            // §4.2 says when the routes go.
            let again = before.is_some() && graceful.notification;
            let purge = if again { FamilySet::EMPTY } else { kept.families };
            tables.peer_away(session.idx, kept.all(), purge);
            long_lived.iter().for_each(|f| tables.make_long_lived(session.idx, f));
        }
        let _span = self.span(source).entered();
        tracing::info!(
            families = names(kept.families),
            long_lived = names(long_lived),
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
        let stay = kept.all();
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
        let Some(kept) = peer.kept.as_mut().filter(|k| k.all().contains(family)) else { return };
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
        if let Some(entry) = self.peers.get_mut(peer).filter(|p| p.session.is_none())
            && let Some(kept) = entry.kept.take()
            && let Some(tables) = &mut self.tables
        {
            tables.peer_down(kept.idx);
        }
        self.drop_removed(peer);
        self.wake();
    }

    /// Ends what takes too long.
    pub(crate) fn restarts_in_time(&mut self) {
        let now = self.now();
        let late: Vec<(PeerId, Kept)> = (self.peers.iter())
            .filter_map(|(id, p)| Some((id, p.kept.filter(|k| k.deadline() <= now)?)))
            .collect();
        for (id, mut kept) in late {
            let late = kept.expire(now);
            let over = kept.all().is_empty();
            let peer = self.peers.entry(id);
            peer.kept = (!over).then_some(kept);
            peer.stats.restarts_expired += 1;
            let epoch = peer.session.as_ref().map(|s| s.epoch);
            match &mut self.tables {
                Some(tables) if over && epoch.is_none() => {
                    tables.peer_down(kept.idx);
                    if self.config.as_ref().and_then(|c| c.peers.get(&id)).is_some_and(|p| p.range.is_some())
                    {
                        let source = Source { peer: id, epoch: kept.epoch };
                        self.session.push(RdeToSession::NothingKept(source), Vec::new());
                    }
                }
                Some(tables) => {
                    late.long_lived.iter().for_each(|f| tables.make_long_lived(kept.idx, f));
                    self.sweep(kept.idx, late.gone);
                }
                None => {}
            }
            let _span = self.span(Source { peer: id, epoch: epoch.unwrap_or(Epoch(0)) }).entered();
            let what = if epoch.is_some() { "its End-of-RIB" } else { "the peer" };
            tracing::warn!(
                families = names(late.gone),
                long_lived = names(late.long_lived),
                "graceful restart: {what} did not come in time: stale routes are removed, or become long-lived stale"
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

fn union(a: FamilySet, b: FamilySet) -> FamilySet {
    a.iter().chain(b.iter()).collect()
}

fn without(all: FamilySet, but: FamilySet) -> FamilySet {
    all.iter().filter(|f| !but.contains(*f)).collect()
}
