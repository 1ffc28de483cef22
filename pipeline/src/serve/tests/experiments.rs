//! Outcomes that others report and sign, and the comparison of variants.

use aios_audit::{Expectations, Kind, verify_bundle};
use aios_crds::experiment::Reporter;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::town::{Town, TownOptions, pipeline};

const TIME: &str = "1700000000";

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> String {
    format!("whpk_{}", STANDARD.encode(key(seed).public_key()))
}

/// What a sender's request carries: id, signature and body.
struct Sent {
    id: String,
    signature: String,
    body: String,
}

fn signed(seed: u8, id: &str, body: &Value) -> Sent {
    let body = body.to_string();
    let signature = key(seed).sign(format!("{id}.{TIME}.{body}").as_bytes());
    Sent {
        id: id.into(),
        signature: format!("v1a,{}", STANDARD.encode(signature)),
        body,
    }
}

async fn send(town: &Town, who: &str, document: &str, sent: Sent) -> (u16, Value) {
    let path = format!("/v1/pipelines/mail/documents/{document}/outcomes");
    let headers = [
        ("webhook-id", sent.id.as_str()),
        ("webhook-timestamp", TIME),
        ("webhook-signature", &sent.signature),
    ];
    town.post_with(who, &path, &headers, sent.body).await
}

/// A town whose pipeline takes reports of `shop`, who has key 7.
async fn town(options: TownOptions) -> Town {
    let town = Town::start(options).await;
    let mut config = pipeline(&town.receiver);
    config.reporters = vec![Reporter {
        name: "shop".into(),
        public_key: public(7),
    }];
    let acks = town.enforce(2, &[], vec![config]);
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    town.upload_customers().await;
    town
}

#[tokio::test]
async fn what_a_reporter_signs_counts_for_the_variant_and_is_proven_in_the_log() {
    let town = town(TownOptions::default()).await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let click = json!({"document": id, "name": "click"});
    for expected in [201, 200] {
        let sent = signed(7, "evt-1", &click);
        let (status, answer) = send(&town, "mailer", &id, sent).await;
        assert_eq!(
            (status, answer),
            (expected, json!({"name": "click", "id": "evt-1"}))
        );
    }
    let (status, found) = town.get("dave", "/v1/pipelines/mail/experiments").await;
    assert_eq!(status, 200, "{found}");
    let variant = &found["variants"][0];
    assert_eq!(
        (
            &variant["experiment"],
            &variant["variant"],
            &variant["exposed"]
        ),
        (&json!("tone"), &json!("bold"), &json!(1))
    );
    let all = json!({"count": 1, "of": 1, "lowPerMille": 206, "highPerMille": 1000});
    assert_eq!(variant["score"], all);
    assert_eq!(
        variant["outcomes"]["click"],
        json!({"documents": all, "events": 1, "values": 0, "valueSum": 0})
    );
    let bundle = town.text("bob", "/v1/audit/bundle").await;
    let report = verify_bundle(bundle.as_bytes(), &Expectations::default()).unwrap();
    assert_eq!(report.kinds[&Kind::Outcome], 1);
    let opened = bundle.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let payload = STANDARD.decode(line.pointer("/opening/payload")?.as_str()?);
        serde_json::from_slice::<Value>(&payload.unwrap()).ok()
    });
    let mut told = opened.filter(|payload| payload["event"]["id"] == "evt-1");
    let payload = told.next().unwrap();
    assert_eq!(payload["reporter"], "shop");
    assert_eq!(payload["by"], "mailer");
    assert_eq!(payload["variants"], json!({"draft": "tone/bold"}));
}

#[tokio::test]
async fn words_that_policy_sends_back_lower_the_score_though_the_next_are_published() {
    let town = town(TownOptions::default()).await;
    town.model.say_once("Acme is worse.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let (_, found) = town.get("dave", "/v1/pipelines/mail/experiments").await;
    let variant = &found["variants"][0];
    let none = json!({"count": 0, "of": 1, "lowPerMille": 0, "highPerMille": 794});
    assert_eq!(variant["score"], none);
    assert_eq!(variant["published"]["count"], 1);
}

#[tokio::test]
async fn an_event_that_no_reporter_signed_is_refused() {
    let town = town(TownOptions::default()).await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let other = town.created("k2", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let click = json!({"document": id, "name": "click"});
    let mut changed = signed(7, "evt-1", &click);
    changed.body = changed.body.replace("click", "buy");
    let mut unsigned = signed(7, "evt-1", &click);
    unsigned.signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".into();
    for sent in [changed, unsigned, signed(8, "evt-1", &click)] {
        let (status, problem) = send(&town, "mailer", &id, sent).await;
        assert_eq!(
            (status, &problem["title"]),
            (403, &json!("not_signed")),
            "{problem}"
        );
    }
    let sent = signed(7, "evt-1", &click);
    let (status, problem) = send(&town, "mailer", &other, sent).await;
    assert_eq!(
        (status, &problem["field"]),
        (400, &json!("document")),
        "{problem}"
    );
}

#[tokio::test]
async fn a_report_that_cannot_be_counted_is_refused_by_name() {
    let options = TownOptions {
        always_review: true,
        ..TownOptions::default()
    };
    let town = town(options).await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Review").await;
    let id = id.as_str();
    for (caller, event, document, more, status, says) in [
        ("mailer", "1", id, json!({}), 409, "Review"),
        ("carol", "1", id, json!({}), 403, "report"),
        ("dave", "1", id, json!({}), 403, "report"),
        (
            "mailer",
            "1",
            id,
            json!({"name": "Anna Muster"}),
            400,
            "lower case",
        ),
        ("mailer", "1", id, json!({"value": -1}), 400, "value"),
        (
            "mailer",
            "1",
            id,
            json!({"note": "n".repeat(1024)}),
            400,
            "1 KiB",
        ),
        ("mailer", "evt.1", id, json!({}), 400, "without a dot"),
        ("mailer", "1", "none", json!({}), 404, "none"),
    ] {
        let mut body = json!({"document": document, "name": "click"});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        let sent = signed(7, event, &body);
        let (found, problem) = send(&town, caller, document, sent).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem["detail"].to_string().contains(says), "{problem}");
    }
}

#[tokio::test]
async fn a_reporters_key_that_can_be_nobodys_is_refused() {
    let town = Town::start(TownOptions::default()).await;
    let mut config = pipeline(&town.receiver);
    config.reporters = vec![Reporter {
        name: "shop".into(),
        public_key: "whpk_shop".into(),
    }];
    let acks = town.enforce(2, &[], vec![config]);
    let refused: Vec<_> = acks.iter().filter(|ack| !ack.accepted).collect();
    assert_eq!(refused.len(), 1, "{acks:?}");
    assert!(refused[0].message.contains("shop"), "{acks:?}");
}
