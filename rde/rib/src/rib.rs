//! The whole: tables of both families behind one interface.

use bgp::attr::canonical::{self, Canonical, Summary};
use bgp::nlri::Nlri;
use bgp::update::{ReadContext, Update};
use bgp::{Asn, Family, NextHop, Verdict};
use ipnet::IpNet;

use crate::attrs::Attrs;
use crate::export::Rules;
use crate::family::{FamilyTable, Shared};
use crate::flush::Scratch;
use crate::group::{CatchUp, Group, Member};
use crate::paths::Path;
use crate::peers::{PeerIdx, PeerInfo, Peers};
use crate::query::{self, Found, Page, Query, QueryTable, RouteKey};
use crate::slots::{Addr, V4, V6};

/// Slots that a step of work looks at before it returns: a few milliseconds.
const STEP: u32 = 16 * 1024;

/// What holds for all peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: u32,
    /// MED counts between routes of different neighbor ASes too.
    pub med_always_compare: bool,
    /// When peers that read slowly are left behind.
    pub limits: Limits,
}

/// How far behind a peer may be with reading what it is sent, in octets that have not reached its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From here on the group's shared stream waits for the peer, as long as most members are like that.
    pub soft: u64,
    /// From here on the peer leaves the shared stream and catches up on its own.
    pub hard: u64,
    /// A peer over the soft limit that took nothing for so many milliseconds leaves it too.
    pub stalled: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { soft: 256 << 10, hard: 16 << 20, stalled: 1000 }
    }
}

/// Who is sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// One peer.
    Peer(PeerIdx),
    /// All who joined the group.
    Group(u32),
    /// All but this one.
    GroupExcept(u32, PeerIdx),
}

/// Where messages go. Order matters: a peer that joins a group gets what is sent to it from there on.
pub trait Sink {
    /// The buffer to append one whole message to.
    fn begin(&mut self, target: Target) -> &mut Vec<u8>;
    /// The message is complete.
    fn end(&mut self);
    /// The peer gets what is sent to the group.
    fn join(&mut self, group: u32, peer: PeerIdx);
    /// It does not any more.
    fn leave(&mut self, group: u32, peer: PeerIdx);
    /// Enough for now: work should return soon.
    fn is_full(&self) -> bool;
}

/// What became of an UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// It was refused because our own AS, identifier or cluster is in it, or the next hop is ours.
    pub looped: bool,
    /// It was handled as a withdrawal of its routes (RFC 7606 §2).
    pub treated_as_withdraw: bool,
}

/// Sizes of tables, by family number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Prefixes with a best route.
    pub loc_rib: [u64; 4],
    /// Routes received and injected.
    pub adj_rib_in: [u64; 4],
    /// Routes sent, summed over the peers.
    pub adj_rib_out: [u64; 4],
    /// Distinct attribute sets.
    pub attribute_sets: u64,
}

/// The tables.
#[derive(Debug)]
pub struct Rib {
    shared: Shared,
    v4: FamilyTable<V4>,
    v6: FamilyTable<V6>,
    scratch: Scratch,
    canonical: Vec<u8>,
    next_group: u32,
    /// Incarnations whose routes are being removed.
    leaving: Vec<PeerIdx>,
    /// Pages under way.
    pages: Vec<(u64, Page)>,
}

macro_rules! of_family {
    ($rib:expr, $family:expr, $table:ident => $do:expr, else $none:expr) => {
        match $family {
            Family::Ipv4Unicast => {
                let $table = &mut $rib.v4;
                $do
            }
            Family::Ipv6Unicast => {
                let $table = &mut $rib.v6;
                $do
            }
            Family::Ipv4Flowspec | Family::Ipv6Flowspec => $none,
        }
    };
}

