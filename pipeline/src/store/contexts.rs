//! Uploaded records, sealed each under the key of the person it is about.

use serde_json::{Map, Value};
use sqlx::{Connection, Row};

use super::{
    error::StoreError,
    keys,
    open::Store,
    rows::{signed, subject},
    vault::Subject,
};

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
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        sqlx::query("DELETE FROM contexts WHERE pipeline = ? AND name = ?")
            .bind(pipeline.to_owned())
            .bind(context.to_owned())
            .execute(&mut *tx)
            .await?;
        for (ordinal, uploaded) in (0..).zip(records) {
            let subject = uploaded
                .subject
                .unwrap_or_else(|| self.vault.impersonal(pipeline, context));
            let sealing = keys::ensure(&mut tx, &self.vault, subject).await?;
            let key = self
                .vault
                .hash("record", &[pipeline, context, &uploaded.key]);
            let record = serde_json::to_vec(&uploaded.record)?;
            sqlx::query(
                "INSERT INTO contexts (pipeline, name, key, ordinal, subject, record)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(pipeline.to_owned())
            .bind(context.to_owned())
            .bind(key.to_vec())
            .bind(signed(ordinal))
            .bind(subject.0.to_vec())
            .bind(sealing.seal(&record_place(&key), &record)?)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        drop(writer);
        self.announce();
        Ok(())
    }

    /// The record of that key.
    pub async fn record(
        &self,
        pipeline: &str,
        context: &str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        let key = self.vault.hash("record", &[pipeline, context, key]);
        let mut connection = self.reader.acquire().await?;
        let row = sqlx::query(
            "SELECT subject, record FROM contexts WHERE pipeline = ? AND name = ? AND key = ?",
        )
        .bind(pipeline.to_owned())
        .bind(context.to_owned())
        .bind(key.to_vec())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(sealing) = keys::find(&mut connection, &self.vault, subject(&row, 0)?).await?
        else {
            return Ok(None);
        };
        let plain = sealing.open(&record_place(&key), &row.try_get::<Vec<u8>, _>(1)?)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// Every record of a context, in the order of the upload.
    pub async fn records(&self, pipeline: &str, context: &str) -> Result<Vec<Record>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        let rows = sqlx::query(
            "SELECT subject, record, key FROM contexts WHERE pipeline = ? AND name = ?
             ORDER BY ordinal",
        )
        .bind(pipeline.to_owned())
        .bind(context.to_owned())
        .fetch_all(&mut *connection)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let key = keys::find(&mut connection, &self.vault, subject(&row, 0)?).await?;
            if let Some(key) = key {
                let place = record_place(&row.try_get::<Vec<u8>, _>(2)?);
                let plain = key.open(&place, &row.try_get::<Vec<u8>, _>(1)?)?;
                records.push(serde_json::from_slice(&plain)?);
            }
        }
        Ok(records)
    }
}

fn record_place(key: &[u8]) -> String {
    format!("record/{}", hex::encode(key))
}
