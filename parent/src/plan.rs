//! The configuration as the engines are told it: what to stage with each, in datagrams that fit. Pure.
//!
//! A neighbor keeps its identifier as long as it is configured. Dynamic ones are in `dynamic`.

mod dynamic;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use bgp::{Family, FamilySet, RemovePrivateAs};
use ipc::channel::{BATCH, batches};
use ipc::config::{
    ControlGlobal, ControlPeer, OverLimit, PrefixLimits, RdeGlobal, RdePeer, SessionPeer, Speaker,
};
use ipc::parent_control::ParentToControl;
use ipc::parent_rde::ParentToRde;
use ipc::parent_session::ParentToSession;
use ipc::{Generation, LinkError, PeerId};
use policy::{Assigned, Assignee, Staged, resolve};

use crate::VERSION;
use crate::changes::Changes;
use crate::config::{Config, Global, MaxPrefixesAction, Neighbor, PrefixCount};
use crate::marker::Restarted;
use dynamic::Dynamic;
pub(crate) use dynamic::{NoPeer, Present};

/// A numbered configuration in the engines' terms.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) generation: Generation,
    speaker: Speaker,
    rde_global: RdeGlobal,
    control_global: ControlGlobal,
    session: Vec<SessionPeer>,
    rde: Vec<RdePeer>,
    /// Policies for rde: a `Staged` in postcard, nothing where nobody has one.
    policies: Vec<u8>,
    control: Vec<ControlPeer>,
    /// Neighbors that are there because they connected from a range, and the ranges.
    dynamic: Dynamic,
    /// The identifier that was given last.
    last_id: PeerId,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Identifiers are 16 bits wide.
    #[error("more than {} neighbors", u16::MAX)]
    TooMany,
    /// A neighbor does not fit into a message.
    #[error("neighbors: {0}")]
    Message(#[from] LinkError),
    /// Their identifiers are 16 bits wide.
    #[error("more than {} ranges of dynamic neighbors", u16::MAX)]
    TooManyRanges,
    /// Policies have no form in which they can be sent.
    #[error("policies: {0}")]
    Policies(String),
}

/// The peer is in our own AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Internal;

impl Plan {
    /// The plan of `config`, numbered `generation`; `restarted`: who keeps our routes of before.
    pub(crate) fn new(
        config: &Config,
        generation: Generation,
        restarted: Option<&Restarted>,
    ) -> Result<Plan, PlanError> {
        let (mut plan, staged) = Plan::build(config, generation, restarted)?;
        plan.seal(&staged)?;
        Ok(plan)
    }

