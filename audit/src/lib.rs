//! Proves what happened to each document, also to people who trust neither the gateway nor its disk:
//! an append-only Merkle log (RFC 6962) of salted commitments, signed checkpoints (C2SP), signed
//! provenance (in-toto in DSSE), and a bundle that is verified offline. No I/O, no clock, no randomness.

mod bundle;
mod calls;
mod checkpoint;
mod dsse;
mod error;
mod hash;
mod key;
mod leaf;
mod log;
mod outcome;
mod proof;
mod statement;

pub use bundle::{
    BundleError, BundleWriter, Expectations, Fault, Head, Part, Place, Report, verify_bundle,
};
pub use calls::{
    CallBatch, CallChains, CallHead, CallRecord, CallToken, CallsError, CallsReport, Judged,
    Scribe, Told,
};
pub use checkpoint::Checkpoint;
pub use dsse::{Envelope, Signature};
pub use error::AuditError;
pub use hash::{Hash, leaf_hash, node_hash, sha256};
pub use key::{LogKey, VerifierKey};
pub use leaf::{Commitment, Kind, Leaf, Salt, commit};
pub use log::Log;
pub use outcome::{Happened, SenderKey, SignedEvent};
pub use proof::{verify_consistency, verify_inclusion};
pub use statement::{
    Decision, ModelUse, Origin, PREDICATE_TYPE, Passage, PolicyUse, Provenance, Review, Statement,
    Subject, Verdict,
};
