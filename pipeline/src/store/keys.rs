//! Keys of data subjects: made on first use, opened on each use, gone after erasure.

use super::{
    database::{Session, query},
    error::StoreError,
    vault::{Subject, SubjectKey, Vault},
};

/// The subject's key; a new one on first use and after an erasure.
pub async fn ensure(
    session: &mut Session,
    vault: &Vault,
    subject: Subject,
) -> Result<SubjectKey, StoreError> {
    if let Some(key) = find(session, vault, subject).await? {
        return Ok(key);
    }
    let (key, wrapped) = vault.new_key(subject)?;
    query(
        "INSERT INTO subject_keys (subject, wrapped) VALUES ($1, $2)
         ON CONFLICT (subject) DO UPDATE SET wrapped = $2, erased_ms = NULL",
    )
    .bind(subject.0)
    .bind(wrapped)
    .execute(session)
    .await?;
    Ok(key)
}

/// The subject's key, unless there is none or it was erased.
pub async fn find(
    session: &mut Session,
    vault: &Vault,
    subject: Subject,
) -> Result<Option<SubjectKey>, StoreError> {
    let row = query("SELECT wrapped FROM subject_keys WHERE subject = $1")
        .bind(subject.0)
        .optional(session)
        .await?;
    let wrapped: Option<Vec<u8>> = row.map(|row| row.get(0)).transpose()?.flatten();
    wrapped
        .map(|wrapped| vault.unwrap_key(subject, &wrapped))
        .transpose()
}
