//! A document as a row: the sealed state, and the plain columns that are derived from it.

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    error::StoreError,
    keys,
    vault::{Subject, Vault},
};
use crate::machine::{Phase, State};

/// What is read of a row to work on the document.
pub struct Loaded {
    pub state: State,
    pub subject: Subject,
    pub seq: u64,
    pub fencing: u64,
    pub lease_owner: Option<String>,
    pub attempts: u32,
}

/// Who acts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Worker,
    Gateway,
}

impl Lane {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Gateway => "gateway",
        }
    }

    /// Who acts next on a document, and when the gateway should look.
    pub fn of(state: &State, now_ms: u64) -> (Option<Self>, Option<u64>) {
        match state.phase {
            Phase::Accepted | Phase::Writing if state.run.is_some() && state.for_worker() => {
                (Some(Self::Worker), None)
            }
            Phase::Publishing { .. } => {
                let retry_ms = state.publication_retry_ms();
                (Some(Self::Gateway), Some(retry_ms.unwrap_or(now_ms)))
            }
            Phase::Accepted | Phase::Writing => (Some(Self::Gateway), Some(now_ms)),
            Phase::Review {
                due_ms: Some(due), ..
            } => (Some(Self::Gateway), Some(due)),
            _ => (None, None),
        }
    }
}

/// Where a document's state is sealed.
pub fn state_place(id: &str) -> String {
    format!("state/{id}")
}

/// Reads and opens one document.
pub async fn load(
    connection: &mut SqliteConnection,
    vault: &Vault,
    id: &str,
) -> Result<Loaded, StoreError> {
    let row = sqlx::query(
        "SELECT state, subject, seq, fencing, lease_owner, attempts FROM documents WHERE id = ?",
    )
    .bind(id.to_owned())
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| StoreError::NoDocument(id.to_owned()))?;
    let sealed: Option<Vec<u8>> = row.try_get(0)?;
    let sealed = sealed.ok_or_else(|| StoreError::Erased(id.to_owned()))?;
    let subject = subject(&row, 1)?;
    let key = keys::find(connection, vault, subject)
        .await?
        .ok_or_else(|| StoreError::Erased(id.to_owned()))?;
    let state = serde_json::from_slice(&key.open(&state_place(id), &sealed)?)?;
    Ok(Loaded {
        state,
        subject,
        seq: unsigned(&row, 2)?,
        fencing: unsigned(&row, 3)?,
        lease_owner: row.try_get(4)?,
        attempts: u32::try_from(row.try_get::<i64, _>(5)?).unwrap_or(u32::MAX),
    })
}

/// A keyed hash column.
pub fn subject(row: &SqliteRow, column: usize) -> Result<Subject, StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes
        .try_into()
        .map(Subject)
        .map_err(|_| StoreError::Sealed)
}

/// A count or time; they are never negative.
pub fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

/// For binding: SQLite has signed integers only.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
