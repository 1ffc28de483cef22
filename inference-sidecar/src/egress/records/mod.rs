//! What the calls of pipelines were, for the tenant's log: kept in memory, signed in batches when the pod's
//! own process fetches them, never with a word of text.

mod ledger;
mod note;

pub use ledger::Ledger;
pub use note::{Note, Noted, Recording, now_ms, refused};
