//! Drafting and checking: what a worker's events do.

use aios_audit::Kind;
use aios_crds::policy_set::Action;
use aios_policy::{Document, Verdict, VerdictAction};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    apply::{Entry, fact, refuse, wrong},
    effect::PipelineView,
    error::MachineError,
    event::{Checked, Event, Retrieved},
    reason::{RefuseReason, SafeReason},
    slot::{OpenSlot, Slot, SlotOrigin, SlotText},
    state::{JudgedVersion, Material, Phase, State, Version},
};

pub(super) fn apply(
    state: &mut State,
    event: Event,
    view: &PipelineView,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), MachineError> {
    let retrieval = matches!(event, Event::Retrieved(_));
    let fits = if retrieval {
        Phase::Accepted
    } else {
        Phase::Writing
    };
    if state.phase != fits {
        return Err(wrong(state, event.name()));
    }
    match event {
        Event::Retrieved(retrieved) => {
            entries.push(fact(Kind::Retrieved, payload(&retrieved)?));
            take_material(state, retrieved, view);
        }
        Event::Drafted(drafted) => {
            let open = open_slot(state, &drafted.slot)?;
            let kind = if open.feedback.is_empty() {
                Kind::Drafted
            } else {
                Kind::Revised
            };
            entries.push(fact(kind, payload(&drafted)?));
            let origin = SlotOrigin::Model {
                deployment: drafted.deployment,
                digest: drafted.digest,
            };
            let text = SlotText {
                text: drafted.text,
                origin,
                finished: !view.finish,
            };
            state.slots.insert(drafted.slot, Slot::Filled(text));
        }
        Event::Finished { slot, text, usage } => {
            let filled = match state.slots.get_mut(&slot) {
                Some(Slot::Filled(filled)) if !filled.finished => filled,
                _ => return Err(MachineError::SlotNotOpen(slot)),
            };
            let said = json!({"slot": slot, "final": true, "text": text, "usage": usage});
            entries.push(fact(Kind::Revised, said));
            if let Some(text) = text {
                filled.text = text;
            }
            filled.finished = true;
        }
        Event::Unusable { slot, usage } => {
            let mut open = open_slot(state, &slot)?;
            open.unusable += 1;
            entries.push(fact(
                Kind::Drafted,
                json!({"slot": slot, "unusable": open.unusable, "usage": usage}),
            ));
            state.slots.insert(slot, Slot::Open(open));
        }
        Event::FellBack(fell_back) => {
            open_slot(state, &fell_back.slot)?;
            entries.push(fact(Kind::FellBack, payload(&fell_back)?));
            let origin = SlotOrigin::Safe {
                reason: fell_back.reason,
            };
            let text = SlotText {
                text: fell_back.text,
                origin,
                finished: true,
            };
            state.slots.insert(fell_back.slot, Slot::Filled(text));
        }
        Event::Checked(checked) => judge(state, *checked, view, now_ms, entries)?,
        other => return Err(wrong(state, other.name())),
    }
    Ok(())
}

fn take_material(state: &mut State, retrieved: Retrieved, view: &PipelineView) {
    let Retrieved {
        config,
        variables,
        labels,
        language,
        passages,
        ..
    } = retrieved;
    state.material = Some(Material {
        config,
        variables,
        labels,
        language,
        passages,
    });
    for slot in &view.slots {
        state
            .slots
            .insert(slot.clone(), Slot::Open(OpenSlot::default()));
    }
    state.phase = Phase::Writing;
}

/// Records the verdict and moves on: to a revision, the safe wording, a person, the targets or the
/// end.
fn judge(
    state: &mut State,
    checked: Checked,
    view: &PipelineView,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), MachineError> {
    let said = payload(&checked)?;
    let Checked {
        document,
        original,
        template,
        verdict,
        evidence,
        ..
    } = checked;
    let expected = verdict.redacted.unwrap_or(verdict.document).to_string();
    let digest = document.digest().to_string();
    if expected != digest {
        return Err(MachineError::DigestMismatch {
            current: expected,
            given: digest,
        });
    }
    let edited_by = match state.version.take() {
        Some(Version {
            edited_by: Some(by),
            digest: current,
            ..
        }) => {
            let read = verdict.document.to_string();
            if current != read {
                return Err(MachineError::DigestMismatch {
                    current,
                    given: read,
                });
            }
            Some(by)
        }
        _ => None,
    };
    entries.push(fact(Kind::Checked, said));
    state.evidence = evidence;
    state.verdicts.push(JudgedVersion {
        verdict: verdict.clone(),
        time_ms: now_ms,
    });
    if edited_by.is_none()
        && reopen(
            state,
            original.as_ref().unwrap_or(&document),
            &verdict,
            view,
        )
    {
        return Ok(());
    }
    let by_person = edited_by.is_some();
    let version = Version {
        document,
        digest,
        template,
        edited_by,
        verdict: Some(verdict.clone()),
    };
    state.version = Some(version);
    settle(state, &verdict, by_person, now_ms, entries);
    Ok(())
}

