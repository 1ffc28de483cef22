//! Batches of model calls, as leaves of the log: each once, and only what follows.

use aios_audit::{CallBatch, CallChains, Kind, Leaf};

use super::{
    database::{Session, query},
    error::StoreError,
    keys,
    leaves::{Line, opened},
    open::Store,
};
use crate::machine::Entry;

impl Store {
    /// Appends batches, each the JSON of one that its process signed. Those that are there are passed over;
    /// one that an auditor could not verify is refused, for it would stand in the log for ever.
    ///
    /// # Errors
    /// What is wrong with a batch; those before it are kept.
    pub async fn record_calls(&self, batches: &[Vec<u8>], now_ms: u64) -> Result<(), StoreError> {
        for json in batches {
            let batch = CallBatch::verify(json)?;
            let mut write = self.database.write().await?;
            if self.append(&mut write, &batch, json, now_ms).await? {
                self.commit_and_tell(write).await?;
            }
        }
        Ok(())
    }

    /// False if it is there.
    async fn append(
        &self,
        write: &mut Session,
        batch: &CallBatch,
        json: &[u8],
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let document = Leaf::of_calls(&batch.head.process);
        let subject = self.vault.nobody(&document);
        let key = keys::ensure(write, &self.vault, subject).await?;
        let last = query(
            "SELECT leaf, position, sealed FROM leaves WHERE document = $1
             ORDER BY position DESC LIMIT 1",
        )
        .bind(&document)
        .optional(write)
        .await?;
        if let Some(row) = last {
            let leaf: Leaf = serde_json::from_slice(&row.get::<Vec<u8>>(0)?)?;
            if batch.head.sequence <= leaf.seq {
                return Ok(false);
            }
            let sealed: Vec<u8> = row.get(2)?;
            let (_, before) = opened(&key, row.number(1)?, &sealed)?;
            let mut chain = CallChains::default();
            chain.batch(&leaf, &before)?;
            let next = Leaf {
                seq: batch.head.sequence,
                ..leaf
            };
            chain.batch(&next, json)?;
        }
        let line = Line {
            pipeline: "",
            document: &document,
            subject,
            key: &key,
            seq: batch.head.sequence,
            time_ms: now_ms,
        };
        let payload = serde_json::from_slice(json)?;
        let kind = Kind::Calls;
        self.write_leaves(write, &line, vec![Entry::Fact { kind, payload }])
            .await?;
        Ok(true)
    }
}
