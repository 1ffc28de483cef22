use crate::AuditError;

/// Why a batch of calls is not what its process signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallsError {
    #[error("the batch of calls cannot be read: {0}")]
    Unreadable(String),
    #[error("the batch's key is not that of process {process}")]
    OtherKey { process: String },
    #[error("the batch's signature: {0}")]
    Signature(AuditError),
    #[error("the batch was signed over {signed} calls and holds {found}")]
    Count { signed: u64, found: u64 },
    #[error("the batch's calls are not those that were signed: one was changed, moved or replaced")]
    Root,
    #[error("batch {found} of process {process} follows batch {last}")]
    Order {
        process: String,
        last: u64,
        found: u64,
    },
    #[error(
        "batch {sequence} of process {process} does not follow the one before: either is of another row"
    )]
    Previous { process: String, sequence: u64 },
    #[error("the batch is of another process or place than its leaf says")]
    OtherLeaf,
}
