//! One process: an advisory lock on a file beside the database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::store::error::StoreError;

/// Held for the life of the process; the operating system frees it, also after `kill -9`.
#[derive(Debug)]
pub struct StoreLock(#[allow(dead_code, reason = "the open file is the lock")] File);

impl StoreLock {
    /// Takes the lock, or says who has the folder.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StoreError::File {
                path: path.clone(),
                error,
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(StoreError::File { path, error }),
        }
    }
}
