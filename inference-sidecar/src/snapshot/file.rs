//! The snapshot's file on disk: the mounted bootstrap and the cache between restarts.

use std::{fs, io, path::Path};

use aios_proto::{control::Snapshot, snapshot_file};

/// Why a file is left aside.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("is no snapshot: {0}")]
    Parse(#[from] serde_json::Error),
}

/// Reads a snapshot; none when there is no file.
///
/// # Errors
/// When the file cannot be read or is no snapshot.
pub fn read(path: &Path) -> Result<Option<Snapshot>, FileError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(snapshot_file::decode(&text?)?)),
    }
}

/// Writes a snapshot so that a crash leaves the old file or the new one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<(), FileError> {
    let partial = path.with_extension("partial");
    fs::write(&partial, snapshot_file::encode(snapshot)?)?;
    Ok(fs::rename(&partial, path)?)
}
