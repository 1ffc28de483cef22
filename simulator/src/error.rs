use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use aios_runtime::tls::TlsError;

/// Why a simulator cannot start or take a new setting.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("cannot listen on {addr}: {error}")]
    Listen { addr: SocketAddr, error: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot use {path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{what} is not understood: {why}")]
    Format { what: String, why: String },
    #[error("rule {index} (counted from 0): {why}")]
    Rule { index: usize, why: String },
    #[error("a webhook secret is `whsec_` and 24 to 64 bytes in base64")]
    Secret,
}
