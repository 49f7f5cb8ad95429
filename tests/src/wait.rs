//! Waiting for a condition with a deadline, the only way in which tests wait.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

const POLL: Duration = Duration::from_millis(50);

/// Asks `probe` until it gives something, for `seconds` at most. An error of the probe counts as "not yet";
/// the last one is part of the message when time is up.
pub fn wait_for<T>(what: &str, seconds: u64, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let outcome = probe();
        match outcome {
            Ok(Some(found)) => return Ok(found),
            _ if Instant::now() < until => thread::sleep(POLL),
            Ok(None) => return Error::fail(format!("waited {seconds} s for: {what}")),
            Err(e) => return Error::fail(format!("waited {seconds} s for: {what} (last: {e})")),
        }
    }
}

/// Asks `probe` until it is true, for `seconds` at most; errors as for [`wait_for`].
pub fn wait(what: &str, seconds: u64, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_for(what, seconds, || Ok(probe()?.then_some(())))
}
