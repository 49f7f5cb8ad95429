//! The order of dropping (session, rde, control; runs with the parent's privileges until it is done).
//!
//! Each step takes away what a later one does not need any more; `credentials(7)`, `capabilities(7)` and
//! `prctl(2)` say which depends on which.
#![expect(unsafe_code, reason = "fds by number and signal dispositions have no safe interface")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use caps::CapSet;
use ipc::Role;
use ipc::report::{Protection, Sandbox};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::unistd::{chdir, chroot, getppid, getuid, setgroups, setresgid, setresuid};

use crate::log::{LogError, init_logging};
use crate::start::{Drop, ENV_LOG, PARENT_FD, Start};
use crate::{landlock, limits, report, seccomp};

/// Why the process must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Started by hand.
    #[error(
        "this program is a part of rustbgpd and is started by it ({ENV_LOG} or fd {PARENT_FD} is missing)"
    )]
    NotByParent,
    /// A variable of the start contract makes no sense.
    #[error("environment variable {name} makes no sense: {value:?}")]
    Environment {
        /// Which.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// User, group and root directory come together or not at all.
    #[error("root mode needs a user id, a group id and a root directory")]
    HalfRootMode,
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A step of dropping failed.
    #[error("{step}: {error}")]
    Step {
        /// Which.
        step: &'static str,
        /// How.
        error: io::Error,
    },
    /// The parent died meanwhile.
    #[error("the parent is gone")]
    Orphan,
    /// Something is left that should have been dropped.
    #[error("{0} not dropped")]
    Kept(&'static str),
}

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, SandboxError>;
}

impl<T> Step<T> for Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T, SandboxError> {
        self.map_err(|e| SandboxError::Step { step, error: e.into() })
    }
}

impl<T> Step<T> for Result<T, caps::errors::CapsError> {
    fn step(self, step: &'static str) -> Result<T, SandboxError> {
        self.map_err(|e| SandboxError::Step { step, error: io::Error::other(e.to_string()) })
    }
}

/// Sets up the log, drops everything that `role` does not need, locks the rest away, and gives back the
/// engine's end of the channel to the parent. Must run first in `main`, before there is a thread.
///
/// Afterwards the process dies with its parent, ignores SIGHUP, SIGINT and SIGTERM (the parent ends it),
/// has no fd but 0 to 3 and one for its figures, and is killed by a system call that its filter does not allow. It has one thread;
/// only rde can start others, and nobody a process.
///
/// # Errors
/// Where any step fails; the process must exit then.
pub fn enter(role: Role) -> Result<OwnedFd, SandboxError> {
    let start = Start::from_environment()?;
    let parent = take_parent_fd()?;
    init_logging(start.format, &start.level)?;
    let stat = report::open_stat();
    match &start.drop {
        Some(drop) => become_nobody(drop)?,
        None => clear_capabilities()?,
    }
    prctl::set_no_new_privs().step("no_new_privs")?;
    prctl::set_dumpable(false).step("not dumpable")?;
    die_with_parent(&parent)?;
    ignore_signals()?;
    let stat = keep_one(stat)?;
    limits::set(role, start.memory).step("limits")?;
    one_heap();
    if role == Role::Control {
        give_way();
    }
    let landlock = landlock::nothing().map_err(|error| SandboxError::Step { step: "landlock", error })?;
    let sandbox = Sandbox::default()
        .with(Protection::Account, !getuid().is_root())
        .with(
            Protection::Capabilities,
            caps::read(None, CapSet::Bounding).step("read capabilities")?.is_empty(),
        )
        .with(Protection::EmptyRoot, start.drop.is_some())
        .with(Protection::NoNewPrivs, prctl::get_no_new_privs().step("no_new_privs")?)
        .with(Protection::NotDumpable, !prctl::get_dumpable().step("not dumpable")?)
        .with(Protection::LandlockFiles, landlock.files)
        .with(Protection::LandlockNetwork, landlock.network)
        .with(Protection::LandlockSignals, landlock.signals)
        .with(Protection::Limits, true)
        .with(Protection::MemoryLimit, start.memory.is_some());
    seccomp::install(role)?;
    let sandbox = sandbox.with(Protection::Seccomp, true);
    tracing::info!(
        engine = role.name(),
        on = sandbox.names(true),
        off = sandbox.names(false),
        "sandbox entered"
    );
    report::keep(sandbox, stat);
    Ok(parent)
}

