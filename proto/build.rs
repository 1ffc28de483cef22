//! Compiles the wire contracts without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "proto/control.proto",
        "proto/work.proto",
        "proto/inference.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    // The operator hands the same items to thousands of streams.
    tonic_prost_build::configure()
        .bytes(".aios.control.v1.Item.body")
        .compile_fds(descriptors)?;
    Ok(())
}
