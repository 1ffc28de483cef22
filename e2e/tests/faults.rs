//! Processes die at the worst moments, answers get lost: nothing is lost, nothing is doubled, and
//! what cannot be proven waits for a person.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

use aios_e2e::eventually;
use aios_e2e::testing::aios::SYSTEM;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use scene::{DEADLINE, DOUBTFUL, PIPELINE, Scene, pointers, records};

const ITEMS: usize = 6;
const RUN: &str = "batch";

#[tokio::test]
async fn a_worker_killed_with_a_lease_leaves_its_items_to_the_next() {
    let scene = Scene::open("lease-held").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene
        .run_with_doomed_worker(RUN, pointers(ITEMS), "lease-held")
        .await;
    let calls = scene.model_calls("received").await.unwrap();
    assert_eq!(calls, 0, "it had only leased");
    all_published_once(&scene).await;
}

#[tokio::test]
async fn a_draft_that_was_never_reported_is_written_again_and_published_once() {
    let scene = Scene::open("unreported").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene
        .run_with_doomed_worker(RUN, pointers(ITEMS), "drafted-unreported")
        .await;
    assert!(scene.model_calls("completed").await.unwrap() > 0);
    all_published_once(&scene).await;
    let calls = scene.model_calls("received").await.unwrap();
    assert!(calls > ITEMS as u64, "the lost draft was paid for twice");
}

#[tokio::test]
async fn a_jobs_worker_killed_while_the_model_writes_is_replaced() {
    let scene = Scene::open("job-pod").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.slow_model(Duration::from_mins(1)).await;
    scene.run(RUN, pointers(ITEMS)).await;
    model_writes(&scene).await;
    let workers = scene.workers(RUN).await.unwrap();
    let killed = workers.first().unwrap().name_any();
    // The model holds the call: the worker is at it when it dies.
    scene
        .namespace
        .kill_container(&killed, "worker")
        .await
        .unwrap();
    scene.worker_was_killed(&killed).await;
    scene.heal_model().await;
    all_published_once(&scene).await;
}

#[tokio::test]
async fn a_gateway_killed_before_it_sends_sends_once() {
    let scene = gateway_killed_at("intent-fenced").await;
    assert_eq!(scene.read_back().await, 0, "nothing had left");
}

#[tokio::test]
async fn a_gateway_killed_after_it_sent_reads_back() {
    gateway_killed_at("request-sent").await;
}

#[tokio::test]
async fn a_gateway_killed_with_an_unread_answer_reads_back() {
    let scene = gateway_killed_at("response-lost").await;
    assert!(scene.read_back().await > 0);
}

#[tokio::test]
async fn a_gateway_killed_before_the_receipt_reads_back() {
    let scene = gateway_killed_at("receipt-unwritten").await;
    assert!(scene.read_back().await > 0);
}

#[tokio::test]
async fn a_lost_gateway_pod_is_replaced_with_what_it_knew() {
    let scene = Scene::open("lost-gateway").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.slow_model(Duration::from_secs(2)).await;
    scene.run(RUN, pointers(ITEMS)).await;
    model_writes(&scene).await;
    scene.lose_gateway().await;
    all_published_once(&scene).await;
}

