//! Another policy over more documents than one answer holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::town::{Town, TownOptions};

/// Documents of one answer, and some more.
const DOCUMENTS: usize = 103;

#[tokio::test]
async fn every_document_is_judged_once_however_many_answers_it_takes() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let mut ids = BTreeSet::new();
    for place in 0..DOCUMENTS {
        let pointer = json!({"customerId": 18});
        ids.insert(town.created(&format!("k{place}"), pointer).await);
    }
    for id in &ids {
        town.wait_for(id, "Published").await;
    }
    let rule = json!({"name": "no-word", "action": "Block", "terms": {"list": ["webinar"]}});
    let policy = json!({"name": "more", "scope": "Namespace", "rules": [rule], "review": {}});
    let mut after = Value::Null;
    let (mut answers, mut changed) = (Vec::new(), BTreeSet::new());
    loop {
        let body = json!({"policy": policy, "after": after});
        let (status, told) = town.post("alice", "/v1/pipelines/mail/replay", body).await;
        assert_eq!(status, 200, "{told}");
        answers.push(told["judged"].as_u64().unwrap());
        for change in told["changes"].as_array().unwrap() {
            let fresh = changed.insert(change["id"].as_str().unwrap().to_owned());
            assert!(fresh, "{change} is told twice");
        }
        after = told["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(answers, [100, 3]);
    assert_eq!(changed, ids);
}
