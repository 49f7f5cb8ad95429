//! Dynamic neighbors: who may be one, and those that there are. The parent alone decides; what comes of it the engines
//! are told peer by peer.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipc::config::{ControlPeer, ControlRange, RdePeer, SessionPeer};
use ipc::figures::DynamicPeers;
use ipc::{PeerId, RangeId};
use ipnet::IpNet;
use policy::{Assigned, RangeAssignee, resolve};

use super::{Plan, PlanError, control_peer, rde_peer, served, session_peer, unused};
use crate::changes::{Cost, cost_in_range};
use crate::config::{Config, DynamicNeighbor, Global, Neighbor};

/// The ranges, and the neighbors from them.
#[derive(Debug)]
pub(super) struct Dynamic {
    global: Global,
    /// The longest prefixes first: the first one that has an address is its range.
    ranges: Vec<DynamicNeighbor>,
    /// Those without a policy in a direction in which they have to have one.
    policy_missing: Vec<IpNet>,
    peers: BTreeMap<PeerId, Present>,
    addresses: HashMap<IpAddr, PeerId>,
}

/// A dynamic neighbor, as each engine is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    pub(crate) session: SessionPeer,
    pub(crate) rde: RdePeer,
    pub(crate) control: ControlPeer,
    /// The range that it is from.
    prefix: IpNet,
}

/// Why a connection makes no dynamic neighbor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPeer {
    /// No range has the address.
    #[error("the address is in no range")]
    Outside,
    /// A configured neighbor has it.
    #[error("the address is that of a neighbor")]
    Configured,
    /// It is one already.
    #[error("it is one already")]
    Present,
    /// The range is administratively down, or has no family that there are tables for.
    #[error("the range is down")]
    Down,
    /// There are as many as there may be, or no identifier is left.
    #[error("there are as many as there may be")]
    Limit,
}

impl Dynamic {
    pub(super) fn new(config: &Config) -> Result<Dynamic, PlanError> {
        let mut ranges = config.dynamic_neighbors.clone();
        ranges.sort_by_key(|r| (std::cmp::Reverse(r.prefix.prefix_len()), r.prefix));
        if ranges.len() > usize::from(u16::MAX) {
            return Err(PlanError::TooManyRanges);
        }
        let missing = |r: &&DynamicNeighbor| {
            super::policy_required(&config.global, &r.template)
                && policies(config, &r.template).contains(&Assigned::None)
        };
        Ok(Dynamic {
            policy_missing: ranges.iter().filter(missing).map(|r| r.prefix).collect(),
            ranges,
            global: config.global.clone(),
            peers: BTreeMap::new(),
            addresses: HashMap::new(),
        })
    }

    /// The ranges whose peers have policies.
    pub(super) fn assignees(&self, config: &Config) -> Vec<RangeAssignee> {
        let numbered = (0..).zip(&self.ranges);
        let assignee = numbered.filter_map(|(range, r)| {
            let [import, export] = policies(config, &r.template);
            let some = (&import, &export) != (&Assigned::None, &Assigned::None);
            let peer_group = r.template.peer_group.clone();
            some.then_some(RangeAssignee { range, peer_group, import, export })
        });
        assignee.collect()
    }

    fn longest(&self, address: IpAddr) -> Option<(RangeId, &DynamicNeighbor)> {
        let (n, range) = (0..).zip(&self.ranges).find(|(_, r)| r.prefix.contains(&address))?;
        Some((RangeId(n), range))
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Present> {
        self.peers.values()
    }

    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Present> {
        self.peers.get_mut(&peer)
    }

    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.ranges.iter().map(|r| r.prefix)
    }

    /// What control shows of the ranges, in the order of their prefixes.
    pub(super) fn shown(&self) -> Vec<ControlRange> {
        let shown = |r: &DynamicNeighbor| ControlRange {
            prefix: r.prefix,
            peer_group: r.peer_group.clone(),
            remote_asn: r.remote_asn,
            description: r.description.clone().unwrap_or_default(),
        };
        let mut all: Vec<ControlRange> = self.ranges.iter().map(shown).collect();
        all.sort_by_key(|r| r.prefix);
        all
    }

