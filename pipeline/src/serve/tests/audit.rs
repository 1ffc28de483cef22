//! The log proves what happened, also after an erasure; nothing personal lies on the disk.

use aios_audit::{Expectations, Kind, verify_bundle};
use serde_json::json;

use super::town::{Town, TownOptions};

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
