//! One document, one target: intent, what is known of the request, receipt.

use serde::{Deserialize, Serialize};

/// What is known of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publication {
    /// Id under which the target keeps the document; the same for every try.
    pub external_id: String,
    /// Digest of the document that goes out.
    pub digest: String,
    /// Store epoch of the process that may send. After a restart only reading back is allowed.
    pub holder: u64,
    /// Tries so far, the present one included.
    pub tries: u32,
    /// A model wrote some of it, and the target is told so; as at the first try, so that all are the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
    pub phase: PublicationPhase,
}

/// How far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PublicationPhase {
    /// The holder may send.
    Intended,
    /// A request left and its answer is unknown: only reading back may follow.
    Unproven,
    /// The target was asked, or refused: nothing arrived. Another intent may follow from `retry_ms`
    /// on; until then the text can be edited.
    #[serde(rename_all = "camelCase")]
    NotArrived { retry_ms: u64 },
    /// It arrived.
    Received(Receipt),
}

/// Proof that it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Digest the target holds.
    pub digest: String,
    /// HTTP status of the answer or of the reading back.
    pub status: u16,
    /// The answer was lost; reading back found the document.
    pub read_back: bool,
    pub time_ms: u64,
}

/// After the first try that did not arrive; doubles with each.
const FIRST_DELAY_MS: u64 = 1000;
/// A target that is down for a night still gets its documents soon after.
const MOST_DOUBLINGS: u32 = 8;

impl Publication {
    /// When another try may follow one that did not arrive.
    pub fn retry_ms(&self, now_ms: u64) -> u64 {
        let doublings = self.tries.saturating_sub(1).min(MOST_DOUBLINGS);
        now_ms.saturating_add(FIRST_DELAY_MS << doublings)
    }

    /// True if it is known that the target does not have it.
    pub fn is_absent(&self) -> bool {
        matches!(self.phase, PublicationPhase::NotArrived { .. })
    }

    /// The receipt, once there is one.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.phase {
            PublicationPhase::Received(receipt) => Some(receipt),
            _ => None,
        }
    }
}
