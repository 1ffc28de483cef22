//! Variants are counted once, events once, and both are joined.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aios_audit::{Happened, SignedEvent};
use aios_crds::writing_pipeline::Writer;
use rstest::rstest;

use super::{
    testing::{Kind, TestPlace},
    tests::{NOW, accept},
    *,
};
use crate::machine::{Drafted, Event, MachineError, PipelineView, RefuseReason, Retrieved, Usage};

fn view() -> PipelineView {
    PipelineView {
        writer: Writer::Model,
        slots: vec!["hook".into(), "end".into()],
        finish: false,
        revisions: 0,
        targets: vec![],
    }
}

/// A document with a slot that was written under a variant, and another under the same or the next.
async fn drafted(store: &Store, id: &str, variants: [Option<&str>; 2]) {
    store.accept(accept(id, id, false), NOW).await.unwrap();
    let retrieved = Event::Retrieved(Retrieved {
        config: String::new(),
        variables: serde_json::json!({}),
        labels: std::collections::BTreeMap::new(),
        language: "en".into(),
        passages: vec![],
        millis: 1,
    });
    apply(store, id, retrieved).await;
    for (slot, variant) in ["hook", "end"].into_iter().zip(variants) {
        let drafted = Event::Drafted(Drafted {
            slot: slot.into(),
            text: "Words.".into(),
            deployment: "m".into(),
            digest: "m".into(),
            usage: Usage {
                variant: variant.map(str::to_owned),
                ..Usage::default()
            },
        });
        apply(store, id, drafted).await;
    }
}

async fn apply(store: &Store, id: &str, event: Event) {
    let applied = store.apply(id, event, &view(), &Fence::Open, NOW).await;
    applied.unwrap();
}

async fn refuse(store: &Store, id: &str, reason: RefuseReason) {
    let detail = String::new();
    apply(store, id, Event::Refused { reason, detail }).await;
}

/// As if it had been checked and sent, which is shown elsewhere.
async fn published(store: &Store, id: &str, origin: &str) {
    let mut write = store.database.write().await.unwrap();
    let loaded = rows::load(&mut write, &store.vault, id).await.unwrap();
    let mut state = loaded.state;
    state.phase = crate::machine::Phase::Published { time_ms: NOW };
    let key = keys::ensure(&mut write, &store.vault, loaded.subject)
        .await
        .unwrap();
    let sealed = key
        .seal(&rows::state_place(id), &serde_json::to_vec(&state).unwrap())
        .unwrap();
    database::query(
        "UPDATE documents SET state = $1, status = 'Published', origin = $2 WHERE id = $3",
    )
    .bind(sealed)
    .bind(origin)
    .bind(id)
    .execute(&mut write)
    .await
    .unwrap();
    write.commit().await.unwrap();
}

/// Whether it is signed is seen to before.
fn outcome(document: &str, name: &str, id: &str, value: Option<u32>) -> Outcome {
    let happened = Happened {
        document: document.into(),
        name: name.into(),
        value,
    };
    Outcome {
        reporter: "shop".into(),
        by: "mailer".into(),
        event: SignedEvent {
            id: id.into(),
            timestamp: 1,
            body: serde_json::to_string(&happened).unwrap(),
            signature: "v1a,".into(),
            key: "whpk_".into(),
        },
        happened,
    }
}

async fn report(store: &Store, variant: &str) -> VariantReport {
    let all = store.variants("mail").await.unwrap();
    all.into_iter()
        .find(|report| report.variant == variant)
        .unwrap()
}

#[rstest]
#[tokio::test]
async fn a_document_is_exposed_once_to_the_first_variant_that_wrote_for_it(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    drafted(&store, "a", [Some("tone/bold"); 2]).await;
    drafted(&store, "b", [Some("tone/bold"), Some("tone/control")]).await;
    drafted(&store, "c", [Some("tone/control"); 2]).await;
    drafted(&store, "d", [None; 2]).await;
    let found = store.variants("mail").await.unwrap();
    let counted: Vec<_> = found
        .iter()
        .map(|report| {
            (
                report.step.as_str(),
                report.variant.as_str(),
                report.exposed,
            )
        })
        .collect();
    assert_eq!(counted, [("draft", "bold", 2), ("draft", "control", 1)]);
    assert!(store.variants("other").await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn outcomes_are_joined_to_the_variant_of_their_document(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    for id in ["a", "b", "c", "d", "e"] {
        drafted(&store, id, [Some("tone/bold"); 2]).await;
    }
    published(&store, "a", "Model").await;
    published(&store, "b", "Edited").await;
    refuse(&store, "c", RefuseReason::RejectedByReviewer).await;
    refuse(&store, "d", RefuseReason::PolicyBlocked).await;
    for (document, name, id, value) in [
        ("a", "click", "1", None),
        ("a", "click", "2", None),
        ("b", "click", "1", None),
        ("a", "rating", "3", Some(4)),
    ] {
        let outcome = outcome(document, name, id, value);
        assert!(store.record_outcome(&outcome, NOW).await.unwrap());
        assert!(!store.record_outcome(&outcome, NOW).await.unwrap());
    }
    let found = report(&store, "bold").await;
    assert_eq!((found.exposed, found.finished), (5, 4));
    assert_eq!(found.published, Share::of(2, 4));
    assert_eq!(found.edited, Share::of(1, 4));
    assert_eq!(found.rejected, Share::of(1, 4));
    assert_eq!(found.blocked, Share::of(1, 4));
    let clicks = OutcomeReport {
        documents: Share::of(2, 2),
        events: 3,
        ..OutcomeReport::default()
    };
    assert_eq!(found.outcomes["click"], clicks);
    let ratings = OutcomeReport {
        documents: Share::of(1, 2),
        events: 1,
        values: 1,
        value_sum: 4,
    };
    assert_eq!(found.outcomes["rating"], ratings);
}

#[rstest]
#[tokio::test]
async fn an_event_is_of_a_published_document_and_its_id_of_one_event(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    drafted(&store, "a", [None; 2]).await;
    let early = store
        .record_outcome(&outcome("a", "click", "1", None), NOW)
        .await;
    assert!(matches!(
        early,
        Err(StoreError::Machine(MachineError::WrongPhase { .. }))
    ));
    published(&store, "a", "Model").await;
    let before = *store.log_size().borrow();
    let click = outcome("a", "click", "1", None);
    assert!(store.record_outcome(&click, NOW).await.unwrap());
    assert_eq!(*store.log_size().borrow(), before + 1, "it has a leaf");
    for other in [
        outcome("a", "buy", "1", None),
        outcome("a", "click", "1", Some(1)),
    ] {
        let reused = store.record_outcome(&other, NOW).await;
        assert!(matches!(reused, Err(StoreError::EventReused)), "{other:?}");
    }
    assert_eq!(*store.log_size().borrow(), before + 1);
    let leaves = store.leaves(before, before + 1).await.unwrap();
    let (_, payload) = leaves[0].opening.clone().unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["reporter"], "shop");
    assert_eq!(payload["event"]["id"], "1");
    let another = Outcome {
        reporter: "tracker".into(),
        ..click
    };
    assert!(
        store.record_outcome(&another, NOW).await.unwrap(),
        "ids are a reporter's own"
    );
    let nobody = store
        .record_outcome(&outcome("z", "click", "1", None), NOW)
        .await;
    assert!(matches!(nobody, Err(StoreError::NoDocument(_))));
}
