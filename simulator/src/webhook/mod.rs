//! Receives documents as a publishing target would: counts every POST before it deduplicates,
//! verifies signatures, offers read-back, and loses answers on demand.

mod delivery;
mod faults;
mod journal;
mod routes;
mod signature;
mod store;

use std::path::PathBuf;

pub use delivery::{Counts, Delivery};
pub use faults::{Fault, Mode};
pub use routes::router;
pub use signature::{Refusal, Secret, verify};

#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Verify Standard Webhooks signatures with this secret; may be given again while rotating
    #[arg(
        long = "secret",
        env = "WEBHOOK_SECRET",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "whsec_..."
    )]
    pub secrets: Vec<Secret>,
    /// How far `webhook-timestamp` may be off
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub tolerance_seconds: u64,
    /// Append every POST to this file (NDJSON) and read it again at start
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            tolerance_seconds: 300,
            data: None,
        }
    }
}
