//! Tells the service manager how far the daemon is (`sd_notify(3)`). Does nothing where there is none.

use sd_notify::NotifyState;

/// All engines run the configuration and have their listeners.
pub(crate) fn ready(asn: u32) {
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("AS {asn}: running"))]);
}

/// The coordinated shutdown has begun.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("ending all sessions")]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
