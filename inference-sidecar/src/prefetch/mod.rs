//! Makes the weights of a model stand where its engine reads them, before the engine starts: fetches
//! what is not there, and proves every file by its digest.

mod digest;
mod download;
mod error;
mod file;
mod folder;
mod hub;
mod progress;
mod snapshot;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use aios_runtime::{chain, tls::ClientTls};
use reqwest::redirect::Policy;
use tokio_util::sync::CancellationToken;

pub use error::PrefetchError;
use file::Patience;
pub use file::{Origin, Wanted};
pub use progress::{Operator, Teller};

use crate::client::build;

/// Addresses that one file may lead to: hubs send on to stores.
const REDIRECTS: usize = 10;

/// Flags of `inference-sidecar prefetch`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A file, as JSON: `name`, `digest`, `path`, `uri` unless it is only checked, `tokenFile`, and
    /// `format` where it is no GGUF file: `Any`, or `{"Folder": {"quantization": "AWQ"}}`. A folder may
    /// have in place of `uri` a `snapshot`: `{"hub": …, "repository": "ORG/REPO", "commit": …}`.
    #[arg(long = "file", required = true)]
    pub files: Vec<Wanted>,
    /// CA of the servers, where the system does not trust it.
    #[arg(long, env = "AIOS_UPSTREAM_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where Kubernetes reads why a container ended; written if it is there.
    #[arg(long, default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
    /// Tries that may fail in a row; one that brought bytes starts the count anew.
    #[arg(long, default_value_t = 10)]
    pub tries: u32,
    /// Milliseconds before the first retry; doubles up to 32 times that.
    #[arg(long, default_value_t = 1000)]
    pub backoff_ms: u64,
    /// Milliseconds without a byte that end a try.
    #[arg(long, default_value_t = 30_000)]
    pub stall_ms: u64,
    #[command(flatten)]
    pub operator: Operator,
}

/// Brings every file, and says why not in the termination log.
///
/// # Errors
/// See [`PrefetchError`].
pub async fn run(args: &Args) -> Result<(), PrefetchError> {
    let shutdown = CancellationToken::new();
    let _ended = shutdown.clone().drop_guard();
    let teller = args.operator.attach(shutdown);
    run_with(args, &teller).await
}

/// The same, telling of progress by the given teller.
///
/// # Errors
/// See [`PrefetchError`].
pub async fn run_with(args: &Args, teller: &Teller) -> Result<(), PrefetchError> {
    let result = bring_all(args, teller).await;
    if let Err(error) = &result {
        tell(&args.termination_log, &error.to_string());
    }
    result
}

async fn bring_all(args: &Args, teller: &Teller) -> Result<(), PrefetchError> {
    let http = client(args)?;
    let patience = Patience {
        tries: args.tries,
        backoff: Duration::from_millis(args.backoff_ms),
        stall: Duration::from_millis(args.stall_ms),
    };
    for file in &args.files {
        file.bring(&http, &patience, teller).await?;
    }
    Ok(())
}

/// The client follows redirects, and drops the token at the first that leads to another host or port.
fn client(args: &Args) -> Result<reqwest::Client, PrefetchError> {
    let ca = args.ca_file.as_deref();
    let tls = ca.map(|ca| ClientTls::new(Some(ca), None)).transpose();
    let tls = tls.map_err(|error| PrefetchError::Tls(error.to_string()))?;
    let builder = || {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(Policy::limited(REDIRECTS))
            // An address may hold a signature, which is the next host's no more than the token is.
            .referer(false)
    };
    build(builder, tls.map(|tls| tls.config()).as_deref())
        .map_err(|error| PrefetchError::Tls(chain(&error)))
}

fn tell(log: &Path, reason: &str) {
    let file = OpenOptions::new().write(true).truncate(true).open(log);
    match file.and_then(|mut file| file.write_all(reason.as_bytes())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %log.display(), "no termination log");
        }
        _ => {}
    }
}
