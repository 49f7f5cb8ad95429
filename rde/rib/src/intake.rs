//! What comes before the tables: who is there, and UPDATEs made into changes for the shards.
//!
//! One for all shards. It names the incarnations of peers, refuses what must not come in (loops, next hops that
//! lead nowhere, leaks), and brings attributes into canonical form, once for all prefixes of a message.

use std::sync::Arc;

use bgp::attr::canonical::{self, Canonical, Summary, SummaryFlags};
use bgp::attr::{code, flags};
use bgp::nlri::Nlri;
use bgp::update::{ReadContext, Update};
use bgp::{Asn, NextHop, Verdict};
use ipnet::IpNet;

use crate::batch::{Batch, HashKey, WITHDRAW, shard_of};
use crate::flow::Flow;
use crate::otc;
use crate::peers::{PeerIdx, PeerInfo};
use crate::policies::PeerPolicy;
use crate::rib::Settings;
use crate::slots::{Addr, V4, V6};

/// What became of an UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// It was refused because our own AS is in it, or the next hop is ours.
    pub looped: bool,
    /// It was refused because it was reflected before: it is our own, or was in our cluster (RFC 4456 §8).
    pub reflected: bool,
    /// It was handled as a withdrawal of its routes (RFC 7606 §2).
    pub treated_as_withdraw: bool,
    /// It was refused because its routes are leaks (RFC 9234 §5).
    pub leaked: bool,
    /// The reason for that was an AS_SET ([`Barred::as_sets`](crate::Barred::as_sets)).
    pub as_set: bool,
    /// Nothing is taken from this peer ([`Barred::import`](crate::Barred::import)).
    pub barred: bool,
}

#[derive(Debug)]
struct Known {
    info: Arc<PeerInfo>,
    flow: Arc<Flow>,
    /// Shards that still hold something of it.
    shards: usize,
}

/// The way in.
#[derive(Debug)]
pub struct Intake {
    settings: Settings,
    key: HashKey,
    shards: usize,
    /// Incarnations by their handles; the first is the API's.
    peers: Vec<Option<Known>>,
}

impl Intake {
    /// For tables with these settings, this hash key and so many shards.
    pub fn new(settings: Settings, key: HashKey, shards: usize) -> Intake {
        Intake { settings, key, shards: shards.max(1), peers: vec![None] }
    }

    /// A batch to be filled.
    pub fn batch(&self) -> Batch {
        Batch::new(self.key.clone(), self.shards)
    }

    /// A session reached Established: its handle, for all shards. `None` where 65,535 incarnations are held at
    /// once.
    pub fn peer_up(&mut self, info: PeerInfo, now: u64) -> Option<(PeerIdx, Arc<PeerInfo>, Arc<Flow>)> {
        // The first place is never free: it is the API's.
        let free = self.peers.iter().skip(1).position(Option::is_none).map_or(self.peers.len(), |n| n + 1);
        let idx = u16::try_from(free).ok().filter(|i| *i < u16::MAX)?;
        let known = Known { info: Arc::new(info), flow: Arc::new(Flow::new(now)), shards: self.shards };
        let handed = (PeerIdx(idx), Arc::clone(&known.info), Arc::clone(&known.flow));
        match self.peers.get_mut(free) {
            Some(place) => *place = Some(known),
            None => self.peers.push(Some(known)),
        }
        Some(handed)
    }

    /// A peer whose place was kept has another session. `None` where it is not the same peer any more.
    pub fn peer_back(
        &mut self,
        peer: PeerIdx,
        info: &PeerInfo,
        now: u64,
    ) -> Option<(Arc<PeerInfo>, Arc<Flow>)> {
        let known = self.peers.get_mut(peer.index())?.as_mut()?;
        // All that a route's rank depends on, what it was marked for, and what follows from who it is from.
        let who = |i: &PeerInfo| {
            let client = (i.route_reflector_client, i.route_server_client);
            let marks = (i.graceful_shutdown, i.role, i.long_lived.announced);
            (i.label, i.remote_asn, i.local_asn, i.router_id, i.address, client, marks)
        };
        if who(&known.info) != who(info) {
            return None;
        }
        (known.info, known.flow) = (Arc::new(info.clone()), Arc::new(Flow::new(now)));
        Some((Arc::clone(&known.info), Arc::clone(&known.flow)))
    }

