//! The log proves what happened, also after an erasure; nothing personal lies on the disk.

use aios_audit::{CallsReport, Expectations, Kind, verify_bundle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::town::{Town, TownOptions};
use crate::{
    calls::{self, CallLog},
    work::GatewayClient,
};

#[tokio::test]
async fn the_bundle_verifies_offline_and_holds_signed_provenance() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let bundle = town.text("bob", "/v1/audit/bundle").await;
    let expectations = Expectations {
        key: Some(town.gateway.store.log_key().verifier()),
        heads: Vec::new(),
    };
    let report = verify_bundle(bundle.as_bytes(), &expectations).unwrap();
    assert_eq!((report.documents, report.envelopes), (1, 1));
    for kind in [
        Kind::Accepted,
        Kind::Retrieved,
        Kind::Drafted,
        Kind::Checked,
        Kind::PublishIntended,
        Kind::Published,
        Kind::Provenance,
    ] {
        assert_eq!(report.kinds.get(&kind), Some(&1), "{kind:?}");
    }
    let at = bundle.rfind("\"seq\":").unwrap() + 6;
    let mut bent = bundle.into_bytes();
    bent[at] ^= 1;
    assert!(verify_bundle(bent.as_slice(), &expectations).is_err());
}

/// What an auditor finds of calls.
async fn audited(town: &Town) -> CallsReport {
    let bundle = town.text("bob", "/v1/audit/bundle").await;
    let report = verify_bundle(bundle.as_bytes(), &Expectations::default());
    report.unwrap().calls
}

/// Takes the records there, once.
async fn taken_to(town: &Town, log: impl CallLog) {
    let ended = CancellationToken::new();
    ended.cancel();
    calls::run(town.gateway.egress.clone(), log, ended).await;
}

#[tokio::test]
async fn the_calls_that_documents_name_are_in_the_log_once_their_records_were_taken_there() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let found = audited(&town).await;
    assert_eq!((found.named, found.unrecorded, found.batches), (1, 1, 0));
    taken_to(&town, town.gateway.clone()).await;
    let found = audited(&town).await;
    assert_eq!((found.named, found.unrecorded, found.records), (1, 0, 1));

    // A worker hands over what is there already, and one batch more.
    let id = town.created("k2", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let worker = GatewayClient::new(&town.work, None, "uid-batch", "w1").unwrap();
    taken_to(&town, worker).await;
    let expected = CallsReport {
        processes: 1,
        batches: 2,
        records: 2,
        missing: 0,
        named: 2,
        unrecorded: 0,
    };
    assert_eq!(audited(&town).await, expected);
}

#[tokio::test]
async fn an_erased_person_is_gone_and_the_log_still_verifies() {
    let town = Town::start(TownOptions {
        always_review: true,
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Review").await;
    let (status, answer) = town.delete("bob", "/v1/subjects/17").await;
    assert_eq!(
        (status, answer["documents"].as_u64()),
        (200, Some(1)),
        "{answer}"
    );
    let (status, _) = town
        .get("alice", &format!("/v1/pipelines/mail/documents/{id}"))
        .await;
    assert_eq!(status, 410);
    let again = town.created("k2", json!({"customerId": 17})).await;
    let refused = town.wait_for(&again, "Refused").await;
    assert!(refused["detail"].as_str().unwrap().contains("no record"));
    let bundle = town.text("bob", "/v1/audit/bundle").await;
    assert!(
        !bundle.contains("customerId\":17") && !bundle.contains("Zo"),
        "{bundle}"
    );
    let report = verify_bundle(bundle.as_bytes(), &Expectations::default()).unwrap();
    assert_eq!(report.kinds.get(&Kind::Erased), Some(&1));
    let listed = town
        .get("alice", "/v1/pipelines/mail/documents?status=Refused")
        .await
        .1;
    assert_eq!(listed["documents"][0]["reason"], "Erased", "{listed}");
}

#[tokio::test]
async fn no_name_and_no_text_lies_in_the_store_in_the_clear() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&id, "Published").await;
    let mut seen = 0;
    for entry in std::fs::read_dir(town.folder()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        seen += bytes.len();
        for word in ["Zoë", "Jörg", "webinar today", "customerId"] {
            let found = bytes
                .windows(word.len())
                .any(|window| window == word.as_bytes());
            assert!(!found, "`{word}` in the clear");
        }
    }
    assert!(seen > 10_000, "the database was read");
}
