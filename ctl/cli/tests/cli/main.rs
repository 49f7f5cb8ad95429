//! rustbgpctl as its users see it: the real binary against a daemon that is only its API.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod change;
mod config;
mod document;
mod errors;
mod generated;
mod mrt;
mod objects;
mod output;
mod policies;
mod server;
mod terminal;
mod watch;