    /// The peer has other policies. What it is now, for all shards ([`Rib::set_policies`](crate::Rib::set_policies)).
    pub fn set_policies(
        &mut self,
        peer: PeerIdx,
        [import, export]: [Option<Arc<PeerPolicy>>; 2],
    ) -> Option<Arc<PeerInfo>> {
        let known = self.peers.get_mut(peer.index())?.as_mut()?;
        known.info = Arc::new(PeerInfo { import, export, ..PeerInfo::clone(&known.info) });
        Some(Arc::clone(&known.info))
    }

    /// Whether GRACEFUL_SHUTDOWN makes a route of the peer the last choice, from now on. What it is then, for all shards
    /// ([`Rib::honour`](crate::Rib::honour)).
    pub fn set_graceful_shutdown(&mut self, peer: PeerIdx, on: bool) -> Option<Arc<PeerInfo>> {
        let known = self.peers.get_mut(peer.index())?.as_mut()?;
        known.info = Arc::new(PeerInfo { graceful_shutdown: on, ..PeerInfo::clone(&known.info) });
        Some(Arc::clone(&known.info))
    }

    /// A shard holds nothing of this incarnation any more. When all have said so, its handle is free.
    pub fn forgotten(&mut self, peer: PeerIdx) {
        if let Some(place) = self.peers.get_mut(peer.index())
            && let Some(known) = place
        {
            known.shards -= 1;
            if known.shards == 0 {
                *place = None;
            }
        }
    }

    /// The peer's account of octets.
    pub fn flow(&self, peer: PeerIdx) -> Option<&Flow> {
        self.known(peer).map(|k| &*k.flow)
    }

    fn known(&self, peer: PeerIdx) -> Option<&Known> {
        self.peers.get(peer.index())?.as_ref()
    }

    /// The shard of a prefix.
    pub fn shard(&self, prefix: IpNet) -> usize {
        let len = prefix.prefix_len();
        let hash = match (V4::of(&prefix), V6::of(&prefix)) {
            (Some(addr), _) => self.key.prefix(addr, len),
            (_, Some(addr)) => self.key.prefix(addr, len),
            _ => 0,
        };
        shard_of(hash, self.shards)
    }

    /// Makes an UPDATE into changes.
    pub fn take(&self, peer: PeerIdx, update: &Update<'_>, ctx: &ReadContext, batch: &mut Batch) -> Applied {
        change_all(batch, peer, WITHDRAW, &update.withdrawn);
        if let Some(nlri) = &update.mp_unreach {
            change_all(batch, peer, WITHDRAW, nlri);
        }
        let mp = update.mp_reach.as_ref().filter(|n| !n.is_empty());
        let mut applied = Applied::default();
        if update.announced.is_empty() && mp.is_none() {
            return applied;
        }
        let (start, octets) = batch.canonical();
        let mut summary = Summary::default();
        if update.verdict == Verdict::TreatAsWithdraw {
            applied.treated_as_withdraw = true;
        } else {
            summary = canonical::write(&update.attributes, ctx, octets);
            applied = self.check(peer, Canonical::new(batch.octets_from(start)), &summary);
            applied.leaked = self.only_to_customer(peer, batch, start, &mut summary);
        }
        let refused = applied != Applied::default();
        for (nlri, next_hop) in [(Some(&update.announced), update.next_hop), (mp, update.mp_next_hop)] {
            let Some(nlri) = nlri.filter(|n| !n.is_empty()) else { continue };
            let set = match next_hop.filter(|n| !refused && !self.is_ours(peer, *n)) {
                Some(next_hop) => batch.set(start, next_hop, summary),
                None => {
                    // What was announced before goes, whatever the reason (RFC 7606 §2).
                    applied.looped |= !refused;
                    WITHDRAW
                }
            };
            change_all(batch, peer, set, nlri);
        }
        applied
    }

