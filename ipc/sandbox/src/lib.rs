//! What an engine does first: drop privileges, lock down, set up its log.
//!
//! Runs in session, rde and control before any thread or runtime exists. The parent uses [`init_logging`] and
//! [`enter_parent`] only.

mod enter;
mod filters;
mod landlock;
mod limits;
mod log;
mod parent;
mod report;
mod seccomp;
mod start;

pub use enter::{SandboxError, enter, give_memory_back};
pub use log::{LogError, LogFormat, init_logging};
pub use parent::enter_parent;
pub use report::report;
pub use start::{ENV_CHROOT, ENV_GID, ENV_LOG, ENV_MEMORY, ENV_UID, PARENT_FD};