impl Rib {
    /// Empty tables.
    pub fn new(settings: Settings) -> Rib {
        let Settings { asn, router_id, med_always_compare, limits } = settings;
        let peers = Peers::new(asn, router_id);
        Rib {
            shared: Shared { attrs: Attrs::default(), peers, med_always_compare, limits },
            v4: FamilyTable::default(),
            v6: FamilyTable::default(),
            scratch: Scratch::default(),
            canonical: Vec::new(),
            next_group: 0,
            leaving: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// A session reached Established. `now`: milliseconds of any clock that does not go back. `None` where
    /// too many sessions are held at once.
    pub fn peer_up(&mut self, info: PeerInfo, now: u64) -> Option<PeerIdx> {
        let families = info.families;
        let peer = self.shared.peers.add(info.clone(), now)?;
        for family in families.iter() {
            let id = self.next_group;
            let rules = Rules::of(&info, family);
            let made = of_family!(self, family, t => t.enter(id, rules, peer), else false);
            self.next_group += u32::from(made);
        }
        Some(peer)
    }

    /// The session ended: nothing is sent to the peer any more, and its routes go in steps of
    /// [`work`](Self::work).
    pub fn peer_down(&mut self, peer: PeerIdx) {
        let Some(p) = self.shared.peers.get_mut(peer) else { return };
        if p.gone {
            return;
        }
        p.gone = true;
        self.leaving.push(peer);
        self.v4.leave(peer);
        self.v6.leave(peer);
        self.v4.sweep(peer);
        self.v6.sweep(peer);
    }

    /// Sends the whole table of a family again (RFC 2918 §4).
    pub fn refresh(&mut self, peer: PeerIdx, family: Family, sink: &mut impl Sink) {
        of_family!(self, family, t => t.refresh(peer, sink), else ());
    }

    /// Octets that reached a peer's socket since the last call.
    pub fn written(&mut self, peer: PeerIdx, octets: u64, now: u64) {
        if let Some(p) = self.shared.peers.get_mut(peer) {
            p.written += octets;
            p.progress_at = now;
        }
    }

    /// Takes in an UPDATE.
    pub fn apply(&mut self, peer: PeerIdx, update: &Update<'_>, ctx: &ReadContext) -> Applied {
        self.withdraw_all(peer, &update.withdrawn);
        if let Some(nlri) = &update.mp_unreach {
            self.withdraw_all(peer, nlri);
        }
        let mp = update.mp_reach.as_ref().filter(|n| !n.is_empty());
        let mut applied = Applied::default();
        if update.announced.is_empty() && mp.is_none() {
            return applied;
        }
        let mut canonical = std::mem::take(&mut self.canonical);
        canonical.clear();
        let mut summary = Summary::default();
        if update.verdict == Verdict::TreatAsWithdraw {
            applied.treated_as_withdraw = true;
        } else {
            summary = canonical::write(&update.attributes, ctx, &mut canonical);
            applied = self.check(peer, Canonical::new(&canonical), &summary);
        }
        let refused = applied != Applied::default();
        for (nlri, next_hop) in [(Some(&update.announced), update.next_hop), (mp, update.mp_next_hop)] {
            let Some(nlri) = nlri.filter(|n| !n.is_empty()) else { continue };
            match next_hop.filter(|n| !refused && !self.is_ours(peer, *n)) {
                Some(next_hop) => self.announce_all(peer, nlri, next_hop, &canonical, &summary),
                None => {
                    // What was announced before goes, whatever the reason (RFC 7606 §2).
                    applied.looped |= !applied.treated_as_withdraw;
                    self.withdraw_all(peer, nlri);
                }
            }
        }
        self.canonical = canonical;
        applied
    }

    /// Whether attributes are acceptable from this peer (RFC 4271 §6.3, §9.1.2; RFC 4456 §8).
    fn check(&self, peer: PeerIdx, canonical: Canonical<'_>, summary: &Summary) -> Applied {
        let Some(p) = self.shared.peers.get(peer) else { return Applied::default() };
        let info = &p.info;
        let first_as_is_wrong =
            info.enforce_first_as && p.rank.external && summary.neighbor_as != info.remote_asn;
        let ours = self.shared.peers.rank(PeerIdx::LOCAL).router_id;
        let looped = canonical.as_path().count(Asn(info.local_asn)) > usize::from(info.allow_own_as)
            || summary.originator_id == Some(ours);
        Applied { looped, treated_as_withdraw: first_as_is_wrong }
    }

    /// A next hop that is our own address leads nowhere (RFC 4271 §5.1.3).
    fn is_ours(&self, peer: PeerIdx, next_hop: NextHop) -> bool {
        self.shared.peers.get(peer).is_some_and(|p| match next_hop {
            NextHop::V4(a) => p.info.self_v4 == Some(a),
            NextHop::V6(a) | NextHop::V6Pair(a, _) => p.info.self_v6 == Some(a),
        })
    }

    fn announce_all(
        &mut self,
        peer: PeerIdx,
        nlri: &Nlri<'_>,
        next_hop: NextHop,
        canonical: &[u8],
        summary: &Summary,
    ) {
        let attr = self.shared.attrs.intern(canonical, next_hop, summary);
        let path = |path_id| Path { attr, path_id, peer };
        for (path_id, net) in nlri.ipv4() {
            let addr = V4(net.addr().to_bits());
            self.v4.announce(&mut self.shared, addr, net.prefix_len(), path(path_id));
        }
        for (path_id, net) in nlri.ipv6() {
            if let Some(addr) = V6::of(&IpNet::V6(net)) {
                self.v6.announce(&mut self.shared, addr, net.prefix_len(), path(path_id));
            }
        }
        self.shared.attrs.release(attr);
    }

    fn withdraw_all(&mut self, peer: PeerIdx, nlri: &Nlri<'_>) {
        for (path_id, net) in nlri.ipv4() {
            self.v4.withdraw(&mut self.shared, V4(net.addr().to_bits()), net.prefix_len(), peer, path_id);
        }
        for (path_id, net) in nlri.ipv6() {
            if let Some(addr) = V6::of(&IpNet::V6(net)) {
                self.v6.withdraw(&mut self.shared, addr, net.prefix_len(), peer, path_id);
            }
        }
    }

    /// Injects a route as if it were learned here; replaces the one with the same identifier.
    pub fn inject(
        &mut self,
        prefix: IpNet,
        path_id: u32,
        canonical: &[u8],
        next_hop: NextHop,
        summary: &Summary,
    ) {
        let attr = self.shared.attrs.intern(canonical, next_hop, summary);
        let path = Path { attr, path_id, peer: PeerIdx::LOCAL };
        if let Some(addr) = V4::of(&prefix) {
            self.v4.announce(&mut self.shared, addr, prefix.prefix_len(), path);
        } else if let Some(addr) = V6::of(&prefix) {
            self.v6.announce(&mut self.shared, addr, prefix.prefix_len(), path);
        }
        self.shared.attrs.release(attr);
    }

    /// Withdraws an injected route; says whether it was there.
    pub fn withdraw_injected(&mut self, prefix: IpNet, path_id: u32) -> bool {
        let len = prefix.prefix_len();
        if let Some(addr) = V4::of(&prefix) {
            return self.v4.withdraw(&mut self.shared, addr, len, PeerIdx::LOCAL, path_id);
        }
        V6::of(&prefix)
            .is_some_and(|addr| self.v6.withdraw(&mut self.shared, addr, len, PeerIdx::LOCAL, path_id))
    }

    /// A bounded step of what there is to do: removing routes of ended sessions, sending what changed.
    /// Returns whether it did anything; if not, nothing can be done before something comes in.
    pub fn work(&mut self, now: u64, sink: &mut impl Sink) -> bool {
        let (shared, scratch) = (&mut self.shared, &mut self.scratch);
        let mut looked = self.v4.sweep_step(shared, STEP) + self.v6.sweep_step(shared, STEP);
        looked += self.v4.flush_step(shared, scratch, STEP, now, sink);
        looked += self.v6.flush_step(shared, scratch, STEP, now, sink);
        self.forget_leaving();
        looked > 0
    }

    /// Whether routes of ended sessions are still being removed.
    pub fn is_sweeping(&self) -> bool {
        self.v4.has_sweeps() || self.v6.has_sweeps()
    }

    /// Forgets incarnations that nothing refers to any more.
    fn forget_leaving(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let quiet = self.v4.groups_are_quiet() && self.v6.groups_are_quiet();
        let (v4, v6, peers) = (&self.v4, &self.v6, &mut self.shared.peers);
        self.leaving.retain(|peer| {
            let busy = !quiet || v4.is_sweeping(*peer) || v6.is_sweeping(*peer);
            if !busy {
                peers.remove(*peer);
            }
            busy
        });
    }

    /// Begins a page of routes; `id` is the caller's.
    pub fn begin_query(&mut self, id: u64, query: Query) {
        self.pages.push((id, Page::new(query)));
    }

    /// Forgets a page.
    pub fn cancel_query(&mut self, id: u64) {
        self.pages.retain(|(i, _)| *i != id);
    }

    /// Goes on with the oldest page; returns one that is complete: its id, its routes, where the next page
    /// begins and how many routes match in all.
    #[expect(clippy::type_complexity, reason = "taken apart at once by the one caller")]
    pub fn query_step(&mut self) -> Option<(u64, QueryTable, Vec<RouteKey>, Option<RouteKey>, u64)> {
        let (_, page) = self.pages.first_mut()?;
        match page.family() {
            Some(Family::Ipv6Unicast) => page.step(&self.v6, &self.shared, STEP),
            Some(_) => page.step(&self.v4, &self.shared, STEP),
            None => {
                let (id, page) = self.pages.remove(0);
                let table = page.query.table;
                let (keys, next, total) = page.finish();
                return Some((id, table, keys, next, total));
            }
        };
        None
    }

    /// Whether pages are under way.
    pub fn has_queries(&self) -> bool {
        !self.pages.is_empty()
    }

    /// The route of a key, if it is still there.
    pub fn find(&self, table: QueryTable, key: &RouteKey) -> Option<Found> {
        match key.family {
            Family::Ipv4Unicast => query::find(&self.v4, &self.shared, table, key),
            Family::Ipv6Unicast => query::find(&self.v6, &self.shared, table, key),
            _ => None,
        }
    }

    /// Sizes of the tables.
    pub fn counters(&self) -> Counters {
        let mut c = Counters { attribute_sets: self.shared.attrs.len() as u64, ..Counters::default() };
        c.loc_rib[Family::Ipv4Unicast as usize] = self.v4.prefixes;
        c.loc_rib[Family::Ipv6Unicast as usize] = self.v6.prefixes;
        for (_, peer) in self.shared.peers.iter() {
            for (sum, n) in c.adj_rib_in.iter_mut().zip(peer.received) {
                *sum += n;
            }
        }
        c.adj_rib_out[Family::Ipv4Unicast as usize] = self.v4.advertised();
        c.adj_rib_out[Family::Ipv6Unicast as usize] = self.v6.advertised();
        c
    }

    /// Routes received from a peer and sent to it, by family number.
    pub fn peer_counters(&self, peer: PeerIdx) -> ([u64; 4], [u64; 4]) {
        let received = self.shared.peers.get(peer).map_or([0; 4], |p| p.received);
        let mut advertised = [0; 4];
        let sent = |g: Option<&Group>| g.map_or(0, |g| g.advertised_to(peer));
        advertised[Family::Ipv4Unicast as usize] = sent(self.v4.group_of(peer));
        advertised[Family::Ipv6Unicast as usize] = sent(self.v6.group_of(peer));
        (received, advertised)
    }
}

impl<A: Addr> FamilyTable<A> {
    /// Puts a peer into the group with these rules; makes the group with this id if there is none, and
    /// says whether it did.
    fn enter(&mut self, id: u32, rules: Rules, peer: PeerIdx) -> bool {
        let found = self.groups.iter().position(|g| g.rules == rules && g.teardown.is_none());
        let made = found.is_none();
        if made {
            self.groups.push(Group::new(id, rules));
        }
        let at = found.unwrap_or(self.groups.len() - 1);
        if let Some(group) = self.groups.get_mut(at) {
            let catch_up = Some(Box::<CatchUp>::default());
            group.members.push(Member { peer, catch_up, end_of_rib_due: true, excluded: 0 });
        }
        made
    }

    fn leave(&mut self, peer: PeerIdx) {
        for group in &mut self.groups {
            let Some(at) = group.members.iter().position(|m| m.peer == peer) else { continue };
            let member = group.members.swap_remove(at);
            group.set_in_stream(peer, false);
            if let Some(mut catch_up) = member.catch_up {
                while let Some(id) = catch_up.pending.pop() {
                    self.slots.let_go(id);
                }
            }
            if group.members.is_empty() {
                group.teardown = Some(0);
            }
        }
    }

    fn refresh(&mut self, peer: PeerIdx, sink: &mut impl Sink) {
        for group in &mut self.groups {
            let id = group.id;
            let Some(member) = group.members.iter_mut().find(|m| m.peer == peer) else { continue };
            let in_stream = member.catch_up.is_none();
            member.catch_up.get_or_insert_with(|| Box::new(CatchUp::behind())).restart();
            if in_stream {
                group.set_in_stream(peer, false);
                sink.leave(id, peer);
            }
        }
    }

    fn groups_are_quiet(&self) -> bool {
        self.groups.iter().all(|g| g.column.is_quiet() && g.build.is_none() && g.teardown.is_none())
    }

    fn advertised(&self) -> u64 {
        self.groups.iter().flat_map(|g| g.members.iter().map(|m| g.advertised_to(m.peer))).sum()
    }
}
