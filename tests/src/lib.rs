//! The lab: real BGP daemons in network namespaces, and what the end-to-end tests need to use them.
//!
//! A [`Lab`] is a set of [`Host`]s. A host is a set of namespaces (network, pid, mount, uts, ipc) that a tiny
//! init holds open. All that runs in a host dies with that init, and the init dies with the process that owns
//! the lab, because it reads from a pipe of it: nothing is left behind, not even after SIGKILL of a test.
//! Hosts have no name outside the process and keep their files in a tmpfs of their own, so that any number of
//! labs can run side by side. No packet leaves the namespaces.
//!
//! The peers are [`peers::Frr`], [`peers::Bird`], [`peers::OpenBgpd`] and [`peers::GoBgp`], behind the trait
//! [`peers::Peer`]; [`Rustbgpd`] is the daemon under test; [`Speaker`] is a BGP speaker that says exactly
//! what a test tells it to say.
//!
//! The lab needs root and the Debian packages that `tests/install-deps.sh` names. What is missing is an error,
//! never a test that passes unseen.

mod error;
pub mod full_table;
mod host;
mod init;
mod link;
mod machine;
pub mod mrt;
mod pairs;
pub mod peers;
mod process;
mod rustbgpd;
mod seen;
mod speaker;
mod terminal;
mod topology;
mod wait;

pub use error::{Error, Result};
pub use host::Host;
pub use init::run_init;
pub use link::Link;
pub use pairs::Pairs;
pub use process::{Proc, children_of, is_running};
pub use rustbgpd::{Neighbor, Rustbgpd, State, api_address, binary, engine_threads};
pub use seen::{Origin, Reflection, Route, Seen};
pub use speaker::{Message, Speaker};
pub use terminal::Terminal;
pub use topology::Lab;
pub use wait::{wait, wait_for};