    /// Whether attributes are acceptable from this peer.
    fn check(&self, peer: PeerIdx, canonical: Canonical<'_>, summary: &Summary) -> Applied {
        let Settings { router_id, cluster_id, .. } = self.settings;
        self.known(peer)
            .map_or(Applied::default(), |k| check(&k.info, [router_id, cluster_id], canonical, summary))
    }

    /// Marks a route as one for customers only, where our role says so; says whether it is a leak.
    fn only_to_customer(
        &self,
        peer: PeerIdx,
        batch: &mut Batch,
        start: usize,
        summary: &mut Summary,
    ) -> bool {
        let Some((info, role)) = self.known(peer).and_then(|k| Some((&k.info, k.info.role?))) else {
            return false;
        };
        let marked_by = match summary.flags.contains(SummaryFlags::HAS_OTC) {
            true => Canonical::new(batch.octets_from(start)).only_to_customer(),
            false => None,
        };
        match otc::received(role, info.remote_asn, marked_by) {
            otc::Received::Unchanged => false,
            otc::Received::Leak => true,
            otc::Received::Mark => {
                let (value, (_, octets)) = (info.remote_asn.to_be_bytes(), batch.canonical());
                let (flags, code) = (flags::OPTIONAL_TRANSITIVE, code::ONLY_TO_CUSTOMER);
                canonical::insert(octets, start, summary, flags, code, &value);
                false
            }
        }
    }

    fn is_ours(&self, peer: PeerIdx, next_hop: NextHop) -> bool {
        self.known(peer).is_some_and(|k| is_own(&k.info, next_hop))
    }
}

/// Whether attributes are acceptable from a peer (RFC 4271 §6.3, §9.1.2; RFC 4456 §8).
pub(crate) fn check(
    info: &PeerInfo,
    [router_id, cluster_id]: [u32; 2],
    canonical: Canonical<'_>,
    summary: &Summary,
) -> Applied {
    let first_as_is_wrong =
        info.enforce_first_as && info.external() && summary.neighbor_as != info.remote_asn;
    let looped = canonical.as_path().count(Asn(info.local_asn)) > usize::from(info.allow_own_as);
    let reflected = summary.originator_id == Some(router_id)
        || summary.cluster_list_len > 0 && canonical.cluster_list().any(|id| id == cluster_id);
    let set = info.barred.as_sets && summary.flags.intersects(SummaryFlags::HAS_AS_SET);
    Applied {
        looped,
        reflected,
        treated_as_withdraw: first_as_is_wrong || set,
        as_set: set,
        barred: info.barred.import,
        leaked: false,
    }
}

/// A next hop that is our own address leads nowhere (RFC 4271 §5.1.3).
pub(crate) fn is_own(info: &PeerInfo, next_hop: NextHop) -> bool {
    match next_hop {
        NextHop::V4(a) => info.self_v4 == Some(a),
        NextHop::V6(a) | NextHop::V6Pair(a, _) => info.self_v6 == Some(a),
    }
}

impl Batch {
    /// Adds a route as if it were learned here; it replaces the one with the same identifier.
    pub fn inject(
        &mut self,
        prefix: IpNet,
        path_id: u32,
        attributes: &[u8],
        next_hop: NextHop,
        summary: Summary,
    ) {
        let (start, octets) = self.canonical();
        octets.extend_from_slice(attributes);
        let set = self.set(start, next_hop, summary);
        self.change(PeerIdx::LOCAL, set, path_id, prefix);
    }
}

fn change_all(batch: &mut Batch, peer: PeerIdx, set: u32, nlri: &Nlri<'_>) {
    for (path_id, net) in nlri.ipv4() {
        batch.change_v4(peer, set, path_id, V4(net.addr().to_bits()), net.prefix_len());
    }
    for (path_id, net) in nlri.ipv6() {
        if let Some(addr) = V6::of(&IpNet::V6(net)) {
            batch.change_v6(peer, set, path_id, addr, net.prefix_len());
        }
    }
}
