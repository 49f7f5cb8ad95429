//! Peers and their sessions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bgp::update::ReadContext;
use ipc::config::RdePeer;
use ipc::session_rde::{GracefulRestart, Negotiated, Source};
use ipc::{Epoch, PeerId};
use rib::{Barred, Counted, LongLived, PeerIdx, PeerInfo, PeerPolicy};

use crate::counters::PeerStats;
use crate::errors::Faults;
use crate::limits::Watch;
use crate::refresh::Refreshing;
use crate::restart::Kept;

/// A session that is up.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) epoch: Epoch,
    pub(crate) idx: PeerIdx,
    pub(crate) ctx: ReadContext,
    /// What the peer said of restarts.
    pub(crate) graceful: Option<GracefulRestart>,
    /// Session was asked to end it: what still comes in is not looked at.
    pub(crate) ending: bool,
    pub(crate) refreshing: Refreshing,
}

/// A peer that is or was there.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) session: Option<Session>,
    /// Routes of before its restart.
    pub(crate) kept: Option<Kept>,
    pub(crate) stats: PeerStats,
    /// How many prefixes it exchanges in this session.
    pub(crate) watch: Watch,
    /// Octets dealt with and not yet reported to session.
    pub(crate) consumed: u64,
}

impl Peer {
    /// Where its routes are in the tables.
    pub(crate) fn place(&self) -> Option<PeerIdx> {
        self.session.as_ref().map(|s| s.idx).or(self.kept.map(|k| k.idx))
    }
}

impl Peer {
    /// Session was asked to end the session: what still comes in is not looked at.
    pub(crate) fn end_begins(&mut self) {
        if let Some(session) = &mut self.session {
            session.ending = true;
        }
    }
}

/// All peers that ever had a session, as long as they are configured or there.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    map: HashMap<PeerId, Peer>,
    /// What counts on of those that are gone, so that sums over all do not become less.
    gone: PeerStats,
    /// Peers with octets to report.
    owing: Vec<PeerId>,
}

impl Peers {
    pub(crate) fn entry(&mut self, id: PeerId) -> &mut Peer {
        self.map.entry(id).or_default()
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.map.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.map.get_mut(&id)
    }

    /// The peer, if this is its current session.
    pub(crate) fn current(&mut self, source: Source) -> Option<(&mut Peer, Session)> {
        let peer = self.map.get_mut(&source.peer)?;
        let session = peer.session.clone().filter(|s| s.epoch == source.epoch)?;
        Some((peer, session))
    }

    /// Where its routes are in the tables, whether it is there or restarts.
    pub(crate) fn place(&self, id: PeerId) -> Option<PeerIdx> {
        self.map.get(&id)?.place()
    }

    /// Counters of the peer and its current session, if that is this one.
    pub(crate) fn session(&mut self, source: Source) -> Option<(&mut PeerStats, &mut Session)> {
        let peer = self.map.get_mut(&source.peer)?;
        let session = peer.session.as_mut().filter(|s| s.epoch == source.epoch)?;
        Some((&mut peer.stats, session))
    }

