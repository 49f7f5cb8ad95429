//! Prefix limits, as far as a session's life depends on them: how it ends when one is exceeded (RFC 4486 §4), and
//! how long the peer stays down then. Who counts prefixes is elsewhere.

use std::time::{Duration, Instant};

use bgp::Family;
use bgp::notification::{Notification, cease};

/// Whose prefixes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Those that the peer announces.
    Received,
    /// Those that the peer is announced.
    Advertised,
}

/// The limits of a peer that end its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixLimits {
    /// Most prefixes that the peer may announce.
    pub received: Option<u32>,
    /// Most prefixes that it is announced.
    pub advertised: Option<u32>,
    /// When the peer may try again; `None`: when the operator says so.
    pub restart: Option<Duration>,
}

impl PrefixLimits {
    fn of(&self, direction: Direction) -> Option<u32> {
        match direction {
            Direction::Received => self.received,
            Direction::Advertised => self.advertised,
        }
    }

    /// Whether more is allowed than what was exceeded.
    pub(crate) fn allow_more_than(&self, exceeded: &Exceeded) -> bool {
        self.of(exceeded.direction).is_none_or(|limit| limit > exceeded.limit)
    }

    /// Whether there is a limit in `new` where there was none: prefixes are counted from the beginning of a
    /// session on.
    pub(crate) fn begin_in(&self, new: &PrefixLimits) -> bool {
        let begins = |d| self.of(d).is_none() && new.of(d).is_some();
        begins(Direction::Received) || begins(Direction::Advertised)
    }
}

/// A limit that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose prefixes they were.
    pub direction: Direction,
    /// The family of those that were too many.
    pub family: Family,
    /// The limit, of all families together.
    pub limit: u32,
}

impl Exceeded {
    /// What the peer is told: Cease, Maximum Number of Prefixes Reached, with address family, subsequent address
    /// family and upper bound (RFC 4486 §4).
    pub(crate) fn notification(&self) -> Notification {
        let mut notification = Notification::cease(cease::MAXIMUM_PREFIXES);
        notification.data.extend_from_slice(&self.family.afi().0.to_be_bytes());
        notification.data.push(self.family.safi().0);
        notification.data.extend_from_slice(&self.limit.to_be_bytes());
        notification
    }

    /// What the operator is told.
    pub(crate) fn detail(&self, then: &str) -> String {
        let Exceeded { direction, family, limit } = self;
        match direction {
            Direction::Received => {
                format!("the peer announced more than {limit} prefixes, the last ones of {family}; {then}")
            }
            Direction::Advertised => {
                format!(
                    "more than {limit} prefixes were to be announced to the peer, most of {family}; {then}"
                )
            }
        }
    }
}

/// A peer that stays down because it exceeded a limit.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) exceeded: Exceeded,
    /// When it ends by itself.
    pub(crate) until: Option<Instant>,
}
