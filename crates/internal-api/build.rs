//! Generates the messages and services of `proto/*.proto`. protox compiles them, so no protoc is needed.

use std::path::PathBuf;

const FILES: [&str; 4] = ["raft.proto", "formation.proto", "controller.proto", "metadata.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto_dir = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    for file in FILES {
        println!("cargo:rerun-if-changed={}", proto_dir.join(file).display());
    }
    let descriptors = protox::compile(FILES.map(|file| proto_dir.join(file)), [&proto_dir])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
