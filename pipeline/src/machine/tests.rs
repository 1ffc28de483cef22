//! The table of transitions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use aios_audit::Kind;
use aios_crds::{
    policy_set::{Action, Review, Rule},
    writing_pipeline::Writer,
};
use aios_policy::{CompiledPolicy, Document, Inputs, Part, PartName, PolicyStack};
use serde_json::json;

use super::*;

const NOW: u64 = 1_000;
const ME: u64 = 3;

fn view() -> PipelineView {
    PipelineView {
        writer: Writer::Model,
        slots: vec!["opening".into()],
        finish: false,
        revisions: 1,
        targets: vec![TargetView {
            name: "outbox".into(),
            read_back: true,
        }],
    }
}

fn accepted() -> State {
    let pointer = serde_json::Map::new();
    State::accepted(
        "d".into(),
        "mail".into(),
        "alice".into(),
        None,
        pointer,
        NOW,
    )
}

fn document(text: &str) -> Document {
    let name: PartName = "text".parse().unwrap();
    Document::new(vec![Part {
        kind: name.kind(),
        name,
        text: text.into(),
    }])
    .unwrap()
}

fn judged(text: &str) -> Event {
    let rule = |name: &str, term: &str, action: Action| -> Rule {
        let terms = json!({"list": [term]});
        serde_json::from_value(json!({"name": name, "action": action, "terms": terms,
            "message": format!("not {term}")}))
        .unwrap()
    };
    let rules = [
        rule("revise", "dull", Action::Revise),
        rule("review", "maybe", Action::Review),
        rule("block", "never", Action::Block),
        rule("redact", "secret", Action::Redact),
    ];
    let policy = CompiledPolicy::compile("house", &rules, &Review::default()).unwrap();
    let document = document(text);
    let variables = json!({});
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    let evaluation = PolicyStack::new(vec![policy.into()]).evaluate(&document, &inputs);
    let (document, original) = match evaluation.redacted {
        Some(redacted) => (redacted, Some(document)),
        None => (document, None),
    };
    Event::Checked(Box::new(Checked {
        document,
        original,
        template: "sha256:t".into(),
        verdict: evaluation.verdict,
        evidence: Vec::new(),
        millis: 1,
    }))
}

fn step(state: State, event: Event) -> State {
    apply(state, event, &view(), NOW).unwrap().state
}

fn kinds(state: State, event: Event) -> Vec<Kind> {
    let applied = apply(state, event, &view(), NOW).unwrap();
    applied
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Fact { kind, .. } => *kind,
            Entry::Provenance { .. } => Kind::Provenance,
        })
        .collect()
}

fn asked(state: &State) -> Effect {
    next(state, &view(), NOW, ME)
}

fn retrieved() -> State {
    let event = Event::Retrieved(Retrieved {
        config: "sha256:c".into(),
        variables: json!({}),
        labels: BTreeMap::new(),
        language: "en".into(),
        passages: Vec::new(),
        millis: 1,
    });
    step(accepted(), event)
}

fn drafted(text: &str) -> Event {
    Event::Drafted(Drafted {
        slot: "opening".into(),
        text: text.into(),
        deployment: "tiny".into(),
        digest: "tiny".into(),
        usage: Usage::default(),
    })
}

fn fell_back(text: &str) -> Event {
    Event::FellBack(FellBack {
        slot: "opening".into(),
        text: text.into(),
        reason: SafeReason::RevisionsExhausted,
    })
}

fn written(text: &str) -> State {
    step(step(retrieved(), drafted(text)), judged(text))
}

fn digest(state: &State) -> String {
    state.version.as_ref().unwrap().digest.clone()
}

fn approve(by: &str, digest: String) -> Event {
    Event::Approved {
        by: by.into(),
        digest,
    }
}

fn intended(state: State, holder: u64) -> State {
    let (target, external_id) = ("outbox".into(), "d".into());
    step(
        state,
        Event::PublishIntended {
            target,
            external_id,
            holder,
        },
    )
}

