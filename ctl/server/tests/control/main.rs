//! rustbgpd-control as its clients see it: the real binary, with the other processes played.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

mod access;
mod doors;
mod dynamic;
mod edits;
mod files;
mod injection;
mod lifecycle;
mod metrics;
mod neighbors;
mod objects;
mod rib;
mod watch;
