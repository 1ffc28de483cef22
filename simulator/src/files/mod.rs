//! Serves one directory read-only, as a store of model weights would: HEAD, ranges, entity tags.

mod range;
mod routes;

use std::path::PathBuf;

pub use routes::router;

#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Directory to serve; nothing outside it is reachable, also not by links
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Answer 401 unless `Authorization: Bearer TOKEN` is sent
    #[arg(
        long,
        env = "SIMULATOR_BEARER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub bearer_token: Option<String>,
    /// Break the connection after so many bytes of a body, to test resuming
    #[arg(long, value_name = "BYTES")]
    pub cut_after: Option<u64>,
    /// How many bodies are cut
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub cut_times: u64,
}

impl Settings {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            bearer_token: None,
            cut_after: None,
            cut_times: 1,
        }
    }
}
