//! The operator's process.

use std::process::ExitCode;

use aios_operator::{Settings, run};
use clap::Parser;

/// Thousands of objects, most of them small strings, live for long beside short bursts: this one needs
/// no header for each and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    aios_runtime::init("operator");
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}
