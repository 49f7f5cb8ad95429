//! Peers as the tables know them: one entry for each incarnation of a session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bgp::attr::canonical::SummaryFlags;
use bgp::{BgpRole, Family, FamilySet, RemovePrivateAs};

use crate::flow::Flow;
use crate::long_lived::LongLived;
use crate::policies::PeerPolicy;
use crate::stale::Stale;

/// Handle of one incarnation of a peer. A peer that comes back gets another one, so that what is left of its old
/// routes can be told from its new ones; one whose old routes were kept for that takes theirs (RFC 4724 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIdx(pub(crate) u16);

impl PeerIdx {
    /// The API as the source of injected routes.
    pub const LOCAL: PeerIdx = PeerIdx(0);

    /// The handle as an index; small numbers are used first.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// What the tables must know of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// What the engine calls it; given back in queries. `None` = injected routes.
    pub label: Option<u16>,
    /// Its AS number.
    pub remote_asn: u32,
    /// Our AS number towards it.
    pub local_asn: u32,
    /// Its BGP identifier.
    pub router_id: u32,
    /// Its address.
    pub address: IpAddr,
    /// Negotiated families.
    pub families: FamilySet,
    /// It speaks 4-octet AS numbers.
    pub four_octet_as: bool,
    /// It takes IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// The largest message for it, in octets.
    pub max_message: u16,
    /// "Next hop self" for IPv4, where we have an address to name.
    pub self_v4: Option<Ipv4Addr>,
    /// "Next hop self" for IPv6.
    pub self_v6: Option<Ipv6Addr>,
    /// The first AS of a path from an external peer must be its own.
    pub enforce_first_as: bool,
    /// How often our own AS may appear in its paths.
    pub allow_own_as: u8,
    /// It is sent routes as they came (RFC 7947 §2.2). Without meaning for a peer of our own AS.
    pub route_server_client: bool,
    /// It is a client of ours as a route reflector (RFC 4456 §5). Without meaning for a peer of another AS.
    pub route_reflector_client: bool,
    /// What happens to private AS numbers in paths that it is sent, our own apart. Without meaning for a peer of our
    /// own AS.
    pub remove_private_as: Option<RemovePrivateAs>,
    /// It is sent a default route of each of its families, whatever the tables have.
    pub default_originate: bool,
    /// Families in which it is sent several paths (RFC 7911).
    pub add_path: FamilySet,
    /// The most paths of a prefix that it is sent there, 0 = all.
    pub add_path_max: u32,
    /// Our role towards an external peer (RFC 9234 §4.1).
    pub role: Option<BgpRole>,
    /// GRACEFUL_SHUTDOWN makes a route of an external peer the last choice (RFC 8326 §4.1).
    pub graceful_shutdown: bool,
    /// The session with an external peer begins drained; [`Rib::drain`](crate::Rib::drain) is what changes that.
    pub draining: bool,
    /// What was said about long-lived graceful restart.
    pub long_lived: LongLived,
    /// Whose prefixes are counted for limits.
    pub counted: Counted,
    /// Announcements to it leave at most every so many seconds (RFC 4271 §9.2.1.1), without add-path; 0 = at once.
    pub advertisement_interval: u16,
    /// What is not exchanged with it.
    pub barred: Barred,
    /// Routes that the import policy does not take are kept. Else they are gone, and a policy that would take them needs
    /// them to be sent again.
    pub keep_rejected: bool,
    /// What becomes of routes that it sends.
    pub import: Option<Arc<PeerPolicy>>,
    /// What becomes of routes that it is sent.
    pub export: Option<Arc<PeerPolicy>>,
}

/// Routes that are not exchanged with a peer, whatever they are like otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Barred {
    /// What it announces is not taken: there is no policy for it, and there must be one (RFC 8212 §2).
    pub import: bool,
    /// It is announced nothing, for the same reason.
    pub export: bool,
    /// Paths with AS_SET or AS_CONFED_SET are handled as withdrawals (RFC 9774 §3).
    pub as_sets: bool,
}

/// Which prefixes of a peer are counted as they come and go: those for which there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Those that it announces: [`Rib::tallies`](crate::Rib::tallies).
    pub received: bool,
    /// Of these, only those that its import policy takes.
    pub accepted_only: bool,
    /// Those that it is announced: [`Rib::advertised`](crate::Rib::advertised).
    pub advertised: bool,
}

