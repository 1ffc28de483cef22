//! What must survive `kill -9`: documents, contexts, keys, runs and the log, in one SQLite file.
//! One writer; a state and the log's leaves about it change in one transaction; content is sealed.

mod contexts;
mod documents;
mod erase;
mod error;
mod idempotency;
mod keys;
mod leases;
mod leaves;
mod lock;
mod open;
mod rows;
mod runs;
mod snapshot;
mod stats;
mod vault;

#[cfg(test)]
mod tests;

pub use contexts::{Record, UploadedRecord};
pub use documents::{Accept, Fence, Listed};
pub use error::StoreError;
pub use idempotency::Idempotency;
pub use leases::Claim;
pub(crate) use leases::worker_owner;
pub use leaves::StoredLeaf;
pub use open::{Store, StoreConfig};
pub use runs::{RunCounts, RunRow};
pub use stats::{Latency, PipelineStats, StatusCounts};
pub use vault::{Subject, Vault};
