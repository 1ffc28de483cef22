//! What must survive `kill -9`: documents, contexts, keys, runs and the log, in a SQLite file of one
//! gateway or a PostgreSQL of several. One writes at a time; a state and the log's leaves about it
//! change in one transaction; content is sealed.

mod calls;
mod contexts;
mod database;
mod documents;
mod erase;
mod error;
mod exposures;
mod fired;
mod idempotency;
mod identities;
mod keys;
mod leases;
mod leaves;
mod open;
mod outcomes;
mod quotas;
mod rows;
mod runs;
mod share;
mod snapshot;
mod stats;
mod tree;
mod variants;
mod vault;

#[cfg(test)]
pub(crate) mod calls_tests;
#[cfg(test)]
mod experiment_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod quota_tests;
#[cfg(test)]
mod replica_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use contexts::{Record, UploadedRecord};
pub use database::{Place, PostgresUri};
pub use documents::{Accept, Fence, Listed};
pub use error::StoreError;
pub use fired::Fired;
pub use idempotency::Idempotency;
pub use identities::{Owner, Records};
pub use leases::Claim;
pub(crate) use leases::worker_owner;
pub use leaves::StoredLeaf;
pub use open::{Store, StoreConfig};
pub use outcomes::Outcome;
pub use runs::{RunCounts, RunRow};
pub use share::Share;
pub use stats::{Latency, PipelineStats, StatusCounts};
pub use variants::{OutcomeReport, VariantReport};
pub use vault::{Subject, Vault};
