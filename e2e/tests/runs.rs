//! Runs, from their records to the proof of what became of each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

use aios_crds::WritingRun;
use aios_e2e::eventually;
use jiff::Timestamp;
use kube::api::PostParams;
use scene::{DEADLINE, DOUBTFUL, PIPELINE, Scene, pointer, pointers, records, verify};
use serde_json::json;

const CUSTOMERS: &str = include_str!("../../examples/quickstart/customers.ndjson");

#[tokio::test]
async fn the_quickstart_publishes_each_document_once_and_its_log_verifies_offline() {
    let scene = Scene::open("quickstart").await;
    scene.upload(CUSTOMERS).await;
    scene.run("welcome-1", pointers(3)).await;

    let items = scene.finished("welcome-1").await;
    assert_eq!((items.accepted, items.published), (3, 3));
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (3, 3));

    let witnessed = scene.witnessed().await;
    let bundle = scene.bundle().await;
    let report = verify(&bundle, vec![witnessed]).unwrap();
    assert_eq!(report.documents, 3);
    assert_eq!(report.envelopes, 3, "each has its provenance");
    assert_eq!(report.heads, 1);

    for at in [bundle.len() / 3, bundle.len() / 2, bundle.len() * 2 / 3] {
        let mut flipped = bundle.clone();
        flipped[at] ^= 1;
        let fault = verify(&flipped, vec![witnessed]).unwrap_err();
        let at = u64::try_from(at).unwrap();
        assert!(fault.at.bytes.contains(&at), "byte {at}: {fault}");
    }
}

/// The first 250 fit, of which every tenth is doubtful; the last 50 lack what the schema wants.
#[tokio::test]
async fn of_300_items_each_is_published_refused_or_waiting() {
    let scene = Scene::open("three-hundred").await;
    let topic = |id| match id {
        251.. => "",
        _ if id % 10 == 0 => DOUBTFUL,
        _ => "saving for a first home",
    };
    scene.upload(&records(300, topic)).await;
    scene.run_uploaded("batch").await;

    let items = scene.finished("batch").await;
    assert_eq!(items.accepted, 300);
    assert_eq!(
        (items.published, items.refused, items.waiting),
        (225, 50, 25)
    );
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (225, 225));
    assert_eq!(scene.audited().await.documents, 300);
}

#[tokio::test]
async fn a_repeated_intent_gets_the_first_answer_and_another_body_is_refused() {
    let scene = Scene::open("intents").await;
    scene.upload(&records(2, |_| "saving")).await;
    let author = scene.gateway("author").await;
    let intend = async |customer| {
        let pointer = pointer(customer);
        author.create_document(PIPELINE, &pointer, "order-17").await
    };

    let first = intend(1).await.unwrap();
    scene.documents_in("Published", 1).await;
    let again = intend(1).await.unwrap();
    assert_eq!((again.id, again.status.as_str()), (first.id, "Published"));

    let refusal = intend(2).await.unwrap_err();
    assert_eq!(refusal.status(), Some(422), "{refusal}");
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (1, 1));
}

#[tokio::test]
async fn a_run_created_before_its_upload_starts_after_it() {
    let scene = Scene::open("early-run").await;
    scene.run_uploaded("early").await;
    eventually("the run says what it waits for", DEADLINE, async || {
        let ready = scene.condition("early", "Ready").await?;
        Ok(ready.filter(|ready| ready.message.contains("no records were uploaded")))
    })
    .await
    .unwrap();
    assert!(scene.workers("early").await.unwrap().is_empty());

    scene.upload(&records(3, |_| "saving")).await;
    let items = scene.finished("early").await;
    assert_eq!((items.accepted, items.published), (3, 3));
}

