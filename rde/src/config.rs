//! The configuration as rde has it: staged, then committed.

use std::collections::HashMap;
use std::sync::Arc;

use ipc::config::{RdeGlobal, RdePeer};
use ipc::{Generation, PeerId};
use rib::PeerPolicy;

use crate::policies::{Compiled, PeerPolicies, RangePolicies};

/// A configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) global: RdeGlobal,
    pub(crate) peers: HashMap<PeerId, RdePeer>,
    pub(crate) policies: PeerPolicies,
    /// Those of dynamic peers, whoever they will be.
    pub(crate) ranges: RangePolicies,
}

impl Config {
    /// A dynamic peer is in this AS: what follows from that for its policies.
    pub(crate) fn identify(&mut self, peer: PeerId, remote_asn: u32) {
        let Some(config) = self.peers.get_mut(&peer) else { return };
        let Some(range) = config.range else { return };
        config.remote_asn = remote_asn;
        match self.ranges.of(range, config) {
            Some(policies) => _ = self.policies.insert(peer, policies),
            None => _ = self.policies.remove(&peer),
        }
    }

    /// What the peer has for import and for export.
    pub(crate) fn policies_of(&self, peer: PeerId) -> [Option<Arc<PeerPolicy>>; 2] {
        self.policies.get(&peer).cloned().unwrap_or_default()
    }
}

/// What is still to be done about a configuration that is whole.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Nothing: its number, and whether the running one can become it.
    Checked(Generation, Result<(), String>),
    /// Its policies have to be compiled: these octets, for these peers.
    Compile(Generation, Vec<u8>, Vec<RdePeer>),
}

/// A configuration on its way in.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    staged: Option<(Generation, Config)>,
    /// Policies in postcard.
    octets: Vec<u8>,
    /// No more comes.
    ended: bool,
    /// It can be committed.
    complete: bool,
}

impl Staging {
    pub(crate) fn begin(&mut self, generation: Generation, global: RdeGlobal) {
        let (peers, policies, ranges) = (HashMap::new(), PeerPolicies::new(), RangePolicies::default());
        let config = Config { global, peers, policies, ranges };
        *self = Staging { staged: Some((generation, config)), ..Staging::default() };
    }

    /// `false`: nothing is being staged.
    #[must_use]
    pub(crate) fn add(&mut self, peers: Vec<RdePeer>) -> bool {
        match &mut self.staged {
            Some((_, config)) if !self.ended => {
                config.peers.extend(peers.into_iter().map(|p| (p.id, p)));
                true
            }
            _ => false,
        }
    }

    /// More of the policies. `false`: nothing is being staged.
    #[must_use]
    pub(crate) fn add_policies(&mut self, octets: &[u8]) -> bool {
        let expected = self.staged.is_some() && !self.ended;
        if expected {
            self.octets.extend_from_slice(octets);
        }
        expected
    }

    /// The staged configuration is whole.
    pub(crate) fn end(&mut self, running: Option<&Config>) -> Option<Ended> {
        let (generation, config) = self.staged.as_ref()?;
        self.ended = true;
        let fits = running.is_none_or(|r| {
            r.global.speaker == config.global.speaker && r.global.cluster_id == config.global.cluster_id
        });
        if !fits {
            let error = "asn, router_id and cluster_id need a restart".to_owned();
            return Some(Ended::Checked(*generation, Err(error)));
        }
        let octets = std::mem::take(&mut self.octets);
        if octets.is_empty() {
            self.complete = true;
            return Some(Ended::Checked(*generation, Ok(())));
        }
        Some(Ended::Compile(*generation, octets, config.peers.values().cloned().collect()))
    }

    /// Its policies are compiled; the answer, unless it was forgotten meanwhile.
    pub(crate) fn compiled(
        &mut self,
        (generation, result): Compiled,
    ) -> Option<(Generation, Result<(), String>)> {
        let (_, config) = self.staged.as_mut().filter(|(g, _)| *g == generation)?;
        let result = result.map(|(policies, ranges)| {
            (config.policies, config.ranges) = (policies, ranges);
            self.complete = true;
        });
        Some((generation, result))
    }

    /// The configuration of this number, if it is whole.
    pub(crate) fn commit(&mut self, generation: Generation) -> Option<Config> {
        if !self.complete || self.staged.as_ref()?.0 != generation {
            return None;
        }
        self.staged.take().map(|(_, config)| config)
    }

    pub(crate) fn abort(&mut self) {
        *self = Staging::default();
    }
}
