//! Compiles rustbgpd.proto without protoc.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

/// Messages whose fields are keys of the configuration file: control and `rustbgpctl` go through them by name.
const KEYS: [&str; 5] =
    ["PolicyDefinition", "PolicyStatement", "AsPathPrepend", "NeighborSetDefinition", "PeerGroupDefinition"];

/// Messages that `rustbgpctl -j` shows as they are.
const SHOWN: [&str; 5] =
    ["TestPoliciesResponse", "PolicyTest", "PolicyTestMismatch", "StatementCoverage", "MatchSetSize"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=rustbgpd.proto");
    let descriptors = protox::compile(["rustbgpd.proto"], ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut builder = tonic_prost_build::configure().generate_default_stubs(true);
    for name in KEYS {
        builder = builder.message_attribute(name, "#[derive(serde::Serialize, serde::Deserialize)]");
        builder = builder.message_attribute(name, "#[serde(default, deny_unknown_fields)]");
    }
    for name in SHOWN {
        builder = builder.message_attribute(name, "#[derive(serde::Serialize)]");
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}
