//! What is to be done next, given a document and its pipeline.

use aios_crds::writing_pipeline::Writer;

use super::{
    publication::{Publication, PublicationPhase},
    reason::SafeReason,
    slot::{OpenSlot, Slot, SlotOrigin},
    state::{Phase, State},
};

/// What the machine needs to know of a pipeline, in the document's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineView {
    pub writer: Writer,
    /// Slots in order.
    pub slots: Vec<String>,
    /// A final step rewrites drafts.
    pub finish: bool,
    /// Revisions that policy may ask of the model.
    pub revisions: u32,
    /// Targets in order.
    pub targets: Vec<TargetView>,
}

/// A target of publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    pub name: String,
    /// It can be asked whether a document arrived.
    pub read_back: bool,
}

/// One thing to do. Its outcome comes back as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Fetch context and passages.
    Retrieve,
    /// Ask the model for a slot.
    Draft { slot: String, open: OpenSlot },
    /// Put the safe wording into a slot.
    UseSafe { slot: String, reason: SafeReason },
    /// Have the final step go over a slot.
    Finish { slot: String, draft: String },
    /// Render and check.
    Check,
    /// Check the text that a person wrote, as it stands.
    CheckEdited,
    /// A person decides; nothing before `due_ms`.
    AwaitReview { due_ms: Option<u64> },
    /// Nobody decided in time.
    ExpireReview,
    /// Record that this process is about to publish.
    Intend { target: String },
    /// Send.
    Send {
        target: String,
        publication: Publication,
    },
    /// Ask the target whether it arrived.
    ReadBack {
        target: String,
        publication: Publication,
    },
    /// The target did not take it; another try may follow from `retry_ms` on.
    AwaitTarget { retry_ms: u64 },
    /// Nobody can be asked: park.
    Park { target: String },
    /// Every target has it.
    Complete,
    /// A person must move it on.
    AwaitRelease,
    /// The end.
    Nothing,
}

impl Effect {
    /// True for steps that a worker carries out.
    pub fn for_worker(&self) -> bool {
        matches!(
            self,
            Self::Draft { .. } | Self::UseSafe { .. } | Self::Finish { .. } | Self::Check
        )
    }

    /// True when nothing is to be done now.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Self::AwaitReview { .. }
                | Self::AwaitTarget { .. }
                | Self::AwaitRelease
                | Self::Nothing
        )
    }
}

/// What is to be done next. `holder` is the epoch of the asking process: an intent of another one
/// may have been sent already.
pub fn next(state: &State, view: &PipelineView, now_ms: u64, holder: u64) -> Effect {
    match &state.phase {
        Phase::Accepted => Effect::Retrieve,
        Phase::Writing => next_writing(state, view),
        Phase::Review {
            due_ms: Some(due), ..
        } if *due <= now_ms => Effect::ExpireReview,
        Phase::Review { due_ms, .. } => Effect::AwaitReview { due_ms: *due_ms },
        Phase::Publishing { .. } => next_publishing(state, view, now_ms, holder),
        Phase::Parked { .. } => Effect::AwaitRelease,
        Phase::Published { .. } | Phase::Refused { .. } => Effect::Nothing,
    }
}

fn next_writing(state: &State, view: &PipelineView) -> Effect {
    let edited = state
        .version
        .as_ref()
        .is_some_and(|version| version.edited_by.is_some());
    if edited {
        return Effect::CheckEdited;
    }
    for name in &view.slots {
        match state.slots.get(name) {
            None => return open(name, &OpenSlot::default(), view),
            Some(Slot::Open(slot)) => return open(name, slot, view),
            Some(Slot::Filled(text)) if view.finish && !text.finished => {
                if matches!(text.origin, SlotOrigin::Model { .. }) {
                    return Effect::Finish {
                        slot: name.clone(),
                        draft: text.text.clone(),
                    };
                }
            }
            Some(Slot::Filled(_)) => {}
        }
    }
    Effect::Check
}

fn open(name: &str, slot: &OpenSlot, view: &PipelineView) -> Effect {
    let reason = match (view.writer, slot.safe) {
        (Writer::SafeTemplate, _) => Some(SafeReason::SafeWriter),
        (Writer::Model, Some(reason)) => Some(reason),
        (Writer::Model, None) if slot.unusable > view.revisions => Some(SafeReason::Unusable),
        (Writer::Model, None) => None,
    };
    match reason {
        Some(reason) => Effect::UseSafe {
            slot: name.to_owned(),
            reason,
        },
        None => Effect::Draft {
            slot: name.to_owned(),
            open: slot.clone(),
        },
    }
}

fn next_publishing(state: &State, view: &PipelineView, now_ms: u64, holder: u64) -> Effect {
    let mut earliest: Option<u64> = None;
    for TargetView { name, read_back } in &view.targets {
        let target = name.clone();
        let Some(publication) = state.publications.get(name) else {
            return Effect::Intend { target };
        };
        let ask = |publication: &Publication| {
            if *read_back {
                Effect::ReadBack {
                    target: name.clone(),
                    publication: publication.clone(),
                }
            } else {
                Effect::Park {
                    target: name.clone(),
                }
            }
        };
        return match publication.phase {
            PublicationPhase::Received(_) => continue,
            PublicationPhase::NotArrived { retry_ms } if retry_ms > now_ms => {
                earliest = Some(earliest.map_or(retry_ms, |known| known.min(retry_ms)));
                continue;
            }
            PublicationPhase::NotArrived { .. } => Effect::Intend { target },
            PublicationPhase::Intended if publication.holder == holder => Effect::Send {
                target,
                publication: publication.clone(),
            },
            PublicationPhase::Intended | PublicationPhase::Unproven => ask(publication),
        };
    }
    earliest.map_or(Effect::Complete, |retry_ms| Effect::AwaitTarget {
        retry_ms,
    })
}
