//! The log as this process has seen it, and who waits for it to grow. Leaves come from the table
//! alone: other processes may have written them.

use std::sync::{PoisonError, RwLock};

use aios_audit::{Hash, Log};
use tokio::sync::watch;

use super::{
    database::{Database, query},
    error::StoreError,
};

/// Leaves read at once.
const PAGE: u64 = 10_000;

/// The tree over the leaves.
pub struct Tree {
    log: RwLock<Log>,
    size: watch::Sender<u64>,
    changes: watch::Sender<u64>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            log: RwLock::default(),
            size: watch::channel(0).0,
            changes: watch::channel(0).0,
        }
    }
}

impl Tree {
    pub fn size(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn read<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.log.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in every leaf that is committed by now.
    pub async fn catch_up(&self, database: &Database) -> Result<(), StoreError> {
        let mut session = database.read().await?;
        loop {
            let rows = query(
                "SELECT position, hash FROM leaves WHERE position >= $1 ORDER BY position LIMIT $2",
            )
            .bind(self.read(Log::size))
            .bind(PAGE)
            .all(&mut session)
            .await?;
            let mut leaves = Vec::with_capacity(rows.len());
            for row in &rows {
                let hash: Vec<u8> = row.get(1)?;
                let hash = hash.try_into().map(Hash).map_err(|_| StoreError::Sealed)?;
                leaves.push((row.number(0)?, hash));
            }
            self.grow(&leaves);
            if (rows.len() as u64) < PAGE {
                return Ok(());
            }
        }
    }

    /// Tells who waits that something may have changed.
    pub fn announce(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Two tasks may have read the same leaves: a place is taken once.
    fn grow(&self, leaves: &[(u64, Hash)]) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        for (position, hash) in leaves {
            if *position == log.size() {
                log.append(*hash);
            }
        }
        let size = log.size();
        drop(log);
        self.size
            .send_if_modified(|known| std::mem::replace(known, size) < size);
    }
}
