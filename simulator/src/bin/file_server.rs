//! A stand-in for the store that model weights are downloaded from.

use aios_simulator::{Listen, files, start};
use clap::Parser;

/// A simulator of a weights store for tests and demos: it serves one directory read-only, with HEAD
/// and Range. NOT FOR PRODUCTION. Every response carries the header `aios-simulator: true`.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    settings: files::Settings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    aios_runtime::init("file-server");
    let shutdown = aios_runtime::shutdown();
    let app = files::router(&args.settings)?;
    start(app, &args.listen, &shutdown).await?.ended().await;
    Ok(())
}
