//! The route decision engine.

fn main() {}
