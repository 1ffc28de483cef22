//! Erasure: the person's keys, salts, payloads and records are destroyed; leaves and their proofs
//! stay. A signed leaf says that it happened.

use aios_audit::Kind;
use serde_json::json;

use super::{
    database::{Session, query},
    error::StoreError,
    identities, keys,
    leaves::Line,
    open::Store,
    vault::Subject,
};
use crate::machine::Entry;

impl Store {
    /// Erases a person; gives the number of documents concerned. Documents that were under way are
    /// refused. Erasing again, or somebody unknown, changes nothing.
    pub async fn erase(&self, person: Subject, by: &str, now_ms: u64) -> Result<u64, StoreError> {
        let mut write = self.database.write().await?;
        let rows = query(
            "SELECT id, pipeline, seq FROM documents WHERE subject = $1 AND state IS NOT NULL",
        )
        .bind(person.0)
        .all(&mut write)
        .await?;
        for row in &rows {
            let (id, pipeline): (String, String) = (row.get(0)?, row.get(1)?);
            let seq = row.number(2)?;
            let nobody = self.vault.nobody(&id);
            destroy(&mut write, nobody, now_ms).await?;
            // The erasure itself is about nobody: who asked for it and when.
            let mark = Subject(self.vault.hash("subject/erasure", &[&id]));
            let key = keys::ensure(&mut write, &self.vault, mark).await?;
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
            self.write_leaves(&mut write, &line, entries).await?;
            query(
                "UPDATE documents SET state = NULL, seq = seq + 1, lane = NULL, wake_ms = NULL,
                 lease_owner = NULL, lease_until_ms = 0, fencing = fencing + 1, updated_ms = $1,
                 reason = CASE status WHEN 'Published' THEN reason WHEN 'Refused' THEN reason
                          ELSE 'Erased' END,
                 status = CASE status WHEN 'Published' THEN status ELSE 'Refused' END
                 WHERE id = $2",
            )
            .bind(now_ms)
            .bind(id)
            .execute(&mut write)
            .await?;
        }
        destroy(&mut write, person, now_ms).await?;
        identities::erase(&mut write, person).await?;
        query("DELETE FROM contexts WHERE subject = $1")
            .bind(person.0)
            .execute(&mut write)
            .await?;
        self.commit_and_tell(write).await?;
        self.database.forget_pages().await?;
        Ok(rows.len() as u64)
    }
}

async fn destroy(write: &mut Session, subject: Subject, now_ms: u64) -> Result<(), StoreError> {
    query("UPDATE subject_keys SET wrapped = NULL, erased_ms = $1 WHERE subject = $2")
        .bind(now_ms)
        .bind(subject.0)
        .execute(write)
        .await?;
    query("UPDATE leaves SET sealed = NULL WHERE subject = $1")
        .bind(subject.0)
        .execute(write)
        .await?;
    Ok(())
}
