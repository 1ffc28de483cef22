//! Logs and the process-wide crypto provider.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging (`RUST_LOG`, default `info`; human on a terminal, JSON otherwise, or as
/// `AIOS_LOG_FORMAT=human|json` says) and makes aws-lc-rs the crypto provider. Call once, first.
pub fn init(process: &str) {
    // Fails only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let human = std::env::var("AIOS_LOG_FORMAT").map_or_else(
        |_| std::io::stderr().is_terminal(),
        |format| format == "human",
    );
    let registry = tracing_subscriber::registry().with(filter);
    let started = if human {
        registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .try_init()
    } else {
        registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init()
    };
    if started.is_ok() {
        tracing::info!(process, version = env!("CARGO_PKG_VERSION"), "started");
    }
}
