//! A document as a row: the sealed state, and the plain columns that are derived from it.

use super::{
    database::{Row, Session, query},
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
pub async fn load(session: &mut Session, vault: &Vault, id: &str) -> Result<Loaded, StoreError> {
    let row = query(
        "SELECT state, subject, seq, fencing, lease_owner, attempts FROM documents WHERE id = $1",
    )
    .bind(id)
    .optional(session)
    .await?
    .ok_or_else(|| StoreError::NoDocument(id.to_owned()))?;
    let sealed: Option<Vec<u8>> = row.get(0)?;
    let sealed = sealed.ok_or_else(|| StoreError::Erased(id.to_owned()))?;
    let subject = subject(&row, 1)?;
    let key = keys::find(session, vault, subject)
        .await?
        .ok_or_else(|| StoreError::Erased(id.to_owned()))?;
    let state = serde_json::from_slice(&key.open(&state_place(id), &sealed)?)?;
    Ok(Loaded {
        state,
        subject,
        seq: row.number(2)?,
        fencing: row.number(3)?,
        lease_owner: row.get(4)?,
        attempts: u32::try_from(row.number(5)?).unwrap_or(u32::MAX),
    })
}

/// A keyed hash column.
pub fn subject(row: &Row, column: usize) -> Result<Subject, StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    bytes
        .try_into()
        .map(Subject)
        .map_err(|_| StoreError::Sealed)
}