impl PeerInfo {
    /// A peer with which no family was agreed on, with its options as they are when nothing is configured. It has no
    /// identifier, and there is no address of ours to name as a next hop.
    pub fn new(label: Option<u16>, address: IpAddr, remote_asn: u32, local_asn: u32) -> PeerInfo {
        PeerInfo {
            label,
            remote_asn,
            local_asn,
            router_id: 0,
            address,
            families: FamilySet::EMPTY,
            four_octet_as: true,
            extended_next_hop: false,
            max_message: 4096,
            self_v4: None,
            self_v6: None,
            enforce_first_as: true,
            allow_own_as: 0,
            route_server_client: false,
            route_reflector_client: false,
            remove_private_as: None,
            default_originate: false,
            add_path: FamilySet::EMPTY,
            add_path_max: 0,
            role: None,
            graceful_shutdown: true,
            draining: false,
            long_lived: LongLived::default(),
            advertisement_interval: 0,
            barred: Barred::default(),
            keep_rejected: true,
            import: None,
            export: None,
            counted: Counted::default(),
        }
    }

    /// A peer of another AS.
    pub fn external(&self) -> bool {
        self.label.is_some() && self.remote_asn != self.local_asn
    }
}

/// What the decision process and the export rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank {
    pub(crate) local: bool,
    pub(crate) external: bool,
    /// A client of our route server.
    pub(crate) route_server_client: bool,
    /// A client of ours as a route reflector.
    pub(crate) client: bool,
    /// All its routes are the last choice.
    pub(crate) last_choice: bool,
    /// Those with GRACEFUL_SHUTDOWN are.
    pub(crate) graceful_shutdown: bool,
    /// Its routes with LLGR_STALE are what they say (RFC 9494 §4.3).
    pub(crate) long_lived: bool,
    pub(crate) router_id: u32,
    pub(crate) address: u128,
}

impl Rank {
    /// Learned from a peer of our own AS.
    pub(crate) fn internal(self) -> bool {
        !self.local && !self.external
    }

    /// Whether a route with these marks is the last choice.
    #[inline]
    pub(crate) fn is_last_choice(&self, flags: SummaryFlags) -> bool {
        self.last_choice || self.graceful_shutdown && flags.contains(SummaryFlags::GRACEFUL_SHUTDOWN)
    }
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) info: Arc<PeerInfo>,
    pub(crate) rank: Rank,
    /// It has an import policy.
    pub(crate) imports: bool,
    /// The session has ended and its routes are being removed.
    pub(crate) gone: bool,
    /// The session has ended and its routes are kept.
    pub(crate) away: bool,
    /// Octets for it, of all shards.
    pub(crate) flow: Arc<Flow>,
    /// Routes in its Adj-RIB-In, by family number.
    pub(crate) received: [u64; 4],
    /// Paths beyond the most that it may have for one prefix, since they were last reported.
    pub(crate) refused: u64,
    /// Which of them are stale, by family number.
    pub(crate) stale: [Stale; 4],
    /// The prefixes that it announces; `None`: nobody asks.
    tally: Option<Tally>,
}

/// How many prefixes a peer announces, by family number.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    prefixes: [i64; 4],
    /// So many more than when that was last told.
    more: [i64; 4],
}

impl Peer {
    /// Whether prefixes that it announces are counted, and of these only those that are taken.
    pub(crate) fn tallied(&self) -> Option<bool> {
        self.tally.as_ref().map(|_| self.info.counted.accepted_only)
    }
}

/// All incarnations that still have routes somewhere.
#[derive(Debug)]
pub(crate) struct Peers {
    list: Vec<Option<Peer>>,
    identifiers: [u32; 2],
    /// Who has something in its tally.
    tallied: Vec<PeerIdx>,
}

impl Peers {
    pub(crate) fn new(asn: u32, router_id: u32, cluster_id: u32) -> Peers {
        let itself = PeerInfo::new(None, Ipv4Addr::UNSPECIFIED.into(), asn, asn);
        let info = PeerInfo { router_id, enforce_first_as: false, allow_own_as: u8::MAX, ..itself };
        let identifiers = [router_id, cluster_id];
        let mut peers = Peers { list: Vec::new(), tallied: Vec::new(), identifiers };
        peers.put(PeerIdx::LOCAL, Arc::new(info), Arc::default());
        peers
    }

    pub(crate) fn put(&mut self, idx: PeerIdx, info: Arc<PeerInfo>, flow: Arc<Flow>) {
        let address = match info.address {
            IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
            IpAddr::V6(a) => a.to_bits(),
        };
        let rank = Rank {
            local: info.label.is_none(),
            external: info.external(),
            route_server_client: info.route_server_client && info.external(),
            client: info.route_reflector_client && !info.external(),
            last_choice: info.draining && info.external(),
            graceful_shutdown: info.graceful_shutdown && info.external(),
            long_lived: info.long_lived.announced,
            router_id: info.router_id,
            address,
        };
        if self.list.len() <= idx.index() {
            self.list.resize_with(idx.index() + 1, || None);
        }
        if let Some(place) = self.list.get_mut(idx.index()) {
            let tally = info.counted.received.then(Tally::default);
            // What is injected never becomes stale; its marks say whose it is.
            let own = if idx == PeerIdx::LOCAL { Stale::NEVER } else { Stale::default() };
            let (received, stale) = ([0; 4], [own; 4]);
            let (gone, away, refused) = (false, false, 0);
            let imports = info.import.is_some();
            *place = Some(Peer { info, rank, imports, gone, away, flow, received, refused, stale, tally });
        }
    }

