//! gRPC services, metrics.

fn main() {}
