//! The commands: each reads its arguments, asks, and prints.

mod audit;
mod diff;
mod doctor;
mod experiment;
mod policy;
mod preview;
mod replay;
mod review;
mod run;
mod session;
mod status;
mod table;
mod text;
mod validate;
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Audit, Cli, Command, Policy};
use session::Session;

/// Runs a command. The exit code is 1 where the answer is no: a mistake found, a document that may
/// not pass, a record that does not verify, a run that lost items.
pub async fn dispatch(cli: Cli) -> Result<ExitCode> {
    let session = || Session::open(&cli.global);
    let well = match &cli.command {
        Command::Validate(arguments) => validate::run(arguments, &cli.global)?,
        Command::Policy(Policy::Test(arguments)) => policy::test(arguments)?,
        Command::Policy(Policy::Explain(arguments)) => policy::explain(arguments)?,
        Command::Policy(Policy::Replay(arguments)) => {
            replay::run(arguments, &session().await?).await?
        }
        Command::Audit(Audit::Verify(arguments)) => audit::verify(arguments)?,
        Command::Audit(Audit::Export(arguments)) => {
            audit::export(arguments, &session().await?).await?
        }
        Command::Status(arguments) => status::show(arguments, &session().await?).await?,
        Command::Run(arguments) => run::run(arguments, &session().await?).await?,
        Command::Review(arguments) => review::run(arguments, &session().await?).await?,
        Command::Experiment(arguments) => experiment::run(arguments, &session().await?).await?,
        Command::Preview(arguments) => preview::run(arguments, &session().await?).await?,
        Command::Doctor(arguments) => doctor::run(arguments, &cli.global).await?,
    };
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