/// Sends slots back to the model, or to the safe wording. False when nothing is left to try.
fn reopen(state: &mut State, read: &Document, verdict: &Verdict, view: &PipelineView) -> bool {
    if !verdict.wants_revision() {
        return false;
    }
    let affected = affected(state, read, verdict);
    if affected.is_empty() {
        return false;
    }
    let again = state.revisions < view.revisions;
    let mut feedback: Vec<String> = verdict
        .findings
        .iter()
        .filter(|finding| finding.action == Action::Revise)
        .map(|finding| finding.told_to_model().to_owned())
        .collect();
    feedback.dedup();
    for name in affected {
        let previous = state
            .slots
            .get(&name)
            .and_then(Slot::filled)
            .map(|slot| slot.text.clone());
        let slot = if again {
            OpenSlot {
                previous,
                feedback: feedback.clone(),
                ..OpenSlot::default()
            }
        } else {
            OpenSlot {
                safe: Some(SafeReason::RevisionsExhausted),
                ..OpenSlot::default()
            }
        };
        state.slots.insert(name, Slot::Open(slot));
    }
    state.revisions += 1;
    true
}

/// Model-written slots that findings with action Revise touch; all of them where a finding has no
/// span in any.
fn affected(state: &State, read: &Document, verdict: &Verdict) -> Vec<String> {
    let model = state.model_slots();
    let revise = verdict
        .findings
        .iter()
        .filter(|finding| finding.action == Action::Revise);
    let mut touched = Vec::new();
    for finding in revise {
        let hit: Vec<String> = model
            .iter()
            .filter(|name| {
                let text = state.slots.get(*name).and_then(Slot::filled);
                text.is_some_and(|slot| {
                    finding
                        .spans
                        .iter()
                        .any(|span| overlaps(read, span, &slot.text))
                })
            })
            .cloned()
            .collect();
        if hit.is_empty() {
            return model;
        }
        touched.extend(hit);
    }
    touched.sort();
    touched.dedup();
    touched
}

fn overlaps(document: &Document, span: &aios_policy::Span, slot: &str) -> bool {
    let Some(part) = document.part(span.part.as_str()) else {
        return false;
    };
    [slot.to_owned(), crate::render::escape_html(slot)]
        .iter()
        .any(|needle| {
            part.text
                .match_indices(needle.as_str())
                .any(|(start, found)| {
                    (span.start as usize) < start + found.len() && start < span.end as usize
                })
        })
}

fn settle(
    state: &mut State,
    verdict: &Verdict,
    by_person: bool,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) {
    let asks_person = by_person || verdict.always_reviewed || !verdict.passes();
    if verdict.action == VerdictAction::Block {
        let detail = format!("refused by {}", rules(verdict).join(", "));
        refuse(state, RefuseReason::PolicyBlocked, detail, now_ms, entries);
    } else if asks_person {
        let due_ms = verdict.review_due.map(|due| {
            now_ms.saturating_add(u64::try_from(due.get().as_millis()).unwrap_or(u64::MAX))
        });
        entries.push(fact(
            Kind::ReviewRequested,
            json!({"rules": rules(verdict), "dueMs": due_ms, "digest": state.version.as_ref()
                .map(|version| version.digest.as_str())}),
        ));
        state.phase = Phase::Review {
            since_ms: now_ms,
            due_ms,
        };
    } else {
        state.phase = Phase::Publishing { since_ms: now_ms };
    }
}

/// Names of the rules behind a verdict, as `policy/rule`.
pub fn rules(verdict: &Verdict) -> Vec<String> {
    let findings = verdict
        .findings
        .iter()
        .map(|found| (&found.policy, &found.rule));
    let errors = verdict
        .errors
        .iter()
        .map(|error| (&error.policy, &error.rule));
    let mut names: Vec<String> = findings
        .chain(errors)
        .map(|(policy, rule)| format!("{policy}/{rule}"))
        .collect();
    names.dedup();
    names
}

fn open_slot(state: &State, name: &str) -> Result<OpenSlot, MachineError> {
    match state.slots.get(name) {
        Some(Slot::Open(open)) => Ok(open.clone()),
        None => Ok(OpenSlot::default()),
        Some(Slot::Filled(_)) => Err(MachineError::SlotNotOpen(name.to_owned())),
    }
}

fn payload<T: Serialize>(value: &T) -> Result<Value, MachineError> {
    serde_json::to_value(value).map_err(|error| MachineError::Encode(error.to_string()))
}
