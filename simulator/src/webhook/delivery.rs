use serde::{Deserialize, Serialize};

/// A document that arrived, by its `webhook-id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub id: String,
    /// `sha256:` and hex of the first body.
    pub digest: String,
    /// Where it was posted.
    pub path: String,
    pub content_type: Option<String>,
    /// The first body; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// POSTs with this id, repeats included.
    pub posts: u64,
    pub first_received_ms: u64,
    pub last_received_ms: u64,
}

/// `posts = documents + duplicates + conflicts + rejected + failed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Every POST, before anything else is looked at.
    pub posts: u64,
    /// Distinct ids that were recorded.
    pub documents: u64,
    /// Repeats with the same body.
    pub duplicates: u64,
    /// Repeats with another body: answered 409, the first body stays.
    pub conflicts: u64,
    /// Malformed or not authentic.
    pub rejected: u64,
    /// Answered 500 by an injected fault, not recorded.
    pub failed: u64,
}

/// One POST as the journal keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "result")]
pub enum Post {
    Received(Received),
    Rejected,
    Failed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    pub id: String,
    pub digest: String,
    pub path: String,
    pub content_type: Option<String>,
    pub body: String,
    pub time_ms: u64,
}

/// What a received POST turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    New,
    Duplicate,
    Conflict,
}
