//! Long-lived graceful restart (RFC 9494 §4.2): the clocks of families whose routes are kept beyond a restart.

use bgp::{Family, FamilySet};
use ipc::session_rde;

/// Of one peer, by family number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LongLived {
    /// How long routes are kept as long-lived stale, in milliseconds; 0: not at all.
    times: [u64; 4],
    /// When they go, in milliseconds of the engine's clock; `None`: they are none.
    until: [Option<u64>; 4],
}

impl LongLived {
    /// A session ends whose peer said this. What is long-lived already goes when it was to go: its clock is not set
    /// anew before the peer has sent its routes.
    pub(crate) fn begin(said: Option<session_rde::LongLived>, before: Option<LongLived>) -> LongLived {
        LongLived {
            times: said.map_or([0; 4], |l| l.stale_times.map(|seconds| 1000 * u64::from(seconds))),
            until: before.map_or([None; 4], |b| b.until),
        }
    }

    /// Families with long-lived stale routes.
    pub(crate) fn families(&self) -> FamilySet {
        Family::ALL.into_iter().filter(|f| self.until[*f as usize].is_some()).collect()
    }

    /// Whether the routes of a family are kept beyond a restart.
    pub(crate) fn keeps(&self, family: Family) -> bool {
        self.times[family as usize] > 0
    }

    /// A family's routes are long-lived stale from now on, if they were not before.
    pub(crate) fn enter(&mut self, family: Family, now: u64) {
        let time = self.times[family as usize];
        self.until[family as usize].get_or_insert(now.saturating_add(time));
    }

    /// A family is over; whether it had long-lived stale routes.
    pub(crate) fn end(&mut self, family: Family) -> bool {
        self.until[family as usize].take().is_some()
    }

    /// The families whose time is over end; returns them.
    pub(crate) fn expire(&mut self, now: u64) -> FamilySet {
        let over = |f: &Family| self.until[*f as usize].is_some_and(|until| until <= now);
        let expired: FamilySet = Family::ALL.into_iter().filter(over).collect();
        for family in expired.iter() {
            self.until[family as usize] = None;
        }
        expired
    }

    /// When the next of them is over.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.until.into_iter().flatten().min()
    }
}
