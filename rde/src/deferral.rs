//! After a restart of ours: nobody is sent routes of a family before the peers that we had have sent theirs (RFC 4724
//! §4.1). Others would take what comes first for all that there is, and remove what they kept.

use std::collections::HashSet;

use bgp::{Family, FamilySet};
use ipc::PeerId;
use ipc::session_rde::Negotiated;

use crate::config::Config;
use crate::engine::Engine;

/// Whom we wait for.
#[derive(Debug)]
pub(crate) struct Deferral {
    /// In milliseconds of the engine's clock.
    until: u64,
    waits: Vec<(Family, HashSet<PeerId>)>,
}

impl Deferral {
    /// What a first configuration asks for, if it does.
    pub(crate) fn new(config: &Config, now: u64) -> Option<Deferral> {
        let of = |family| {
            let awaited = config.peers.values().filter(|p| p.awaited && p.families.contains(family));
            (family, awaited.map(|p| p.id).collect::<HashSet<_>>())
        };
        let waits: Vec<_> = Family::ALL.into_iter().map(of).filter(|(_, peers)| !peers.is_empty()).collect();
        let until = now + 1000 * u64::from(config.global.deferral);
        (until > now && !waits.is_empty()).then_some(Deferral { until, waits })
    }

    pub(crate) fn families(&self) -> FamilySet {
        self.waits.iter().map(|(family, _)| *family).collect()
    }

    /// The peer is not waited for any more in these families; which ones wait for nobody now.
    fn done(&mut self, peer: PeerId, families: impl Fn(Family) -> bool) -> Vec<Family> {
        let mut over = Vec::new();
        self.waits.retain_mut(|(family, peers)| {
            if families(*family) {
                peers.remove(&peer);
            }
            if peers.is_empty() {
                over.push(*family);
            }
            !peers.is_empty()
        });
        over
    }
}

impl Engine {
    /// Begins to wait, if the first configuration says so.
    pub(crate) fn defer(&mut self) {
        let deferral = self.config.as_ref().and_then(|c| Deferral::new(c, self.now()));
        if let (Some(deferral), Some(tables)) = (&deferral, &mut self.tables) {
            tables.defer(deferral.families());
            let peers = deferral.waits.iter().flat_map(|(_, p)| p).collect::<HashSet<_>>().len();
            tracing::info!(peers, "graceful restart: no routes are sent before these peers have sent theirs");
        }
        self.deferral = deferral;
    }

    /// A session came up. A peer that says nothing of restarts, or restarts itself, or does not carry a family, is
    /// not waited for.
    pub(crate) fn awaited_is_up(&mut self, peer: PeerId, negotiated: &Negotiated) {
        let sends = negotiated.graceful.is_some_and(|g| !g.restarting);
        self.not_awaited(peer, |f| !sends || !negotiated.families.contains(f));
    }

    /// The peer has sent what it has of these families, or is not expected to.
    pub(crate) fn not_awaited(&mut self, peer: PeerId, families: impl Fn(Family) -> bool) {
        if let Some(deferral) = &mut self.deferral {
            let over = deferral.done(peer, families);
            self.release(over);
        }
    }

    /// Ends the wait when its time is over.
    pub(crate) fn deferral_in_time(&mut self) {
        let now = self.now();
        if let Some(deferral) = self.deferral.take_if(|d| d.until <= now) {
            let missing = deferral.waits.iter().flat_map(|(_, p)| p).collect::<HashSet<_>>().len();
            tracing::warn!(missing, "graceful restart: not all peers have sent their routes in time");
            self.release(deferral.waits.iter().map(|(family, _)| *family).collect());
        }
    }

    fn release(&mut self, families: Vec<Family>) {
        for family in families {
            tracing::info!(%family, "graceful restart: routes are sent from now on");
            if let Some(tables) = &mut self.tables {
                tables.release(family);
            }
            self.wake();
        }
        self.deferral.take_if(|d| d.waits.is_empty());
    }
}
