//! The main job, end to end: 300 e-mails on a real cluster, proved afterwards.

use std::process::ExitCode;

use aios_e2e::demo::{self, Chosen, FinalModel, Reviewer, Settings};
use anyhow::Result;
use clap::Parser;

/// Writes the campaign's e-mails on a real cluster and proves what happened.
///
/// REVIEW=me lets you decide what waits. `AIOS_FINAL_BASE_URL`, `AIOS_FINAL_API_KEY` and
/// `AIOS_FINAL_MODEL` add a stronger model's last step.
#[derive(Parser)]
#[command(name = "demo")]
struct Cli {
    /// Only the first customers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    limit: Option<u16>,
    /// Only these customers, as in C0016,C0062
    #[arg(
        long,
        value_name = "IDS",
        value_delimiter = ',',
        conflicts_with = "limit"
    )]
    only: Vec<String>,
    /// Made afresh, under Pod Security restricted
    #[arg(long, default_value = "campaign")]
    namespace: String,
    /// Go on with what the namespace holds instead of making it afresh
    #[arg(long)]
    keep: bool,
    /// Use the cluster and the AIOS that are there; install nothing
    #[arg(long)]
    installed: bool,
    #[arg(long, env = "REVIEW", hide = true)]
    review: Option<String>,
    #[arg(long, env = "AIOS_FINAL_BASE_URL", hide = true)]
    final_base_url: Option<String>,
    #[arg(long, env = "AIOS_FINAL_API_KEY", hide = true, hide_env_values = true)]
    final_api_key: Option<String>,
    #[arg(long, env = "AIOS_FINAL_MODEL", hide = true)]
    final_model: Option<String>,
}

impl Cli {
    fn settings(self) -> Result<Settings> {
        Ok(Settings {
            chosen: match self.limit {
                _ if !self.only.is_empty() => Chosen::These(self.only),
                Some(count) => Chosen::First(usize::from(count)),
                None => Chosen::All,
            },
            namespace: self.namespace,
            keep: self.keep,
            is_installed: self.installed,
            reviewer: Reviewer::parse(self.review.as_deref())?,
            final_model: FinalModel::parse(
                self.final_base_url,
                self.final_api_key,
                self.final_model,
            )?,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Cli::parse().settings();
    let done = async { Box::pin(demo::run(&settings?)).await };
    match done.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
