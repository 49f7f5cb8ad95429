//! Prefix limits of peers (RFC 4486 §4): how many prefixes each exchanges, and what follows when there are too many.
//!
//! What a peer announces is counted when a batch of changes is in all shards, so that the figure is exact whatever
//! their number: a prefix that replaces another one in the same UPDATE never makes it one too many. What is
//! announced to it changes while its group is being told, a withdrawal perhaps behind an announcement; a small
//! excess must last for a moment to count.

use std::time::Instant;

use bgp::Family;
use ipc::config::{OverLimit, PrefixLimits};
use ipc::session_rde::{Direction, RdeToSession, Source};
use rib::PeerIdx;

use crate::engine::Engine;

/// An excess of announced prefixes that counts at once.
const LARGE: u64 = 1024;

/// How long a smaller one must last, in milliseconds.
const LASTING: u64 = 200;

/// The prefixes of a session.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    limits: PrefixLimits,
    /// Announced by the peer, by family number.
    received: [i64; 4],
    /// It has exceeded the limit, and was not below it again since.
    over_received: bool,
    /// Announced to the peer by each shard, by family number.
    advertised: Vec<[u64; 4]>,
    over_advertised: Excess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Excess {
    #[default]
    None,
    /// Since then, in milliseconds.
    Since(u64),
    /// It was told.
    Told,
}

/// A limit that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    direction: Direction,
    family: Family,
    limit: u32,
    prefixes: u64,
}

impl Watch {
    /// A session begins.
    pub(crate) fn begin(limits: PrefixLimits) -> Watch {
        Watch { limits, ..Watch::default() }
    }

    /// The peer has announced so many prefixes more.
    fn received(&mut self, more: [i64; 4]) -> Option<TooMany> {
        self.received.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        // Those of the family that grew most were too many.
        let family = Family::ALL.into_iter().max_by_key(|f| more.get(*f as usize).copied());
        self.check_received(family)
    }

    fn check_received(&mut self, family: Option<Family>) -> Option<TooMany> {
        let limit = self.limits.received?;
        let prefixes = u64::try_from(self.received.iter().sum::<i64>()).unwrap_or(0);
        let over = prefixes > u64::from(limit);
        let before = std::mem::replace(&mut self.over_received, over);
        let direction = Direction::Received;
        (over && !before).then_some(TooMany { direction, family: family?, limit, prefixes })
    }

    /// A shard announces so many routes of a family to the peer.
    fn advertised(&mut self, shard: usize, family: Family, routes: u64, now: u64) -> Option<TooMany> {
        if self.advertised.len() <= shard {
            self.advertised.resize(shard + 1, [0; 4]);
        }
        if let Some(place) = self.advertised.get_mut(shard).and_then(|s| s.get_mut(family as usize)) {
            *place = routes;
        }
        self.check_advertised(now)
    }

    fn check_advertised(&mut self, now: u64) -> Option<TooMany> {
        let limit = self.limits.advertised?;
        let of = |f: Family| -> u64 { self.advertised.iter().filter_map(|s| s.get(f as usize)).sum() };
        let prefixes: u64 = Family::ALL.into_iter().map(of).sum();
        let family = Family::ALL.into_iter().max_by_key(|f| of(*f))?;
        let excess = prefixes.saturating_sub(limit.into());
        self.over_advertised = match self.over_advertised {
            _ if excess == 0 => Excess::None,
            Excess::Told => return None,
            Excess::None if excess < LARGE => Excess::Since(now),
            Excess::Since(t) if excess < LARGE && now.saturating_sub(t) < LASTING => Excess::Since(t),
            Excess::None | Excess::Since(_) => Excess::Told,
        };
        let told = self.over_advertised == Excess::Told;
        told.then_some(TooMany { direction: Direction::Advertised, family, limit, prefixes })
    }
}

impl Engine {
    /// A batch that is in has changed how many prefixes a peer announces.
    pub(crate) fn tallied(&mut self, idx: PeerIdx, more: [i64; 4]) {
        let Some(source) = self.egress.source(idx) else { return };
        let too_many = self.peers.get_mut(source.peer).and_then(|p| p.watch.received(more));
        self.exceeded(source, too_many);
    }

    /// A shard announces other numbers of routes to peers.
    pub(crate) fn advertised(&mut self, shard: usize, list: Vec<(PeerIdx, Family, u64)>) {
        let now = self.now();
        for (idx, family, routes) in list {
            let Some(source) = self.egress.source(idx) else { continue };
            let peer = self.peers.get_mut(source.peer);
            let too_many = peer.and_then(|p| p.watch.advertised(shard, family, routes, now));
            self.exceeded(source, too_many);
        }
    }

