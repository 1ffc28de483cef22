//! Opening: lock, schema, keys, epoch, and the tree rebuilt from its leaves.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use aios_audit::{Hash, Log, LogKey};
use sqlx::{
    Connection, Row, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, watch};

use super::{error::StoreError, lock::StoreLock, vault::Vault};

/// What a store needs.
#[derive(Debug)]
pub struct StoreConfig {
    /// Folder of the database, alone in it.
    pub folder: PathBuf,
    /// The tenant: a namespace.
    pub tenant: String,
    /// The tenant's key.
    pub kek: [u8; 32],
    /// Signs checkpoints and provenance.
    pub log_key: LogKey,
}

/// The open store.
pub struct Store {
    pub(super) writer: Mutex<SqliteConnection>,
    pub(super) reader: SqlitePool,
    pub(super) vault: Vault,
    pub(super) tenant: String,
    pub(super) log_key: LogKey,
    log: RwLock<Log>,
    epoch: u64,
    size: watch::Sender<u64>,
    changes: watch::Sender<u64>,
    _lock: StoreLock,
}

impl Store {
    /// Opens or creates; refuses while another process has it open.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let StoreConfig {
            folder,
            tenant,
            kek,
            log_key,
        } = config;
        std::fs::create_dir_all(&folder).map_err(|error| StoreError::File {
            path: folder.clone(),
            error,
        })?;
        let lock = StoreLock::take(&folder)?;
        let options = options(&folder);
        let mut writer = SqliteConnection::connect_with(&options).await?;
        migrator().run_direct(None, &mut writer, false).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;
        let vault = Vault::new(&kek)?;
        check_key(&mut writer, &vault).await?;
        let epoch = next_epoch(&mut writer).await?;
        // Nobody holds the gateway's own leases any more; workers keep theirs.
        sqlx::query("UPDATE documents SET lease_until_ms = 0 WHERE lane = 'gateway'")
            .execute(&mut writer)
            .await?;
        let log = rebuild(&mut writer).await?;
        let (size, _) = watch::channel(log.size());
        let (changes, _) = watch::channel(0);
        Ok(Self {
            writer: Mutex::new(writer),
            reader,
            vault,
            tenant,
            log_key,
            log: RwLock::new(log),
            epoch,
            size,
            changes,
            _lock: lock,
        })
    }

    /// Grows with every opening: intents of lower epochs may have been sent by somebody else.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Keyed hashes and subjects.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The tenant's signing key.
    pub fn log_key(&self) -> &LogKey {
        &self.log_key
    }

    /// Sends the number of leaves whenever it grew.
    pub fn log_size(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Sends whenever a document changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Reads the tree.
    pub fn with_log<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.log.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes committed leaves into the tree. Called with the writer held, so that the order is that
    /// of the table.
    pub(super) fn grow(&self, hashes: &[Hash]) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        for hash in hashes {
            log.append(*hash);
        }
        let size = log.size();
        drop(log);
        self.size
            .send_if_modified(|known| std::mem::replace(known, size) != size);
        self.announce();
    }

    /// Tells who waits that a document may have changed.
    pub(super) fn announce(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn options(folder: &Path) -> SqliteConnectOptions {
    // FULL: an intent to publish must survive a power failure, too.
    SqliteConnectOptions::new()
        .filename(folder.join("store.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
}

fn migrator() -> Migrator {
    let sql = sqlx::SqlSafeStr::into_sql_str(include_str!("schema/0001_init.sql"));
    Migrator::with_migrations(vec![Migration::new(
        1,
        "init".into(),
        MigrationType::Simple,
        sql,
        false,
    )])
}

/// Proves that the tenant's key is the one this store was made with.
async fn check_key(writer: &mut SqliteConnection, vault: &Vault) -> Result<(), StoreError> {
    let proof = vault.hash("store/proof", &[]);
    let stored = sqlx::query("SELECT value FROM meta WHERE name = 'key-proof'")
        .fetch_optional(&mut *writer)
        .await?;
    match stored {
        Some(row) if row.try_get::<Vec<u8>, _>(0)? == proof => Ok(()),
        Some(_) => Err(StoreError::WrongKey),
        None => {
            sqlx::query("INSERT INTO meta (name, value) VALUES ('key-proof', ?)")
                .bind(proof.to_vec())
                .execute(writer)
                .await?;
            Ok(())
        }
    }
}

async fn next_epoch(writer: &mut SqliteConnection) -> Result<u64, StoreError> {
    let stored: Option<Vec<u8>> = sqlx::query("SELECT value FROM meta WHERE name = 'epoch'")
        .fetch_optional(&mut *writer)
        .await?
        .map(|row| row.try_get(0))
        .transpose()?;
    let last = stored
        .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        .map_or(0, u64::from_be_bytes);
    let epoch = last + 1;
    sqlx::query("INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', ?)")
        .bind(epoch.to_be_bytes().to_vec())
        .execute(writer)
        .await?;
    Ok(epoch)
}

async fn rebuild(writer: &mut SqliteConnection) -> Result<Log, StoreError> {
    let rows = sqlx::query("SELECT hash FROM leaves ORDER BY position")
        .fetch_all(writer)
        .await?;
    rows.into_iter()
        .map(|row| {
            let bytes: Vec<u8> = row.try_get(0)?;
            <[u8; 32]>::try_from(bytes)
                .map(Hash)
                .map_err(|_| StoreError::Sealed)
        })
        .collect()
}
