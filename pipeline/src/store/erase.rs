//! Erasure: the person's keys, salts, payloads and records are destroyed; leaves and their proofs
//! stay. A signed leaf says that it happened.

use aios_audit::Kind;
use serde_json::json;
use sqlx::{Connection, Row};

use super::{
    error::StoreError,
    keys,
    leaves::Line,
    open::Store,
    rows::{signed, subject, unsigned},
    vault::Subject,
};
use crate::machine::Entry;

impl Store {
    /// Erases a person; gives the number of documents concerned. Documents that were under way are
    /// refused. Erasing again, or somebody unknown, changes nothing.
    pub async fn erase(&self, person: Subject, by: &str, now_ms: u64) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await?;
        let rows = sqlx::query(
            "SELECT id, pipeline, seq, subject FROM documents WHERE subject = ? AND state IS NOT NULL",
        )
        .bind(person.0.to_vec())
        .fetch_all(&mut *tx)
        .await?;
        let mut hashes = Vec::new();
        for row in &rows {
            let (id, pipeline): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let seq = unsigned(row, 2)?;
            debug_assert_eq!(subject(row, 3).ok(), Some(person));
            let nobody = self.vault.nobody(&id);
            destroy(&mut tx, nobody, now_ms).await?;
            // The erasure itself is about nobody: who asked for it and when.
            let mark = Subject(self.vault.hash("subject/erasure", &[&id]));
            let key = keys::ensure(&mut tx, &self.vault, mark).await?;
            let line = Line {
                pipeline: &pipeline,
                document: &id,
                subject: mark,
                key: &key,
                seq,
                time_ms: now_ms,
            };
            let entries = vec![Entry::Fact {
                kind: Kind::Erased,
                payload: json!({"by": by}),
            }];
            hashes.extend(self.write_leaves(&mut tx, &line, entries).await?);
            sqlx::query(
                "UPDATE documents SET state = NULL, seq = seq + 1, lane = NULL, wake_ms = NULL,
                 lease_owner = NULL, lease_until_ms = 0, fencing = fencing + 1, updated_ms = ?,
                 reason = CASE status WHEN 'Published' THEN reason WHEN 'Refused' THEN reason
                          ELSE 'Erased' END,
                 status = CASE status WHEN 'Published' THEN status ELSE 'Refused' END
                 WHERE id = ?",
            )
            .bind(signed(now_ms))
            .bind(id)
            .execute(&mut *tx)
            .await?;
        }
        destroy(&mut tx, person, now_ms).await?;
        sqlx::query("DELETE FROM contexts WHERE subject = ?")
            .bind(person.0.to_vec())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.grow(&hashes);
        drop(writer);
        self.forget_pages().await?;
        Ok(rows.len() as u64)
    }

    /// Rewrites freed pages and the write-ahead log, so that old ciphertext and keys are gone from
    /// the disk, too.
    async fn forget_pages(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *writer)
            .await?;
        Ok(())
    }
}

async fn destroy(
    tx: &mut sqlx::SqliteConnection,
    subject: Subject,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE subject_keys SET wrapped = NULL, erased_ms = ? WHERE subject = ?")
        .bind(signed(now_ms))
        .bind(subject.0.to_vec())
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE leaves SET sealed = NULL WHERE subject = ?")
        .bind(subject.0.to_vec())
        .execute(tx)
        .await?;
    Ok(())
}
