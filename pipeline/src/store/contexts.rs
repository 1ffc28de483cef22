//! Uploaded records, sealed each under the key of the person it is about.

use super::{
    database::query, error::StoreError, identities, keys, open::Store, rows::subject,
    vault::Subject,
};
use serde_json::{Map, Value};

/// A record: an object of the user's.
pub type Record = Map<String, Value>;

/// One record of an upload.
#[derive(Clone, Debug)]
pub struct UploadedRecord {
    /// Its key, unique in the upload.
    pub key: String,
    /// The person it is about, if any.
    pub subject: Option<Subject>,
    pub record: Record,
}

impl Store {
    /// Replaces all records of a context: all or nothing.
    pub async fn put_context(
        &self,
        pipeline: &str,
        context: &str,
        records: Vec<UploadedRecord>,
    ) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        query("DELETE FROM contexts WHERE pipeline = $1 AND name = $2")
            .bind(pipeline)
            .bind(context)
            .execute(&mut write)
            .await?;
        identities::forget(&mut write, pipeline).await?;
        for (ordinal, uploaded) in (0_u64..).zip(records) {
            let subject = uploaded
                .subject
                .unwrap_or_else(|| self.vault.impersonal(pipeline, context));
            let sealing = keys::ensure(&mut write, &self.vault, subject).await?;
            let key = self
                .vault
                .hash("record", &[pipeline, context, &uploaded.key]);
            let record = serde_json::to_vec(&uploaded.record)?;
            query(
                "INSERT INTO contexts (pipeline, name, key, ordinal, subject, record)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(pipeline)
            .bind(context)
            .bind(key)
            .bind(ordinal)
            .bind(subject.0)
            .bind(sealing.seal(&record_place(&key), &record)?)
            .execute(&mut write)
            .await?;
        }
        self.commit_and_tell(write).await
    }

    /// The record of that key.
    pub async fn record(
        &self,
        pipeline: &str,
        context: &str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        let key = self.vault.hash("record", &[pipeline, context, key]);
        let mut session = self.database.read().await?;
        let row = query(
            "SELECT subject, record FROM contexts WHERE pipeline = $1 AND name = $2 AND key = $3",
        )
        .bind(pipeline)
        .bind(context)
        .bind(key)
        .optional(&mut session)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(sealing) = keys::find(&mut session, &self.vault, subject(&row, 0)?).await? else {
            return Ok(None);
        };
        let plain = sealing.open(&record_place(&key), &row.get::<Vec<u8>>(1)?)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// How many records a context has.
    pub async fn count_records(&self, pipeline: &str, context: &str) -> Result<u64, StoreError> {
        let mut session = self.database.read().await?;
        query("SELECT count(*) FROM contexts WHERE pipeline = $1 AND name = $2")
            .bind(pipeline)
            .bind(context)
            .one(&mut session)
            .await?
            .number(0)
    }

    /// Every record of a context, in the order of the upload.
    pub async fn records(&self, pipeline: &str, context: &str) -> Result<Vec<Record>, StoreError> {
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT subject, record, key FROM contexts WHERE pipeline = $1 AND name = $2
             ORDER BY ordinal",
        )
        .bind(pipeline)
        .bind(context)
        .all(&mut session)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let key = keys::find(&mut session, &self.vault, subject(&row, 0)?).await?;
            if let Some(key) = key {
                let place = record_place(&row.get::<Vec<u8>>(2)?);
                let plain = key.open(&place, &row.get::<Vec<u8>>(1)?)?;
                records.push(serde_json::from_slice(&plain)?);
            }
        }
        Ok(records)
    }
}

pub(super) fn record_place(key: &[u8]) -> String {
    format!("record/{}", hex::encode(key))
}
