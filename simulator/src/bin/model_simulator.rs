//! A stand-in for model providers. It writes canned sentences: it is never a model.

use aios_simulator::{Listen, model, start};
use clap::Parser;

/// A simulator of OpenAI and Anthropic endpoints for tests, benchmarks and demos. NOT A MODEL: its
/// answers are scripted or put together from canned sentences. Every response carries the header
/// `aios-simulator: true`.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    settings: model::Settings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    aios_runtime::init("model-simulator");
    let shutdown = aios_runtime::shutdown();
    let app = model::router(args.settings)?;
    start(app, &args.listen, &shutdown).await?.ended().await;
    Ok(())
}