    /// The same without policies, and these apart, as names of peers may change.
    fn build(
        config: &Config,
        generation: Generation,
        restarted: Option<&Restarted>,
    ) -> Result<(Plan, Staged), PlanError> {
        let speaker = Speaker { asn: config.global.asn, router_id: config.global.router_id };
        let mut plan = Plan {
            generation,
            rde_global: RdeGlobal {
                speaker: speaker.clone(),
                cluster_id: config.global.cluster_id,
                med_always_compare: config.global.med_always_compare,
                deferral: restarted.map_or(0, |r| r.seconds_left),
                threads: config.global.rde_threads,
            },
            control_global: ControlGlobal {
                speaker: speaker.clone(),
                listen_port: config.global.listen_port,
                version: VERSION.to_owned(),
                started: UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs()),
            },
            speaker,
            session: Vec::new(),
            rde: Vec::new(),
            policies: Vec::new(),
            control: Vec::new(),
            dynamic: Dynamic::new(config)?,
            last_id: PeerId(0),
        };
        let definitions = config.policy.definitions.clone();
        let mut staged = Staged { definitions, peers: Vec::new(), ranges: plan.dynamic.assignees(config) };
        for (n, neighbor) in config.neighbors.iter().enumerate() {
            let id = PeerId(u16::try_from(n).map_err(|_| PlanError::TooMany)?);
            staged.peers.extend(plan.add(id, config, neighbor, restarted));
        }
        Ok((plan, staged))
    }

    fn seal(&mut self, staged: &Staged) -> Result<(), PlanError> {
        // Policies that nobody has are without effect.
        if !staged.peers.is_empty() || !staged.ranges.is_empty() {
            self.policies = postcard::to_allocvec(staged).map_err(|e| PlanError::Policies(e.to_string()))?;
        }
        // What does not fit is found here, before an engine is started.
        self.for_session()?;
        self.for_rde()?;
        self.for_control()?;
        Ok(())
    }

    /// The plan of `config` that follows this one, which is that of `running`. `changes` are what differs.
    pub(crate) fn next(
        &self,
        running: &Config,
        config: &Config,
        changes: &Changes,
    ) -> Result<Plan, PlanError> {
        let (mut plan, mut staged) = Plan::build(config, Generation(self.generation.0 + 1), None)?;
        plan.control_global.started = self.control_global.started;
        let before: HashMap<IpAddr, &SessionPeer> = self.session.iter().map(|p| (p.address, p)).collect();
        let drained: HashSet<PeerId> = self.rde.iter().filter(|p| p.draining).map(|p| p.id).collect();
        let mut used: HashSet<PeerId> = self.ids().collect();
        let mut candidate = self.last_id;
        let Plan { session, rde, control, last_id, .. } = &mut plan;
        let mut names = HashMap::new();
        for ((session, rde), control) in session.iter_mut().zip(rde).zip(control) {
            let first = session.id;
            let id = match before.get(&session.address) {
                Some(before) => {
                    session.revision = before.revision + u32::from(changes.resets(session.address));
                    // What the operator has said since counts, unless the file says something new.
                    if !changes.concerns(session.address, "shutdown") {
                        session.shutdown = before.shutdown;
                    }
                    rde.draining = drained.contains(&before.id) && rde.remote_asn != rde.local_asn;
                    before.id
                }
                None => {
                    candidate = unused(candidate, |id| used.contains(&id)).ok_or(PlanError::TooMany)?;
                    used.insert(candidate);
                    candidate
                }
            };
            (session.id, rde.id, control.id) = (id, id, id);
            names.insert(first.0, id.0);
        }
        for assignee in &mut staged.peers {
            assignee.peer = names.get(&assignee.peer).copied().unwrap_or(assignee.peer);
        }
        *last_id = candidate;
        plan.carry_over(&self.dynamic, running, config);
        plan.seal(&staged)?;
        Ok(plan)
    }

    /// When the daemon was started, in seconds since 1970.
    pub(crate) fn started(&self) -> u64 {
        self.control_global.started
    }

    /// Adds a neighbor; its policies, if it has some.
    fn add(
        &mut self,
        id: PeerId,
        config: &Config,
        neighbor: &Neighbor,
        restarted: Option<&Restarted>,
    ) -> Option<Assignee> {
        let global = &config.global;
        let import = resolve(&neighbor.import_policy, None, &config.policy.import);
        let export = resolve(&neighbor.export_policy, None, &config.policy.export);
        let policy_missing =
            policy_required(global, neighbor) && [&import, &export].contains(&&Assigned::None);
        let graceful = neighbor.graceful_restart.enabled && !neighbor.shutdown;
        let waiting = restarted.filter(|r| graceful && r.peers.contains(&neighbor.address));
        let restarted = waiting.map(|r| r.seconds_left);
        self.session.push(SessionPeer { restarted, ..session_peer(id, neighbor) });
        self.rde.push(RdePeer { awaited: waiting.is_some(), ..rde_peer(id, global, neighbor) });
        self.control.push(control_peer(id, neighbor, policy_missing));
        self.last_id = id;
        let has_policies = (&import, &export) != (&Assigned::None, &Assigned::None);
        let peer_group = neighbor.peer_group.clone();
        has_policies.then_some(Assignee { peer: id.0, peer_group, import, export })
    }

    /// The engines have been told of the restart of the daemon. A restart of theirs is another matter.
    pub(crate) fn restart_is_told(&mut self) {
        self.rde_global.deferral = 0;
        self.session.iter_mut().for_each(|p| p.restarted = None);
        self.rde.iter_mut().for_each(|p| p.awaited = false);
    }

    /// The addresses of peers; without a list, of all that may keep our routes while we restart.
    pub(crate) fn restarting(&self, peers: Option<&[PeerId]>) -> Vec<IpAddr> {
        let up = |p: &&SessionPeer| !p.shutdown && !p.families.is_empty();
        let graceful = self.all_session().filter(|p| p.restart_time.is_some()).filter(up);
        graceful.filter(|p| peers.is_none_or(|l| l.contains(&p.id))).map(|p| p.address).collect()
    }

    /// How many seconds peers keep our routes: the longest time that one of them is asked for. `None` where none is.
    pub(crate) fn restart_window(&self) -> Option<u16> {
        self.all_session().filter_map(|p| p.restart_time).max()
    }

    /// The address of this configured peer.
    pub(crate) fn address(&self, peer: PeerId) -> Option<IpAddr> {
        self.session.iter().find(|p| p.id == peer).map(|p| p.address)
    }

    /// Peers of this plan that are not in `next`.
    pub(crate) fn not_in(&self, next: &Plan) -> HashSet<PeerId> {
        let kept: HashSet<PeerId> = next.ids().collect();
        self.ids().filter(|id| !kept.contains(id)).collect()
    }

    /// The peer with this address.
    pub(crate) fn peer_at(&self, address: IpAddr) -> Option<PeerId> {
        self.configured_at(address).or_else(|| self.dynamic_at(address))
    }

    /// The configured peer with this address.
    pub(crate) fn configured_at(&self, address: IpAddr) -> Option<PeerId> {
        self.session.iter().find(|p| p.address == address).map(|p| p.id)
    }

    /// What session is told of all peers, the dynamic ones last.
    fn all_session(&self) -> impl Iterator<Item = &SessionPeer> {
        self.session.iter().chain(self.dynamic.peers().map(|p| &p.session))
    }

    fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.all_session().map(|p| p.id)
    }

    /// Whether there is a family for which a session with the peer makes sense.
    pub(crate) fn is_served(&self, peer: PeerId) -> bool {
        self.all_session().any(|p| p.id == peer && !p.families.is_empty())
    }

    /// Remembers that the operator wants the peer down or up, for the next session engine.
    pub(crate) fn set_shutdown(&mut self, peer: PeerId, shutdown: bool) {
        let dynamic = self.dynamic.get_mut(peer).map(|p| &mut p.session);
        if let Some(p) = self.session.iter_mut().find(|p| p.id == peer).or(dynamic) {
            p.shutdown = shutdown;
        }
    }

    /// Remembers whether the operator wants the session with the peer shut down gracefully, for the next rde.
    ///
    /// # Errors
    /// Where the peer is internal (RFC 8326 §4 is about external sessions).
    pub(crate) fn set_draining(&mut self, peer: PeerId, draining: bool) -> Result<(), Internal> {
        let dynamic = self.dynamic.get_mut(peer).map(|p| &mut p.rde);
        match self.rde.iter_mut().find(|p| p.id == peer).or(dynamic) {
            Some(p) if p.remote_asn == p.local_asn => return Err(Internal),
            Some(p) => p.draining = draining,
            None => {}
        }
        Ok(())
    }

    /// What to stage with session.
    pub(crate) fn for_session(&self) -> Result<Vec<ParentToSession>, LinkError> {
        let begin =
            ParentToSession::StageBegin { generation: self.generation, speaker: self.speaker.clone() };
        // Without a family, our OPEN would stand for IPv4 unicast.
        let told =
            |p: &SessionPeer| SessionPeer { shutdown: p.shutdown || p.families.is_empty(), ..p.clone() };
        let peers = batches(ipc::Role::Session, self.all_session().map(told))?;
        let ranges = batches(ipc::Role::Session, self.dynamic.prefixes())?;
        let peers = peers.into_iter().map(ParentToSession::StagePeers);
        let ranges = ranges.into_iter().map(ParentToSession::StageRanges);
        Ok(whole(begin, peers.chain(ranges), ParentToSession::StageEnd))
    }

    /// What to stage with rde.
    pub(crate) fn for_rde(&self) -> Result<Vec<ParentToRde>, LinkError> {
        let begin = ParentToRde::StageBegin { generation: self.generation, global: self.rde_global.clone() };
        let peers = self.rde.iter().chain(self.dynamic.peers().map(|p| &p.rde)).cloned();
        let peers = batches(ipc::Role::Rde, peers)?.into_iter().map(ParentToRde::StagePeers);
        let pieces = self.policies.chunks(BATCH).map(|octets| ParentToRde::StagePolicies(octets.to_vec()));
        Ok(whole(begin, peers.chain(pieces), ParentToRde::StageEnd))
    }

    /// What to stage with control.
    pub(crate) fn for_control(&self) -> Result<Vec<ParentToControl>, LinkError> {
        let begin =
            ParentToControl::StageBegin { generation: self.generation, global: self.control_global.clone() };
        let peers = self.control.iter().chain(self.dynamic.peers().map(|p| &p.control)).cloned();
        let peers = batches(ipc::Role::Control, peers)?.into_iter().map(ParentToControl::StagePeers);
        let ranges = batches(ipc::Role::Control, self.dynamic.shown())?;
        let ranges = ranges.into_iter().map(ParentToControl::StageRanges);
        Ok(whole(begin, peers.chain(ranges), ParentToControl::StageEnd))
    }
}