fn receipt(digest: String) -> Event {
    let receipt = Receipt {
        digest,
        status: 201,
        read_back: false,
        time_ms: NOW,
    };
    Event::Published {
        target: "outbox".into(),
        receipt,
        millis: 1,
    }
}

#[test]
fn a_good_text_goes_straight_to_its_targets() {
    assert_eq!(asked(&accepted()), Effect::Retrieve);
    assert!(matches!(asked(&retrieved()), Effect::Draft { .. }));
    let drafted = step(retrieved(), drafted("good"));
    assert_eq!(asked(&drafted), Effect::Check);
    let checked = step(drafted, judged("good"));
    assert_eq!(checked.status(), Status::Publishing);
    assert_eq!(
        asked(&checked),
        Effect::Intend {
            target: "outbox".into()
        }
    );
    let sent = intended(checked, ME);
    assert!(matches!(asked(&sent), Effect::Send { .. }));
    let digest = digest(&sent);
    let received = step(sent, receipt(digest));
    assert_eq!(asked(&received), Effect::Complete);
    assert_eq!(
        kinds(received.clone(), Event::Completed),
        [Kind::Provenance]
    );
    let done = step(received, Event::Completed);
    assert_eq!(
        (done.status(), asked(&done)),
        (Status::Published, Effect::Nothing)
    );
}

#[test]
fn a_revision_tells_the_model_why_and_then_gives_way_to_the_safe_wording() {
    let first = written("dull");
    let Effect::Draft { open, .. } = asked(&first) else {
        panic!("{:?}", asked(&first))
    };
    assert_eq!(open.previous.as_deref(), Some("dull"));
    assert_eq!(open.feedback, ["not dull"]);
    assert_eq!(kinds(first.clone(), drafted("dull")), [Kind::Revised]);
    let second = step(step(first, drafted("dull")), judged("dull"));
    let reason = SafeReason::RevisionsExhausted;
    assert_eq!(
        asked(&second),
        Effect::UseSafe {
            slot: "opening".into(),
            reason
        }
    );
    let safe = step(second, fell_back("fine"));
    assert_eq!(
        step(safe.clone(), judged("fine")).status(),
        Status::Publishing
    );
    assert_eq!(step(safe.clone(), judged("dull")).status(), Status::Review);
    assert_eq!(step(safe, judged("never")).status(), Status::Refused);
}

#[test]
fn verdicts_lead_where_they_say() {
    for (text, status, reason) in [
        ("good", Status::Publishing, None),
        ("maybe", Status::Review, None),
        ("never", Status::Refused, Some("PolicyBlocked")),
        ("secret", Status::Publishing, None),
    ] {
        let state = written(text);
        assert_eq!((state.status(), state.reason()), (status, reason), "{text}");
    }
    let redacted = written("a secret");
    assert!(
        !redacted
            .version
            .unwrap()
            .document
            .part("text")
            .unwrap()
            .text
            .contains("secret")
    );
}

#[test]
fn answers_without_words_end_in_the_safe_wording() {
    let mut state = retrieved();
    for _ in 0..2 {
        assert!(matches!(asked(&state), Effect::Draft { .. }));
        let usage = Usage::default();
        state = step(
            state,
            Event::Unusable {
                slot: "opening".into(),
                usage,
            },
        );
    }
    let reason = SafeReason::Unusable;
    assert_eq!(
        asked(&state),
        Effect::UseSafe {
            slot: "opening".into(),
            reason
        }
    );
}

#[test]
fn a_skeleton_without_trust_asks_no_model() {
    let view = PipelineView {
        writer: Writer::SafeTemplate,
        ..view()
    };
    let reason = SafeReason::SafeWriter;
    let expected = Effect::UseSafe {
        slot: "opening".into(),
        reason,
    };
    assert_eq!(next(&retrieved(), &view, NOW, ME), expected);
}

