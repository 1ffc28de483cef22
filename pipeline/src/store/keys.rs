//! Keys of data subjects: made on first use, opened on each use, gone after erasure.

use sqlx::{Row, SqliteConnection};

use super::{
    error::StoreError,
    vault::{Subject, SubjectKey, Vault},
};

/// The subject's key; a new one on first use and after an erasure.
pub async fn ensure(
    connection: &mut SqliteConnection,
    vault: &Vault,
    subject: Subject,
) -> Result<SubjectKey, StoreError> {
    if let Some(key) = find(connection, vault, subject).await? {
        return Ok(key);
    }
    let (key, wrapped) = vault.new_key(subject)?;
    sqlx::query(
        "INSERT INTO subject_keys (subject, wrapped) VALUES (?1, ?2)
         ON CONFLICT (subject) DO UPDATE SET wrapped = ?2, erased_ms = NULL",
    )
    .bind(subject.0.to_vec())
    .bind(wrapped)
    .execute(connection)
    .await?;
    Ok(key)
}

/// The subject's key, unless there is none or it was erased.
pub async fn find(
    connection: &mut SqliteConnection,
    vault: &Vault,
    subject: Subject,
) -> Result<Option<SubjectKey>, StoreError> {
    let row = sqlx::query("SELECT wrapped FROM subject_keys WHERE subject = ?")
        .bind(subject.0.to_vec())
        .fetch_optional(connection)
        .await?;
    let wrapped: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    wrapped
        .map(|wrapped| vault.unwrap_key(subject, &wrapped))
        .transpose()
}