/// The identifier after `last` that nobody has: one that was given back is used again as late as possible, since
/// what concerns its former owner may still be on its way.
fn unused(last: PeerId, used: impl Fn(PeerId) -> bool) -> Option<PeerId> {
    (1..=u16::MAX).map(|n| PeerId(last.0.wrapping_add(n))).find(|id| !used(*id))
}

fn whole<M>(begin: M, peers: impl Iterator<Item = M>, end: M) -> Vec<M> {
    std::iter::once(begin).chain(peers).chain(std::iter::once(end)).collect()
}

/// The least TTL that is accepted from a neighbor, if there is one.
pub(crate) fn min_ttl(neighbor: &Neighbor) -> Option<u8> {
    neighbor.ttl_security.then(|| gtsm_ttl(neighbor.multihop.unwrap_or(1)))
}

/// The least TTL that GTSM accepts from a peer `hops` away: each router on the way takes one from 255, and
/// a peer on the link has none on its way (RFC 5082 §3).
fn gtsm_ttl(hops: u8) -> u8 {
    u8::MAX - hops.saturating_sub(1)
}

/// The families that the engines have tables for.
fn served(neighbor: &Neighbor) -> FamilySet {
    let tables = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    neighbor.families.intersection(tables)
}

fn session_peer(id: PeerId, n: &Neighbor) -> SessionPeer {
    SessionPeer {
        id,
        address: n.address,
        remote_asn: n.remote_asn,
        only: None,
        dynamic: false,
        local_asn: n.local_asn,
        hold_time: n.hold_time,
        keepalive: n.keepalive,
        send_hold_time: n.send_hold_time,
        families: served(n),
        role: n.role,
        passive: n.passive,
        connect_retry: n.connect_retry,
        min_ttl: min_ttl(n),
        shutdown: n.shutdown,
        add_path_receive: n.add_path.receive,
        add_path_send: n.add_path.send,
        restart_time: n.graceful_restart.enabled.then_some(n.graceful_restart.restart_time),
        llgr_stale_time: n.graceful_restart.llgr_stale_time,
        restarted: None,
        log_level: n.log_level.map(|l| l.name().to_owned()),
        revision: 0,
        prefix_limits: prefix_limits(n),
    }
}

