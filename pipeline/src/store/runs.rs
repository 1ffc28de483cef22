//! Runs: which were accepted, and how their items stand.

use super::{
    database::{Session, query},
    documents::Accept,
    error::StoreError,
    open::Store,
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
    /// Accepts a run with all its items, or nothing; and nothing again, if any gateway did so
    /// before.
    pub async fn accept_run(
        &self,
        run: &RunRow,
        items: Vec<Accept>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        if find(&mut write, &run.uid)
            .await?
            .is_some_and(|row| row.accepted)
        {
            return Ok(());
        }
        for item in items {
            self.accept_in(&mut write, item, now_ms).await?;
        }
        put(&mut write, run, now_ms).await?;
        self.commit_and_tell(write).await
    }

    /// Notes a run, or what changed of it.
    pub async fn put_run(&self, run: &RunRow, now_ms: u64) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        put(&mut write, run, now_ms).await?;
        self.commit_and_tell(write).await
    }

    /// The run of that uid.
    pub async fn run(&self, uid: &str) -> Result<Option<RunRow>, StoreError> {
        find(&mut self.database.read().await?, uid).await
    }

    /// Uids of runs that have items left for workers.
    pub async fn open_runs(&self) -> Result<Vec<String>, StoreError> {
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT DISTINCT run_uid FROM documents WHERE lane = 'worker' AND run_uid IS NOT NULL",
        )
        .all(&mut session)
        .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ids of a run's items that are left for workers.
    pub async fn worker_items(&self, run_uid: &str) -> Result<Vec<String>, StoreError> {
        let mut session = self.database.read().await?;
        let rows = query("SELECT id FROM documents WHERE run_uid = $1 AND lane = 'worker'")
            .bind(run_uid)
            .all(&mut session)
            .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How a run's items stand.
    pub async fn run_counts(&self, uid: &str) -> Result<RunCounts, StoreError> {
        let mut session = self.database.read().await?;
        let row = query(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE lane IS DISTINCT FROM 'worker'),
             COUNT(*) FILTER (WHERE status = 'Published'),
             COUNT(*) FILTER (WHERE status = 'Refused'),
             COUNT(*) FILTER (WHERE status IN ('Review', 'Parked')),
             COUNT(*) FILTER (WHERE status = 'Parked'),
             COUNT(*) FILTER (WHERE reason = 'DeadlineExceeded')
             FROM documents WHERE run_uid = $1",
        )
        .bind(uid)
        .one(&mut session)
        .await?;
        Ok(RunCounts {
            accepted: row.number(0)?,
            drafted: row.number(1)?,
            published: row.number(2)?,
            refused: row.number(3)?,
            waiting: row.number(4)?,
            parked: row.number(5)?,
            overdue: row.number(6)?,
        })
    }
}

async fn put(write: &mut Session, run: &RunRow, now_ms: u64) -> Result<(), StoreError> {
    query(
        "INSERT INTO runs (uid, name, pipeline, accepted_ms, suspended, error)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (uid) DO UPDATE SET
         accepted_ms = COALESCE(runs.accepted_ms, $4), suspended = $5, error = $6",
    )
    .bind(&run.uid)
    .bind(&run.name)
    .bind(&run.pipeline)
    .bind(run.accepted.then_some(now_ms))
    .bind(run.suspended)
    .bind(&run.error)
    .execute(write)
    .await?;
    Ok(())
}

async fn find(session: &mut Session, uid: &str) -> Result<Option<RunRow>, StoreError> {
    let row =
        query("SELECT uid, name, pipeline, accepted_ms, suspended, error FROM runs WHERE uid = $1")
            .bind(uid)
            .optional(session)
            .await?;
    row.map(|row| {
        Ok(RunRow {
            uid: row.get(0)?,
            name: row.get(1)?,
            pipeline: row.get(2)?,
            accepted: row.maybe_number(3)?.is_some(),
            suspended: row.flag(4)?,
            error: row.get(5)?,
        })
    })
    .transpose()
}
