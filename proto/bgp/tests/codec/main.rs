//! The codec seen from outside: the errors that the RFCs name, properties, and other decoders on real
//! data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod canonical;
mod errors;
mod messages;
mod mrt;
mod open;
mod oracles;
mod properties;
mod rfc7606;
mod strategies;
mod support;