#[test]
fn a_final_step_goes_once_over_every_model_text() {
    let view = PipelineView {
        finish: true,
        ..view()
    };
    let drafted = apply(retrieved(), drafted("rough"), &view, NOW)
        .unwrap()
        .state;
    let expected = Effect::Finish {
        slot: "opening".into(),
        draft: "rough".into(),
    };
    assert_eq!(next(&drafted, &view, NOW, ME), expected);
    let event = Event::Finished {
        slot: "opening".into(),
        text: Some("smooth".into()),
        usage: Usage::default(),
    };
    let finished = apply(drafted, event, &view, NOW).unwrap().state;
    assert_eq!(finished.slot_texts()["opening"], "smooth");
    assert_eq!(next(&finished, &view, NOW, ME), Effect::Check);
}

#[test]
fn an_approval_binds_to_the_digest_and_refuses_the_author() {
    let waiting = written("maybe");
    let current = digest(&waiting);
    let fails = |event| apply(waiting.clone(), event, &view(), NOW).unwrap_err();
    let stale = fails(approve("bob", "sha256:other".into()));
    assert!(matches!(stale, MachineError::DigestMismatch { .. }));
    let author = fails(approve("alice", current.clone()));
    assert_eq!(author, MachineError::AuthorCannotApprove("alice".into()));
    assert_eq!(
        step(waiting, approve("bob", current)).status(),
        Status::Publishing
    );
}

#[test]
fn an_edit_voids_the_approval_and_asks_for_another_person() {
    let waiting = written("maybe");
    let current = digest(&waiting);
    let approved = step(waiting, approve("bob", current.clone()));
    let edit = Event::Edited {
        by: "erin".into(),
        digest: current.clone(),
        document: document("better"),
    };
    assert_eq!(
        kinds(approved.clone(), edit.clone()),
        [Kind::ApprovalVoided, Kind::Edited]
    );
    let edited = step(approved.clone(), edit.clone());
    assert!(edited.decisions[0].void);
    assert_eq!(asked(&edited), Effect::CheckEdited);
    let waiting = step(edited, judged("better"));
    assert_eq!(
        (waiting.status(), waiting.origin()),
        (Status::Review, Some(Origin::Edited))
    );
    let new = digest(&waiting);
    let fails = |event| apply(waiting.clone(), event, &view(), NOW).unwrap_err();
    assert!(matches!(
        fails(approve("bob", current)),
        MachineError::DigestMismatch { .. }
    ));
    let editor = fails(approve("erin", new.clone()));
    assert_eq!(editor, MachineError::AuthorCannotApprove("erin".into()));
    assert_eq!(
        step(waiting, approve("bob", new)).status(),
        Status::Publishing
    );

    let begun = intended(approved, ME);
    let error = apply(begun, edit, &view(), NOW).unwrap_err();
    assert_eq!(error, MachineError::PublicationBegun("outbox".into()));
}

#[test]
fn a_check_of_another_text_than_the_edited_one_is_refused() {
    let waiting = written("maybe");
    let digest = digest(&waiting);
    let edit = Event::Edited {
        by: "erin".into(),
        digest,
        document: document("better"),
    };
    let edited = step(waiting, edit);
    let error = apply(edited, judged("other"), &view(), NOW).unwrap_err();
    assert!(matches!(error, MachineError::DigestMismatch { .. }));
}

#[test]
fn review_time_ends_in_a_refusal() {
    let mut waiting = written("maybe");
    waiting.phase = Phase::Review {
        since_ms: NOW,
        due_ms: Some(NOW + 5),
    };
    assert_eq!(
        asked(&waiting),
        Effect::AwaitReview {
            due_ms: Some(NOW + 5)
        }
    );
    assert_eq!(next(&waiting, &view(), NOW + 5, ME), Effect::ExpireReview);
    assert_eq!(
        step(waiting, Event::ReviewExpired).reason(),
        Some("ReviewTimedOut")
    );
}

