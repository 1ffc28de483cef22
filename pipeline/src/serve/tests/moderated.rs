//! Texts that a model judges, by the published contract of moderations: the simulator stands where the
//! egress does.

use aios_simulator::model;
use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};

use super::town::{Town, TownOptions, rule};

/// A town whose only further rule asks `judge`.
async fn town(judge: Router, on_error: &str) -> Town {
    let town = Town::start(TownOptions {
        judge: Some(judge),
        more_rules: vec![rule(
            json!({"name": "kind", "action": "Review", "onError": on_error,
            "moderation": {"model": "judge", "categories": {"harassment": 40}}}),
        )],
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    town
}

pub(super) fn simulator() -> Router {
    let say = r#"{"harassment": 0.87}"#;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.json");
    std::fs::write(
        &script,
        json!([{"match": "wretch", "answer": say}]).to_string(),
    )
    .unwrap();
    model::router(model::Settings {
        script: Some(script),
        models: vec!["judge".into()],
        ..model::Settings::default()
    })
    .unwrap()
}

/// Texts that the simulator judged, in order.
pub(super) async fn judged(town: &Town) -> Vec<Value> {
    let log = town.judge_log().await;
    let calls = log["calls"].as_array().unwrap().iter();
    calls.map(|call| call["body"]["input"].clone()).collect()
}

#[tokio::test]
async fn every_part_is_judged_once_and_the_answers_are_named_by_digest() {
    let town = town(simulator(), "Closed").await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Published").await;
    let verdict = &document["verdict"];
    assert_eq!(
        verdict["evidence"].as_array().unwrap().len(),
        3,
        "{verdict}"
    );
    let asked = judged(&town).await;
    assert_eq!(
        (asked.len(), &asked[2]),
        (3, &json!("Join our webinar today."))
    );
    let replay = json!({"policy": {"name": "house", "scope": "Namespace", "review": {}, "rules": [
        {"name": "kinder", "action": "Block",
            "moderation": {"model": "judge", "categories": {"harassment": 1}}}]}});
    let (status, told) = town
        .post("alice", "/v1/pipelines/mail/replay", replay)
        .await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        told["changes"][0]["fire"],
        json!(["house/kinder"]),
        "{told}"
    );
    assert_eq!(judged(&town).await.len(), 3, "a replay asks nobody");
}

#[tokio::test]
async fn what_a_model_objects_to_waits_for_a_person_with_the_category() {
    let town = town(simulator(), "Closed").await;
    town.model.say("Join us, you wretch.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Review").await;
    let finding = &document["verdict"]["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["check"]),
        (&json!("kind"), &json!("moderation"))
    );
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .ends_with("(harassment)"),
        "{finding}"
    );
    assert_eq!(finding["spans"][0]["part"], "text", "{finding}");
    assert_eq!(judged(&town).await.len(), 3);
    let kinder = json!([{"name": "text", "text": "Join us, dear customer."},
        {"name": "html", "text": "<p>Join us, dear customer.</p>"}]);
    let body = json!({"digest": document["digest"], "parts": kinder});
    let (status, edited) = town.decide("bob", &id, "edit", body).await;
    assert_eq!(status, 200, "{edited}");
    let asked = judged(&town).await;
    let subjects = asked.iter().filter(|text| **text == asked[0]);
    assert_eq!(subjects.count(), 1, "what stays is not asked about again");
}

#[tokio::test]
async fn without_a_judgement_a_text_is_refused() {
    let exhausted = async || {
        let body = json!({"error": {"code": "routes_exhausted", "message": "no"}});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    };
    let other = async || Json(json!({"choices": []})).into_response();
    for judge in [post(exhausted), post(other)] {
        let town = town(Router::new().route("/v1/moderations", judge), "Closed").await;
        let id = town.created("k1", json!({"customerId": 17})).await;
        let document = town.wait_for(&id, "Refused").await;
        let error = &document["verdict"]["errors"][0];
        assert_eq!(error["reason"], "NoEvidence", "{document}");
        assert_eq!(town.receiver_counts().await["posts"], 0);
    }
}

#[tokio::test]
async fn where_policy_blocks_the_question_the_rules_own_choice_decides() {
    let blocked = async || {
        let body = json!({"error": {"code": "prompt_blocked", "message": "no"}});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    for (on_error, status) in [
        ("Closed", "Refused"),
        ("Review", "Review"),
        ("Open", "Published"),
    ] {
        let judge = Router::new().route("/v1/moderations", post(blocked));
        let town = town(judge, on_error).await;
        let id = town.created("k1", json!({"customerId": 17})).await;
        let document = town.wait_for(&id, status).await;
        let error = &document["verdict"]["errors"][0];
        assert_eq!(error["reason"], "NoEvidence", "{document}");
        let why = "policy refuses the call: 400 prompt_blocked";
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
    }
}
