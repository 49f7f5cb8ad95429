//! The parent's own sandbox (privileged process): entered once its sockets are open, before it starts an engine. Engines
//! inherit all of it, and take away more.

use std::io;
use std::path::{Path, PathBuf};

use ipc::report::{Protection, Sandbox};
use nix::sys::prctl;
use nix::unistd::getuid;

use crate::enter::SandboxError;
use crate::{landlock, limits, seccomp};

/// Takes away what the parent does not need any more, after its capabilities: writing elsewhere than in the folders
/// `writes`, starting other programs than those in `programs`, signals to strangers, and system calls that neither it nor
/// an engine makes. Says which protections hold. Must run while there is one thread.
///
/// # Errors
/// Where a step fails. A kernel without Landlock is no error.
pub fn enter_parent(writes: &[PathBuf], programs: &Path) -> Result<Sandbox, SandboxError> {
    let step = |step, error: io::Error| SandboxError::Step { step, error };
    limits::no_core().map_err(|e| step("limits", e.into()))?;
    prctl::set_no_new_privs().map_err(|e| step("no_new_privs", e.into()))?;
    // It holds keys: no core dump, no ptrace by its own user.
    prctl::set_dumpable(false).map_err(|e| step("not dumpable", e.into()))?;
    let landlock = landlock::parent(writes, programs).map_err(|e| step("landlock", e))?;
    seccomp::install_parent()?;
    let sandbox = Sandbox::default()
        .with(Protection::Account, !getuid().is_root())
        .with(Protection::Capabilities, true)
        .with(Protection::NoNewPrivs, true)
        .with(Protection::NotDumpable, true)
        .with(Protection::Seccomp, true)
        .with(Protection::LandlockFiles, landlock.files)
        .with(Protection::LandlockSignals, landlock.signals)
        .with(Protection::Limits, true);
    tracing::info!(
        engine = "parent",
        on = sandbox.names(true),
        off = sandbox.names(false),
        "sandbox entered"
    );
    Ok(sandbox)
}