    /// Looks at excesses that had to last for a moment.
    pub(crate) fn check_advertised(&mut self) {
        let now = self.now();
        for source in self.peers.sources() {
            let too_many = self.peers.get_mut(source.peer).and_then(|p| p.watch.check_advertised(now));
            self.exceeded(source, too_many);
        }
    }

    /// Limits of the configuration that is now in force hold for sessions that are up; where there was none, the
    /// session begins anew.
    pub(crate) fn limits_changed(&mut self) {
        let now = self.now();
        for source in self.peers.sources() {
            let config = self.config.as_ref().and_then(|c| c.peers.get(&source.peer));
            let (Some(config), Some(peer)) = (config, self.peers.get_mut(source.peer)) else { continue };
            peer.watch.limits = config.prefix_limits;
            let family = config.families.iter().next();
            let too_many = [peer.watch.check_received(family), peer.watch.check_advertised(now)];
            too_many.into_iter().for_each(|t| self.exceeded(source, t));
        }
    }

    /// Says that a limit is exceeded, and ends the session where that is wanted.
    fn exceeded(&mut self, source: Source, too_many: Option<TooMany>) {
        let Some(TooMany { direction, family, limit, prefixes }) = too_many else { return };
        let span = self.span(source);
        let Some(peer) = self.peers.get_mut(source.peer) else { return };
        let action = peer.watch.limits.action;
        let name = match action {
            OverLimit::Shutdown => "shutdown",
            OverLimit::Restart { .. } => "restart",
            OverLimit::Warn => "warn",
        };
        if direction == Direction::Received {
            peer.stats.prefix_limit_exceeded += 1;
        }
        // Where the session goes on, the peer may be over the limit again and again.
        if action != OverLimit::Warn || peer.stats.may_log_limit(Instant::now()) {
            let _entered = span.entered();
            let family = family.name();
            match direction {
                Direction::Received => {
                    tracing::warn!(prefixes, limit, family, action = name, "max-prefix limit exceeded");
                }
                Direction::Advertised => {
                    tracing::warn!(prefixes, limit, family, action = name, "outbound prefix limit exceeded");
                }
            }
        }
        if action != OverLimit::Warn {
            // What the peer still sends is not looked at.
            peer.end_begins();
            self.session.push(RdeToSession::OverLimit { source, direction, family, limit }, Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(received: Option<u32>, advertised: Option<u32>) -> Watch {
        let limits = PrefixLimits { received, advertised, ..PrefixLimits::default() };
        Watch::begin(limits)
    }

    #[test]
    fn a_limit_is_exceeded_by_one_more_and_again_only_after_it_was_kept() {
        let mut w = watch(Some(10), None);
        assert_eq!(w.received([6, 4, 0, 0]), None);
        let too_many =
            |family, prefixes| Some(TooMany { direction: Direction::Received, family, limit: 10, prefixes });
        assert_eq!(w.received([-1, 2, 0, 0]), too_many(Family::Ipv6Unicast, 11));
        assert_eq!(w.received([5, 0, 0, 0]), None, "it was said");
        assert_eq!(w.received([-6, 0, 0, 0]), None);
        assert_eq!(w.received([1, 0, 0, 0]), too_many(Family::Ipv4Unicast, 11));
        assert_eq!(watch(None, None).received([1 << 40, 0, 0, 0]), None);
    }

    #[test]
    fn a_small_excess_of_announced_prefixes_must_last_and_a_large_one_not() {
        let (v4, v6) = (Family::Ipv4Unicast, Family::Ipv6Unicast);
        let mut w = watch(None, Some(10));
        assert_eq!(w.advertised(0, v4, 6, 0), None);
        assert_eq!(w.advertised(3, v6, 4, 0), None);
        // One more before one less.
        assert_eq!(w.advertised(1, v4, 1, 0), None);
        assert_eq!(w.advertised(0, v4, 5, 1), None);
        assert_eq!(w.check_advertised(LASTING + 1), None);
        assert_eq!(w.advertised(0, v4, 6, 1000), None);
        assert_eq!(w.check_advertised(1000 + LASTING - 1), None);
        let too_many =
            |prefixes| Some(TooMany { direction: Direction::Advertised, family: v4, limit: 10, prefixes });
        assert_eq!(w.check_advertised(1000 + LASTING), too_many(11));
        assert_eq!(w.check_advertised(5000), None, "it was said");
        let mut w = watch(None, Some(10));
        assert_eq!(w.advertised(0, v4, 10 + LARGE, 0), too_many(10 + LARGE));
    }
}
