//! Tells the service manager how far the daemon is (`sd_notify(3)`). Does nothing where there is none.

use std::time::Duration;

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

/// All processes are at work: without hearing that for a while, the service manager starts the daemon anew.
pub(crate) fn healthy() {
    if watchdog().is_some() {
        notify(&[NotifyState::Watchdog]);
    }
}

/// How long the service manager waits for [`healthy`]; `None`: it does not.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|w| !w.is_zero())
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