#[tokio::test]
async fn an_approval_outlives_the_gateway_that_recorded_it() {
    let scene = Scene::open("approval").await;
    scene.upload(&records(1, |_| DOUBTFUL)).await;
    scene.arm_gateway("approval-recorded").await;
    scene.run(RUN, pointers(1)).await;
    let waiting = scene.documents_in("Review", 1).await;
    let document = scene.document(&waiting[0].id).await.unwrap();
    let digest = document.digest.unwrap();

    let reviewer = scene.gateway("reviewer").await;
    let lost = reviewer.approve(PIPELINE, &document.id, &digest).await;
    assert!(lost.is_err(), "the gateway died before it answered");
    scene.gateway_was_killed().await;

    scene.documents_in("Published", 1).await;
    let after = scene.document(&document.id).await.unwrap();
    let decisions = after.more["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    let received = scene.received().await;
    assert_eq!(
        (received.posts, received.ids),
        (1, vec![document.id.clone()])
    );
    let again = scene.gateway("reviewer").await;
    let again = again.approve(PIPELINE, &document.id, &digest).await;
    assert_eq!(again.unwrap_err().status(), Some(409));
    scene.audited().await;
}

#[tokio::test]
async fn what_cannot_be_read_back_is_parked_until_it_can() {
    let scene = Scene::open("read-back").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.receiver_fault("drop-response", 2).await;
    scene.receiver_fault("error-read-back", 1_000).await;
    scene.run(RUN, pointers(ITEMS)).await;
    let items = scene.finished(RUN).await;
    assert_eq!((items.published, items.waiting), (4, 2));
    let parked = parked(&scene, 2).await;

    scene.heal_receiver().await;
    let publisher = scene.gateway("publisher").await;
    for id in &parked {
        publisher.publish(PIPELINE, id).await.unwrap();
    }
    scene.published_once(ITEMS).await;
}

/// It must not send again by itself, whatever a person asks, until it can ask the target.
#[tokio::test]
async fn without_read_back_a_lost_answer_is_parked_and_never_sent_again() {
    let scene = Scene::with("blind", without_read_back).await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.receiver_fault("drop-response", 1).await;
    scene.run(RUN, pointers(ITEMS)).await;
    let items = scene.finished(RUN).await;
    assert_eq!((items.published, items.waiting), (5, 1));
    let parked = parked(&scene, 1).await;
    let publisher = scene.gateway("publisher").await;
    publisher.publish(PIPELINE, &parked[0]).await.unwrap();
    self::parked(&scene, 1).await;
    assert_eq!(scene.received().await.posts, ITEMS as u64);

    scene.reapply(str::to_owned).await;
    eventually("it is read back and published", DEADLINE, async || {
        publisher.publish(PIPELINE, &parked[0]).await?;
        let found = scene.document(&parked[0]).await?;
        Ok((found.status == "Published").then_some(()))
    })
    .await
    .unwrap();
    scene.published_once(ITEMS).await;
}

#[tokio::test]
async fn a_target_that_fails_for_a_while_gets_each_document_once() {
    let scene = Scene::open("target-down").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.receiver_fault("error-500", 4).await;
    scene.run(RUN, pointers(ITEMS)).await;
    let items = scene.finished(RUN).await;
    assert_eq!(items.published, 6, "{items:?}");
    let received = scene.received().await;
    assert_eq!((received.documents, received.duplicates), (6, 0));
    assert_eq!(received.posts, 10, "four were refused before they arrived");
}

#[tokio::test]
async fn a_run_ends_well_though_the_operator_is_replaced_under_way() {
    let scene = Scene::open("operator").await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.slow_model(Duration::from_secs(2)).await;
    scene.run(RUN, pointers(ITEMS)).await;
    model_writes(&scene).await;

    let operators = Api::<Pod>::namespaced(scene.namespace.client(), SYSTEM);
    let named = ListParams::default().labels("app.kubernetes.io/component=operator");
    let found = operators.list(&named).await.unwrap().items;
    assert!(!found.is_empty());
    for operator in &found {
        let at_once = DeleteParams::default().grace_period(0);
        operators
            .delete(&operator.name_any(), &at_once)
            .await
            .unwrap();
    }
    all_published_once(&scene).await;
}

async fn gateway_killed_at(point: &str) -> Scene {
    let scene = Scene::open(point).await;
    scene.upload(&records(ITEMS, saving)).await;
    scene.arm_gateway(point).await;
    scene.run(RUN, pointers(ITEMS)).await;
    scene.gateway_was_killed().await;
    all_published_once(&scene).await;
    scene
}

async fn model_writes(scene: &Scene) {
    eventually("the model writes", DEADLINE, async || {
        Ok((scene.model_calls("active").await? > 0).then_some(()))
    })
    .await
    .unwrap();
}

/// The run ends with every item published, posted once, and proven.
async fn all_published_once(scene: &Scene) {
    let items = scene.finished(RUN).await;
    assert_eq!(items.accepted, items.published, "{items:?}");
    scene.published_once(ITEMS).await;
}

/// Waits for so many parked documents.
async fn parked(scene: &Scene, count: usize) -> Vec<String> {
    let parked = scene.documents_in("Parked", count).await;
    for one in &parked {
        assert_eq!(one.reason.as_deref(), Some("Unproven"));
    }
    parked.into_iter().map(|one| one.id).collect()
}

fn without_read_back(manifests: &str) -> String {
    let changed = manifests.replace("readBack: true", "readBack: false");
    assert_ne!(changed, manifests);
    changed
}

fn saving(_: usize) -> &'static str {
    "saving for a first home"
}
