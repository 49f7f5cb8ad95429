//! The first process of a host: holds the namespaces open, reaps orphans, ends when its owner does.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use nix::sys::wait::wait;

const REAP_EVERY: Duration = Duration::from_millis(100);

/// What the owner waits for before it uses the host.
pub(crate) const READY: &str = "up";

/// Runs until standard input closes, which the owner of the lab holds open. As the first process of a pid
/// namespace it takes everything else in it along when it ends.
///
/// # Errors
/// When standard output or input cannot be used.
pub fn run_init() -> std::io::Result<()> {
    thread::spawn(|| {
        loop {
            if wait().is_err() {
                thread::sleep(REAP_EVERY);
            }
        }
    });
    let mut out = std::io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    let mut byte = [0];
    while std::io::stdin().read(&mut byte)? > 0 {}
    Ok(())
}
