//! What clients of the API want changed: is it allowed, and whom does it concern?

use std::net::IpAddr;

use ipc::parent_control::{Intent, IntentError};
use ipc::parent_rde::ParentToRde;
use ipc::parent_session::ParentToSession;
use ipc::{PeerId, Role};

use crate::engine::Phase;
use crate::plan::Internal;
use crate::supervisor::Supervisor;

/// The longest shutdown communication, in octets (RFC 9003 §2).
const MAX_REASON: usize = 255;

/// What to answer, and whether the daemon is to end.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) result: Result<(), IntentError>,
    /// The shutdown communication of a coordinated shutdown.
    pub(crate) shutdown: Option<String>,
}

/// Carries out `intent`, or says why not.
pub(crate) fn handle(supervisor: &mut Supervisor, intent: Intent) -> Handled {
    let done = |result| Handled { result, shutdown: None };
    match intent {
        Intent::EnableNeighbor { address } => done(set_enabled(supervisor, address, None)),
        Intent::DisableNeighbor { address, reason } => done(set_enabled(supervisor, address, Some(reason))),
        Intent::DrainNeighbor { address, on } => done(drain(supervisor, address, on)),
        Intent::Shutdown { reason } => match check_reason(&reason) {
            Ok(()) => Handled { result: Ok(()), shutdown: Some(reason) },
            Err(e) => done(Err(e)),
        },
    }
}

fn check_reason(reason: &str) -> Result<(), IntentError> {
    if reason.len() > MAX_REASON {
        return Err(IntentError::Invalid(format!("reason is longer than {MAX_REASON} octets (RFC 9003)")));
    }
    Ok(())
}

fn peer_at(supervisor: &Supervisor, address: IpAddr) -> Result<PeerId, IntentError> {
    let found = supervisor.plan.peer_at(address);
    found.ok_or_else(|| IntentError::NotFound(format!("no neighbor {address}")))
}

/// Begins or ends the graceful shutdown of the session with the neighbor (RFC 8326 §4.2).
fn drain(supervisor: &mut Supervisor, address: IpAddr, on: bool) -> Result<(), IntentError> {
    let peer = peer_at(supervisor, address)?;
    let starting = || IntentError::Unavailable("the route decision engine is being started".to_owned());
    if supervisor.phase(Role::Rde) != Some(Phase::Running) {
        return Err(starting());
    }
    supervisor.set_draining(peer, on).map_err(|Internal| {
        let why = "only sessions with another AS are drained (RFC 8326)";
        IntentError::FailedPrecondition(format!("neighbor {address} is internal: {why}"))
    })?;
    supervisor.rde.as_mut().ok_or_else(starting)?.tell(ParentToRde::Drain { peer, on });
    Ok(())
}

/// Enables the neighbor, or disables it with a reason.
fn set_enabled(
    supervisor: &mut Supervisor,
    address: IpAddr,
    disable: Option<String>,
) -> Result<(), IntentError> {
    if let Some(reason) = &disable {
        check_reason(reason)?;
    }
    let peer = peer_at(supervisor, address)?;
    if disable.is_none() && !supervisor.plan.is_served(peer) {
        let why = format!(
            "neighbor {address} has no family that this version serves: give it one in its `families`"
        );
        return Err(IntentError::Invalid(why));
    }
    let session = supervisor
        .session
        .as_mut()
        .filter(|e| e.phase == Phase::Running)
        .ok_or_else(|| IntentError::Unavailable("the session engine is being started".to_owned()))?;
    let shutdown = disable.is_some();
    session.tell(match disable {
        None => ParentToSession::Enable(peer),
        Some(reason) => ParentToSession::Disable { peer, reason },
    });
    supervisor.set_shutdown(peer, shutdown);
    Ok(())
}
