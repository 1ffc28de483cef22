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
    /// The target was asked, or refused: nothing arrived. Another intent may follow.
    NotArrived,
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

impl Publication {
    /// The receipt, once there is one.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.phase {
            PublicationPhase::Received(receipt) => Some(receipt),
            _ => None,
        }
    }
}
