//! Why a file does not stand where it should.

use std::{io, path::PathBuf};

/// Why a file does not stand there. `file` is what people call it: `model` or `adapter NAME`.
#[derive(Debug, thiserror::Error)]
pub enum PrefetchError {
    #[error("--ca-file: {0}")]
    Tls(String),
    #[error("{file}: cannot read its token: {reason}; give the Secret's key a bearer token")]
    Token { file: String, reason: String },
    #[error("{file} has digest {found}, not {wanted}: correct digest or uri")]
    Mismatch {
        file: String,
        found: String,
        wanted: String,
    },
    #[error("{file} is no GGUF file although its digest is right: correct uri and digest")]
    Format { file: String },
    #[error("{file} {reason}, although its digest is right: correct the spec, or uri and digest")]
    Folder { file: String, reason: String },
    #[error("cannot fetch {file}: {reason}")]
    Unavailable { file: String, reason: String },
    #[error("{file}: there is no {path} on the mounted volume: put it there, or correct uri")]
    Missing { file: String, path: PathBuf },
    #[error("cannot use {path}: {error}")]
    Volume { path: PathBuf, error: io::Error },
}

impl PrefetchError {
    /// Exit code: 2 for wrong settings, 3 for a wrong file, 4 for no file, 5 for the volume.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls(_) | Self::Token { .. } => 2,
            Self::Mismatch { .. } | Self::Format { .. } | Self::Folder { .. } => 3,
            Self::Unavailable { .. } | Self::Missing { .. } => 4,
            Self::Volume { .. } => 5,
        }
    }
}