fn prefix_limits(n: &Neighbor) -> PrefixLimits {
    PrefixLimits {
        received: n.max_prefixes,
        accepted_only: n.max_prefixes_count == PrefixCount::Accepted,
        advertised: n.max_prefixes_out,
        action: match n.max_prefixes_action {
            MaxPrefixesAction::Shutdown => OverLimit::Shutdown,
            MaxPrefixesAction::Restart { minutes } => OverLimit::Restart { minutes },
            MaxPrefixesAction::Warn => OverLimit::Warn,
        },
    }
}

/// An external neighbor has to have policies (RFC 8212).
fn policy_required(global: &Global, n: &Neighbor) -> bool {
    global.ebgp_requires_policy && n.remote_asn != n.local_asn
}

fn rde_peer(id: PeerId, global: &Global, n: &Neighbor) -> RdePeer {
    RdePeer {
        id,
        address: n.address,
        range: None,
        remote_asn: n.remote_asn,
        local_asn: n.local_asn,
        families: served(n),
        route_server_client: n.route_server_client,
        route_reflector_client: n.route_reflector_client,
        local_ipv6_nexthop: n.local_ipv6_nexthop,
        enforce_first_as: n.enforce_first_as,
        allow_own_as: n.allow_own_as,
        advertisement_interval: n.advertisement_interval,
        keep_rejected: n.keep_rejected,
        policy_required: policy_required(global, n),
        reject_as_sets: global.reject_as_sets,
        remove_private_as: n.remove_private_as,
        default_originate: n.default_originate,
        add_path_send_max: n.add_path.send_max.unwrap_or(0),
        role: n.role.map(|r| r.role),
        graceful_shutdown: n.graceful_shutdown,
        draining: false,
        stale_routes_time: n.graceful_restart.stale_routes_time,
        long_lived: n.graceful_restart.enabled && n.graceful_restart.llgr_stale_time > 0,
        awaited: false,
        prefix_limits: prefix_limits(n),
    }
}

