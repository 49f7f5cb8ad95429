//! What this process uses, and which protections hold: told to the parent, logged, shown by the API.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use ipc::report::{Report, Sandbox, Units};

static SANDBOX: OnceLock<Sandbox> = OnceLock::new();

/// `/proc/self/stat`, opened while there was a `/proc`. Nobody else may read it where the system hides processes from each
/// other.
static STAT: OnceLock<File> = OnceLock::new();

/// The file of this process's figures, before it is out of reach. Without `/proc` there are none.
pub(crate) fn open_stat() -> Option<File> {
    File::open("/proc/self/stat").ok()
}

/// What [`report`] is made of from now on.
pub(crate) fn keep(sandbox: Sandbox, stat: Option<File>) {
    // Entering happens once.
    let _ = SANDBOX.set(sandbox);
    if let Some(stat) = stat {
        let _ = STAT.set(stat);
    }
}

/// What an engine tells the parent of itself.
pub fn report() -> Report {
    let usage = STAT.get().and_then(|stat| {
        // A line of numbers: at most 52 of 20 digits, and a short name.
        let mut line = [0; 1200];
        let len = stat.read_at(&mut line, 0).ok()?;
        Units::of_system().parse(std::str::from_utf8(line.get(..len)?).ok()?)
    });
    Report { usage, sandbox: SANDBOX.get().copied().unwrap_or_default() }
}
