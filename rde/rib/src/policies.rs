//! Policies at work: what becomes of a route that comes from a peer, or goes to an update group.
//!
//! What a policy makes of an attribute set is a set of its own, which holds the one that it was made of: so a path costs
//! no more than without policies, what the peer sent is never lost, and equal outcomes have equal handles, whether they
//! are from today or from before a change of policies.

use std::sync::Arc;

use bgp::NextHop;
use bgp::attr::canonical::summarize;
use ipnet::IpNet;
use policy::{
    Action, Chain, Context, Explanation, Looks, Outcome, Prepared, Route, RouteType, RpkiState, Silent,
};
use smallvec::SmallVec;

use crate::attrs::{AttrId, Attrs, Own};
use crate::family::Shared;
use crate::paths::Path;
use crate::peers::{PeerIdx, PeerInfo, Rank};
use crate::slots::Addr;

/// The policies that a peer's routes go through in one direction, and the neighbor sets that it is in.
///
/// Two are equal where they treat every route alike.
#[derive(Debug, Clone)]
pub struct PeerPolicy {
    chain: Chain,
    context: Context,
}

impl PeerPolicy {
    /// The chain as it applies to a peer with this context.
    pub fn new(chain: Chain, context: Context) -> PeerPolicy {
        PeerPolicy { chain, context }
    }

    /// What it says of a route, with every step.
    pub(crate) fn explain(&self, route: &Route<'_>) -> Explanation {
        Explanation::of(&self.chain, route, &self.context, &mut policy::Scratch::default()).1
    }
}

impl PartialEq for PeerPolicy {
    fn eq(&self, other: &PeerPolicy) -> bool {
        self.chain.fingerprint() == other.chain.fingerprint()
            && (!self.chain.looks().at(Looks::PEER) || self.context == other.context)
    }
}

impl Eq for PeerPolicy {}

/// The export policy of a group, with what it depends on beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Export {
    policy: Arc<PeerPolicy>,
    /// The next hop that it sets where it says "self".
    ours: Option<NextHop>,
}

impl Export {
    /// What it says of a route, with every step.
    pub(crate) fn explain(&self, route: &Route<'_>) -> Explanation {
        self.policy.explain(route)
    }

    /// Of a peer, for its IPv4 or its other routes.
    pub(crate) fn of(peer: &PeerInfo, ipv4: bool) -> Option<Export> {
        let policy = Arc::clone(peer.export.as_ref()?);
        // Peers that differ in nothing else share a group, unless it matters.
        let ours = policy.chain.names_us().then(|| ours(peer, ipv4)).flatten();
        Some(Export { policy, ours })
    }
}

/// Our address towards a peer, as a next hop.
fn ours(peer: &PeerInfo, ipv4: bool) -> Option<NextHop> {
    let (v4, v6) = (peer.self_v4.map(NextHop::V4), peer.self_v6.map(NextHop::V6));
    match ipv4 {
        true if peer.extended_next_hop => v4.or(v6),
        true => v4,
        false => v6,
    }
}

/// What a policy says of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Denied,
    /// With this attribute set, which is held until the next [`Judge::settle`].
    Taken(AttrId),
}

/// The last outcome, for routes with the same attributes behind it.
#[derive(Debug)]
struct Memo {
    /// None: nothing was asked yet.
    base: AttrId,
    /// The prefix does not matter, and this is the outcome for all.
    for_all: bool,
    /// Who permitted it with changes.
    permitted: SmallVec<[(u16, u16); 4]>,
    verdict: Verdict,
}

impl Default for Memo {
    fn default() -> Memo {
        let (permitted, verdict) = (SmallVec::new(), Verdict::Denied);
        Memo { base: AttrId::NONE, for_all: false, permitted, verdict }
    }
}

/// Evaluates policies; its buffers are used again for each route.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    scratch: policy::Scratch,
    octets: Vec<u8>,
    /// Sets that were made since the last [`settle`](Judge::settle).
    held: Vec<AttrId>,
    memo: Memo,
    /// What is left to be asked of routes with the attributes of this set.
    prepared: (Option<AttrId>, Prepared),
}

/// A route to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) prefix: &'a IpNet,
    pub(crate) base: AttrId,
    pub(crate) route_type: RouteType,
}

impl Case<'_> {
    /// What origin validation says: nothing is validated.
    fn rpki(self) -> RpkiState {
        RpkiState::default()
    }
}

