//! Documents as the API shows them.

use serde_json::{Value, json};

use crate::{
    machine::{Phase, State},
    store::Listed,
};

/// A whole document.
pub fn document(state: &State) -> Value {
    let version = state.version.as_ref();
    let (since, due) = match state.phase {
        Phase::Review { since_ms, due_ms } => (Some(since_ms), due_ms),
        Phase::Parked { since_ms, .. } => (Some(since_ms), None),
        _ => (None, None),
    };
    json!({
        "id": state.id,
        "pipeline": state.pipeline,
        "creator": state.creator,
        "run": state.run.as_ref().map(|run| &run.name),
        "item": state.run.as_ref().map(|run| &run.item),
        "status": state.status().as_str(),
        "reason": state.reason(),
        "detail": detail(state),
        "origin": state.origin().map(crate::machine::Origin::as_str),
        "language": state.material.as_ref().map(|material| &material.language),
        "pointer": state.pointer,
        "digest": version.map(|version| &version.digest),
        "parts": version.map(|version| version.document.parts()),
        "verdict": version.and_then(|version| version.verdict.as_ref()),
        "verdicts": state.verdicts,
        "slots": state.slots,
        "passages": state.material.as_ref().map(|material| &material.passages),
        "decisions": state.decisions,
        "publications": state.publications,
        "revisions": state.revisions,
        "createdMs": state.created_ms,
        "sinceMs": since,
        "dueMs": due,
    })
}

/// A line of a list.
pub fn listed(listed: &Listed) -> Value {
    json!({
        "id": listed.id,
        "pipeline": listed.pipeline,
        "run": listed.run,
        "status": listed.status,
        "reason": listed.reason,
        "origin": listed.origin,
        "language": listed.language,
        "createdMs": listed.created_ms,
        "updatedMs": listed.updated_ms,
    })
}

fn detail(state: &State) -> Option<&str> {
    match &state.phase {
        Phase::Refused { detail, .. } => Some(detail),
        Phase::Parked { target, .. } => Some(target),
        _ => None,
    }
}
