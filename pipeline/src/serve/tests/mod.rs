//! The gateway in one process: real HTTP, real store, a scripted model, a real webhook receiver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod audit;
mod experiments;
mod fields;
mod leaks;
mod moderated;
mod publish;
mod quotas;
mod rates;
mod replays;
mod replicas;
mod samples;
mod town;
mod workers;

use serde_json::json;
use town::{Town, TownOptions, pipeline};

#[tokio::test]
async fn a_document_passes_from_intent_to_published() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let (status, created) = town.create("alice", "k1", json!({"customerId": 17})).await;
    assert_eq!(status, 201, "{created}");
    let id = created["id"].as_str().unwrap();
    let document = town.wait_for(id, "Published").await;
    assert_eq!(document["origin"], "Model");
    assert_eq!(document["language"], "en");
    let text = document["parts"][1]["text"].as_str().unwrap();
    assert!(
        text.contains("Zoë") && text.contains("Join our webinar today."),
        "{text}"
    );
    let counts = town.receiver_counts().await;
    assert_eq!(
        (counts["posts"].as_u64(), counts["documents"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(town.received().await.contains("digitalSourceType"));
    let numbers = town.get("alice", "/v1/pipelines/mail/stats").await.1;
    assert_eq!(numbers["origins"]["Model"], 1);
    assert_eq!(numbers["steps"]["draft"]["count"], 1);
    assert_eq!(numbers["cost"]["USD"], "0.00012");
}

#[tokio::test]
async fn what_the_model_cannot_write_falls_back_to_the_safe_wording() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.model
        .answer(503, json!({"error": {"code": "routes_exhausted"}}));
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Published").await;
    assert_eq!(document["origin"], "Template");
    assert!(
        document["parts"][1]["text"]
            .as_str()
            .unwrap()
            .contains("Safe words for Zoë")
    );
    assert!(!town.received().await.contains("digitalSourceType"));
}

#[tokio::test]
async fn a_rule_sends_the_text_back_to_the_model_and_then_to_the_safe_wording() {
    let instructs = json!({"name": "no-rivals", "action": "Revise", "terms": {"list": ["Acme"]},
        "message": "A rival is named", "instruction": "Write of the webinar alone"});
    let town = Town::start(TownOptions {
        more_rules: vec![town::rule(instructs)],
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    town.model.say("Acme is cheaper.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Published").await;
    assert_eq!(document["origin"], "Template");
    assert_eq!(town.model.calls(), 3, "one draft and two revisions");
    let last = town.model.last_request();
    let told = last["messages"].to_string();
    assert!(
        told.contains("- Name no competitor\\n- Write of the webinar alone"),
        "{last}"
    );
    assert!(!told.contains("A rival is named"), "words for people");
}

#[tokio::test]
async fn a_blocked_document_is_refused_and_never_posted() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.model.say("You are guaranteed to win.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Refused").await;
    assert_eq!(document["reason"], "PolicyBlocked");
    assert!(
        document["detail"]
            .as_str()
            .unwrap()
            .contains("house/no-guarantee")
    );
    assert_eq!(town.receiver_counts().await["posts"], 0);
}

#[tokio::test]
async fn a_policy_in_dry_run_reports_what_it_would_refuse_and_the_document_goes_on() {
    let town = Town::start(TownOptions {
        dry_run: true,
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    town.model.say("You are guaranteed to win.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Published").await;
    let verdict = &document["verdict"];
    assert_eq!(verdict["action"], "Pass", "{verdict}");
    let would = &verdict["dryRun"][0];
    assert_eq!(would["action"], "Block", "{verdict}");
    assert_eq!(would["findings"][0]["rule"], "no-guarantee", "{verdict}");
}

#[tokio::test]
async fn a_policy_is_acknowledged_with_the_revisions_by_which_it_is_judged() {
    let town = Town::start(TownOptions::default()).await;
    // The second time it is known already.
    for sequence in [2, 3] {
        let acks = town.enforce(sequence, &[], vec![]);
        let of = |name: &str| acks.iter().find(|ack| ack.name == name).unwrap();
        let engine = &of("house").engine;
        assert!(
            engine.starts_with("engine.") && engine.contains(" terms."),
            "{engine}"
        );
        assert_eq!(of("mail").engine, "");
    }
}

#[tokio::test]
async fn a_record_that_breaks_the_schema_is_refused_without_a_model_call() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    for (key, customer, expected) in [("k1", 19, "customer.consent"), ("k2", 99, "no record")] {
        let id = town.created(key, json!({"customerId": customer})).await;
        let document = town.wait_for(&id, "Refused").await;
        assert_eq!(document["reason"], "InvalidVariables");
        let detail = document["detail"].as_str().unwrap();
        assert!(
            detail.contains(expected) && !detail.contains("Łukasz"),
            "{detail}"
        );
    }
    assert_eq!(town.model.calls(), 0);
}

#[tokio::test]
async fn an_untrusted_language_never_reaches_a_model() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 18})).await;
    let document = town.wait_for(&id, "Published").await;
    assert_eq!(
        (document["language"].as_str(), town.model.calls()),
        (Some("de"), 0)
    );
    assert_eq!(document["origin"], "Template");
}

#[tokio::test]
async fn a_restart_with_the_kept_snapshot_goes_on() {
    let options = TownOptions {
        model_down: true,
        ..TownOptions::default()
    };
    let town = Town::start(options).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Writing").await;
    let town = town.restart().await;
    town.model.up();
    town.wait_for(&id, "Published").await;
}

#[tokio::test]
async fn an_item_that_does_not_compile_keeps_its_predecessor_in_force() {
    let town = Town::start(TownOptions::default()).await;
    let mut broken = pipeline(&town.receiver);
    broken.skeletons[0].parts[0].template = "{{ customer.name".into();
    let acks = town.enforce(2, &[], vec![broken]);
    let refused = acks.iter().find(|ack| !ack.accepted).unwrap();
    assert!(
        refused.message.contains("part/subject"),
        "{}",
        refused.message
    );
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
}