#[tokio::test]
async fn a_suspended_run_rests_until_it_is_resumed() {
    let scene = Scene::with("suspend", one_at_a_time).await;
    scene.upload(&records(8, |_| "saving")).await;
    scene.slow_model(Duration::from_secs(2)).await;
    scene.run("slow", pointers(8)).await;
    eventually("a first document is drafted", DEADLINE, async || {
        Ok((scene.model_calls("completed").await? > 0).then_some(()))
    })
    .await
    .unwrap();

    scene.suspend("slow", true).await;
    scene.no_workers("slow").await;
    eventually("the model is left alone", DEADLINE, async || {
        Ok((scene.model_calls("active").await? == 0).then_some(()))
    })
    .await
    .unwrap();
    scene.heal_model().await;
    let drafted = scene.model_calls("received").await.unwrap();
    assert!(drafted < 8, "{drafted} of 8 before it was suspended");

    scene.suspend("slow", false).await;
    let items = scene.finished("slow").await;
    assert_eq!((items.accepted, items.published), (8, 8));
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (8, 8));
}

#[tokio::test]
async fn at_its_deadline_a_run_finishes_what_is_under_way_and_refuses_the_rest() {
    let scene = Scene::with("deadline", one_at_a_time).await;
    scene.upload(&records(8, |_| "saving")).await;
    scene.slow_model(Duration::from_secs(5)).await;
    let deadline = Timestamp::now() + Duration::from_secs(30);
    let run: WritingRun = serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun", "metadata": {"name": "late"},
        "spec": {"pipelineRef": {"name": PIPELINE}, "input": pointers(8),
            "deadline": deadline.to_string()},
    }))
    .unwrap();
    let runs = scene.namespace.api::<WritingRun>();
    runs.create(&PostParams::default(), &run).await.unwrap();

    let items = scene.finished("late").await;
    assert!(items.refused > 0 && items.published < 8, "{items:?}");
    assert_eq!(items.published + items.refused, items.accepted);
    let succeeded = scene.condition("late", "Succeeded").await.unwrap().unwrap();
    let (status, reason) = (succeeded.status.as_str(), succeeded.reason.as_str());
    assert_eq!((status, reason), ("False", "DeadlineExceeded"));
    for one in scene.documents(Some("Refused")).await.unwrap() {
        assert_eq!(one.reason.as_deref(), Some("DeadlineExceeded"));
    }
    scene.no_workers("late").await;
    let received = scene.received().await;
    let published = u64::try_from(items.published).unwrap();
    assert_eq!((received.posts, received.documents), (published, published));
    assert_eq!(scene.audited().await.documents, 8);
}

#[tokio::test]
async fn deleting_a_run_ends_its_workers_and_refuses_what_is_unwritten() {
    let scene = Scene::with("delete-run", one_at_a_time).await;
    scene.upload(&records(8, |_| "saving")).await;
    scene.slow_model(Duration::from_secs(2)).await;
    scene.run("doomed", pointers(8)).await;
    scene.published_at_least(1).await;

    scene.delete_run("doomed").await;
    scene.no_workers("doomed").await;
    let settled = eventually("every item is settled", DEADLINE, async || {
        let all = scene.documents(None).await?;
        let is_open = |status: &str| !matches!(status, "Published" | "Refused");
        Ok((!all.iter().any(|one| is_open(&one.status))).then_some(all))
    });
    let settled = settled.await.unwrap();
    assert_eq!(settled.len(), 8);
    let refused: Vec<_> = settled
        .iter()
        .filter(|one| one.status == "Refused")
        .collect();
    assert!(!refused.is_empty());
    for one in &refused {
        assert_eq!(one.reason.as_deref(), Some("RunDeleted"));
    }
    let published = u64::try_from(settled.len() - refused.len()).unwrap();
    let received = scene.received().await;
    assert_eq!((received.posts, received.documents), (published, published));
}

/// So that a run can be met half-way.
fn one_at_a_time(manifests: &str) -> String {
    let changed = manifests.replace(
        "  models:\n    draft:",
        "  execution: {concurrency: 1}\n  models:\n    draft:",
    );
    assert_ne!(changed, manifests);
    changed
}
