use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Hash;
use crate::hash::leaf_hash;

/// 32 random bytes that keep a commitment from being guessed. Erasure destroys them.
pub type Salt = [u8; 32];

/// `SHA-256(salt || payload)`: binds the log to a payload that it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Hash);

/// The commitment to `payload`, the canonical bytes of what happened.
pub fn commit(salt: &Salt, payload: &[u8]) -> Commitment {
    let mut hasher = Sha256::new_with_prefix(salt);
    hasher.update(payload);
    Commitment(Hash(hasher.finalize().into()))
}

/// What happened to the document. The names are part of the leaf's bytes: never rename one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Accepted,
    Retrieved,
    Drafted,
    Checked,
    Revised,
    /// The safe template took the model's place.
    FellBack,
    ReviewRequested,
    Approved,
    /// An edit after the approval took its effect away.
    ApprovalVoided,
    Rejected,
    Edited,
    PublishIntended,
    Published,
    Parked,
    /// A person moved a parked document on.
    Unparked,
    Refused,
    Erased,
    /// The payload is the JSON of a DSSE envelope.
    Provenance,
    /// A batch of model calls, as the process that made them signed it: the payload is its JSON.
    Calls,
    /// What became of the published document outside: an event that its sender signed.
    Outcome,
}

impl Kind {
    pub const ALL: [Self; 20] = [
        Self::Accepted,
        Self::Retrieved,
        Self::Drafted,
        Self::Checked,
        Self::Revised,
        Self::FellBack,
        Self::ReviewRequested,
        Self::Approved,
        Self::ApprovalVoided,
        Self::Rejected,
        Self::Edited,
        Self::PublishIntended,
        Self::Published,
        Self::Parked,
        Self::Unparked,
        Self::Refused,
        Self::Erased,
        Self::Provenance,
        Self::Calls,
        Self::Outcome,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Retrieved => "Retrieved",
            Self::Drafted => "Drafted",
            Self::Checked => "Checked",
            Self::Revised => "Revised",
            Self::FellBack => "FellBack",
            Self::ReviewRequested => "ReviewRequested",
            Self::Approved => "Approved",
            Self::ApprovalVoided => "ApprovalVoided",
            Self::Rejected => "Rejected",
            Self::Edited => "Edited",
            Self::PublishIntended => "PublishIntended",
            Self::Published => "Published",
            Self::Parked => "Parked",
            Self::Unparked => "Unparked",
            Self::Refused => "Refused",
            Self::Erased => "Erased",
            Self::Provenance => "Provenance",
            Self::Calls => "Calls",
            Self::Outcome => "Outcome",
        }
    }
}

/// One transition of one document. The payload stays outside: only its commitment is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The tenant: a namespace.
    pub tenant: String,
    pub pipeline: String,
    /// The document's id; never a name or an address.
    pub document: String,
    /// Grows by each transition of the document.
    pub seq: u64,
    pub kind: Kind,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    pub commitment: Commitment,
}

impl Leaf {
    /// What stands for the document in leaves of kind `Calls`, which are of no document and may be of several
    /// pipelines.
    pub fn of_calls(process: &str) -> String {
        format!("calls/{process}")
    }

    /// The bytes that are hashed: `aios.dev/leaf/v1\n`, then tenant, pipeline, document and kind each
    /// as a big-endian u64 length and UTF-8, then seq and time as big-endian u64, then the commitment.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = b"aios.dev/leaf/v1\n".to_vec();
        for text in [
            &self.tenant,
            &self.pipeline,
            &self.document,
            self.kind.as_str(),
        ] {
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.extend_from_slice(&self.commitment.0.0);
        out
    }

    /// The RFC 6962 leaf hash.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.canonical_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sha256;

    fn leaf() -> Leaf {
        Leaf {
            tenant: "bank".into(),
            pipeline: "savings".into(),
            document: "d-1".into(),
            seq: 1,
            kind: Kind::Accepted,
            time_ms: 5,
            commitment: commit(&[7; 32], b"payload"),
        }
    }

    #[test]
    fn commitment_is_sha256_of_salt_then_payload() {
        let mut joined = [7; 32].to_vec();
        joined.extend_from_slice(b"payload");
        assert_eq!(commit(&[7; 32], b"payload").0, sha256(&joined));
    }

    #[test]
    fn every_field_changes_the_hash_and_neighbours_cannot_be_confused() {
        let base = leaf();
        let shifted = Leaf {
            tenant: "banks".into(),
            pipeline: "avings".into(),
            ..leaf()
        };
        let variants = [
            shifted,
            Leaf {
                document: "d-2".into(),
                ..leaf()
            },
            Leaf { seq: 2, ..leaf() },
            Leaf {
                kind: Kind::Drafted,
                ..leaf()
            },
            Leaf {
                time_ms: 6,
                ..leaf()
            },
            Leaf {
                commitment: commit(&[8; 32], b"payload"),
                ..leaf()
            },
        ];
        for variant in variants {
            assert_ne!(variant.hash(), base.hash());
        }
    }

    #[test]
    fn kinds_are_written_in_json_as_in_the_leaf() {
        for kind in Kind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
        }
    }
}
