//! When to start a dead engine again, and when to give up. Pure: no clock, no process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Deaths further back do not count any more.
const WINDOW: Duration = Duration::from_secs(60);
/// With so many deaths in the window, the engine cannot be kept alive.
const MOST: usize = 5;
/// Wait after the first death; doubles with each further one in the window.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The recent deaths of one engine.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    deaths: VecDeque<Instant>,
}

/// What to do about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after this time.
    RestartAfter(Duration),
    /// It died too often.
    GiveUp,
}

impl Backoff {
    /// The engine has died at `now`.
    pub(crate) fn died(&mut self, now: Instant) -> Verdict {
        while self.deaths.front().is_some_and(|t| now.saturating_duration_since(*t) >= WINDOW) {
            self.deaths.pop_front();
        }
        let before = self.deaths.len();
        self.deaths.push_back(now);
        match u32::try_from(before) {
            Ok(n) if before + 1 < MOST => Verdict::RestartAfter(FIRST_WAIT * 2u32.pow(n)),
            _ => Verdict::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(every: Duration, deaths: u32) -> Vec<Verdict> {
        let (start, mut backoff) = (Instant::now(), Backoff::default());
        (0..deaths).map(|n| backoff.died(start + every * n)).collect()
    }

    #[test]
    fn the_fifth_death_within_a_minute_is_the_last() {
        let wait = |ms| Verdict::RestartAfter(Duration::from_millis(ms));
        let expected = [wait(100), wait(200), wait(400), wait(800), Verdict::GiveUp];
        assert_eq!(verdicts(Duration::from_secs(14), 5), expected);
    }

    #[test]
    fn an_engine_that_dies_now_and_then_is_always_started_again() {
        let often = verdicts(Duration::from_secs(15), 100);
        assert!(often.iter().all(|v| *v != Verdict::GiveUp));
        assert_eq!(often.last(), Some(&Verdict::RestartAfter(Duration::from_millis(800))));
        let rare = verdicts(Duration::from_secs(60), 100);
        assert!(rare.iter().all(|v| *v == Verdict::RestartAfter(Duration::from_millis(100))));
    }
}