impl Judge {
    /// What the policy of an import or of an export says of a route. Between two calls of [`settle`](Judge::settle)
    /// it is asked about one policy only.
    fn judge(
        &mut self,
        attrs: &mut Attrs,
        (policy, ours, exports): (&PeerPolicy, Option<NextHop>, bool),
        case: Case<'_>,
    ) -> Verdict {
        let chain = &policy.chain;
        let for_all = chain.looks().is_per_attribute_set();
        let known = self.memo.base == case.base;
        if known && self.memo.for_all {
            return self.memo.verdict;
        }
        let outcome = if for_all {
            chain.evaluate(&route(attrs, case), &policy.context, &mut self.scratch, &mut Silent)
        } else {
            let (of, prepared) = &mut self.prepared;
            if of.replace(case.base) != Some(case.base) {
                chain.prepare(&route(attrs, case), &policy.context, &mut self.scratch, prepared);
            }
            chain.decide(prepared, case.prefix, case.rpki(), &mut self.scratch)
        };
        if known && outcome.changes && *self.memo.permitted == *self.scratch.permitted() {
            return self.memo.verdict;
        }
        let verdict = match outcome {
            Outcome { action: Action::Deny, .. } => Verdict::Denied,
            Outcome { changes: false, .. } => Verdict::Taken(case.base),
            _ => {
                let route = route(attrs, case);
                self.octets.clear();
                let summed = chain.apply(&route, &mut self.scratch, &mut self.octets);
                let own = Own {
                    med: exports && summed.med.is_some(),
                    next_hop: exports && summed.next_hop.is_some(),
                };
                let same = (own == Own::default() && *self.octets == *route.attributes.as_bytes())
                    .then_some(route.next_hop);
                // Without an address of ours to name there is no next hop that the policy would have.
                match summed.next_hop_of(route.next_hop, ours) {
                    None => Verdict::Denied,
                    Some(next_hop) if Some(next_hop) == same => Verdict::Taken(case.base),
                    Some(next_hop) => {
                        let mut head = crate::attrs::Head::from(summarize(&self.octets));
                        head.own = own;
                        let made = attrs.intern_changed(&self.octets, next_hop, head, case.base);
                        self.held.push(made);
                        Verdict::Taken(made)
                    }
                }
            }
        };
        if for_all || outcome.changes {
            // In place: what is put together in pieces and then moved waits for its pieces.
            let memo = &mut self.memo;
            (memo.base, memo.for_all, memo.verdict) = (case.base, for_all, verdict);
            memo.permitted.clear();
            memo.permitted.extend_from_slice(self.scratch.permitted());
        }
        verdict
    }

    /// The end of a piece of work: lets go of what nobody has kept.
    pub(crate) fn settle(&mut self, attrs: &mut Attrs) {
        self.memo.base = AttrId::NONE;
        self.prepared.0 = None;
        self.held.drain(..).for_each(|attr| attrs.release(attr));
    }
}

/// A route as policies look at it.
pub(crate) fn route<'a>(attrs: &'a Attrs, case: Case<'_>) -> Route<'a> {
    let Case { prefix, base, route_type } = case;
    let head = attrs.head(base);
    Route {
        prefix: *prefix,
        attributes: attrs.canonical(base),
        local_pref: head.local_pref,
        med: head.med,
        path_len: head.path_len.into(),
        next_hop: attrs.next_hop(base),
        route_type,
        rpki: case.rpki(),
        aspa: policy::AspaState::default(),
    }
}

/// What kind of route that of such a peer is.
pub(crate) fn route_type(source: Rank) -> RouteType {
    match source {
        Rank { local: true, .. } => RouteType::Local,
        Rank { external: true, .. } => RouteType::External,
        _ => RouteType::Internal,
    }
}

impl Shared {
    /// What becomes of a route with the attributes `received` of this peer: with which set it is used, and whether its
    /// import policy does not take it.
    #[inline]
    pub(crate) fn import<A: Addr>(
        &mut self,
        peer: PeerIdx,
        (addr, len): (A, u8),
        received: AttrId,
    ) -> (AttrId, bool) {
        if !self.peers.imports(peer) {
            return (received, false);
        }
        self.import_by_policy(peer, &addr.net(len), received)
    }

    fn import_by_policy(&mut self, peer: PeerIdx, prefix: &IpNet, base: AttrId) -> (AttrId, bool) {
        let Some(p) = self.peers.get(peer) else { return (base, false) };
        let Some(policy) = &p.info.import else { return (base, false) };
        if self.judged != Some(peer) {
            self.judge.settle(&mut self.attrs);
            self.judged = Some(peer);
        }
        let case = Case { prefix, base, route_type: route_type(p.rank) };
        let ours = policy.chain.names_us().then(|| ours(&p.info, prefix.addr().is_ipv4())).flatten();
        match self.judge.judge(&mut self.attrs, (policy, ours, false), case) {
            Verdict::Denied => (base, true),
            Verdict::Taken(attr) => (attr, false),
        }
    }

    /// What goes to a group of a path: with which set; `None` where its policy keeps it back.
    pub(crate) fn export(&mut self, export: &Export, prefix: IpNet, path: &Path) -> Option<AttrId> {
        let case =
            Case { prefix: &prefix, base: path.attr, route_type: route_type(self.peers.rank(path.peer)) };
        match self.judge.judge(&mut self.attrs, (&export.policy, export.ours, true), case) {
            Verdict::Denied => None,
            Verdict::Taken(attr) => Some(attr),
        }
    }

    /// The end of a piece of work with policies.
    pub(crate) fn settle(&mut self) {
        self.judged = None;
        self.judge.settle(&mut self.attrs);
    }
}
