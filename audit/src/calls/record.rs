use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hash::sha256;
use crate::{AuditError, Commitment, Hash, commit};

/// 16 random bytes that one caller alone is told: they name its call's record, and salt what the record says
/// of texts. Whoever forgets them leaves a record that points at nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallToken([u8; 16]);

/// One call that was answered, or that a policy refused. It holds no text, and nothing that a text could be guessed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRecord<'a> {
    /// The SHA-256 of the call's token.
    pub call: Hash,
    /// When the answer ended: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    pub pipeline: Cow<'a, str>,
    pub step: Cow<'a, str>,
    /// The document's id, if the caller named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Cow<'a, str>>,
    /// Name of the ModelDeployment that answered; none where a policy refused the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'a, str>>,
    /// Digest of its weights, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_digest: Option<Cow<'a, str>>,
    /// Index of the route in its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<u32>,
    /// `EXPERIMENT/VARIANT`, where the step has an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Cow<'a, str>>,
    /// Digest of the policies that the pipeline's documents are judged by.
    pub policies: Cow<'a, str>,
    /// What rules read of the call; none where no rule of calls is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged<'a>>,
    /// `hit`, `shared` or `miss`, where answers are used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cow<'a, str>>,
    /// How it ended.
    pub outcome: Cow<'a, str>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Whether the model's server counted them; otherwise they are an estimate.
    pub exact: bool,
    /// Amount and currency, as in `0.000051 USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cow<'a, str>>,
    /// To the bytes of the request, as the caller sent them.
    pub request: Commitment,
    /// To the bytes of the answer, as the caller was told them.
    pub answer: Commitment,
}

/// What rules read of a call, and what they said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judged<'a> {
    /// Digest of the policies whose rules they are.
    pub policies: Cow<'a, str>,
    /// Bytes that were scanned, by channel.
    pub scanned: BTreeMap<Cow<'a, str>, u64>,
    /// Values that were left out, for no rule reads them.
    pub stripped: u64,
    /// The strictest action.
    pub action: Cow<'a, str>,
    /// The rules that spoke, as `POLICY/RULE`, the first eight of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Cow<'a, str>>,
}

/// The commitment to a text that comes in parts.
#[derive(Clone, Debug)]
pub struct Told(sha2::Sha256);

// === impl CallToken ===

impl CallToken {
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The name of the call's record.
    pub fn call(&self) -> Hash {
        sha256(&self.0)
    }

    /// The commitment to `bytes` under this token: `SHA-256(token, zero-filled to 32 bytes || bytes)`.
    pub fn commit(&self, bytes: &[u8]) -> Commitment {
        commit(&self.salt(), bytes)
    }

    /// The same for bytes that are still coming.
    pub fn told(&self) -> Told {
        use sha2::Digest;
        Told(sha2::Sha256::new_with_prefix(self.salt()))
    }

    fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        for (into, from) in salt.iter_mut().zip(self.0) {
            *into = from;
        }
        salt
    }
}

impl fmt::Display for CallToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What keeps records from pointing at anybody is no matter for logs.
impl fmt::Debug for CallToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallToken")
    }
}

impl FromStr for CallToken {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let mut bytes = [0; 16];
        let read = hex::decode_to_slice(text, &mut bytes);
        read.map_err(|_| AuditError::Malformed {
            what: "call",
            why: "32 hex digits are expected",
        })?;
        Ok(Self(bytes))
    }
}

// === impl Told ===

impl Told {
    pub fn more(&mut self, bytes: &[u8]) {
        use sha2::Digest;
        self.0.update(bytes);
    }

    pub fn commitment(self) -> Commitment {
        use sha2::Digest;
        Commitment(Hash(self.0.finalize().into()))
    }
}
