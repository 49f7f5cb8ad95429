//! What an engine does first: drop privileges, lock down, set up its log.
//!
//! Runs in session, rde and control before any thread or runtime exists. The parent uses
//! [`init_logging`] only.

mod enter;
mod filters;
mod log;
mod seccomp;
mod start;

pub use enter::{SandboxError, enter, give_memory_back};
pub use log::{LogError, LogFormat, init_logging};
pub use start::{ENV_CHROOT, ENV_GID, ENV_LOG, ENV_UID, PARENT_FD};
