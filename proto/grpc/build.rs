//! Compiles rustbgpd.proto without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=rustbgpd.proto");
    let descriptors = protox::compile(["rustbgpd.proto"], ["."])?;
    tonic_prost_build::configure().generate_default_stubs(true).compile_fds(descriptors)?;
    Ok(())
}
