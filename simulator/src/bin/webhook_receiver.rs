//! A stand-in for the system that publishes documents.

use aios_simulator::{Listen, start, webhook};
use clap::Parser;

/// A simulator of a publishing target for tests and demos: it counts every POST, verifies Standard
/// Webhooks signatures, deduplicates by webhook-id and offers read-back. NOT A PUBLISHER: nothing is
/// sent on. Every response carries the header `aios-simulator: true`.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    settings: webhook::Settings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    aios_runtime::init("webhook-receiver");
    let shutdown = aios_runtime::shutdown();
    let app = webhook::router(&args.settings)?;
    start(app, &args.listen, &shutdown).await?.ended().await;
    Ok(())
}
