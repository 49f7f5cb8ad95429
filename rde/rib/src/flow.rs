//! How far behind a peer is with reading: the one account that all shards of a table share.

use std::sync::atomic::{AtomicU64, Ordering};

/// Octets for a peer that were handed on and that reached its socket. Whole shards add to the first,
/// whoever hears of the socket to the second; a value that is a little old does no harm, since all that
/// follows from it is to go on now or a little later.
#[derive(Debug, Default)]
pub struct Flow {
    sent: AtomicU64,
    written: AtomicU64,
    /// Milliseconds.
    progress_at: AtomicU64,
}

impl Flow {
    /// An account that begins at `now`, in milliseconds.
    pub fn new(now: u64) -> Flow {
        Flow { progress_at: AtomicU64::new(now), ..Flow::default() }
    }

    /// Octets were handed on.
    pub fn add_sent(&self, octets: u64) {
        self.sent.fetch_add(octets, Ordering::Relaxed);
    }

    /// Octets reached the socket.
    pub fn add_written(&self, octets: u64, now: u64) {
        self.written.fetch_add(octets, Ordering::Relaxed);
        self.progress_at.store(now, Ordering::Relaxed);
    }

    /// Whether anything was ever sent.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 0
    }

    /// Octets on their way to the socket.
    pub(crate) fn outstanding(&self) -> u64 {
        // `written` first: it never exceeds a `sent` that is read later.
        let written = self.written.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(written)
    }

    /// When octets last reached the socket, in milliseconds.
    pub(crate) fn progress_at(&self) -> u64 {
        self.progress_at.load(Ordering::Relaxed)
    }
}
