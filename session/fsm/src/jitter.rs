//! Random numbers for timers (RFC 4271 §10), from a seed that the caller passes in: the same seed, the
//! same run.

use std::time::Duration;

/// A generator of jitter (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Three quarters of `d` to all of it (RFC 4271 §10).
    pub(crate) fn shorten(&mut self, d: Duration) -> Duration {
        let part = u32::try_from(self.next() & 0xffff).unwrap_or(0);
        d * 3 / 4 + d / 4 * part / 0xffff
    }
}
