//! What is counted of each peer, over all its sessions.

use std::time::{Duration, Instant};

use crate::errors::Faults;

/// Counters of a peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerStats {
    pub(crate) as_loops: u64,
    pub(crate) reflection_loops: u64,
    pub(crate) treated_as_withdraw: u64,
    pub(crate) attributes_discarded: u64,
    /// Paths beyond the most for one prefix.
    pub(crate) paths_refused: u64,
    pub(crate) route_leaks: u64,
    pub(crate) restarts_expired: u64,
    pub(crate) prefix_limit_exceeded: u64,
    /// What was wrong with its UPDATEs.
    pub(crate) faults: Faults,
    fault_log: FaultLog,
    limit_log: FaultLog,
}

impl PeerStats {
    /// Whether a message that is malformed or a leak may be logged: a peer that sends many must not fill the log.
    pub(crate) fn may_log(&mut self, now: Instant) -> bool {
        self.fault_log.admit(now)
    }

    /// The same for a prefix limit that is only warned of.
    pub(crate) fn may_log_limit(&mut self, now: Instant) -> bool {
        self.limit_log.admit(now)
    }
}

/// Lines in a window of time.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
struct FaultLog {
    since: Option<Instant>,
    lines: u32,
}

impl FaultLog {
    fn admit(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|s| now.duration_since(s) >= WINDOW) {
            *self = FaultLog { since: Some(now), lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES
    }
}
