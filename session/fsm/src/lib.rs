//! Sessions of one BGP peer as data in, data out: the state machine of RFC 4271 §8 without I/O, clock or
//! randomness of its own.
//!
//! [`Peer`] is the arbiter: it decides when to connect, which of two connections survives (RFC 4271 §6.8,
//! RFC 6286 §2.3) and how long to wait after a failure. Each of its at most two TCP connections has
//! its own state, timers and negotiated values (`connection`). What two OPENs agree on is computed by
//! [`negotiate`].
//!
//! ```text
//!   Idle --start--> Connect --TCP up--> OpenSent --OPEN--> OpenConfirm --KEEPALIVE--> Established
//!                   |     ^
//!             failed|     |retry           any error: NOTIFICATION, then Idle (backing off) or Active
//!                   v     |
//!                   Active --accepted--> OpenSent
//! ```
//!
//! Invariants, all checked by property tests: no input makes it panic; a peer has at most one Established
//! connection; Established is never left without [`Output::End`] saying so; a connection that is ended gets at
//! most one NOTIFICATION.

mod connection;
mod input;
mod jitter;
mod limit;
pub mod negotiate;
mod peer;
mod reason;
mod restart;
mod settings;

pub use input::{ConnId, Input, Outgoing, Output};
pub use limit::{Direction, Exceeded, PrefixLimits};
pub use negotiate::Session;
pub use peer::{Peer, State};
pub use reason::Reason;
pub use restart::{LongLived, Restart};
pub use settings::{AddPath, HoldTime, Kind, SendHold, Settings};
