//! Leases: who works on a document, until when, and a token that grows with every lease, so that a
//! holder who lost it cannot write any more.

use sqlx::Row;

use super::{
    documents::Fence,
    error::StoreError,
    open::Store,
    rows::{signed, unsigned},
};

/// A leased document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub document: String,
    pub token: u64,
}

impl Store {
    /// Leases documents that the gateway itself is to look at now.
    pub async fn claim(
        &self,
        now_ms: u64,
        until_ms: u64,
        most: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut writer = self.writer.lock().await;
        let rows = sqlx::query(
            "UPDATE documents SET lease_owner = ?1, lease_until_ms = ?2, fencing = fencing + 1
             WHERE id IN (SELECT id FROM documents WHERE lane = 'gateway' AND wake_ms <= ?3
                          AND lease_until_ms <= ?3 ORDER BY wake_ms LIMIT ?4)
             RETURNING id, fencing",
        )
        .bind(self.gateway())
        .bind(signed(until_ms))
        .bind(signed(now_ms))
        .bind(i64::from(most))
        .fetch_all(&mut *writer)
        .await?;
        claims(&rows)
    }

    /// Leases items of a run to a worker.
    pub async fn lease(
        &self,
        run_uid: &str,
        worker: &str,
        now_ms: u64,
        until_ms: u64,
        most: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut writer = self.writer.lock().await;
        let rows = sqlx::query(
            "UPDATE documents SET lease_owner = ?1, lease_until_ms = ?2, fencing = fencing + 1
             WHERE id IN (SELECT id FROM documents WHERE lane = 'worker' AND run_uid = ?3
                          AND lease_until_ms <= ?4 ORDER BY id LIMIT ?5)
             RETURNING id, fencing",
        )
        .bind(worker_owner(worker))
        .bind(signed(until_ms))
        .bind(run_uid.to_owned())
        .bind(signed(now_ms))
        .bind(i64::from(most))
        .fetch_all(&mut *writer)
        .await?;
        claims(&rows)
    }

    /// Keeps a worker's lease; false when somebody else has it by now, or nobody needs it.
    pub async fn renew(
        &self,
        document: &str,
        worker: &str,
        token: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer.lock().await;
        let done = sqlx::query(
            "UPDATE documents SET lease_until_ms = ? WHERE id = ? AND lease_owner = ?
             AND fencing = ? AND lane = 'worker'",
        )
        .bind(signed(until_ms))
        .bind(document.to_owned())
        .bind(worker_owner(worker))
        .bind(signed(token))
        .execute(&mut *writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a worker's leases back, so that others need not wait for their end.
    pub async fn give_back(&self, worker: &str) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query(
            "UPDATE documents SET lease_until_ms = 0, lease_owner = NULL WHERE lease_owner = ?",
        )
        .bind(worker_owner(worker))
        .execute(&mut *writer)
        .await?;
        drop(writer);
        self.announce();
        Ok(())
    }

    /// Ends the gateway's lease. With `wake_ms` it failed, and is tried again then.
    pub async fn unclaim(&self, claim: &Claim, wake_ms: Option<u64>) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query(
            "UPDATE documents SET lease_until_ms = 0, wake_ms = COALESCE(?1, wake_ms),
             attempts = attempts + (?1 IS NOT NULL) WHERE id = ?2 AND fencing = ?3
             AND lease_owner = ?4",
        )
        .bind(wake_ms.map(signed))
        .bind(claim.document.clone())
        .bind(signed(claim.token))
        .bind(self.gateway())
        .execute(&mut *writer)
        .await?;
        Ok(())
    }

    /// When the gateway must look next, if it need not now.
    pub async fn next_wake(&self) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(MAX(wake_ms, lease_until_ms)) FROM documents WHERE lane = 'gateway'",
        )
        .fetch_one(&self.reader)
        .await?;
        let wake: Option<i64> = row.try_get(0)?;
        Ok(wake.map(|wake| u64::try_from(wake).unwrap_or_default()))
    }

    /// Items of a run that are left for workers.
    pub async fn left_for_workers(&self, run_uid: &str) -> Result<u64, StoreError> {
        let row =
            sqlx::query("SELECT COUNT(*) FROM documents WHERE run_uid = ? AND lane = 'worker'")
                .bind(run_uid.to_owned())
                .fetch_one(&self.reader)
                .await?;
        unsigned(&row, 0)
    }

    /// The fence of a claim of this gateway.
    pub fn claim_fence(&self, claim: &Claim) -> Fence {
        Fence::Lease {
            owner: self.gateway(),
            token: claim.token,
        }
    }

    fn gateway(&self) -> String {
        format!("gateway:{}", self.epoch())
    }
}

/// The owner under which a worker's lease stands.
pub(crate) fn worker_owner(worker: &str) -> String {
    format!("worker:{worker}")
}

fn claims(rows: &[sqlx::sqlite::SqliteRow]) -> Result<Vec<Claim>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok(Claim {
                document: row.try_get(0)?,
                token: unsigned(row, 1)?,
            })
        })
        .collect()
}