fn control_peer(id: PeerId, n: &Neighbor, policy_missing: bool) -> ControlPeer {
    ControlPeer {
        id,
        address: n.address,
        dynamic: false,
        remote_asn: n.remote_asn,
        description: n.description.clone(),
        hold_time: n.hold_time,
        prefix_limits: prefix_limits(n),
        families: n.families,
        remove_private_as: match n.remove_private_as {
            None => "",
            Some(RemovePrivateAs::Remove) => "remove",
            Some(RemovePrivateAs::All) => "all",
            Some(RemovePrivateAs::Replace) => "replace",
        }
        .to_owned(),
        peer_group: n.peer_group.clone().unwrap_or_default(),
        route_server_client: n.route_server_client,
        add_path_receive: n.add_path.receive,
        add_path_send: n.add_path.send,
        add_path_send_max: n.add_path.send_max.unwrap_or(0),
        policy_missing,
        md5: n.md5_password.is_some(),
        ttl_security: n.ttl_security,
        role: n.role,
    }
}

#[cfg(test)]
#[path = "plan/reloads.rs"]
mod reloads;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_outlives_a_reload_for_as_long_as_the_peer_is_external() {
        let config = |asn: u32| {
            let global =
                "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";
            let more = "[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 65003\n";
            let peer = format!("[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = {asn}\n");
            let text = format!("{global}{more}{peer}");
            crate::config::from_text(std::path::Path::new("c.toml"), &text).unwrap().config
        };
        let before = config(65002);
        let mut plan = Plan::new(&before, Generation(1), None).unwrap();
        let peer = plan.peer_at([10, 0, 0, 2].into()).unwrap();
        plan.set_draining(peer, true).unwrap();
        for (asn, expected) in [(65002, true), (65009, true), (65001, false)] {
            let after = config(asn);
            let next = plan.next(&before, &after, &Changes::between(&before, &after)).unwrap();
            let drained: Vec<PeerId> = next.rde.iter().filter(|p| p.draining).map(|p| p.id).collect();
            assert_eq!(drained.contains(&peer), expected, "AS {asn}");
            assert_eq!(drained.len(), usize::from(expected), "AS {asn}");
        }
        assert_eq!(
            Plan::new(&config(65001), Generation(1), None).unwrap().set_draining(peer, true),
            Err(Internal)
        );
    }

    #[test]
    fn gtsm_allows_for_the_routers_on_the_way() {
        assert_eq!([1, 2, 10, 255].map(gtsm_ttl), [255, 254, 246, 1]);
    }
}
