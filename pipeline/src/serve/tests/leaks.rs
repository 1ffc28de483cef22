//! Letters that would tell one customer what belongs to another.

use aios_crds::policy_set::Rule;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    moderated::{judged, simulator},
    town::{Town, TownOptions, rule, until},
    workers::{in_run, run, worker},
};

const OTHER: &str = "It is on account nl 7720-41 now.";

/// Two customers, each with an account.
async fn town() -> Town {
    begun(TownOptions {
        more_rules: vec![no_others()],
        ..TownOptions::default()
    })
    .await
}

/// The same, and a model must find every letter kind.
async fn kind_town() -> Town {
    begun(TownOptions {
        judge: Some(simulator()),
        more_rules: vec![
            rule(json!({"name": "kind", "action": "Review",
                "moderation": {"model": "judge", "categories": {"harassment": 40}}})),
            no_others(),
        ],
        ..TownOptions::default()
    })
    .await
}

fn no_others() -> Rule {
    rule(json!({"name": "no-others", "action": "Block",
        "leak": {"variables": ["customer.account"]}}))
}

async fn begun(options: TownOptions) -> Town {
    let town = Town::start(options).await;
    upload(&town, ["NL-3391-22", "NL-7720-41"]).await;
    town
}

async fn upload(town: &Town, accounts: [&str; 2]) {
    let customer = |id: u64, account: &str| {
        json!({"id": id, "name": "Zoë", "language": "en", "segment": "savings", "consent": true,
            "account": account})
    };
    let records = json!([customer(17, accounts[0]), customer(18, accounts[1])]);
    let path = "/v1/pipelines/mail/context/customer";
    let (status, answer) = town.put("alice", path, records.to_string()).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_letter_that_names_another_customers_account_is_refused_and_ones_own_passes() {
    let town = town().await;
    town.model.say(OTHER);
    let id = town.created("k1", json!({"customerId": 17})).await;
    let refused = town.wait_for(&id, "Refused").await;
    assert_eq!(refused["reason"], "PolicyBlocked");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("house/no-others"), "{detail}");
    let verdict = refused["verdict"].to_string().to_lowercase();
    assert!(!verdict.contains("7720"), "{verdict}");
    let own = town.created("k2", json!({"customerId": 18})).await;
    town.wait_for(&own, "Published").await;
    assert_eq!(town.receiver_counts().await["posts"], 1);
}

#[tokio::test]
async fn another_upload_and_an_erasure_change_whose_it_is() {
    let town = town().await;
    town.model.say(OTHER);
    let path = "/v1/pipelines/mail/preview";
    let preview = async || {
        let (status, document) = town
            .post("alice", path, json!({"pointer": {"customerId": 17}}))
            .await;
        assert_eq!(status, 200, "{document}");
        document["status"].clone()
    };
    assert_eq!(preview().await, "Refused");
    upload(&town, ["NL-3391-22", "NL-1111-11"]).await;
    assert_eq!(preview().await, "Publishing", "nobody has that account");
    upload(&town, ["NL-3391-22", "NL-7720-41"]).await;
    assert_eq!(preview().await, "Refused");
    let (status, answer) = town.delete("alice", "/v1/subjects/18").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        preview().await,
        "Publishing",
        "it was hers, and she is gone"
    );
}

#[tokio::test]
async fn workers_write_without_the_records_and_the_gateway_judges_with_them() {
    let town = town().await;
    town.model.say(OTHER);
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    worker(&town, "w1", CancellationToken::new())
        .run()
        .await
        .unwrap();
    let of = async |status: &str| {
        let found = in_run(&town, status).await;
        found.into_iter().next()
    };
    let published = until(|| of("Published")).await;
    let refused = until(|| of("Refused")).await;
    assert_eq!(refused["reason"], "PolicyBlocked");
    let own = town.read(published["id"].as_str().unwrap()).await;
    assert_eq!(own["verdict"]["action"], "Pass", "{own}");
    assert_eq!(town.receiver_counts().await["posts"], 1);
}

#[tokio::test]
async fn a_letter_that_is_refused_for_anothers_account_is_shown_to_no_judge() {
    let town = kind_town().await;
    town.model.say(OTHER);
    let id = town.created("k1", json!({"customerId": 17})).await;
    let refused = town.wait_for(&id, "Refused").await;
    assert_eq!(refused["verdict"]["unasked"][0]["rule"], "kind");
    assert_eq!(judged(&town).await.len(), 0);
    let own = town.created("k2", json!({"customerId": 18})).await;
    let own = town.wait_for(&own, "Published").await;
    let verdict = &own["verdict"];
    assert!(verdict["errors"].is_null(), "{verdict}");
    assert_eq!(verdict["evidence"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_workers_letter_is_judged_by_records_and_by_a_model() {
    let town = kind_town().await;
    town.model.say("Join us, you wretch.");
    town.enforce(2, &[run(false)], vec![]);
    town.accept_runs().await;
    worker(&town, "w1", CancellationToken::new())
        .run()
        .await
        .unwrap();
    let review = until(|| async { in_run(&town, "Review").await.into_iter().next() }).await;
    let document = town.read(review["id"].as_str().unwrap()).await;
    let verdict = &document["verdict"];
    assert_eq!(verdict["findings"][0]["rule"], "kind", "{verdict}");
    assert!(verdict["errors"].is_null(), "{verdict}");
}
