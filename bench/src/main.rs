//! Side-by-side measurements against named peers: each benchmark is a folder here, prints a table,
//! and writes every round and every target to `bench/results`, missed ones included.

mod failover;
mod measure;
mod operator;
mod policy;
mod report;
mod sidecar;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::sync::oneshot;

#[derive(Parser)]
#[command(version, about = "Measures AIOS beside its peers")]
enum Bench {
    /// The control plane against one real API server: the operator, a bare client, and a Go twin
    Operator(operator::Options),
    /// A killed engine on the local cluster: until a standby, or the same engine again, answers
    Failover(failover::Options),
    /// What a call through the sidecar costs, beside a bare proxy and other gateways
    Sidecar(sidecar::Options),
    /// What becomes of calls through the sidecar and other gateways when models fail by script
    Trials(sidecar::trials::Options),
    /// The policy engine beside bare matchers and beside guardrail products
    Policy(policy::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let bench = Bench::parse();
    let interrupted = aios_runtime::shutdown();
    let measured = async {
        match bench {
            Bench::Operator(options) => Box::pin(operator::run(options)).await,
            Bench::Failover(options) => Box::pin(failover::run(options)).await,
            Bench::Sidecar(options) => Box::pin(sidecar::run(options)).await,
            Bench::Trials(options) => Box::pin(sidecar::trials::run(options)).await,
            Bench::Policy(options) => aside(move || policy::run(&options)).await,
        }
    };
    // Whoever is measured ends with the benchmark, however that ends.
    let outcome = tokio::select! {
        outcome = measured => outcome,
        () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what keeps a core busy on a thread that nobody waits for at an interruption.
async fn aside(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let (tell, ended) = oneshot::channel();
    std::thread::spawn(move || tell.send(work()));
    ended.await?
}
