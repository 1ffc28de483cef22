//! The operator's process.

use std::process::ExitCode;

use aios_operator::{Settings, run};
use clap::Parser;

/// Lists of thousands come and go between what is kept: glibc's arenas never gave a quarter of it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
