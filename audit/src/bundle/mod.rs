//! One file that carries a whole log: what an auditor takes home and verifies without a cluster.
//! NDJSON: a header, the signed checkpoint, then every leaf in order, each directly followed by its
//! opening or envelope if the exporter may show it. Every line has exactly one spelling.

mod error;
mod format;
mod leaves;
mod lines;
mod verify;
mod write;

pub use error::{BundleError, Fault, Part, Place};
pub use verify::{Expectations, Head, Report, verify_bundle};
pub use write::BundleWriter;
