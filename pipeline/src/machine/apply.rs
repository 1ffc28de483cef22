//! What an event does to a document, and what the log says about it.

use aios_audit::{Kind, Provenance};
use serde_json::{Value, json};

use super::{
    effect::PipelineView,
    error::MachineError,
    event::Event,
    provenance::provenance,
    publication::{Publication, PublicationPhase},
    reason::RefuseReason,
    state::{Decision, DecisionKind, Phase, State, Version},
    writing,
};

/// A new state and what is to be recorded in the same transaction.
#[derive(Clone, Debug)]
pub struct Applied {
    pub state: State,
    pub entries: Vec<Entry>,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A transition; the log commits to the payload.
    Fact { kind: Kind, payload: Value },
    /// The signed statement about a published document.
    Provenance {
        digest: aios_audit::Hash,
        provenance: Box<Provenance>,
    },
}

/// Applies one event. On an error nothing changed.
pub fn apply(
    mut state: State,
    event: Event,
    view: &PipelineView,
    now_ms: u64,
) -> Result<Applied, MachineError> {
    let mut entries = Vec::new();
    match event {
        Event::Retrieved(_)
        | Event::Drafted(_)
        | Event::Finished { .. }
        | Event::Unusable { .. }
        | Event::FellBack(_)
        | Event::Checked(_) => writing::apply(&mut state, event, view, now_ms, &mut entries)?,
        Event::Approved { .. }
        | Event::Rejected { .. }
        | Event::Edited { .. }
        | Event::ReviewExpired => review(&mut state, event, now_ms, &mut entries)?,
        Event::Refused { reason, detail } => {
            if matches!(state.phase, Phase::Published { .. } | Phase::Refused { .. }) {
                return Err(wrong(&state, "Refused"));
            }
            refuse(&mut state, reason, detail, now_ms, &mut entries);
        }
        Event::PublishIntended { .. }
        | Event::PublishUnproven { .. }
        | Event::PublishNotArrived { .. }
        | Event::Published { .. }
        | Event::Completed
        | Event::Parked { .. }
        | Event::Unparked { .. } => publish(&mut state, event, now_ms, &mut entries)?,
    }
    Ok(Applied { state, entries })
}

fn review(
    state: &mut State,
    event: Event,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), MachineError> {
    match event {
        Event::Approved { by, digest } => {
            if !matches!(state.phase, Phase::Review { .. }) {
                return Err(wrong(state, "Approved"));
            }
            same_version(state, &digest)?;
            let edited_by = state
                .version
                .as_ref()
                .and_then(|version| version.edited_by.as_ref());
            if state.creator == by || edited_by == Some(&by) {
                return Err(MachineError::AuthorCannotApprove(by));
            }
            decide(state, &by, DecisionKind::Approved, &digest, now_ms);
            state.phase = Phase::Publishing { since_ms: now_ms };
            entries.push(fact(Kind::Approved, json!({"by": by, "digest": digest})));
        }
        Event::Rejected { by, digest, reason } => {
            if !matches!(state.phase, Phase::Review { .. }) {
                return Err(wrong(state, "Rejected"));
            }
            same_version(state, &digest)?;
            decide(state, &by, DecisionKind::Rejected, &digest, now_ms);
            let payload = json!({"by": by, "digest": digest, "reason": reason});
            entries.push(fact(Kind::Rejected, payload));
            refuse(
                state,
                RefuseReason::RejectedByReviewer,
                reason,
                now_ms,
                entries,
            );
        }
        Event::Edited {
            by,
            digest,
            document,
        } => {
            let open = matches!(
                state.phase,
                Phase::Review { .. } | Phase::Publishing { .. } | Phase::Parked { .. }
            );
            if !open {
                return Err(wrong(state, "Edited"));
            }
            same_version(state, &digest)?;
            let begun = state
                .publications
                .iter()
                .find(|(_, publication)| !publication.is_absent());
            if let Some((target, _)) = begun {
                return Err(MachineError::PublicationBegun(target.clone()));
            }
            edit(state, by, &digest, document, now_ms, entries);
        }
        _ => {
            if !matches!(state.phase, Phase::Review { .. }) {
                return Err(wrong(state, "ReviewExpired"));
            }
            let detail = "nobody decided before the policy's review time ended".to_owned();
            refuse(state, RefuseReason::ReviewTimedOut, detail, now_ms, entries);
        }
    }
    Ok(())
}

/// Replaces the text; approvals of the old one lose their effect, and the new one is checked.
fn edit(
    state: &mut State,
    by: String,
    base: &str,
    document: aios_policy::Document,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) {
    for decision in &mut state.decisions {
        if decision.kind == DecisionKind::Approved && !decision.void {
            decision.void = true;
            let payload = json!({"digest": decision.digest, "by": decision.by, "editor": by});
            entries.push(fact(Kind::ApprovalVoided, payload));
        }
    }
    let new_digest = document.digest().to_string();
    let payload = json!({"by": by, "base": base, "digest": new_digest, "parts": document.parts()});
    entries.push(fact(Kind::Edited, payload));
    decide(state, &by, DecisionKind::Edited, &new_digest, now_ms);
    let template = state
        .version
        .take()
        .map(|version| version.template)
        .unwrap_or_default();
    state.version = Some(Version {
        document,
        digest: new_digest,
        template,
        edited_by: Some(by),
        verdict: None,
    });
    state.publications.clear();
    state.phase = Phase::Writing;
}

