//! Tells the service manager how far the daemon is (`sd_notify(3)`). Does nothing where there is none.

use sd_notify::NotifyState;

/// All engines run the configuration and have their listeners, or go on with the one before.
pub(crate) fn ready(asn: u32) {
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("AS {asn}: running"))]);
}

/// The configuration is read again; [`ready`] ends that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now, NotifyState::Status("reading the configuration")]),
        Err(error) => tracing::warn!(%error, "cannot tell the service manager"),
    }
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
