//! Leases: who works on a document, until when, and a token that grows with every lease, so that a
//! holder who lost it cannot write any more.

use super::{
    database::{Row, query},
    documents::Fence,
    error::StoreError,
    open::Store,
};

/// A leased document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub document: String,
    pub token: u64,
}

impl Store {
    /// Leases documents that the gateway itself is to look at now. Never those that it holds, even if it
    /// was too slow to keep the lease: the task that works on one would send beside the next.
    pub async fn claim(
        &self,
        now_ms: u64,
        until_ms: u64,
        most: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        if self.next_wake().await?.is_none_or(|wake| wake > now_ms) {
            return Ok(Vec::new());
        }
        let mut write = self.database.write().await?;
        let rows = query(
            "UPDATE documents SET lease_owner = $1, lease_until_ms = $2, fencing = fencing + 1
             WHERE id IN (SELECT id FROM documents WHERE lane = 'gateway' AND wake_ms <= $3
                          AND lease_until_ms <= $3 AND (lease_until_ms = 0 OR lease_owner <> $1)
                          ORDER BY wake_ms LIMIT $4)
             RETURNING id, fencing",
        )
        .bind(self.gateway())
        .bind(until_ms)
        .bind(now_ms)
        .bind(most)
        .all(&mut write)
        .await?;
        write.commit().await?;
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
        if !self.can_lease(run_uid, now_ms).await? {
            return Ok(Vec::new());
        }
        let mut write = self.database.write().await?;
        let rows = query(
            "UPDATE documents SET lease_owner = $1, lease_until_ms = $2, fencing = fencing + 1
             WHERE id IN (SELECT id FROM documents WHERE lane = 'worker' AND run_uid = $3
                          AND lease_until_ms <= $4 ORDER BY id LIMIT $5)
             RETURNING id, fencing",
        )
        .bind(worker_owner(worker))
        .bind(until_ms)
        .bind(run_uid)
        .bind(now_ms)
        .bind(most)
        .all(&mut write)
        .await?;
        write.commit().await?;
        claims(&rows)
    }

    /// Whether an item is free: those who wait for one ask often, and are not to keep writers away.
    async fn can_lease(&self, run_uid: &str, now_ms: u64) -> Result<bool, StoreError> {
        let mut session = self.database.read().await?;
        let row = query(
            "SELECT COUNT(*) FROM documents WHERE lane = 'worker' AND run_uid = $1
             AND lease_until_ms <= $2",
        )
        .bind(run_uid)
        .bind(now_ms)
        .one(&mut session)
        .await?;
        row.flag(0)
    }

    /// Keeps a worker's lease; false when somebody else has it by now, or nobody needs it.
    pub async fn renew(
        &self,
        document: &str,
        worker: &str,
        token: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        self.extend(document, &worker_owner(worker), token, until_ms, "worker")
            .await
    }

    /// Keeps the gateway's own lease; false when another gateway has it by now.
    pub async fn keep(&self, claim: &Claim, until_ms: u64) -> Result<bool, StoreError> {
        let Claim { document, token } = claim;
        self.extend(document, &self.gateway(), *token, until_ms, "gateway")
            .await
    }

    async fn extend(
        &self,
        document: &str,
        owner: &str,
        token: u64,
        until_ms: u64,
        lane: &str,
    ) -> Result<bool, StoreError> {
        let mut write = self.database.write().await?;
        let done = query(
            "UPDATE documents SET lease_until_ms = $1 WHERE id = $2 AND lease_owner = $3
             AND fencing = $4 AND lane = $5",
        )
        .bind(until_ms)
        .bind(document)
        .bind(owner)
        .bind(token)
        .bind(lane)
        .execute(&mut write)
        .await?;
        write.commit().await?;
        Ok(done == 1)
    }

    /// Gives a worker's leases back, so that others need not wait for their end.
    pub async fn give_back(&self, worker: &str) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        query("UPDATE documents SET lease_until_ms = 0, lease_owner = NULL WHERE lease_owner = $1")
            .bind(worker_owner(worker))
            .execute(&mut write)
            .await?;
        self.commit_and_tell(write).await
    }

    /// Ends the gateway's lease. With `wake_ms` it failed, and is tried again then.
    pub async fn unclaim(&self, claim: &Claim, wake_ms: Option<u64>) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        query(
            "UPDATE documents SET lease_until_ms = 0, wake_ms = COALESCE($1, wake_ms),
             attempts = attempts + CASE WHEN $1 IS NULL THEN 0 ELSE 1 END
             WHERE id = $2 AND fencing = $3 AND lease_owner = $4",
        )
        .bind(wake_ms)
        .bind(&claim.document)
        .bind(claim.token)
        .bind(self.gateway())
        .execute(&mut write)
        .await?;
        write.commit().await
    }

    /// When the gateway must look next, if it need not now.
    pub async fn next_wake(&self) -> Result<Option<u64>, StoreError> {
        let mut session = self.database.read().await?;
        let row = query(
            "SELECT MIN(CASE WHEN wake_ms > lease_until_ms THEN wake_ms ELSE lease_until_ms END)
             FROM documents WHERE lane = 'gateway' AND (lease_until_ms = 0 OR lease_owner <> $1)",
        )
        .bind(self.gateway())
        .one(&mut session)
        .await?;
        row.maybe_number(0)
    }

    /// Items of a run that are left for workers.
    pub async fn left_for_workers(&self, run_uid: &str) -> Result<u64, StoreError> {
        let mut session = self.database.read().await?;
        let row = query("SELECT COUNT(*) FROM documents WHERE run_uid = $1 AND lane = 'worker'")
            .bind(run_uid)
            .one(&mut session)
            .await?;
        row.number(0)
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

fn claims(rows: &[Row]) -> Result<Vec<Claim>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok(Claim {
                document: row.get(0)?,
                token: row.number(1)?,
            })
        })
        .collect()
}
