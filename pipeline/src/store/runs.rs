//! Runs: which were accepted, and how their items stand.

use sqlx::Row;

use super::{
    error::StoreError,
    open::Store,
    rows::{signed, unsigned},
};

/// A run as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub uid: String,
    pub name: String,
    pub pipeline: String,
    /// Its items exist.
    pub accepted: bool,
    pub suspended: bool,
    pub error: String,
}

/// Items by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    pub accepted: u64,
    /// No worker has anything to do with them any more.
    pub drafted: u64,
    pub published: u64,
    pub refused: u64,
    /// Waiting for a person, parked ones included.
    pub waiting: u64,
    pub parked: u64,
    /// Refused because the run's deadline had passed.
    pub overdue: u64,
}

impl Store {
    /// Notes a run, or what changed of it.
    pub async fn put_run(&self, run: &RunRow, now_ms: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query(
            "INSERT INTO runs (uid, name, pipeline, accepted_ms, suspended, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (uid) DO UPDATE SET
             accepted_ms = COALESCE(accepted_ms, ?4), suspended = ?5, error = ?6",
        )
        .bind(run.uid.clone())
        .bind(run.name.clone())
        .bind(run.pipeline.clone())
        .bind(run.accepted.then(|| signed(now_ms)))
        .bind(run.suspended)
        .bind(run.error.clone())
        .execute(&mut *writer)
        .await?;
        drop(writer);
        self.announce();
        Ok(())
    }

    /// The run of that uid.
    pub async fn run(&self, uid: &str) -> Result<Option<RunRow>, StoreError> {
        let row = sqlx::query(
            "SELECT uid, name, pipeline, accepted_ms IS NOT NULL, suspended, error FROM runs
             WHERE uid = ?",
        )
        .bind(uid.to_owned())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(RunRow {
                uid: row.try_get(0)?,
                name: row.try_get(1)?,
                pipeline: row.try_get(2)?,
                accepted: row.try_get(3)?,
                suspended: row.try_get(4)?,
                error: row.try_get(5)?,
            })
        })
        .transpose()
    }

    /// Uids of runs that have items left for workers.
    pub async fn open_runs(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT run_uid FROM documents WHERE lane = 'worker' AND run_uid IS NOT NULL",
        )
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Ids of a run's items that are left for workers.
    pub async fn worker_items(&self, run_uid: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM documents WHERE run_uid = ? AND lane = 'worker'")
            .bind(run_uid.to_owned())
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// How a run's items stand.
    pub async fn run_counts(&self, uid: &str) -> Result<RunCounts, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*), COALESCE(SUM(lane IS NOT 'worker'), 0),
             COALESCE(SUM(status = 'Published'), 0), COALESCE(SUM(status = 'Refused'), 0),
             COALESCE(SUM(status IN ('Review', 'Parked')), 0),
             COALESCE(SUM(status = 'Parked'), 0),
             COALESCE(SUM(reason = 'DeadlineExceeded'), 0) FROM documents WHERE run_uid = ?",
        )
        .bind(uid.to_owned())
        .fetch_one(&self.reader)
        .await?;
        Ok(RunCounts {
            accepted: unsigned(&row, 0)?,
            drafted: unsigned(&row, 1)?,
            published: unsigned(&row, 2)?,
            refused: unsigned(&row, 3)?,
            waiting: unsigned(&row, 4)?,
            parked: unsigned(&row, 5)?,
            overdue: unsigned(&row, 6)?,
        })
    }
}