/// Who lists a table of a million routes must not take the processor from those who route: the scheduler lets
/// session and rde go first where they are ready to run.
fn give_way() {
    const LATER: libc::c_int = 10;
    // SAFETY: changes a number of this process. To become less important is never refused.
    unsafe { libc::nice(LATER) };
}

/// All threads share one heap. The C library gives threads heaps of their own, and before it makes one of those
/// smaller it reads a file of /proc, which no engine may open.
fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: an option of the allocator, set while there is one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory back to the system that the allocator keeps though nothing is in it. Takes milliseconds where there
/// is much of it.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own lock, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn take_parent_fd() -> Result<OwnedFd, SandboxError> {
    // SAFETY: fcntl(F_GETFD) with any number is harmless, and tells whether the fd is open.
    if unsafe { libc::fcntl(PARENT_FD, libc::F_GETFD) } == -1 {
        return Err(SandboxError::NotByParent);
    }
    // SAFETY: the fd is open, the start contract gives it to this function alone, and nothing else in this
    // process has touched it, since this runs first.
    let fd = unsafe { OwnedFd::from_raw_fd(PARENT_FD) };
    match getsockopt(&fd, sockopt::SockType) {
        Ok(SockType::SeqPacket) => {}
        _ => {
            // Started with a stranger's fd 3: not ours to close.
            std::mem::forget(fd);
            return Err(SandboxError::NotByParent);
        }
    }
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).step("close-on-exec")?;
    Ok(fd)
}

/// Root mode: empty root directory, service account, no capability in any set.
fn become_nobody(to: &Drop) -> Result<(), SandboxError> {
    caps::clear(None, CapSet::Ambient).step("clear the ambient set")?;
    caps::clear(None, CapSet::Bounding).step("clear the bounding set")?;
    chroot(&to.root).step("chroot")?;
    chdir("/").step("chdir into the new root")?;
    setgroups(&[]).step("setgroups")?;
    setresgid(to.gid, to.gid, to.gid).step("setresgid")?;
    setresuid(to.uid, to.uid, to.uid).step("setresuid")?;
    clear_capabilities()?;
    if setresuid(0.into(), 0.into(), 0.into()).is_ok() {
        return Err(SandboxError::Kept("root"));
    }
    Ok(())
}

/// The sets that a process may clear without any privilege.
fn clear_capabilities() -> Result<(), SandboxError> {
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).step("clear capabilities")?;
        if !caps::read(None, set).step("read capabilities")?.is_empty() {
            return Err(SandboxError::Kept("capabilities"));
        }
    }
    Ok(())
}

/// Asks for SIGKILL when the parent dies. Comes after the change of user, which takes it back.
fn die_with_parent(parent: &OwnedFd) -> Result<(), SandboxError> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("die with the parent")?;
    // Whoever made the socket pair is the parent; with another one now, it died before the line above.
    let made_by = getsockopt(&parent.as_fd(), sockopt::PeerCredentials).step("credentials of the parent")?;
    if made_by.pid() == getppid().as_raw() { Ok(()) } else { Err(SandboxError::Orphan) }
}

/// A Ctrl-C in the terminal or a `systemctl stop` reaches every process of the group; the order of ending
/// is the parent's.
fn ignore_signals() -> Result<(), SandboxError> {
    for s in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { signal(s, SigHandler::SigIgn) }.step("ignore signals")?;
    }
    Ok(())
}

/// Closes all fds but those of the start contract, and this one, which becomes the next.
fn keep_one(file: Option<File>) -> Result<Option<File>, SandboxError> {
    const KEPT: i32 = PARENT_FD + 1;
    let Some(file) = file else {
        close_all_from(KEPT)?;
        return Ok(None);
    };
    let kept = if file.as_raw_fd() == KEPT {
        file
    } else {
        // SAFETY: whatever has this number was inherited, and is nobody's.
        let fd = unsafe { libc::dup3(file.as_raw_fd(), KEPT, libc::O_CLOEXEC) };
        Errno::result(fd).step("keep an fd")?;
        drop(file);
        // SAFETY: made by the line above, for us alone.
        unsafe { File::from_raw_fd(KEPT) }
    };
    close_all_from(KEPT + 1)?;
    Ok(Some(kept))
}

fn close_all_from(first: i32) -> Result<(), SandboxError> {
    let first = libc::c_uint::try_from(first).unwrap_or(libc::c_uint::MAX);
    // SAFETY: nothing in this process owns an fd from `first` on: it has only just started, and whatever
    // was inherited is nobody's.
    let closed = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    Errno::result(closed).map(drop).step("close fds")
}
