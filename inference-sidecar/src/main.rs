//! `inference-sidecar egress | ingress | prefetch`.

use std::process::ExitCode;

use aios_inference_sidecar::{egress, ingress, prefetch};
use clap::{Parser, Subcommand};

/// A seventh of what a call costs was glibc's malloc, which also gave memory back and asked for it anew all the time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Stands at every model call.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Beside writers: picks the model, keeps at it, falls back, counts money.
    Egress(egress::Args),
    /// Before a model: checks the caller, admits, holds the key, speaks the dialect.
    Ingress(Box<ingress::Args>),
    /// Fills a volume with weights that match their digest.
    Prefetch(prefetch::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    aios_runtime::init("inference-sidecar");
    let shutdown = aios_runtime::shutdown();
    let ended = match cli.role {
        Role::Egress(args) => egress::run(args, shutdown).await,
        Role::Ingress(args) => ingress::run(*args, shutdown).await,
        Role::Prefetch(args) => return prefetched(&args, shutdown).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

/// A download that is ended from outside keeps its part for the next try.
async fn prefetched(
    args: &prefetch::Args,
    shutdown: tokio_util::sync::CancellationToken,
) -> ExitCode {
    let done = tokio::select! {
        done = prefetch::run(args) => done,
        () = shutdown.cancelled() => return ExitCode::FAILURE,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "prefetch failed");
            ExitCode::from(error.exit_code())
        }
    }
}