#[test]
fn only_the_holder_of_an_intent_sends_and_everybody_else_reads_back() {
    let blind = PipelineView {
        targets: vec![TargetView {
            name: "outbox".into(),
            read_back: false,
        }],
        ..view()
    };
    let mine = intended(written("good"), ME);
    let theirs = intended(written("good"), ME - 1);
    let unproven = step(
        mine.clone(),
        Event::PublishUnproven {
            target: "outbox".into(),
        },
    );
    assert!(matches!(asked(&mine), Effect::Send { .. }));
    for state in [&theirs, &unproven] {
        assert!(matches!(asked(state), Effect::ReadBack { .. }));
        assert_eq!(
            next(state, &blind, NOW, ME),
            Effect::Park {
                target: "outbox".into()
            }
        );
    }
    let missing = step(
        theirs,
        Event::PublishNotArrived {
            target: "outbox".into(),
        },
    );
    let retry_ms = missing.publication_retry_ms().unwrap();
    assert_eq!(asked(&missing), Effect::AwaitTarget { retry_ms });
    assert_eq!(
        next(&missing, &view(), retry_ms, ME),
        Effect::Intend {
            target: "outbox".into()
        }
    );
    assert!(matches!(asked(&intended(missing, ME)), Effect::Send { .. }));
}

#[test]
fn a_target_that_does_not_take_a_document_is_asked_ever_more_rarely_and_the_text_can_be_edited() {
    let mut state = written("good");
    let mut waits = Vec::new();
    for _ in 0..12 {
        let target = || "outbox".to_owned();
        state = intended(state, ME);
        assert_eq!(state.publication_retry_ms(), None);
        state = step(state, Event::PublishUnproven { target: target() });
        state = step(state, Event::PublishNotArrived { target: target() });
        waits.push(state.publication_retry_ms().unwrap() - NOW);
    }
    assert_eq!(waits[..3], [1000, 2000, 4000]);
    assert_eq!(waits[10..], [256_000, 256_000]);
    let base = digest(&state);
    let document = state.version.clone().unwrap().document;
    let edited = step(
        state,
        Event::Edited {
            by: "bob".into(),
            digest: base,
            document,
        },
    );
    assert!(edited.publications.is_empty());
}

#[test]
fn a_receipt_for_another_text_is_no_receipt() {
    let sent = intended(written("good"), ME);
    let error = apply(sent, receipt("sha256:other".into()), &view(), NOW).unwrap_err();
    assert!(matches!(error, MachineError::ReceiptMismatch { .. }));
}

#[test]
fn a_parked_document_is_read_back_before_anything_else() {
    let parked = |state| {
        let (target, reason) = ("outbox".into(), ParkReason::Unproven);
        step(state, Event::Parked { target, reason })
    };
    let unproven = parked(intended(written("good"), ME));
    assert_eq!(asked(&unproven), Effect::AwaitRelease);
    let release = |resend| Event::Unparked {
        by: "bob".into(),
        resend,
    };
    assert!(matches!(
        asked(&step(unproven.clone(), release(false))),
        Effect::ReadBack { .. }
    ));
    assert!(matches!(
        asked(&step(unproven, release(true))),
        Effect::Intend { .. }
    ));
}

#[test]
fn events_out_of_place_change_nothing() {
    let published = {
        let sent = intended(written("good"), ME);
        let digest = digest(&sent);
        step(step(sent, receipt(digest)), Event::Completed)
    };
    let out_of_place = [
        (accepted(), drafted("x")),
        (retrieved(), approve("bob", String::new())),
        (written("good"), drafted("x")),
        (written("good"), Event::ReviewExpired),
        (written("maybe"), Event::Completed),
        (
            published.clone(),
            Event::Refused {
                reason: RefuseReason::Erased,
                detail: String::new(),
            },
        ),
        (
            published.clone(),
            Event::Unparked {
                by: "bob".into(),
                resend: true,
            },
        ),
        (published, judged("good")),
    ];
    for (state, event) in out_of_place {
        let name = event.name();
        let error = apply(state, event, &view(), NOW).unwrap_err();
        assert!(
            matches!(error, MachineError::WrongPhase { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_state_survives_its_journey_through_json() {
    let sent = intended(written("good"), ME);
    let json = serde_json::to_vec(&sent).unwrap();
    assert_eq!(serde_json::from_slice::<State>(&json).unwrap(), sent);
}
