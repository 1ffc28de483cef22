//! What a process says of its model calls: records without a word of text, in batches with one signature
//! each. A process makes its key itself and is named by it; each batch names the one before, so that none
//! is changed, moved or left out unseen.

mod batch;
mod chain;
mod error;
mod record;

pub use batch::{CallBatch, CallHead, Scribe};
pub use chain::{CallChains, CallsReport};
pub use error::CallsError;
pub use record::{CallRecord, CallToken, Judged, Told};
