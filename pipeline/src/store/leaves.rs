//! The log's leaves: written in the transaction of the state they tell of, read for export.

use aios_audit::{Envelope, Kind, Leaf, Statement, commit};
use aios_proto::canonical;

use super::{
    database::{Session, query},
    error::StoreError,
    keys,
    open::Store,
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
    /// Writes entries behind the last leaf; gives their number. Only in a `Write`, so that nobody
    /// takes the same place.
    pub(super) async fn write_leaves(
        &self,
        write: &mut Session,
        line: &Line<'_>,
        entries: Vec<Entry>,
    ) -> Result<u64, StoreError> {
        let count = entries.len() as u64;
        let first = query("SELECT COALESCE(MAX(position) + 1, 0) FROM leaves")
            .one(write)
            .await?
            .number(0)?;
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
            let position = first + offset;
            let mut opening = salt.to_vec();
            opening.extend_from_slice(&payload);
            query(
                "INSERT INTO leaves (position, document, kind, leaf, hash, subject, sealed)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(position)
            .bind(line.document)
            .bind(kind.as_str())
            .bind(serde_json::to_vec(&leaf)?)
            .bind(leaf.hash().0)
            .bind(line.subject.0)
            .bind(line.key.seal(&leaf_place(position), &opening)?)
            .execute(write)
            .await?;
        }
        Ok(count)
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
        let mut session = self.database.read().await?;
        let rows = query(
            "SELECT leaf, position, subject, sealed FROM leaves
             WHERE position >= $1 AND position < $2 ORDER BY position",
        )
        .bind(from)
        .bind(to)
        .all(&mut session)
        .await?;
        let mut leaves = Vec::with_capacity(rows.len());
        for row in rows {
            let leaf = serde_json::from_slice(&row.get::<Vec<u8>>(0)?)?;
            let position = row.number(1)?;
            let sealed: Option<Vec<u8>> = row.get(3)?;
            let opening = match sealed {
                None => None,
                Some(sealed) => {
                    let subject = super::rows::subject(&row, 2)?;
                    let key = keys::find(&mut session, &self.vault, subject).await?;
                    key.map(|key| opened(&key, position, &sealed)).transpose()?
                }
            };
            leaves.push(StoredLeaf { leaf, opening });
        }
        Ok(leaves)
    }

    /// The last signed checkpoint and whether the operator has seen it.
    pub async fn checkpoint(&self) -> Result<Option<(u64, String, bool)>, StoreError> {
        let mut session = self.database.read().await?;
        let row = query("SELECT size, note, witnessed FROM checkpoints ORDER BY size DESC LIMIT 1")
            .optional(&mut session)
            .await?;
        row.map(|row| Ok((row.number(0)?, row.get(1)?, row.flag(2)?)))
            .transpose()
    }

    /// Signs the present head, unless it is signed already, and gives the note.
    pub async fn sign_checkpoint(&self) -> Result<(u64, String), StoreError> {
        self.tree.catch_up(&self.database).await?;
        let (size, root) = self.with_log(|log| (log.size(), log.root()));
        if let Some((signed_size, note, _)) = self.checkpoint().await?
            && signed_size == size
        {
            return Ok((size, note));
        }
        let note = self.log_key.sign_checkpoint(size, root);
        let mut write = self.database.write().await?;
        query("INSERT INTO checkpoints (size, note) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(size)
            .bind(&note)
            .execute(&mut write)
            .await?;
        write.commit().await?;
        Ok((size, note))
    }

    /// Notes that the operator keeps this head.
    pub async fn witnessed(&self, size: u64) -> Result<(), StoreError> {
        let mut write = self.database.write().await?;
        query("UPDATE checkpoints SET witnessed = 1 WHERE size = $1")
            .bind(size)
            .execute(&mut write)
            .await?;
        write.commit().await
    }
}

fn leaf_place(position: u64) -> String {
    format!("leaf/{position}")
}

/// Salt and payload of the leaf at that position.
pub fn opened(
    key: &SubjectKey,
    position: u64,
    sealed: &[u8],
) -> Result<([u8; 32], Vec<u8>), StoreError> {
    let opening = key.open(&leaf_place(position), sealed)?;
    let (salt, payload) = opening
        .split_first_chunk::<32>()
        .ok_or(StoreError::Sealed)?;
    Ok((*salt, payload.to_vec()))
}
