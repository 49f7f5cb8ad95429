//! BGP sessions: streams, timers, framing.

fn main() {}
