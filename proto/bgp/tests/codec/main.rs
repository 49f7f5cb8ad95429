//! The codec seen from outside: the errors that the RFCs name, properties, and other decoders on real
//! data.

mod canonical;
mod errors;
mod mrt;
mod open;
mod oracles;
mod support;
