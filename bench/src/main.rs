//! Side-by-side measurements against named peers: each benchmark is a folder here, prints a table,
//! and writes every round and every target to `bench/results`, missed ones included.

mod failover;
mod measure;
mod operator;
mod policy;
mod report;
mod sidecar;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(version, about = "Measures AIOS beside its peers")]
enum Bench {
    /// The control plane against one real API server: the operator, a bare client, and a Go twin
    Operator(operator::Options),
    /// A killed engine on the local cluster: until a standby, or the same engine again, answers
    Failover(failover::Options),
    /// What a call through the sidecar costs, beside a bare proxy and other gateways
    Sidecar(sidecar::Options),
    /// The policy engine beside bare matchers and beside guardrail products
    Policy(policy::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Bench::parse() {
        Bench::Operator(options) => Box::pin(operator::run(options)).await,
        Bench::Failover(options) => Box::pin(failover::run(options)).await,
        Bench::Sidecar(options) => Box::pin(sidecar::run(options)).await,
        Bench::Policy(options) => policy::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
