//! A file of one process, with a lock beside it.

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Pools, lock::StoreLock};
use crate::store::error::StoreError;

const READERS: u32 = 4;

pub(super) async fn open(folder: &Path) -> Result<Pools, StoreError> {
    std::fs::create_dir_all(folder).map_err(|error| StoreError::File {
        path: folder.to_owned(),
        error,
    })?;
    let lock = StoreLock::take(folder)?;
    let options = options(folder);
    // One connection for as long as the store is open.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    let mut first = writer.acquire().await?;
    migrator().run_direct(None, &mut *first, false).await?;
    drop(first);
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.create_if_missing(false).read_only(true))
        .await?;
    Ok(Pools::Sqlite {
        writer,
        reader,
        _lock: Arc::new(lock),
    })
}

/// Rewrites freed pages and the write-ahead log, so that old ciphertext and keys are gone from the
/// disk, too.
pub(super) async fn forget_pages(writer: &SqlitePool) -> Result<(), StoreError> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(writer)
        .await?;
    Ok(())
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
    let migration = |version, name: &'static str, sql: &'static str| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let init = include_str!("../schema/sqlite/0001_init.sql");
    let sequence = include_str!("../schema/sqlite/0002_snapshot_sequence.sql");
    let identities = include_str!("../schema/sqlite/0003_identities.sql");
    let days = include_str!("../schema/sqlite/0004_accepted_days.sql");
    let fired = include_str!("../schema/sqlite/0005_fired.sql");
    let experiments = include_str!("../schema/sqlite/0006_experiments.sql");
    Migrator::with_migrations(vec![
        migration(1, "init", init),
        migration(2, "snapshot sequence", sequence),
        migration(3, "identities", identities),
        migration(4, "accepted days", days),
        migration(5, "fired", fired),
        migration(6, "experiments", experiments),
    ])
}
