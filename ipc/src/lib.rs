//! What the processes say to each other: a message enum for each direction of each pair, and the
//! channel that carries them.
//!
//! The other side of a channel is not trusted more than the network is: a message that does not decode,
//! names something unknown or comes in the wrong state is an error of its sender, reported with its
//! name, and never harms the receiver.

mod buffers;
pub mod channel;
pub mod config;
pub mod control_rde;
pub mod control_session;
pub mod edit;
pub mod errors;
pub mod explain;
pub mod figures;
pub mod file;
pub mod hello;
pub mod ids;
pub mod object;
pub mod parent_control;
pub mod parent_rde;
pub mod parent_session;
pub mod report;
pub mod session_rde;
pub mod sockopt;

pub use channel::{Link, LinkError, Message, Received};
pub use hello::{Hello, Role};
pub use ids::{Attempt, Epoch, Generation, GroupId, PeerId, QueryId, RangeId};
