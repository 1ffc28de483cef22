//! Whose values are known, in both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use aios_crds::writing_pipeline::{ContextSource, UploadSource};
use aios_policy::{Asked, CompiledPolicy, Identifiers};
use rstest::rstest;
use serde_json::{Map, json};

use super::{
    Owner, Records, Store, Subject, UploadedRecord,
    testing::{Kind, TestPlace},
};

fn identifiers() -> Arc<Identifiers> {
    let variables = json!(["customer.account", "orders.account"]);
    let rule = json!([{"name": "r", "action": "Block", "leak": {"variables": variables}}]);
    let rules: Vec<_> = serde_json::from_value(rule).unwrap();
    let policy = CompiledPolicy::compile("p", &rules, &aios_crds::policy_set::Review::default());
    policy.unwrap().identifiers().remove(0)
}

fn record(key: &str, subject: Option<Subject>, account: &str) -> UploadedRecord {
    let fields = [
        ("id".to_owned(), json!(key)),
        ("account".to_owned(), json!(account)),
    ];
    UploadedRecord {
        key: key.into(),
        subject,
        record: Map::from_iter(fields),
    }
}

/// Which of many values are another's.
async fn others(store: &Store, own: &[Owner], values: &[&str]) -> Vec<String> {
    let identifiers = identifiers();
    // The same field of a pointer leads to both.
    let contexts = ["customer", "orders"].map(|name| ContextSource {
        name: name.into(),
        upload: UploadSource {
            pointer: "customerId".into(),
            key: "id".into(),
        },
    });
    let records = Records {
        pipeline: "mail",
        contexts: &contexts,
    };
    store.identify(records, &identifiers).await.unwrap();
    let many = (0..1500).map(|index| format!("nobodys{index}"));
    let values = values.iter().map(|value| (*value).to_owned()).chain(many);
    let asked = Asked::from([(identifiers.id().to_owned(), values.collect())]);
    let theirs = store.others(records, own, &asked).await.unwrap();
    theirs.into_values().flatten().collect()
}

#[rstest]
#[tokio::test]
async fn a_value_is_anothers_while_exactly_one_other_owns_it(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let person = |id: &str| store.vault().person(id);
    let records = vec![
        record("1", Some(person("ann")), "NL-1234-01"),
        record("2", Some(person("ann")), "NL-1234-02"),
        record("3", Some(person("bob")), "NL-2345-01"),
        record("4", Some(person("bob")), "NL-3456-01"),
        record("5", Some(person("cid")), "NL-3456-01"),
        record("6", None, "NL-6789-01"),
        record("7", None, "NL-7890-01"),
    ];
    store
        .put_context("mail", "customer", records)
        .await
        .unwrap();
    let all = [
        "nl123401", "nl123402", "nl234501", "nl345601", "nl678901", "nl789001",
    ];
    let ann = store.owners("mail", Some(person("ann")), &[("customerId", "1".into())]);
    assert_eq!(
        others(&store, &ann, &all).await,
        ["nl234501", "nl678901", "nl789001"],
        "both of her records are hers, and two share the fourth"
    );
    let sixth = store.owners("mail", None, &[("customerId", "6".into())]);
    assert_eq!(
        others(&store, &sixth, &all).await,
        ["nl123401", "nl123402", "nl234501", "nl789001"],
        "a record about nobody known is its own"
    );
    store.erase(person("cid"), "dora", 1).await.unwrap();
    assert!(
        others(&store, &ann, &all)
            .await
            .contains(&"nl345601".to_owned()),
        "only bob's now"
    );
    let replaced = vec![record("1", Some(person("ann")), "NL-9876-09")];
    store
        .put_context("mail", "customer", replaced)
        .await
        .unwrap();
    assert_eq!(others(&store, &sixth, &all).await, Vec::<String>::new());
    assert_eq!(others(&store, &sixth, &["nl987609"]).await, ["nl987609"]);
}

#[rstest]
#[tokio::test]
async fn records_of_two_contexts_to_which_one_pointer_leads_are_one_owners(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let Some(place) = TestPlace::new(kind).await else {
        return;
    };
    let store = place.open().await;
    let ann = store.vault().person("ann");
    let customers = vec![
        record("1", Some(ann), "NL-1234-01"),
        record("2", None, "NL-2345-01"),
    ];
    let orders = vec![
        record("1", None, "NL-1234-01"),
        record("2", None, "NL-2345-01"),
        record("3", None, "NL-3456-01"),
    ];
    for (context, records) in [("customer", customers), ("orders", orders)] {
        store.put_context("mail", context, records).await.unwrap();
    }
    let all = ["nl123401", "nl234501", "nl345601"];
    assert_eq!(others(&store, &[], &all).await, all, "each is one owner's");
    let own = store.owners("mail", Some(ann), &[("customerId", "1".into())]);
    assert_eq!(others(&store, &own, &all).await, ["nl234501", "nl345601"]);
    let own = store.owners("mail", None, &[("customerId", "2".into())]);
    assert_eq!(others(&store, &own, &all).await, ["nl123401", "nl345601"]);
}

#[tokio::test]
async fn no_value_stands_in_the_file() {
    let place = TestPlace::new(Kind::Sqlite).await.unwrap();
    let store = place.open().await;
    let records: Vec<UploadedRecord> = vec![record("1", None, "NLSECRET4711")];
    store
        .put_context("mail", "customer", records)
        .await
        .unwrap();
    assert_eq!(others(&store, &[], &["nlsecret4711"]).await.len(), 1);
    for file in std::fs::read_dir(place.folder().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("secret4711"));
    }
}