    /// The neighbor at this address of a range.
    fn present(&self, id: PeerId, address: IpAddr, range: RangeId, of: &DynamicNeighbor) -> Present {
        let mut neighbor = Neighbor { address, ..of.template.clone() };
        if of.template.description == of.template.address.to_string() {
            // None is configured.
            neighbor.description = address.to_string();
        }
        let session = SessionPeer { only: of.only, dynamic: true, ..session_peer(id, &neighbor) };
        let rde = RdePeer { range: Some(range), ..rde_peer(id, &self.global, &neighbor) };
        // Of what kind one of any AS is, is known where its policies are.
        let rde = RdePeer { policy_required: self.global.ebgp_requires_policy, ..rde };
        let policy_missing = self.policy_missing.contains(&of.prefix);
        let control = ControlPeer { dynamic: true, ..control_peer(id, &neighbor, policy_missing) };
        Present { session, rde, control, prefix: of.prefix }
    }

    fn put(&mut self, id: PeerId, present: Present) {
        self.addresses.insert(present.session.address, id);
        self.peers.insert(id, present);
    }
}

/// What a neighbor has for import and for export.
fn policies(config: &Config, neighbor: &Neighbor) -> [Assigned; 2] {
    let global = &config.policy;
    [(&neighbor.import_policy, &global.import), (&neighbor.export_policy, &global.export)]
        .map(|(own, global)| resolve(own, None, global))
}

impl Plan {
    /// Makes a neighbor of a connection from `address`, if it may be one. `restarted`: how many seconds it keeps our routes
    /// of before still.
    ///
    /// # Errors
    /// Where it may not.
    pub(crate) fn admit(&mut self, address: IpAddr, restarted: Option<u16>) -> Result<Present, NoPeer> {
        if self.configured_at(address).is_some() {
            return Err(NoPeer::Configured);
        }
        if self.dynamic.addresses.contains_key(&address) {
            return Err(NoPeer::Present);
        }
        let (range, of) = self.dynamic.longest(address).ok_or(NoPeer::Outside)?;
        if of.template.shutdown || served(&of.template).is_empty() {
            return Err(NoPeer::Down);
        }
        if self.dynamic.peers.len() >= self.dynamic_limit() {
            return Err(NoPeer::Limit);
        }
        let used = |id| self.is_dynamic(id) || self.session.iter().any(|p| p.id == id);
        let id = unused(self.last_id, used).ok_or(NoPeer::Limit)?;
        let mut present = self.dynamic.present(id, address, range, of);
        present.session.restarted = restarted.filter(|_| present.session.restart_time.is_some());
        self.last_id = id;
        self.dynamic.put(id, present.clone());
        Ok(present)
    }

    fn dynamic_limit(&self) -> usize {
        usize::try_from(self.dynamic.global.dynamic_neighbor_limit).unwrap_or(usize::MAX)
    }

    /// How many there are and may be; `refused` is for others to count.
    pub(crate) fn dynamic_figures(&self) -> DynamicPeers {
        let present = u32::try_from(self.dynamic.peers.len()).unwrap_or(u32::MAX);
        DynamicPeers { present, limit: self.dynamic.global.dynamic_neighbor_limit, refused: 0 }
    }

    /// Removes a dynamic neighbor; it, if it was there.
    pub(crate) fn remove_dynamic(&mut self, peer: PeerId) -> Option<Present> {
        let present = self.dynamic.peers.remove(&peer)?;
        self.dynamic.addresses.remove(&present.session.address);
        Some(present)
    }

    /// Removes those whose session ends with the session engine: all but those that the operator keeps down.
    pub(crate) fn remove_ended(&mut self) -> Vec<PeerId> {
        let ended = self.dynamic.peers().filter(|p| !p.session.shutdown).map(|p| p.session.id);
        let ended: Vec<PeerId> = ended.collect();
        ended.iter().for_each(|id| _ = self.remove_dynamic(*id));
        ended
    }

    /// The ranges.
    pub(crate) fn ranges(&self) -> Vec<IpNet> {
        self.dynamic.prefixes().collect()
    }

    /// This dynamic neighbor.
    pub(crate) fn dynamic_peer(&self, peer: PeerId) -> Option<&Present> {
        self.dynamic.peers.get(&peer)
    }

