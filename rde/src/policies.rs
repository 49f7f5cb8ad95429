//! Policies on their way in: compiled in a thread of their own, since updates flow meanwhile, and then given to the
//! sessions that they are for.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bgp::FamilySet;
use ipc::config::RdePeer;
use ipc::control_rde::SoftResetError;
use ipc::{Generation, PeerId, RangeId};
use policy::{Assigned, Chain, CompileError, Policies, RangeAssignee, Staged};
use rib::PeerPolicy;
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::Engine;

/// What peers have for import and for export. Who has nothing is not there.
pub(crate) type PeerPolicies = HashMap<PeerId, [Option<Arc<PeerPolicy>>; 2]>;

/// What became of the policies of a staged configuration.
pub(crate) type Compiled = (Generation, Result<(PeerPolicies, RangePolicies), String>);

/// What peers of ranges have. The neighbor sets that one is in are known only when it is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct RangePolicies {
    policies: Arc<Policies>,
    chains: HashMap<RangeId, RangeChains>,
}

#[derive(Debug, Clone)]
struct RangeChains {
    peer_group: Option<String>,
    import: Option<Chain>,
    export: Option<Chain>,
}

impl RangePolicies {
    /// Those of a peer of this range, if it has some.
    pub(crate) fn of(&self, range: RangeId, peer: &RdePeer) -> Option<[Option<Arc<PeerPolicy>>; 2]> {
        let RangeChains { peer_group, import, export } = self.chains.get(&range)?;
        let (address, remote_asn, peer_group) = (peer.address, peer.remote_asn, peer_group.clone());
        let context = self.policies.context(&policy::Peer { address, remote_asn, peer_group });
        let policy = |chain: &Option<Chain>| Some(Arc::new(PeerPolicy::new(chain.clone()?, context.clone())));
        Some([policy(import), policy(export)])
    }
}

/// Compiles policies, given as `policy::Staged` in postcard, for these peers; the result goes to `done`.
///
/// # Errors
/// Where there is no thread to be had.
pub(crate) fn compile(
    generation: Generation,
    octets: Vec<u8>,
    peers: Vec<RdePeer>,
    done: UnboundedSender<Compiled>,
) -> io::Result<()> {
    std::thread::Builder::new().name("policies".to_owned()).spawn(move || {
        let result = compiled(&octets, &peers);
        // Nobody listens at the end of the process only.
        drop(done.send((generation, result)));
    })?;
    Ok(())
}

fn compiled(octets: &[u8], peers: &[RdePeer]) -> Result<(PeerPolicies, RangePolicies), String> {
    let staged: Staged = postcard::from_bytes(octets).map_err(|e| format!("policies: {e}"))?;
    let first = |errors: Vec<CompileError>| errors.first().map(ToString::to_string).unwrap_or_default();
    let policies = Policies::compile(&staged.definitions).map_err(first)?;
    let peers: HashMap<u16, &RdePeer> = peers.iter().map(|p| (p.id.0, p)).collect();
    let mut all = PeerPolicies::new();
    for assignee in staged.peers {
        let Some(peer) = peers.get(&assignee.peer) else { continue };
        let (address, remote_asn, peer_group) = (peer.address, peer.remote_asn, assignee.peer_group);
        let context = policies.context(&policy::Peer { address, remote_asn, peer_group });
        let of = |assigned: &Assigned| match policies.assigned(assigned) {
            Ok(chain) => Ok(chain.map(|c| Arc::new(PeerPolicy::new(c, context.clone())))),
            Err(error) => Err(error.to_string()),
        };
        all.insert(peer.id, [of(&assignee.import)?, of(&assignee.export)?]);
    }
    let chain = |assigned: &Assigned| policies.assigned(assigned).map_err(|error| error.to_string());
    let mut chains = HashMap::new();
    for RangeAssignee { range, peer_group, import, export } in staged.ranges {
        let (import, export) = (chain(&import)?, chain(&export)?);
        chains.insert(RangeId(range), RangeChains { peer_group, import, export });
    }
    Ok((all, RangePolicies { policies: Arc::new(policies), chains }))
}

impl Engine {
    /// Gives the policies of the configuration to all sessions, and to peers whose routes are kept. `before`: what they
    /// had.
    pub(crate) fn policies_changed(&mut self, before: &PeerPolicies) {
        let (Some(config), Some(tables)) = (&self.config, &mut self.tables) else { return };
        let (mut list, mut incomplete) = (Vec::new(), Vec::new());
        for (peer, p) in self.peers.iter() {
            let concerned = before.contains_key(&peer) || config.policies.contains_key(&peer);
            let Some(place) = p.place().filter(|_| concerned) else { continue };
            let policies = config.policies_of(peer);
            let [had, has] = [
                before.get(&peer).and_then(|p| p.first()?.as_ref()),
                policies.first().and_then(Option::as_ref),
            ];
            if had != has && config.peers.get(&peer).is_some_and(|p| !p.keep_rejected) {
                incomplete.push(peer);
            }
            list.push((place, policies));
        }
        if !list.is_empty() {
            tables.set_policies(list);
            self.wake();
        }
        for peer in incomplete {
            // What was not taken is not there: the peer has it.
            if self.soft_reset(peer, FamilySet::EMPTY, true) == Err(SoftResetError::NoRouteRefresh) {
                let address = self.config.as_ref().and_then(|c| c.peers.get(&peer)).map(|p| p.address);
                let peer_addr = address.map(|a| a.to_string());
                tracing::warn!(
                    peer_addr,
                    "the import policy is another one, and the peer cannot be asked for the routes that were rejected"
                );
            }
        }
    }
}
