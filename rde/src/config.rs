//! The configuration as rde has it: staged, then committed.

use std::collections::HashMap;

use ipc::config::{RdeGlobal, RdePeer};
use ipc::{Generation, PeerId};

/// A configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) global: RdeGlobal,
    pub(crate) peers: HashMap<PeerId, RdePeer>,
}

/// A configuration on its way in.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    staged: Option<(Generation, Config)>,
    complete: bool,
}

impl Staging {
    pub(crate) fn begin(&mut self, generation: Generation, global: RdeGlobal) {
        self.staged = Some((generation, Config { global, peers: HashMap::new() }));
        self.complete = false;
    }

    /// `false`: nothing is being staged.
    #[must_use]
    pub(crate) fn add(&mut self, peers: Vec<RdePeer>) -> bool {
        match &mut self.staged {
            Some((_, config)) if !self.complete => {
                config.peers.extend(peers.into_iter().map(|p| (p.id, p)));
                true
            }
            _ => false,
        }
    }

    /// The staged configuration is whole: its number, and whether the running one can become it.
    pub(crate) fn end(&mut self, running: Option<&Config>) -> Option<(Generation, Result<(), String>)> {
        let (generation, config) = self.staged.as_ref()?;
        self.complete = true;
        let result = match running {
            Some(r)
                if r.global.speaker != config.global.speaker
                    || r.global.cluster_id != config.global.cluster_id =>
            {
                Err("asn, router_id and cluster_id need a restart".to_owned())
            }
            _ => Ok(()),
        };
        Some((*generation, result))
    }

    /// The configuration of this number, if it is whole.
    pub(crate) fn commit(&mut self, generation: Generation) -> Option<Config> {
        if !self.complete || self.staged.as_ref()?.0 != generation {
            return None;
        }
        self.staged.take().map(|(_, config)| config)
    }

    pub(crate) fn abort(&mut self) {
        self.staged = None;
    }
}
