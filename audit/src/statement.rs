//! What the tenant signs about one finished document: an in-toto Statement v1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AuditError, Hash};

pub const PREDICATE_TYPE: &str = "https://aios.dev/provenance/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// An in-toto statement with our provenance as its predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    type_: String,
    pub subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    pub predicate: Provenance,
}

/// The thing spoken about: the document by its id and canonical digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub name: String,
    /// By algorithm; ours is `sha256`.
    pub digest: BTreeMap<String, Hash>,
}

/// Where a document came from and who answers for it. Digests are of canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provenance {
    pub tenant: String,
    pub pipeline: String,
    pub origin: Origin,
    pub template_digest: Hash,
    pub models: Vec<ModelUse>,
    pub retrieved: Vec<Passage>,
    pub policies: Vec<PolicyUse>,
    /// Oldest first.
    pub verdicts: Vec<Verdict>,
    /// Oldest first.
    pub reviews: Vec<Review>,
}

/// Who wrote the words that were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A model, unchanged by people.
    Model,
    /// A model, then edited by a person.
    Edited,
    /// The safe template.
    Template,
}

/// One step's model. `digest` is that of the weights, or of provider, model and endpoint if hosted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelUse {
    pub step: String,
    pub deployment: String,
    pub model: String,
    pub digest: Hash,
}

/// A passage or record that was given to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Passage {
    pub id: String,
    pub digest: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyUse {
    pub name: String,
    pub digest: Hash,
}

/// What the policies said about one version of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verdict {
    pub document_digest: Hash,
    /// The verdict's action: `Pass`, `Review`, ...
    pub action: String,
    /// Names of the rules that matched.
    pub rules: Vec<String>,
    pub time_ms: u64,
}

/// One person's decision about one version of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// The Kubernetes user name.
    pub reviewer: String,
    pub decision: Decision,
    pub document_digest: Hash,
    pub time_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Decision {
    Approved,
    Rejected,
    Edited,
}

impl Statement {
    pub fn new(document: &str, digest: Hash, predicate: Provenance) -> Self {
        Self {
            type_: STATEMENT_TYPE.into(),
            subject: vec![Subject {
                name: document.into(),
                digest: BTreeMap::from([("sha256".into(), digest)]),
            }],
            predicate_type: PREDICATE_TYPE.into(),
            predicate,
        }
    }

    /// Reads a statement and refuses one of another type.
    pub fn from_json(bytes: &[u8]) -> Result<Self, AuditError> {
        let malformed = |why| AuditError::Malformed {
            what: "statement",
            why,
        };
        let statement: Self = serde_json::from_slice(bytes)
            .map_err(|_| malformed("not an in-toto statement with a provenance predicate"))?;
        if statement.type_ != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return Err(malformed("unknown statement or predicate type"));
        }
        if !matches!(statement.subject.as_slice(), [one] if one.digest.contains_key("sha256")) {
            return Err(malformed(
                "exactly one subject with a sha256 digest is expected",
            ));
        }
        Ok(statement)
    }

    pub fn to_json(&self) -> Result<Vec<u8>, AuditError> {
        serde_json::to_vec(self).map_err(|e| AuditError::Encode(e.to_string()))
    }

    /// The id of the document spoken about.
    pub fn document(&self) -> Option<&str> {
        self.subject.first().map(|s| s.name.as_str())
    }

    /// The canonical digest of the document spoken about.
    pub fn document_digest(&self) -> Option<Hash> {
        self.subject
            .first()
            .and_then(|s| s.digest.get("sha256").copied())
    }
}
