//! What the gateway answers. Unknown members are kept where people may want to see them, and
//! ignored elsewhere, so that a newer gateway stays readable.

use std::collections::BTreeMap;

use aios_policy::{Part, Verdict, VerdictAction};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A document that was accepted, or found by its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub id: String,
    #[serde(default)]
    pub status: String,
}

/// An upload that replaced a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    pub records: u64,
}

/// A document in a list; nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentSummary {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub run: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub origin: Option<String>,
    #[serde(default)]
    pub language: Option<String>,
    #[serde(default)]
    pub created_ms: Option<u64>,
    #[serde(default)]
    pub updated_ms: Option<u64>,
}

/// A document with its text, as a reviewer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentView {
    pub id: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub reason: Option<String>,
    /// Of the text as it stands: what a decision is bound to.
    #[serde(default)]
    pub digest: Option<String>,
    /// Empty before there is a text.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub parts: Vec<Part>,
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// All else that the gateway tells.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A document that is written and judged but never kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    #[serde(default)]
    pub digest: Option<String>,
    /// Empty before there is a text.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub parts: Vec<Part>,
    #[serde(default)]
    pub verdict: Option<Verdict>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What another policy would say of some documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Documents that were judged.
    pub judged: u32,
    /// Those of which the verdict would be another.
    pub changes: Vec<Change>,
    /// After which one to go on.
    #[serde(default)]
    pub next: Option<String>,
}

/// A document of which the verdict would be another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub id: String,
    pub before: VerdictAction,
    pub after: VerdictAction,
    /// Rules that would fire, and do not now, as `policy/rule`.
    pub fire: Vec<String>,
    /// Rules that fire now, and would not.
    pub rest: Vec<String>,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    #[serde(default)]
    pub status: String,
    /// Of the text as it stands now.
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Part>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The documents of one variant of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    pub step: String,
    pub experiment: String,
    pub variant: String,
    /// For which a model answered.
    pub exposed: u64,
    /// Published or refused; the shares are of these.
    pub finished: u64,
    /// Of the checked: policy let the models' first words go on.
    pub score: Share,
    pub published: Share,
    pub edited: Share,
    pub rejected: Share,
    pub blocked: Share,
    pub template: Share,
    /// What was reported of the published, by name.
    #[serde(default)]
    pub outcomes: BTreeMap<String, Outcome>,
}

/// One sort of event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// With an event or more, of the published.
    pub documents: Share,
    pub events: u64,
    pub values: u64,
    pub value_sum: u64,
}

/// A count out of others, and where the share is likely to be, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    pub count: u64,
    pub of: u64,
    pub low_per_mille: u32,
    pub high_per_mille: u32,
}
