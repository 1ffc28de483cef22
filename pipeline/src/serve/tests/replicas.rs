//! Two gateways on one PostgreSQL do together what one does, and nothing twice.

use aios_audit::{Expectations, verify_bundle};
use serde_json::json;

use super::town::{Town, TownOptions, until};
use crate::{
    clock::now_ms,
    machine::Event,
    store::{Claim, Fence},
};

const DOCUMENTS: usize = 24;

async fn all_published(town: &Town) {
    let published = until(|| async {
        let path = "/v1/pipelines/mail/documents?status=Published";
        let (_, list) = town.get("alice", path).await;
        (list["documents"].as_array()?.len() == DOCUMENTS).then_some(())
    });
    published.await;
}

fn verified(town: &Town, bundle: &str) {
    let expectations = Expectations {
        key: Some(town.gateway.store.log_key().verifier()),
        heads: Vec::new(),
    };
    let report = verify_bundle(bundle.as_bytes(), &expectations).unwrap();
    assert_eq!(report.documents, DOCUMENTS as u64);
}

#[tokio::test]
async fn what_is_asked_of_either_is_published_once_and_stands_in_one_log() {
    let Some((one, other)) = Town::pair(TownOptions::default()).await else {
        return;
    };
    one.upload_customers().await;
    for n in 0..DOCUMENTS {
        let town = if n % 2 == 0 { &one } else { &other };
        town.created(&format!("k{n}"), json!({"customerId": 17}))
            .await;
    }
    all_published(&one).await;
    let (repeat, document) = other.create("alice", "k0", json!({"customerId": 17})).await;
    assert_eq!(
        (repeat, document["status"].as_str()),
        (200, Some("Published"))
    );
    let counts = one.receiver_counts().await;
    assert_eq!(counts["posts"].as_u64(), Some(DOCUMENTS as u64));
    assert_eq!(counts["duplicates"].as_u64(), Some(0));
    verified(&one, &one.text("bob", "/v1/audit/bundle").await);
    verified(&other, &other.text("bob", "/v1/audit/bundle").await);
}

#[tokio::test]
async fn a_review_at_one_holds_at_the_other() {
    let options = TownOptions {
        always_review: true,
        ..TownOptions::default()
    };
    let Some((one, other)) = Town::pair(options).await else {
        return;
    };
    one.upload_customers().await;
    let id = one.created("k1", json!({"customerId": 17})).await;
    let document = other.wait_for(&id, "Review").await;
    let body = json!({"digest": document["digest"]});
    let (first, second) = tokio::join!(
        one.decide("bob", &id, "approve", body.clone()),
        other.decide("erin", &id, "approve", body)
    );
    let mut answers = [first.0, second.0];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409], "one person decides");
    other.wait_for(&id, "Published").await;
    assert_eq!(one.receiver_counts().await["posts"], 1);
}

#[tokio::test]
async fn what_one_meant_to_send_when_it_died_the_other_looks_for_first() {
    let options = TownOptions {
        always_review: true,
        ..TownOptions::default()
    };
    let Some((mut one, mut other)) = Town::pair(options).await else {
        return;
    };
    one.upload_customers().await;
    let id = one.created("k1", json!({"customerId": 17})).await;
    let document = one.wait_for(&id, "Review").await;
    // The one is stopped as a dead process is: it records an intent, and never sends.
    one.stop().await;
    other.stop().await;
    let store = &one.gateway.store;
    let pipeline = one.gateway.pipeline("mail").unwrap();
    let view = pipeline.view_of(&store.document(&id).await.unwrap());
    let approved = Event::Approved {
        by: "bob".into(),
        digest: document["digest"].as_str().unwrap().into(),
    };
    store
        .apply(&id, approved, &view, &Fence::Open, now_ms())
        .await
        .unwrap();
    let claims = until(|| async {
        let claims = store.claim(now_ms(), now_ms() + 300, 1).await.unwrap();
        (!claims.is_empty()).then_some(claims)
    });
    let held: Claim = claims.await.remove(0);
    let intended = Event::PublishIntended {
        target: "outbox".into(),
        external_id: id.clone(),
        holder: store.epoch(),
    };
    store
        .apply(&id, intended, &view, &store.claim_fence(&held), now_ms())
        .await
        .unwrap();
    let other = other.beside().await;
    other.wait_for(&id, "Published").await;
    let found = other.read(&id).await;
    let holder = found["publications"]["outbox"]["holder"].as_u64().unwrap();
    assert_eq!(holder, other.gateway.store.epoch());
    assert_eq!(other.receiver_counts().await["posts"], 1);
}

#[tokio::test]
async fn older_configuration_neither_accepts_nor_refuses_items_of_runs() {
    let Some((one, other)) = Town::pair(TownOptions::default()).await else {
        return;
    };
    one.upload_customers().await;
    one.enforce(2, &[super::workers::run(false)], vec![]);
    one.keep_snapshot().await;
    one.accept_runs().await;
    let store = &other.gateway.store;
    assert_eq!(store.left_for_workers("uid-batch").await.unwrap(), 3);
    other.accept_runs().await;
    assert_eq!(
        store.left_for_workers("uid-batch").await.unwrap(),
        3,
        "the run is new to it, and not deleted"
    );
    other.enforce(3, &[], vec![]);
    other.keep_snapshot().await;
    other.accept_runs().await;
    assert_eq!(store.left_for_workers("uid-batch").await.unwrap(), 0);
}
