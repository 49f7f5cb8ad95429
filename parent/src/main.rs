//! The privileged parent: configuration, sockets, life of the engines.

fn main() {}
