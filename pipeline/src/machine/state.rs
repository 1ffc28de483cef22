//! A document and all that is known of it. Serialised as JSON; the gateway encrypts it at rest.

use std::collections::BTreeMap;

use aios_policy::{Document, Evidence, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    publication::{Publication, PublicationPhase},
    reason::{Origin, ParkReason, RefuseReason, Status},
    slot::{Slot, SlotOrigin},
};

/// A document under way or at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub id: String,
    pub pipeline: String,
    /// Kubernetes user name of who asked for it; `run:NAME` for items of a run without an author.
    pub creator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunItem>,
    /// What the intent said.
    pub pointer: Map<String, Value>,
    pub created_ms: u64,
    /// What it is made from, once retrieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Material>,
    pub slots: BTreeMap<String, Slot>,
    /// The text as it stands, once rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Times that policy sent the text back to the model.
    pub revisions: u32,
    /// Every version's verdict, oldest first.
    pub verdicts: Vec<JudgedVersion>,
    /// What the last verdict rests on: nobody is asked again about texts that stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// People's decisions, oldest first.
    pub decisions: Vec<Decision>,
    /// By target.
    pub publications: BTreeMap<String, Publication>,
    pub phase: Phase,
}

/// The item of a run that a document was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunItem {
    pub name: String,
    pub uid: String,
    /// Unique in the run.
    pub item: String,
    /// What the run's budget counts, if it has one: its calls are paid from it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
}

/// What a document is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// Digest of the pipeline's configuration at retrieval.
    pub config: String,
    /// The pointer's fields, and each context record under its name.
    pub variables: Value,
    pub labels: BTreeMap<String, String>,
    /// Language of the skeleton that is used.
    pub language: String,
    pub passages: Vec<Passage>,
}

/// A retrieved text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// `source/key#number`.
    pub id: String,
    /// Bytes of the source text.
    pub start: usize,
    pub end: usize,
    /// SHA-256 of the passage, `sha256:` and 64 hex digits.
    pub digest: String,
    pub text: String,
}

/// One version of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub document: Document,
    /// Canonical digest over its parts.
    pub digest: String,
    /// Digest of the skeleton it was rendered from.
    pub template: String,
    /// Who edited it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_by: Option<String>,
    /// None until this very version was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What policy said about one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgedVersion {
    pub verdict: Verdict,
    pub time_ms: u64,
}

/// One person's decision about one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub by: String,
    pub kind: DecisionKind,
    pub digest: String,
    pub time_ms: u64,
    /// An edit after it took its effect away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
}

/// What a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionKind {
    Approved,
    Rejected,
    Edited,
}

/// Where the document stands, with what is known only there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all_fields = "camelCase")]
pub enum Phase {
    Accepted,
    Writing,
    Review {
        since_ms: u64,
        due_ms: Option<u64>,
    },
    Publishing {
        since_ms: u64,
    },
    Parked {
        target: String,
        reason: ParkReason,
        since_ms: u64,
    },
    Published {
        time_ms: u64,
    },
    Refused {
        reason: RefuseReason,
        detail: String,
        time_ms: u64,
    },
}

impl State {
    /// A document that was just accepted.
    pub fn accepted(
        id: String,
        pipeline: String,
        creator: String,
        run: Option<RunItem>,
        pointer: Map<String, Value>,
        created_ms: u64,
    ) -> Self {
        Self {
            id,
            pipeline,
            creator,
            run,
            pointer,
            created_ms,
            material: None,
            slots: BTreeMap::new(),
            version: None,
            revisions: 0,
            verdicts: Vec::new(),
            evidence: Vec::new(),
            decisions: Vec::new(),
            publications: BTreeMap::new(),
            phase: Phase::Accepted,
        }
    }

    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Accepted => Status::Accepted,
            Phase::Writing => Status::Writing,
            Phase::Review { .. } => Status::Review,
            Phase::Publishing { .. } => Status::Publishing,
            Phase::Parked { .. } => Status::Parked,
            Phase::Published { .. } => Status::Published,
            Phase::Refused { .. } => Status::Refused,
        }
    }

    /// True while a worker has something to do: nobody edited it, and it has not passed its check.
    pub fn for_worker(&self) -> bool {
        let edited = self
            .version
            .as_ref()
            .is_some_and(|version| version.edited_by.is_some());
        matches!(self.phase, Phase::Accepted | Phase::Writing) && !edited
    }

    /// Who wrote it; none before the first rendering.
    pub fn origin(&self) -> Option<Origin> {
        let version = self.version.as_ref()?;
        Some(if version.edited_by.is_some() {
            Origin::Edited
        } else if !self.slots.is_empty() && self.slots.values().all(Slot::by_model) {
            Origin::Model
        } else {
            Origin::Template
        })
    }

    /// When publication goes on; none if it can at once.
    pub fn publication_retry_ms(&self) -> Option<u64> {
        let mut earliest = None;
        for publication in self.publications.values() {
            match publication.phase {
                PublicationPhase::Received(_) => {}
                PublicationPhase::NotArrived { retry_ms } => {
                    earliest = Some(earliest.map_or(retry_ms, |known: u64| known.min(retry_ms)));
                }
                PublicationPhase::Intended | PublicationPhase::Unproven => return None,
            }
        }
        earliest
    }

    /// The reason of a refusal or of parking, for people and metrics.
    pub fn reason(&self) -> Option<&'static str> {
        match &self.phase {
            Phase::Refused { reason, .. } => Some(reason.as_str()),
            Phase::Parked { reason, .. } => Some(reason.as_str()),
            _ => None,
        }
    }

    /// The slots' words by name, for templates.
    pub fn slot_texts(&self) -> BTreeMap<&str, &str> {
        let texts = self.slots.iter().filter_map(|(name, slot)| {
            slot.filled()
                .map(|text| (name.as_str(), text.text.as_str()))
        });
        texts.collect()
    }

    /// Names of slots that hold a model's words.
    pub fn model_slots(&self) -> Vec<String> {
        let model = |slot: &Slot| {
            slot.filled()
                .is_some_and(|text| matches!(text.origin, SlotOrigin::Model { .. }))
        };
        self.slots
            .iter()
            .filter(|(_, slot)| model(slot))
            .map(|(name, _)| name.clone())
            .collect()
    }
}
