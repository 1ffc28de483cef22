use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{CallRecord, CallsError};
use crate::hash::sha256;
use crate::{AuditError, Hash, Log, LogKey, VerifierKey, leaf_hash};

const KEY_NAME: &str = "calls";
/// What the first batch names as the one before.
const NOTHING: Hash = Hash([0; 32]);

/// What is signed of a batch. `Display` gives the signed text, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallHead {
    /// The first 16 bytes of the SHA-256 of the process's verifier key, in hex.
    pub process: String,
    /// Counted from 0.
    pub sequence: u64,
    pub records: u64,
    /// RFC 6962 root over the records, each as its canonical JSON.
    pub root: Hash,
    /// SHA-256 of the signed text of the batch before; zeros in the first.
    pub previous: Hash,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
}

/// Calls of one process in the order in which they ended, and the signature over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallBatch {
    pub head: CallHead,
    /// The process's verifier key: `name+keyid+base64`.
    pub key: String,
    /// Standard base64 of the Ed25519 signature over the head.
    pub signature: String,
    pub records: Vec<CallRecord<'static>>,
}

/// Signs the batches of one process.
#[derive(Debug)]
pub struct Scribe {
    key: LogKey,
    process: String,
    next: u64,
    previous: Hash,
}

// === impl CallHead ===

impl fmt::Display for CallHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            sequence,
            records,
            root,
            previous,
            time_ms,
        } = self;
        writeln!(
            f,
            "aios.dev/calls/v1\n{process}\n{sequence}\n{records}\n{root}\n{previous}\n{time_ms}"
        )
    }
}

impl CallHead {
    /// What the next batch names as the one before.
    pub fn hash(&self) -> Hash {
        sha256(self.to_string().as_bytes())
    }

    /// Whether it may be the first of its process.
    pub(super) fn is_first(&self) -> bool {
        self.sequence == 0 && self.previous == NOTHING
    }
}

// === impl CallBatch ===

impl CallBatch {
    /// Reads a batch and checks that it is whole, in order, and signed by the process that it names. Whether
    /// it follows the one before is for [`super::CallChains`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(json: &[u8]) -> Result<Self, CallsError> {
        let batch: Self = serde_json::from_slice(json)
            .map_err(|error| CallsError::Unreadable(error.to_string()))?;
        let head = &batch.head;
        let key: VerifierKey = batch.key.parse().map_err(CallsError::Signature)?;
        if process(&key) != head.process {
            let process = head.process.clone();
            return Err(CallsError::OtherKey { process });
        }
        let signature = STANDARD.decode(&batch.signature);
        let signature = signature.map_err(|_| CallsError::Unreadable("not base64".into()))?;
        key.verify(head.to_string().as_bytes(), &signature)
            .map_err(CallsError::Signature)?;
        let (signed, found) = (head.records, batch.records.len() as u64);
        if signed != found {
            return Err(CallsError::Count { signed, found });
        }
        if root(&batch.records).map_err(CallsError::Signature)? != head.root {
            return Err(CallsError::Root);
        }
        Ok(batch)
    }
}

// === impl Scribe ===

impl Scribe {
    /// `seed` is a fresh Ed25519 secret that no other process has.
    ///
    /// # Errors
    /// None that a seed could cause.
    pub fn new(seed: &[u8; 32]) -> Result<Self, AuditError> {
        let key = LogKey::new(KEY_NAME, seed)?;
        Ok(Self {
            process: process(&key.verifier()),
            key,
            next: 0,
            previous: NOTHING,
        })
    }

    /// Its name in heads.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Passes over a batch that was lost before it was signed: auditors see a gap.
    pub fn skip(&mut self) {
        self.next += 1;
    }

    /// Signs the next batch.
    ///
    /// # Errors
    /// When a record has no JSON.
    pub fn sign(
        &mut self,
        records: Vec<CallRecord<'static>>,
        time_ms: u64,
    ) -> Result<CallBatch, AuditError> {
        let head = CallHead {
            process: self.process.clone(),
            sequence: self.next,
            records: records.len() as u64,
            root: root(&records)?,
            previous: self.previous,
            time_ms,
        };
        let signature = self.key.sign(head.to_string().as_bytes());
        self.next += 1;
        self.previous = head.hash();
        Ok(CallBatch {
            head,
            key: self.key.verifier().to_string(),
            signature: STANDARD.encode(signature),
            records,
        })
    }
}

fn process(key: &VerifierKey) -> String {
    let Hash(digest) = sha256(key.to_string().as_bytes());
    hex::encode(digest.iter().copied().take(16).collect::<Vec<_>>())
}

fn root(records: &[CallRecord<'_>]) -> Result<Hash, AuditError> {
    let mut log = Log::new();
    for record in records {
        let json = serde_json::to_vec(record).map_err(|e| AuditError::Encode(e.to_string()))?;
        log.append(leaf_hash(&json));
    }
    Ok(log.root())
}
