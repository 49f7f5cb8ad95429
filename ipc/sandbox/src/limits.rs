//! Limits of resources (setrlimit(2)): no core dump, as many fds as the role needs, and memory where the operator says so.

use ipc::Role;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Fds of an engine without connections: its channels, those under way to it, its event loop.
const FDS_WITHOUT_CONNECTIONS: u64 = 256;

/// Clients of the API and of metrics, with room to spare: their number has its own bounds.
const FDS_OF_CONTROL: u64 = 4096;

/// Sets the limits of `role`, of which there is no way back.
pub(crate) fn set(role: Role, memory: Option<u64>) -> Result<(), Errno> {
    no_core()?;
    let most = match role {
        Role::Rde => FDS_WITHOUT_CONNECTIONS,
        Role::Control => FDS_OF_CONTROL,
        // As many as the system lets us have: a session is one.
        Role::Session | Role::Parent => u64::MAX,
    };
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let fds = most.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, fds, fds)?;
    if let Some(octets) = memory {
        // What is the process's own and can be written to: its heap, its stacks. Code and shared pages do not count.
        let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
        let octets = octets.min(hard);
        setrlimit(Resource::RLIMIT_DATA, octets, octets)?;
    }
    Ok(())
}

/// Secrets do not get into files this way, whatever the system does with core dumps.
pub(crate) fn no_core() -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}
