//! The first message on every link: who speaks, and whether both sides were built together.

use serde::{Deserialize, Serialize};

use crate::channel::Message;

/// Version of the messages between the processes. Changed when one of them changes its form.
pub const PROTOCOL: u32 = 1;

/// The build: messages are numbered by the order of their variants, so only binaries of one build
/// understand each other.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// The four processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// `rustbgpd`.
    Parent,
    /// `rustbgpd-session`.
    Session,
    /// `rustbgpd-rde`.
    Rde,
    /// `rustbgpd-control`.
    Control,
}

impl Role {
    /// As logs and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Parent => "parent",
            Role::Session => "session",
            Role::Rde => "rde",
            Role::Control => "control",
        }
    }
}

/// The first message on every link, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// [`BUILD`].
    pub build: String,
    /// Who speaks.
    pub role: Role,
}

impl Message for Hello {}
