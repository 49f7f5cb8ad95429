//! How often something may happen: tokens for connections, and lines of log about what others cause.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A steady rate with room for a burst (the generic cell rate algorithm: one time stands for the bucket).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again.
    full: Option<Instant>,
}

impl Rate {
    /// One event every `interval` in the long run, and `burst` of them at once.
    pub(crate) const fn new(interval: Duration, burst: u32) -> Rate {
        Rate { interval, burst, full: None }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// With the time until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full = self.full.map_or(now, |at| at.max(now)) + self.interval;
        let wait = (full - now).saturating_sub(self.interval * self.burst);
        if wait.is_zero() {
            self.full = Some(full);
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// Whether all of the burst is there again.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full.is_none_or(|at| at <= now)
    }
}

/// Lines of log about something that addresses elsewhere cause: each address once and at most [`LogLimit::LINES`]
/// of them in each [`LogLimit::WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct LogLimit(RefCell<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    told: Vec<IpAddr>,
    left_out: u64,
}

impl LogLimit {
    const WINDOW: Duration = Duration::from_secs(10);
    const LINES: usize = 5;

    /// How many lines were left out before this one, or `None` where this one is left out as well.
    pub(crate) fn admit(&self, now: Instant, address: IpAddr) -> Option<u64> {
        let window = &mut *self.0.borrow_mut();
        if window.began.is_none_or(|began| now.saturating_duration_since(began) >= Self::WINDOW) {
            window.began = Some(now);
            window.told.clear();
        }
        if window.told.len() >= Self::LINES || window.told.contains(&address) {
            window.left_out += 1;
            return None;
        }
        window.told.push(address);
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_its_burst_and_then_one_event_in_each_interval() {
        let second = Duration::from_secs(1);
        let mut rate = Rate::new(second, 10);
        let start = Instant::now();
        let taken = |rate: &mut Rate, now| (0..1000).filter(|_| rate.take(now).is_ok()).count();
        assert_eq!(taken(&mut rate, start), 10);
        assert_eq!(rate.take(start), Err(second));
        assert_eq!(rate.take(start + second / 4), Err(second * 3 / 4));
        assert_eq!(taken(&mut rate, start + second), 1);
        assert_eq!(taken(&mut rate, start + 4 * second), 3);
        // Having waited longer gives no more than the burst.
        assert_eq!(taken(&mut rate, start + 1000 * second), 10);
    }

    #[test]
    fn a_flood_logs_a_few_lines_counts_the_rest_and_hides_no_other_address() {
        let limit = LogLimit::default();
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let start = Instant::now();
        assert_eq!((0..1000).filter(|_| limit.admit(start, address(1)).is_some()).count(), 1);
        assert_eq!(limit.admit(start, address(2)), Some(999));
        assert_eq!((3..200).filter(|n| limit.admit(start, address(*n)).is_some()).count(), 3);
        assert_eq!(limit.admit(start + LogLimit::WINDOW, address(1)), Some(194));
        assert_eq!(limit.admit(start + LogLimit::WINDOW, address(2)), Some(0));
    }
}
