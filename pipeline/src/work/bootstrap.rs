//! The mounted snapshot: a JSON file that the operator writes, so that a worker starts also while the
//! operator is away.

use std::{fs, io, path::Path};

use aios_proto::{control::Snapshot, snapshot_file};

/// Why the file is left aside.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no snapshot: {0}")]
    Parse(#[from] serde_json::Error),
}

/// Reads a snapshot; none when there is no file.
pub fn read(path: &Path) -> Result<Option<Snapshot>, BootstrapError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(snapshot_file::decode(&text?)?)),
    }
}
