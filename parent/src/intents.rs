//! What clients of the API want changed: is it allowed, and whom does it concern?

use std::net::IpAddr;

use ipc::PeerId;
use ipc::parent_control::{Intent, IntentError};
use ipc::parent_session::ParentToSession;

use crate::engine::Phase;
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

/// Enables the neighbor, or disables it with a reason.
fn set_enabled(
    supervisor: &mut Supervisor,
    address: IpAddr,
    disable: Option<String>,
) -> Result<(), IntentError> {
    if let Some(reason) = &disable {
        check_reason(reason)?;
    }
    let peer: PeerId = supervisor
        .plan
        .peer_at(address)
        .ok_or_else(|| IntentError::NotFound(format!("no neighbor {address}")))?;
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
