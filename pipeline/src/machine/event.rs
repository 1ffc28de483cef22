//! What can happen to a document. Workers send these as JSON; the log commits to them.

use std::collections::BTreeMap;

use aios_policy::{Document, Evidence, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    publication::Receipt,
    reason::{ParkReason, RefuseReason, SafeReason},
    state::Passage,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
pub enum Event {
    /// Context, language and passages are known.
    Retrieved(Retrieved),
    /// A model wrote a slot.
    Drafted(Drafted),
    /// The final step went over a slot. Without text the draft stands.
    Finished {
        slot: String,
        text: Option<String>,
        usage: Usage,
    },
    /// A model's answer held no usable sentence.
    Unusable { slot: String, usage: Usage },
    /// A slot holds the safe wording.
    FellBack(FellBack),
    /// A version was rendered and checked.
    Checked(Box<Checked>),
    /// A person agreed to exactly this version.
    Approved { by: String, digest: String },
    /// A person refused this version.
    Rejected {
        by: String,
        digest: String,
        reason: String,
    },
    /// A person replaced the text of version `digest`.
    Edited {
        by: String,
        digest: String,
        document: Document,
    },
    /// Nobody decided in time.
    ReviewExpired,
    /// `holder` is about to send; committed before the request leaves.
    PublishIntended {
        target: String,
        external_id: String,
        holder: u64,
    },
    /// A request left, its answer is unknown.
    PublishUnproven { target: String },
    /// The target does not have it.
    PublishNotArrived { target: String },
    /// The target has it.
    Published {
        target: String,
        receipt: Receipt,
        millis: u64,
    },
    /// Every target has it.
    Completed,
    /// Only a person can move it on.
    Parked { target: String, reason: ParkReason },
    /// A person moved it on: read back, and where that is impossible send again if `resend`.
    Unparked { by: String, resend: bool },
    /// It will never be published.
    Refused {
        reason: RefuseReason,
        detail: String,
    },
}

/// See `Event::Retrieved`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retrieved {
    pub config: String,
    pub variables: Value,
    pub labels: BTreeMap<String, String>,
    pub language: String,
    pub passages: Vec<Passage>,
    pub millis: u64,
}

/// See `Event::Drafted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drafted {
    pub slot: String,
    pub text: String,
    pub deployment: String,
    pub digest: String,
    pub usage: Usage,
}

/// See `Event::FellBack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FellBack {
    pub slot: String,
    pub text: String,
    pub reason: SafeReason,
}

/// See `Event::Checked`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The text that may go on: with redactions applied.
    pub document: Document,
    /// The text that was read, where redaction changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Document>,
    /// Digest of the skeleton.
    pub template: String,
    pub verdict: Verdict,
    /// What others said that the verdict rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    pub millis: u64,
}

/// What one model call took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Names the call's record in the log, and proves what it says of texts: [`aios_audit::CallToken`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// `EXPERIMENT/VARIANT` that the document is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub millis: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Decimal and currency, as in `0.000120 USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// The upstream counted; otherwise the tokens are an estimate.
    pub exact: bool,
    pub attempts: u32,
    /// The answer was not this call's own: it was kept, or shared with another that paid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
}

impl Event {
    /// Name for errors and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retrieved(_) => "Retrieved",
            Self::Drafted(_) => "Drafted",
            Self::Finished { .. } => "Finished",
            Self::Unusable { .. } => "Unusable",
            Self::FellBack(_) => "FellBack",
            Self::Checked(_) => "Checked",
            Self::Approved { .. } => "Approved",
            Self::Rejected { .. } => "Rejected",
            Self::Edited { .. } => "Edited",
            Self::ReviewExpired => "ReviewExpired",
            Self::PublishIntended { .. } => "PublishIntended",
            Self::PublishUnproven { .. } => "PublishUnproven",
            Self::PublishNotArrived { .. } => "PublishNotArrived",
            Self::Published { .. } => "Published",
            Self::Completed => "Completed",
            Self::Parked { .. } => "Parked",
            Self::Unparked { .. } => "Unparked",
            Self::Refused { .. } => "Refused",
        }
    }

    /// True for what a worker may report: drafting and checking, never a decision or publication.
    pub fn by_worker(&self) -> bool {
        match self {
            Self::Drafted(_)
            | Self::Finished { .. }
            | Self::Unusable { .. }
            | Self::FellBack(_)
            | Self::Checked(_) => true,
            Self::Refused { reason, .. } => *reason == RefuseReason::TemplateFailed,
            _ => false,
        }
    }
}
