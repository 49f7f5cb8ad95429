//! Figures of the processes themselves: what the system says of them, and what went over their channels.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::hello::Role;
use crate::report::Sandbox;

/// What the parent knows of a process of the daemon, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Which.
    pub role: Role,
    /// Its process identifier.
    pub pid: u32,
    /// When it was started, in seconds since 1970.
    pub started: u64,
    /// How often it was started again since the daemon began.
    pub restarts: u64,
    /// What the system says of it; `None` where it says nothing.
    pub usage: Option<Usage>,
    /// Messages of the parent that wait to be sent to it.
    pub queued: u32,
    /// Which protections hold; `None` where it has not said yet.
    pub sandbox: Option<Sandbox>,
}

/// What the parent knows of dynamic peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DynamicPeers {
    /// How many there are.
    pub present: u32,
    /// How many there may be.
    pub limit: u32,
    /// Connections that were refused since there were as many, since the daemon began.
    pub refused: u64,
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time of all its threads, in milliseconds.
    pub cpu_ms: u64,
    /// Memory that it occupies, in octets.
    pub resident: u64,
    /// Its threads.
    pub threads: u32,
}

/// What went over all channels of this process with another one, since this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The other process.
    pub with: Role,
    /// What was sent to it.
    pub sent: Amount,
    /// What was received from it.
    pub received: Amount,
}

/// So much went one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Datagrams.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
}

const ROLES: [Role; 4] = [Role::Parent, Role::Session, Role::Rde, Role::Control];

#[derive(Debug)]
struct Counter {
    messages: AtomicU64,
    octets: AtomicU64,
}

impl Counter {
    const fn new() -> Counter {
        Counter { messages: AtomicU64::new(0), octets: AtomicU64::new(0) }
    }

    fn add(&self, octets: usize) {
        // Nobody orders anything by these figures.
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.octets.fetch_add(octets as u64, Ordering::Relaxed);
    }

    fn amount(&self) -> Amount {
        Amount {
            messages: self.messages.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
        }
    }
}

static SENT: [Counter; 4] = [const { Counter::new() }; 4];
static RECEIVED: [Counter; 4] = [const { Counter::new() }; 4];

fn place(with: Role) -> usize {
    match with {
        Role::Parent => 0,
        Role::Session => 1,
        Role::Rde => 2,
        Role::Control => 3,
    }
}

/// A datagram was sent to `with`.
pub(crate) fn sent(with: Role, octets: usize) {
    if let Some(counter) = SENT.get(place(with)) {
        counter.add(octets);
    }
}

/// A datagram was received from `with`.
pub(crate) fn received(with: Role, octets: usize) {
    if let Some(counter) = RECEIVED.get(place(with)) {
        counter.add(octets);
    }
}

/// What went over the channels of this process, by the process at the other end; those without any are left out.
pub fn traffic() -> Vec<Traffic> {
    let both = ROLES.into_iter().zip(SENT.iter().zip(&RECEIVED));
    both.map(|(with, (sent, received))| Traffic { with, sent: sent.amount(), received: received.amount() })
        .filter(|t| t.sent != Amount::default() || t.received != Amount::default())
        .collect()
}
