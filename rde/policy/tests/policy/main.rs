//! What policies decide and change, seen from outside of the library.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test may fail loudly")]

mod aspath;
mod chains;
mod changes;
mod differential;
mod explanations;
mod matches;
mod operators_tests;
mod reference;
mod sets;
mod talk;
