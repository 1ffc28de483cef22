//! `pipeline serve`, `pipeline work` and `pipeline evaluate`.

use std::process::ExitCode;

use aios_pipeline::{evaluate, serve, work};
use clap::{Parser, Subcommand};

/// Takes documents through their steps.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The gateway of one namespace: store, queue, review desk, log and intents.
    Serve(Box<serve::Options>),
    /// Writes the items of one run, and ends when none is left.
    Work(Box<work::Options>),
    /// Asks a model's revision on trial fixed inputs, judges its answers, and ends.
    Evaluate(Box<evaluate::Options>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    aios_runtime::init("pipeline");
    let shutdown = aios_runtime::shutdown();
    let ended = match cli.command {
        Command::Serve(options) => serve::run(*options, shutdown)
            .await
            .map_err(|error| error.to_string()),
        Command::Work(options) => work::run(*options, shutdown)
            .await
            .map_err(|error| error.to_string()),
        Command::Evaluate(options) => evaluate::run(*options, shutdown)
            .await
            .map_err(|error| error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot run");
            ExitCode::FAILURE
        }
    }
}
