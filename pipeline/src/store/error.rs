use std::path::PathBuf;

use crate::machine::MachineError;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0} is in use by another gateway: only one may write")]
    Locked(PathBuf),
    #[error("cannot use {path}: {error}")]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(
        "the PostgreSQL URI cannot be used ({0}): write postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full"
    )]
    PostgresUri(String),
    #[error("database schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the tenant's key is not the one that sealed this store: restore Secret `aios-tenant`")]
    WrongKey,
    #[error("sealed content cannot be opened: its key was erased, or the bytes were changed")]
    Sealed,
    #[error("document `{0}` does not exist")]
    NoDocument(String),
    #[error("the data of document `{0}` was erased")]
    Erased(String),
    #[error("another holder works on the document")]
    Fenced,
    #[error(
        "pipeline `{pipeline}` accepts {quota} documents a day (spec.quotas of its policies), and no more \
         fit into this one: it ends at midnight UTC"
    )]
    Quota { pipeline: String, quota: u64 },
    #[error("the idempotency key was used with another request: use a new key for a new document")]
    KeyReused,
    #[error("the event's id was used for another event of the document: each has an id of its own")]
    EventReused,
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error("the log's key: {0}")]
    Audit(#[from] aios_audit::AuditError),
    #[error(transparent)]
    Calls(#[from] aios_audit::CallsError),
    #[error("stored content has no valid form: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("the random source failed")]
    Random,
}
