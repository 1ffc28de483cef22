//! Each intent is accepted once: a repeat gets the first answer.

use super::{
    database::{Session, query},
    error::StoreError,
    vault::Vault,
};

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
    session: &mut Session,
    key: &[u8; 32],
    request: &[u8; 32],
) -> Result<Option<String>, StoreError> {
    let row = query("SELECT request, document FROM idempotency WHERE key = $1")
        .bind(*key)
        .optional(session)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<Vec<u8>>(0)? == request {
        Ok(Some(row.get(1)?))
    } else {
        Err(StoreError::KeyReused)
    }
}

/// Remembers the first answer.
pub async fn remember(
    session: &mut Session,
    key: &[u8; 32],
    request: &[u8; 32],
    document: &str,
) -> Result<(), StoreError> {
    query("INSERT INTO idempotency (key, request, document) VALUES ($1, $2, $3)")
        .bind(*key)
        .bind(*request)
        .bind(document)
        .execute(session)
        .await?;
    Ok(())
}
