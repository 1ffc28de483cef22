//! The log's leaves: written in the transaction of the state they tell of, read for export.

use aios_audit::{Envelope, Hash, Kind, Leaf, Statement, commit};
use aios_proto::canonical;
use sqlx::{Row, SqliteConnection};

use super::{
    error::StoreError,
    keys,
    open::Store,
    rows::{signed, unsigned},
    vault::{Subject, SubjectKey, salt},
};
use crate::machine::Entry;

/// A leaf as it is exported.
#[derive(Clone, Debug)]
pub struct StoredLeaf {
    pub leaf: Leaf,
    /// Salt and payload, unless erased.
    pub opening: Option<([u8; 32], Vec<u8>)>,
}

/// Whose transition is recorded.
pub struct Line<'a> {
    pub pipeline: &'a str,
    pub document: &'a str,
    pub subject: Subject,
    pub key: &'a SubjectKey,
    /// Leaves of the document so far.
    pub seq: u64,
    pub time_ms: u64,
}

impl Store {
    /// Writes entries behind the last leaf. Give the hashes to `grow` after the commit.
    pub(super) async fn write_leaves(
        &self,
        connection: &mut SqliteConnection,
        line: &Line<'_>,
        entries: Vec<Entry>,
    ) -> Result<Vec<Hash>, StoreError> {
        let mut hashes = Vec::new();
        let first = sqlx::query("SELECT COALESCE(MAX(position) + 1, 0) FROM leaves")
            .fetch_one(&mut *connection)
            .await?;
        let first = unsigned(&first, 0)?;
        for (offset, entry) in (0..).zip(entries) {
            let (kind, payload) = self.payload(entry, line)?;
            let salt = salt()?;
            let leaf = Leaf {
                tenant: self.tenant.clone(),
                pipeline: line.pipeline.to_owned(),
                document: line.document.to_owned(),
                seq: line.seq + offset,
                kind,
                time_ms: line.time_ms,
                commitment: commit(&salt, &payload),
            };
            let hash = leaf.hash();
            let position = first + offset;
            let mut opening = salt.to_vec();
            opening.extend_from_slice(&payload);
            sqlx::query(
                "INSERT INTO leaves (position, document, kind, leaf, hash, subject, sealed)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(signed(position))
            .bind(line.document.to_owned())
            .bind(kind.as_str())
            .bind(serde_json::to_vec(&leaf)?)
            .bind(hash.0.to_vec())
            .bind(line.subject.0.to_vec())
            .bind(line.key.seal(&leaf_place(position), &opening)?)
            .execute(&mut *connection)
            .await?;
            hashes.push(hash);
        }
        Ok(hashes)
    }

    fn payload(&self, entry: Entry, line: &Line<'_>) -> Result<(Kind, Vec<u8>), StoreError> {
        match entry {
            Entry::Fact { kind, payload } => Ok((kind, canonical::to_vec(&payload)?)),
            Entry::Provenance {
                digest,
                mut provenance,
            } => {
                provenance.tenant.clone_from(&self.tenant);
                let statement = Statement::new(line.document, digest, *provenance);
                let envelope = Envelope::sign(&statement, &self.log_key)?;
                Ok((Kind::Provenance, envelope.to_json()?))
            }
        }
    }

    /// Leaves `from..to`, with their openings where they are not erased.
    pub async fn leaves(&self, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        let rows = sqlx::query(
            "SELECT leaf, position, subject, sealed FROM leaves
             WHERE position >= ? AND position < ? ORDER BY position",
        )
        .bind(signed(from))
        .bind(signed(to))
        .fetch_all(&mut *connection)
        .await?;
        let mut leaves = Vec::with_capacity(rows.len());
        for row in rows {
            let leaf = serde_json::from_slice(&row.try_get::<Vec<u8>, _>(0)?)?;
            let place = leaf_place(unsigned(&row, 1)?);
            let sealed: Option<Vec<u8>> = row.try_get(3)?;
            let opening = match sealed {
                None => None,
                Some(sealed) => {
                    let subject = super::rows::subject(&row, 2)?;
                    let key = keys::find(&mut connection, &self.vault, subject).await?;
                    key.map(|key| key.open(&place, &sealed))
                        .transpose()?
                        .as_deref()
                        .and_then(split)
                }
            };
            leaves.push(StoredLeaf { leaf, opening });
        }
        Ok(leaves)
    }

    /// The last signed checkpoint and whether the operator has seen it.
    pub async fn checkpoint(&self) -> Result<Option<(u64, String, bool)>, StoreError> {
        let row =
            sqlx::query("SELECT size, note, witnessed FROM checkpoints ORDER BY size DESC LIMIT 1")
                .fetch_optional(&self.reader)
                .await?;
        row.map(|row| {
            Ok((
                unsigned(&row, 0)?,
                row.try_get(1)?,
                row.try_get::<i64, _>(2)? != 0,
            ))
        })
        .transpose()
    }

    /// Signs the present head, unless it is signed already, and gives the note.
    pub async fn sign_checkpoint(&self) -> Result<(u64, String), StoreError> {
        let (size, root) = self.with_log(|log| (log.size(), log.root()));
        if let Some((signed_size, note, _)) = self.checkpoint().await?
            && signed_size == size
        {
            return Ok((size, note));
        }
        let note = self.log_key.sign_checkpoint(size, root);
        let mut writer = self.writer.lock().await;
        sqlx::query("INSERT OR IGNORE INTO checkpoints (size, note) VALUES (?, ?)")
            .bind(signed(size))
            .bind(note.clone())
            .execute(&mut *writer)
            .await?;
        Ok((size, note))
    }

    /// Notes that the operator keeps this head.
    pub async fn witnessed(&self, size: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("UPDATE checkpoints SET witnessed = 1 WHERE size = ?")
            .bind(signed(size))
            .execute(&mut *writer)
            .await?;
        Ok(())
    }
}

fn leaf_place(position: u64) -> String {
    format!("leaf/{position}")
}

fn split(opening: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (salt, payload) = opening.split_first_chunk::<32>()?;
    Some((*salt, payload.to_vec()))
}
