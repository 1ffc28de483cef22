//! Never twice, never guessed.

use serde_json::json;

use super::town::{Town, TownOptions, until};

const TEXT: &str = "webinar today";

#[tokio::test]
async fn a_lost_answer_is_read_back_and_not_sent_again() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.fault(json!({"mode": "drop-response", "matches": TEXT}))
        .await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Published").await;
    let receipt = &document["publications"]["outbox"]["phase"]["received"];
    assert_eq!(receipt["readBack"], true, "{document:#}");
    let counts = town.receiver_counts().await;
    assert_eq!(
        (counts["posts"].as_u64(), counts["documents"].as_u64()),
        (Some(1), Some(1))
    );
}

#[tokio::test]
async fn what_the_target_says_it_has_not_is_sent_again_under_the_same_id() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.fault(json!({"mode": "error-500", "matches": TEXT}))
        .await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let counts = town.receiver_counts().await;
    assert_eq!(
        (counts["posts"].as_u64(), counts["documents"].as_u64()),
        (Some(2), Some(1))
    );
}

#[tokio::test]
async fn a_lost_answer_of_a_target_that_cannot_be_asked_parks_the_document() {
    let town = Town::start(TownOptions {
        blind_target: true,
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    town.fault(json!({"mode": "drop-response", "matches": TEXT}))
        .await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Parked").await;
    assert_eq!(document["reason"], "Unproven");

    // Releasing alone proves nothing; only a person who looked may have it sent again.
    let (status, _) = town.decide("bob", &id, "publish", json!({})).await;
    assert_eq!(status, 200);
    town.wait_for(&id, "Parked").await;
    assert_eq!(town.receiver_counts().await["posts"], 1);
    let (status, _) = town
        .decide("bob", &id, "publish", json!({"resend": true}))
        .await;
    assert_eq!(status, 200);
    town.wait_for(&id, "Published").await;
    let counts = town.receiver_counts().await;
    assert_eq!(
        (counts["documents"].as_u64(), counts["duplicates"].as_u64()),
        (Some(1), Some(1))
    );
    let (status, again) = town.decide("bob", &id, "publish", json!({})).await;
    assert_eq!((status, again["status"].as_str()), (200, Some("Published")));
}

#[tokio::test]
async fn a_target_that_refuses_parks_the_document_and_it_may_still_be_edited() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let mut wrong = super::pipeline(&town.receiver);
    // The receiver knows the signature of another secret only.
    wrong.publish[0].signing_secret = None;
    town.enforce(2, &[], vec![wrong]);
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Parked").await;
    assert_eq!(document["reason"], "TargetRefused");
    let body = json!({"digest": document["digest"], "parts": [{"name": "subject", "text": "Hi"}]});
    let (status, answer) = town.decide("bob", &id, "edit", body).await;
    assert_eq!(status, 200, "{answer}");
    town.enforce(3, &[], vec![]);
    let edited = town.wait_for(&id, "Review").await;
    let body = json!({"digest": edited["digest"]});
    assert_eq!(town.decide("erin", &id, "approve", body).await.0, 200);
    let document = town.wait_for(&id, "Published").await;
    assert_eq!(document["origin"], "Edited");
}

#[tokio::test]
async fn a_target_that_is_away_is_tried_until_it_is_back() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let mut away = super::pipeline("http://127.0.0.1:1");
    away.publish[0].url = "http://127.0.0.1:1/deliveries".into();
    town.enforce(2, &[], vec![away]);
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Publishing").await;
    let tried = until(|| async {
        let document = town.read(&id).await;
        document["publications"]["outbox"].is_object().then_some(())
    });
    tried.await;
    town.enforce(3, &[], vec![]);
    town.wait_for(&id, "Published").await;
    assert_eq!(town.receiver_counts().await["posts"], 1);
}

#[tokio::test]
async fn a_restart_between_intent_and_answer_reads_back_before_it_sends() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let mut away = super::pipeline("http://127.0.0.1:1");
    away.publish[0].url = "http://127.0.0.1:1/deliveries".into();
    town.enforce(2, &[], vec![away]);
    let id = town.created("k1", json!({"customerId": 17})).await;
    let intended = until(|| async {
        let document = town.read(&id).await;
        document["publications"]["outbox"].is_object().then_some(())
    });
    intended.await;
    let first = town.read(&id).await["publications"]["outbox"]["holder"].clone();
    let town = town.restart().await;
    town.enforce(3, &[], vec![]);
    let document = town.wait_for(&id, "Published").await;
    let holder = &document["publications"]["outbox"]["holder"];
    assert!(
        holder.as_u64() > first.as_u64(),
        "another intent was recorded: {holder} after {first}"
    );
    assert_eq!(town.receiver_counts().await["posts"], 1);
}