    /// The next session of a peer that has kept its place. Who it is has not changed. What it has kept counts for the
    /// session that begins.
    pub(crate) fn replace(&mut self, idx: PeerIdx, info: Arc<PeerInfo>, flow: Arc<Flow>) {
        let Some(peer) = self.get_mut(idx) else { return };
        // Where its prefixes were not counted, they are no more than its paths.
        let routes = peer.received.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let kept = peer.tally.as_ref().map_or(routes, |t| t.prefixes);
        peer.tally = info.counted.received.then_some(Tally { prefixes: kept, more: kept });
        peer.imports = info.import.is_some();
        (peer.info, peer.flow, peer.away) = (info, flow, false);
        self.tallied.push(idx);
    }

    /// A counted peer has announced its first path of a prefix, or withdrawn its last one.
    pub(crate) fn tally(&mut self, idx: PeerIdx, family: Family, more: i64) {
        let Some(tally) = self.get_mut(idx).and_then(|p| p.tally.as_mut()) else { return };
        let first = tally.more == [0; 4];
        tally.prefixes[family as usize] += more;
        tally.more[family as usize] += more;
        if first {
            self.tallied.push(idx);
        }
    }

    /// Whose prefixes have become more or less since the last call, and by how many in each family.
    pub(crate) fn take_tallies(&mut self) -> Vec<(PeerIdx, [i64; 4])> {
        let tallied = std::mem::take(&mut self.tallied);
        let take = |idx: PeerIdx| {
            let peer = self.get_mut(idx).filter(|p| !p.gone)?;
            let more = std::mem::take(&mut peer.tally.as_mut()?.more);
            (more != [0; 4]).then_some((idx, more))
        };
        tallied.into_iter().filter_map(take).collect()
    }

    pub(crate) fn remove(&mut self, idx: PeerIdx) {
        if let Some(place) = self.list.get_mut(usize::from(idx.0)) {
            *place = None;
        }
    }

    pub(crate) fn get(&self, idx: PeerIdx) -> Option<&Peer> {
        self.list.get(usize::from(idx.0)).and_then(Option::as_ref)
    }

    pub(crate) fn get_mut(&mut self, idx: PeerIdx) -> Option<&mut Peer> {
        self.list.get_mut(usize::from(idx.0)).and_then(Option::as_mut)
    }

    /// Makes all routes of an external peer the last choice, or not any more; says whether that is a change.
    pub(crate) fn set_last_choice(&mut self, idx: PeerIdx, on: bool) -> bool {
        let changes = |p: &&mut Peer| !p.gone && p.rank.external && p.rank.last_choice != on;
        self.get_mut(idx).filter(changes).map(|p| p.rank.last_choice = on).is_some()
    }

    /// Whether routes of this peer are kept that its import policy does not take.
    pub(crate) fn keeps_rejected(&self, idx: PeerIdx) -> bool {
        self.get(idx).is_none_or(|p| p.info.keep_rejected)
    }

    /// Whether there is a policy for what this peer sends.
    #[inline]
    pub(crate) fn imports(&self, idx: PeerIdx) -> bool {
        self.get(idx).is_some_and(|p| p.imports)
    }

    pub(crate) fn rank(&self, idx: PeerIdx) -> Rank {
        const NOBODY: Rank = Rank {
            local: false,
            external: false,
            route_server_client: false,
            client: false,
            last_choice: false,
            graceful_shutdown: false,
            long_lived: false,
            router_id: u32::MAX,
            address: u128::MAX,
        };
        self.get(idx).map_or(NOBODY, |p| p.rank)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerIdx, &mut Peer)> {
        (0..).zip(&mut self.list).filter_map(|(i, p)| Some((PeerIdx(i), p.as_mut()?)))
    }

    /// What of a peer's routes is stale.
    #[inline]
    pub(crate) fn stale(&self, idx: PeerIdx, family: Family) -> Stale {
        self.get(idx).map_or(Stale::default(), |p| p.stale[family as usize])
    }

    /// A route with this mark is announced again; says whether it was one that loses.
    pub(crate) fn renew(&mut self, idx: PeerIdx, family: Family, mark: u8) -> bool {
        self.get_mut(idx).is_some_and(|p| p.stale[family as usize].renew(mark))
    }

    /// Our BGP identifier, and that of our cluster.
    pub(crate) fn identifiers(&self) -> [u32; 2] {
        self.identifiers
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerIdx, &Peer)> {
        (0..).zip(&self.list).filter_map(|(i, p)| Some((PeerIdx(i), p.as_ref()?)))
    }
}