    /// All sessions that are up.
    pub(crate) fn sessions(&mut self) -> impl Iterator<Item = (PeerId, &mut Session)> {
        self.map.iter_mut().filter_map(|(id, p)| Some((*id, p.session.as_mut()?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.map.iter().map(|(id, p)| (*id, p))
    }

    /// Forgets a peer that has no session, and of which nothing is kept.
    pub(crate) fn drop_absent(&mut self, id: PeerId) {
        if self.map.get(&id).is_some_and(|p| p.place().is_none())
            && let Some(Peer { stats, .. }) = self.map.remove(&id)
        {
            self.gone.restarts_expired += stats.restarts_expired;
            self.gone.faults.absorb(&stats.faults);
        }
    }

    /// The faults of all peers, those that are gone included.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Faults> {
        self.map.values().map(|p| &p.stats.faults).chain([&self.gone.faults])
    }

    /// Restarts that took too long, of all peers, those that are gone included.
    pub(crate) fn restarts_expired(&self) -> u64 {
        self.map.values().map(|p| p.stats.restarts_expired).sum::<u64>() + self.gone.restarts_expired
    }

    /// Peers whose routes are kept until they are back.
    pub(crate) fn kept(&self) -> Vec<PeerId> {
        self.map.iter().filter(|(_, p)| p.kept.is_some()).map(|(id, _)| *id).collect()
    }

    /// All sessions that are up.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let source =
            |(peer, p): (&PeerId, &Peer)| Some(Source { peer: *peer, epoch: p.session.as_ref()?.epoch });
        self.map.iter().filter_map(source).collect()
    }

    /// Octets of a session were dealt with.
    pub(crate) fn consumed(&mut self, source: Source, octets: u64) {
        let Some((peer, _)) = self.current(source) else { return };
        let first = peer.consumed == 0;
        peer.consumed += octets;
        if first {
            self.owing.push(source.peer);
        }
    }

    /// What to report to session: where it is at least so much.
    pub(crate) fn take_consumed(&mut self, least: u64) -> Vec<(Source, u64)> {
        let (map, mut list) = (&mut self.map, Vec::new());
        self.owing.retain(|id| {
            let Some(peer) = map.get_mut(id).filter(|p| p.consumed > 0) else { return false };
            if peer.consumed < least {
                return true;
            }
            let octets = std::mem::take(&mut peer.consumed);
            list.extend(peer.session.as_ref().map(|s| (Source { peer: *id, epoch: s.epoch }, octets)));
            false
        });
        list
    }
}

/// What the tables must know of a session.
pub(crate) fn info(
    config: &RdePeer,
    [import, export]: [Option<Arc<PeerPolicy>>; 2],
    negotiated: &Negotiated,
) -> PeerInfo {
    let local = plain(negotiated.local);
    let (self_v4, local_v6) = match local {
        IpAddr::V4(a) => (Some(a), None),
        IpAddr::V6(a) => (None, Some(a)),
    };
    let policy_required = config.policy_required && config.remote_asn != config.local_asn;
    PeerInfo {
        label: Some(config.id.0),
        remote_asn: config.remote_asn,
        local_asn: config.local_asn,
        router_id: negotiated.router_id.into(),
        address: config.address,
        families: negotiated.families,
        four_octet_as: negotiated.four_octet_as,
        extended_next_hop: negotiated.extended_next_hop,
        max_message: negotiated.max_message,
        self_v4,
        self_v6: config.local_ipv6_nexthop.or(local_v6),
        enforce_first_as: config.enforce_first_as,
        allow_own_as: config.allow_own_as,
        advertisement_interval: config.advertisement_interval,
        keep_rejected: config.keep_rejected,
        barred: Barred {
            import: policy_required && import.is_none(),
            export: policy_required && export.is_none(),
            as_sets: config.reject_as_sets,
        },
        import,
        export,
        route_server_client: config.route_server_client,
        route_reflector_client: config.route_reflector_client,
        remove_private_as: config.remove_private_as,
        default_originate: config.default_originate,
        add_path: negotiated.add_path_send,
        add_path_max: config.add_path_send_max,
        role: config.role,
        graceful_shutdown: config.graceful_shutdown,
        draining: config.draining,
        long_lived: LongLived {
            announced: config.long_lived,
            received: negotiated.graceful.is_some_and(|g| g.long_lived.is_some()),
        },
        counted: Counted {
            received: config.prefix_limits.received.is_some(),
            accepted_only: config.prefix_limits.accepted_only,
            advertised: config.prefix_limits.advertised.is_some(),
        },
    }
}

/// How its UPDATEs are to be read.
pub(crate) fn context(config: &RdePeer, negotiated: &Negotiated) -> ReadContext {
    ReadContext {
        four_octet_as: negotiated.four_octet_as,
        external: config.remote_asn != config.local_asn,
        families: negotiated.families,
        add_path: negotiated.add_path_receive,
    }
}

/// An IPv4 address that an IPv6 socket shows in mapped form is an IPv4 address.
fn plain(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}