    /// Whether this is a dynamic neighbor.
    pub(crate) fn is_dynamic(&self, peer: PeerId) -> bool {
        self.dynamic.peers.contains_key(&peer)
    }

    /// The dynamic neighbor with this address.
    pub(super) fn dynamic_at(&self, address: IpAddr) -> Option<PeerId> {
        self.dynamic.addresses.get(&address).copied()
    }

    /// Whether a range has the address.
    pub(crate) fn has_range(&self, address: IpAddr) -> bool {
        self.dynamic.longest(address).is_some()
    }

    /// The dynamic neighbors of the plan before this one, as they are from now on. Who is in no range any more, or is
    /// configured now, is none.
    pub(super) fn carry_over(&mut self, before: &Dynamic, running: &Config, config: &Config) {
        let mut costs: HashMap<(IpNet, IpNet), Option<Cost>> = HashMap::new();
        for (id, was) in &before.peers {
            let address = was.session.address;
            let Some((range, of)) = self.dynamic.longest(address) else { continue };
            if self.configured_at(address).is_some()
                || of.template.shutdown
                || served(&of.template).is_empty()
            {
                continue;
            }
            let cost = *costs.entry((was.prefix, of.prefix)).or_insert_with(|| {
                let former = before.ranges.iter().find(|r| r.prefix == was.prefix);
                former.map_or(Some(Cost::Reset), |former| cost_in_range((running, former), (config, of)))
            });
            let mut is = self.dynamic.present(*id, address, range, of);
            is.session.revision = was.session.revision + u32::from(cost == Some(Cost::Reset));
            is.session.shutdown = was.session.shutdown;
            is.rde.draining = was.rde.draining;
            self.dynamic.put(*id, is);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ipc::Generation;
    use ipc::config::PeerKind;

    use super::*;
    use crate::changes::Changes;

    const GROUPS: &str = "[peer_groups.a]\nhold_time = 30\n[peer_groups.b]\nhold_time = 60\n\
                          [peer_groups.rs]\nroute_server_client = true\n[peer_groups.down]\nshutdown = true\n";
    const RANGES: &str = "[[dynamic_neighbors]]\nprefix = \"10.0.0.0/8\"\npeer_group = \"a\"\n\
                          [[dynamic_neighbors]]\nprefix = \"10.1.0.0/16\"\npeer_group = \"b\"\nremote_asn = 65009\n\
                          [[dynamic_neighbors]]\nprefix = \"10.2.0.0/16\"\npeer_group = \"down\"\n\
                          [[dynamic_neighbors]]\nprefix = \"2001:db8::/32\"\npeer_group = \"rs\"\n\
                          description = \"members\"\n";

    fn config(limit: u32, rest: &str) -> Config {
        let global = format!(
            "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\ndynamic_neighbor_limit = {limit}\n\
             [global.telemetry]\n"
        );
        crate::config::from_text(Path::new("c.toml"), &format!("{global}{rest}")).unwrap().config
    }

    fn plan(config: &Config) -> Plan {
        Plan::new(config, Generation(1), None).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_range_decides_and_a_configured_neighbor_is_none() {
        let neighbor = "[[neighbors]]\naddress = \"10.1.0.1\"\nremote_asn = 65002\n";
        let mut plan = plan(&config(100, &format!("{GROUPS}{RANGES}{neighbor}")));
        let mut admit = |at: &str| {
            plan.admit(address(at), None).map(|p| (p.session.hold_time, p.session.remote_asn, p.session.only))
        };
        assert_eq!(admit("10.3.0.1"), Ok((30, 0, None)));
        assert_eq!(admit("10.1.0.2"), Ok((60, 65009, None)));
        assert_eq!(admit("2001:db8::1"), Ok((90, 0, Some(PeerKind::External))));
        assert_eq!(admit("10.3.0.1"), Err(NoPeer::Present));
        assert_eq!(admit("10.1.0.1"), Err(NoPeer::Configured));
        assert_eq!(admit("10.2.0.1"), Err(NoPeer::Down), "the wider range does not step in");
        assert_eq!(admit("11.0.0.1"), Err(NoPeer::Outside));
    }

    #[test]
    fn engines_are_told_that_it_is_dynamic_and_what_it_is_called() {
        let mut plan = plan(&config(100, &format!("{GROUPS}{RANGES}")));
        let one = plan.admit(address("10.3.0.1"), Some(7)).unwrap();
        assert!(one.session.dynamic && one.session.passive && one.control.dynamic && one.rde.range.is_some());
        assert_eq!((one.control.description.as_str(), one.session.restarted), ("10.3.0.1", Some(7)));
        let two = plan.admit(address("2001:db8::1"), None).unwrap();
        assert_eq!((two.control.description.as_str(), two.control.peer_group.as_str()), ("members", "rs"));
        assert_eq!(plan.restarting(None), [address("10.3.0.1"), address("2001:db8::1")]);
    }

    #[test]
    fn no_more_than_the_limit_and_identifiers_are_used_again_late() {
        let mut plan = plan(&config(2, &format!("{GROUPS}{RANGES}")));
        let first = plan.admit(address("10.3.0.1"), None).unwrap().session.id;
        plan.admit(address("10.3.0.2"), None).unwrap();
        assert_eq!(plan.admit(address("10.3.0.3"), None).unwrap_err(), NoPeer::Limit);
        assert!(plan.remove_dynamic(first).is_some() && plan.remove_dynamic(first).is_none());
        let mut ids = std::collections::HashSet::from([first]);
        for _ in 0..1000 {
            let id = plan.admit(address("10.3.0.3"), None).unwrap().session.id;
            assert!(ids.insert(id), "{id} again");
            plan.remove_dynamic(id);
        }
    }

    #[test]
    fn those_that_the_operator_keeps_down_outlive_the_engines() {
        let mut plan = plan(&config(9, &format!("{GROUPS}{RANGES}")));
        let [up, down] = ["10.3.0.1", "10.3.0.2"].map(|a| plan.admit(address(a), None).unwrap().session.id);
        plan.set_shutdown(down, true);
        assert_eq!(plan.remove_ended(), [up]);
        assert!(plan.is_dynamic(down) && plan.peer_at(address("10.3.0.1")).is_none());
    }

    /// What another configuration makes of the neighbors that are there: gone, reset or not touched.
    #[test]
    fn another_configuration_resets_only_those_for_which_something_differs() {
        let all = format!("{GROUPS}{RANGES}");
        let before = config(9, &all);
        let mut plan = plan(&before);
        let addresses = ["10.3.0.1", "10.1.0.2", "2001:db8::1"];
        let ids = addresses.map(|a| plan.admit(address(a), None).unwrap().session.id);
        // Which are there, and whether they are reset.
        let after = |text: &str| {
            let after = config(9, text);
            let next = plan.next(&before, &after, &Changes::between(&before, &after)).unwrap();
            ids.map(|id| next.dynamic_peer(id).map(|p| p.session.revision > 0))
        };
        let same = Some(false);
        assert_eq!(after(&all), [same; 3]);
        assert_eq!(after(&format!("# moved\n{RANGES}{GROUPS}")), [same; 3]);
        let group = all.replace("hold_time = 60", "hold_time = 61");
        assert_eq!(after(&group), [same, Some(true), same]);
        // A longer range with the same settings, and one with others.
        let longer = "[[dynamic_neighbors]]\nprefix = \"10.3.0.0/24\"\npeer_group = ";
        assert_eq!(after(&format!("{all}{longer}\"a\"")), [same; 3]);
        assert_eq!(after(&format!("{all}{longer}\"b\"")), [Some(true), same, same]);
        // The AS number alone: session compares it with the one of its OPEN.
        assert_eq!(after(&all.replace("remote_asn = 65009", "remote_asn = 65010")), [same; 3]);
        assert_eq!(after(&all.replace("\"10.1.0.0/16\"", "\"10.9.0.0/16\"")), [same, Some(true), same]);
        assert_eq!(after(&all.replace("\"2001:db8::/32\"", "\"2001:db9::/32\"")), [same, same, None]);
        assert_eq!(after(&all.replace("hold_time = 30", "shutdown = true")), [None, same, same]);
        let neighbor = "[[neighbors]]\naddress = \"10.3.0.1\"\nremote_asn = 65002\n";
        assert_eq!(after(&format!("{all}{neighbor}")), [None, same, same]);
    }
}