fn publish(
    state: &mut State,
    event: Event,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), MachineError> {
    let releasing = matches!(event, Event::Unparked { .. });
    let fits = match state.phase {
        Phase::Publishing { .. } => !releasing,
        Phase::Parked { .. } => releasing,
        _ => false,
    };
    if !fits {
        return Err(wrong(state, event.name()));
    }
    match event {
        Event::PublishIntended {
            target,
            external_id,
            holder,
        } => {
            let digest = version_digest(state);
            let payload = json!({"target": target, "externalId": external_id, "digest": digest,
                "holder": holder});
            entries.push(fact(Kind::PublishIntended, payload));
            let phase = PublicationPhase::Intended;
            let before = state.publications.get(&target);
            let tries = before.map_or(1, |earlier| earlier.tries.saturating_add(1));
            let written = || !state.model_slots().is_empty();
            let generated = before.map_or_else(written, |earlier| earlier.generated);
            state.publications.insert(
                target,
                Publication {
                    external_id,
                    digest,
                    holder,
                    tries,
                    generated,
                    phase,
                },
            );
        }
        Event::PublishUnproven { target } => {
            publication(state, &target)?.phase = PublicationPhase::Unproven;
        }
        Event::PublishNotArrived { target } => {
            let publication = publication(state, &target)?;
            let retry_ms = publication.retry_ms(now_ms);
            publication.phase = PublicationPhase::NotArrived { retry_ms };
        }
        Event::Published {
            target, receipt, ..
        } => {
            let publication = publication(state, &target)?;
            if receipt.digest != publication.digest {
                return Err(MachineError::ReceiptMismatch {
                    target,
                    expected: publication.digest.clone(),
                    found: receipt.digest,
                });
            }
            let payload = json!({"target": target, "externalId": publication.external_id,
                "receipt": receipt});
            publication.phase = PublicationPhase::Received(receipt);
            entries.push(fact(Kind::Published, payload));
        }
        Event::Parked { target, reason } => {
            entries.push(fact(
                Kind::Parked,
                json!({"target": target, "reason": reason}),
            ));
            state.phase = Phase::Parked {
                target,
                reason,
                since_ms: now_ms,
            };
        }
        Event::Unparked { by, resend } => {
            entries.push(fact(Kind::Unparked, json!({"by": by, "resend": resend})));
            for publication in state.publications.values_mut() {
                if publication.receipt().is_none() {
                    publication.phase = if publication.is_absent() || resend {
                        PublicationPhase::NotArrived { retry_ms: now_ms }
                    } else {
                        PublicationPhase::Unproven
                    };
                }
            }
            state.phase = Phase::Publishing { since_ms: now_ms };
        }
        _ => {
            state.phase = Phase::Published { time_ms: now_ms };
            if let Some((digest, provenance)) = provenance(state) {
                entries.push(Entry::Provenance {
                    digest,
                    provenance: Box::new(provenance),
                });
            }
        }
    }
    Ok(())
}

fn publication<'a>(
    state: &'a mut State,
    target: &str,
) -> Result<&'a mut Publication, MachineError> {
    state
        .publications
        .get_mut(target)
        .ok_or_else(|| MachineError::NoIntent(target.to_owned()))
}

pub(super) fn refuse(
    state: &mut State,
    reason: RefuseReason,
    detail: String,
    now_ms: u64,
    entries: &mut Vec<Entry>,
) {
    entries.push(fact(
        Kind::Refused,
        json!({"reason": reason, "detail": detail}),
    ));
    state.phase = Phase::Refused {
        reason,
        detail,
        time_ms: now_ms,
    };
}

fn decide(state: &mut State, by: &str, kind: DecisionKind, digest: &str, time_ms: u64) {
    state.decisions.push(Decision {
        by: by.to_owned(),
        kind,
        digest: digest.to_owned(),
        time_ms,
        void: false,
    });
}

fn same_version(state: &State, given: &str) -> Result<(), MachineError> {
    let current = version_digest(state);
    if current == given {
        return Ok(());
    }
    Err(MachineError::DigestMismatch {
        current,
        given: given.to_owned(),
    })
}

fn version_digest(state: &State) -> String {
    state
        .version
        .as_ref()
        .map(|version| version.digest.clone())
        .unwrap_or_default()
}

pub(super) fn wrong(state: &State, event: &'static str) -> MachineError {
    MachineError::WrongPhase {
        event,
        status: state.status(),
    }
}

pub(super) fn fact(kind: Kind, payload: Value) -> Entry {
    Entry::Fact { kind, payload }
}
