use serde::{Deserialize, Serialize};

use crate::{Envelope, Hash, Leaf};

pub const FORMAT: &str = "aios-audit-bundle/v1";

/// One line of the file, tagged by its only key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Line {
    Header(Header),
    Checkpoint(Note),
    Leaf(LeafLine),
    Opening(Opening),
    Envelope(EnvelopeLine),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: String,
    /// A verifier key: `name+keyid+base64`.
    pub key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The signed checkpoint as text.
    pub note: String,
}

/// The hash is redundant on purpose: it tells which leaf was touched, not only that one was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafLine {
    pub index: u64,
    pub hash: Hash,
    pub content: Leaf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    pub index: u64,
    pub salt: Hash,
    /// Standard base64.
    pub payload: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeLine {
    pub index: u64,
    pub salt: Hash,
    pub dsse: Envelope,
}
