//! Each intent is accepted once: a repeat gets the first answer.

use sqlx::{Row, SqliteConnection};

use super::{error::StoreError, vault::Vault};

/// What makes a repeat of an intent recognisable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// `Idempotency-Key` header.
    Key(String),
    /// `source` and `id` of the event behind the intent.
    Event { source: String, id: String },
    /// An item of a run.
    Item { run_uid: String, item: String },
}

impl Idempotency {
    pub(super) fn hash(&self, vault: &Vault, pipeline: &str) -> [u8; 32] {
        match self {
            Self::Key(key) => vault.hash("idempotency/key", &[pipeline, key]),
            Self::Event { source, id } => vault.hash("idempotency/event", &[pipeline, source, id]),
            Self::Item { run_uid, item } => vault.hash("idempotency/item", &[run_uid, item]),
        }
    }
}

/// The document that the key led to, if it was used with this request.
pub async fn find(
    connection: &mut SqliteConnection,
    key: &[u8; 32],
    request: &[u8; 32],
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT request, document FROM idempotency WHERE key = ?")
        .bind(key.to_vec())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<Vec<u8>, _>(0)? == request {
        Ok(Some(row.try_get(1)?))
    } else {
        Err(StoreError::KeyReused)
    }
}

/// Remembers the first answer.
pub async fn remember(
    connection: &mut SqliteConnection,
    key: &[u8; 32],
    request: &[u8; 32],
    document: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO idempotency (key, request, document) VALUES (?, ?, ?)")
        .bind(key.to_vec())
        .bind(request.to_vec())
        .bind(document.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}
