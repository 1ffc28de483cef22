//! Fills a volume with weights that match their digest, before the engine starts.

mod digest;
mod download;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use aios_runtime::tls::ClientTls;
use reqwest::Url;

use digest::Digest;
use download::Download;

use crate::client::{build, chain};

/// Flags of `inference-sidecar prefetch`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address of the file.
    #[arg(long)]
    pub uri: Url,
    /// `sha256:` and 64 hex digits.
    #[arg(long)]
    pub digest: String,
    /// Where the file is to stand.
    #[arg(long)]
    pub to: PathBuf,
    /// CA of the server, where the system does not trust it.
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
}

/// Why the file does not stand there.
#[derive(Debug, thiserror::Error)]
pub enum PrefetchError {
    #[error("--digest `{0}` must be `sha256:` and 64 hex digits")]
    Digest(String),
    #[error("--uri `{0}` must start with http:// or https://")]
    Scheme(Url),
    #[error("--ca-file: {0}")]
    Tls(String),
    #[error(
        "the file has digest {found}, not {wanted}: correct spec.selfHosted.model.digest or uri"
    )]
    Mismatch { found: String, wanted: String },
    #[error("cannot fetch the file: {0}")]
    Unavailable(String),
    #[error("cannot write {path}: {error}")]
    Write { path: PathBuf, error: io::Error },
}

impl PrefetchError {
    /// Exit code: 2 for wrong flags, 3 for a wrong file, 4 for no file, 5 for the volume.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Digest(_) | Self::Scheme(_) | Self::Tls(_) => 2,
            Self::Mismatch { .. } => 3,
            Self::Unavailable(_) => 4,
            Self::Write { .. } => 5,
        }
    }
}

/// Fetches the file unless it is already right, and says why not in the termination log.
///
/// # Errors
/// See [`PrefetchError`].
pub async fn run(args: &Args) -> Result<(), PrefetchError> {
    let result = fetch(args).await;
    if let Err(error) = &result {
        tell(&args.termination_log, &error.to_string());
    }
    result
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

async fn fetch(args: &Args) -> Result<(), PrefetchError> {
    let wanted =
        Digest::parse(&args.digest).ok_or_else(|| PrefetchError::Digest(args.digest.clone()))?;
    if !matches!(args.uri.scheme(), "http" | "https") {
        return Err(PrefetchError::Scheme(args.uri.clone()));
    }
    let write = |error| PrefetchError::Write {
        path: args.to.clone(),
        error,
    };
    if let Some(found) = digest::of_file(&args.to).await.map_err(write)? {
        if found == wanted {
            tracing::info!(path = %args.to.display(), "the file is already right");
            return Ok(());
        }
        tracing::info!(path = %args.to.display(), "another file stands there and is replaced");
    }
    if let Some(folder) = args.to.parent() {
        fs::create_dir_all(folder).map_err(write)?;
    }
    let partial = partial(&args.to);
    let download = Download {
        http: client(args)?,
        uri: args.uri.clone(),
        partial: partial.clone(),
        tries: args.tries,
        backoff: Duration::from_millis(args.backoff_ms),
        stall: Duration::from_millis(args.stall_ms),
    };
    let mut fetched = download.run().await?;
    if fetched.digest != wanted && fetched.resumed {
        // The rest may have come from another file than the start: once more, from nothing.
        tracing::warn!("the resumed file does not match: starting over");
        remove(&partial).map_err(write)?;
        fetched = download.run().await?;
    }
    if fetched.digest != wanted {
        remove(&partial).map_err(write)?;
        let (found, wanted) = (fetched.digest.to_string(), wanted.to_string());
        return Err(PrefetchError::Mismatch { found, wanted });
    }
    fs::rename(&partial, &args.to).map_err(write)?;
    tracing::info!(path = %args.to.display(), bytes = fetched.bytes, "the file is there");
    Ok(())
}

fn client(args: &Args) -> Result<reqwest::Client, PrefetchError> {
    let ca = args.ca_file.as_deref();
    let tls = ca.map(|ca| ClientTls::new(Some(ca), None)).transpose();
    let tls = tls.map_err(|error| PrefetchError::Tls(error.to_string()))?;
    let builder = || reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
    build(builder, tls.map(|tls| tls.config()).as_deref())
        .map_err(|error| PrefetchError::Tls(chain(&error)))
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
