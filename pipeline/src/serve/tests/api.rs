//! Intents, rights and decisions over HTTP.

use serde_json::{Value, json};

use super::town::{Town, TownOptions};

async fn reviewed() -> (Town, String, Value) {
    let town = Town::start(TownOptions {
        always_review: true,
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Review").await;
    (town, id, document)
}

#[tokio::test]
async fn a_repeat_leads_to_the_same_document_and_another_body_is_refused() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let (status, again) = town.create("alice", "k1", json!({"customerId": 17})).await;
    assert!(matches!(status, 200 | 201), "{status}");
    assert_eq!(again["id"], id.as_str());
    let (status, problem) = town.create("alice", "k1", json!({"customerId": 18})).await;
    assert_eq!(status, 422, "{problem}");
    let listed = town.get("alice", "/v1/pipelines/mail/documents").await.1;
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_requests_name_the_field_and_the_remedy() {
    let town = Town::start(TownOptions::default()).await;
    let documents = "/v1/pipelines/mail/documents";
    let cases = [
        (
            town.post("alice", documents, json!({"pointer": {}})).await,
            400,
            "Idempotency-Key",
        ),
        (
            town.post("alice", documents, json!({"point": {}})).await,
            400,
            "pointer",
        ),
        (
            town.post(
                "alice",
                "/v1/pipelines/none/documents",
                json!({"pointer": {}}),
            )
            .await,
            404,
            "WritingPipeline",
        ),
        (
            town.post("forged", documents, json!({"pointer": {}})).await,
            401,
            "audience",
        ),
        (
            town.post("carol", documents, json!({"pointer": {}})).await,
            403,
            "create",
        ),
        (
            town.get("alice", "/v1/pipelines/mail/documents?status=Done")
                .await,
            400,
            "Published",
        ),
        (
            town.get("alice", "/v1/pipelines/mail/documents/none").await,
            404,
            "none",
        ),
        (
            town.put("alice", "/v1/pipelines/mail/context/none", String::new())
                .await,
            400,
            "none",
        ),
        (
            town.put(
                "alice",
                "/v1/pipelines/mail/context/customer",
                "{\"id\":1}\n{".into(),
            )
            .await,
            400,
            "line 2",
        ),
        (
            town.put(
                "alice",
                "/v1/pipelines/mail/context/customer",
                "{\"name\":1}".into(),
            )
            .await,
            400,
            "`id`",
        ),
        (
            town.put(
                "alice",
                "/v1/pipelines/mail/context/customer",
                "{\"id\":1}\n{\"id\":1}".into(),
            )
            .await,
            400,
            "unique",
        ),
    ];
    for ((status, problem), expected, words) in cases {
        assert_eq!(status, expected, "{problem}");
        assert!(problem.to_string().contains(words), "{words}: {problem}");
    }
    let (_, empty) = town.get("alice", documents).await;
    assert_eq!(
        empty["documents"].as_array().unwrap().len(),
        0,
        "nothing half-happened"
    );
}

#[tokio::test]
async fn readers_read_and_nothing_else() {
    let (town, id, document) = reviewed().await;
    let digest = json!({"digest": document["digest"]});
    assert_eq!(town.get("dave", "/v1/pipelines/mail/reviews").await.0, 200);
    assert_eq!(town.decide("dave", &id, "approve", digest).await.0, 403);
    assert_eq!(town.get("dave", "/v1/audit/bundle").await.0, 403);
    assert_eq!(town.delete("dave", "/v1/subjects/17").await.0, 403);
}

#[tokio::test]
async fn the_author_cannot_approve_and_another_person_can() {
    let (town, id, document) = reviewed().await;
    let digest = json!({"digest": document["digest"]});
    let (status, problem) = town.decide("alice", &id, "approve", digest.clone()).await;
    assert_eq!(status, 403);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("another person"),
        "{problem}"
    );
    assert_eq!(town.decide("bob", &id, "approve", digest).await.0, 200);
    let document = town.wait_for(&id, "Published").await;
    assert_eq!(document["decisions"][0]["by"], "bob");
}

#[tokio::test]
async fn an_edit_voids_what_was_read_and_its_editor_cannot_approve() {
    let (town, id, document) = reviewed().await;
    let old = json!({"digest": document["digest"]});
    let parts = json!([{"name": "subject", "kind": "Plain", "text": "A better subject"}]);
    let edit = json!({"digest": document["digest"], "parts": parts});
    let (status, answer) = town.decide("bob", &id, "edit", edit.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let edited = town.wait_for(&id, "Review").await;
    assert_ne!(edited["digest"], document["digest"]);
    assert_eq!(town.decide("erin", &id, "approve", old).await.0, 409);
    assert_eq!(town.decide("erin", &id, "edit", edit).await.0, 409);
    let new = json!({"digest": edited["digest"]});
    assert_eq!(town.decide("bob", &id, "approve", new.clone()).await.0, 403);
    assert_eq!(town.decide("erin", &id, "approve", new).await.0, 200);
    let published = town.wait_for(&id, "Published").await;
    assert_eq!(published["origin"], "Edited");
    assert_eq!(published["parts"][0]["text"], "A better subject");
}

#[tokio::test]
async fn an_edit_is_checked_like_every_other_text() {
    let (town, id, document) = reviewed().await;
    let parts = json!([{"name": "text", "text": "A win is guaranteed."}]);
    let edit = json!({"digest": document["digest"], "parts": parts});
    let (status, problem) = town.decide("bob", &id, "edit", edit).await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem.to_string().contains("house/no-guarantee"),
        "{problem}"
    );
    assert_eq!(
        town.read(&id).await["digest"],
        document["digest"],
        "the old text still waits"
    );
    let parts = json!([{"name": "body", "text": "x"}]);
    let edit = json!({"digest": document["digest"], "parts": parts});
    let (status, problem) = town.decide("bob", &id, "edit", edit).await;
    assert_eq!(status, 400);
    assert!(
        problem.to_string().contains("subject, text, html"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_rejection_refuses_and_nobody_decides_twice() {
    let (town, id, document) = reviewed().await;
    let body = json!({"digest": document["digest"], "reason": "wrong tone"});
    assert_eq!(town.decide("bob", &id, "reject", body.clone()).await.0, 200);
    let refused = town.wait_for(&id, "Refused").await;
    assert_eq!(refused["reason"], "RejectedByReviewer");
    assert_eq!(town.decide("erin", &id, "reject", body).await.0, 409);
    let digest = json!({"digest": document["digest"]});
    assert_eq!(town.decide("erin", &id, "approve", digest).await.0, 409);
    assert_eq!(town.receiver_counts().await["posts"], 0);
}

#[tokio::test]
async fn a_document_that_nobody_decides_in_time_is_refused() {
    let options = TownOptions {
        always_review: true,
        review_due: Some("300ms"),
        ..TownOptions::default()
    };
    let town = Town::start(options).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Refused").await;
    assert_eq!(document["reason"], "ReviewTimedOut");
}

#[tokio::test]
async fn a_review_queue_is_parted_by_the_rules_that_fired() {
    let label = json!({"name": "about-money", "action": "Warn", "terms": {"list": ["pay"]}});
    let town = Town::start(TownOptions {
        more_rules: vec![super::town::rule(label)],
        ..TownOptions::default()
    })
    .await;
    town.upload_customers().await;
    let mut ids = Vec::new();
    for (key, text) in [("k1", "Well, maybe."), ("k2", "Well, maybe pay.")] {
        town.model.say_once(text);
        let id = town.created(key, json!({"customerId": 17})).await;
        town.wait_for(&id, "Review").await;
        ids.push(id);
    }
    let waiting = async |query: &str| {
        let path = format!("/v1/pipelines/mail/reviews{query}");
        let (status, answer) = town.get("bob", &path).await;
        let reviews = answer["reviews"].as_array().cloned().unwrap_or_default();
        let of = reviews
            .iter()
            .map(|review| review["id"].as_str().unwrap().to_owned());
        let mut of: Vec<_> = of.collect();
        of.sort_by_key(|id| ids.iter().position(|known| known == id));
        (status, of)
    };
    assert_eq!(waiting("").await, (200, ids.clone()));
    assert_eq!(waiting("?rule=house/no-doubt").await, (200, ids.clone()));
    let labelled = vec![ids[1].clone()];
    assert_eq!(waiting("?rule=house/about-money").await, (200, labelled));
    assert_eq!(waiting("?rule=house/other").await, (200, vec![]));
    assert_eq!(waiting("?label=x").await.0, 400);
}

#[tokio::test]
async fn a_doubtful_text_waits_and_a_redacted_one_goes_on_without_the_words() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    town.model.say_once("Well, maybe.");
    let doubtful = town.created("k1", json!({"customerId": 17})).await;
    town.wait_for(&doubtful, "Review").await;
    let reviews = town.get("bob", "/v1/pipelines/mail/reviews").await.1;
    assert_eq!(reviews["reviews"][0]["id"], doubtful.as_str());
    assert_eq!(
        reviews["reviews"][0]["verdict"]["findings"][0]["rule"],
        "no-doubt"
    );
    town.model.say_once("Call 555 now.");
    let redacted = town.created("k2", json!({"customerId": 17})).await;
    let document = town.wait_for(&redacted, "Published").await;
    assert!(
        !document["parts"].to_string().contains("555"),
        "{document:#}"
    );
    assert_eq!(document["verdict"]["redacted"], document["digest"]);
}

#[tokio::test]
async fn a_preview_is_written_and_judged_and_never_kept() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let body = json!({"pointer": {"customerId": 17}});
    let (status, preview) = town.post("alice", "/v1/pipelines/mail/preview", body).await;
    assert_eq!(status, 200);
    assert!(
        preview["parts"].to_string().contains("webinar today"),
        "{preview:#}"
    );
    assert_eq!(preview["verdict"]["action"], "Pass");
    let listed = town.get("alice", "/v1/pipelines/mail/documents").await.1;
    assert_eq!(listed["documents"].as_array().unwrap().len(), 0);
    assert_eq!(town.receiver_counts().await["posts"], 0);
}

#[tokio::test]
async fn another_policy_is_replayed_over_documents_and_nothing_of_them_changes() {
    let town = Town::start(TownOptions::default()).await;
    town.upload_customers().await;
    let id = town.created("k1", json!({"customerId": 17})).await;
    let before = town.wait_for(&id, "Published").await;
    let text = before["parts"][0]["text"].as_str().unwrap();
    let word = text.split_whitespace().next().unwrap();
    let replay = |name: &str, word: &str| {
        let rule = json!({"name": "no-word", "action": "Block", "pattern": {"regex": word}});
        json!({"policy": {"name": name, "scope": "Namespace", "rules": [rule], "review": {}}})
    };
    let path = "/v1/pipelines/mail/replay";
    let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    let (status, told) = town.post("alice", path, replay("house", &word)).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        told,
        json!({"judged": 1, "next": null, "changes": [{
            "id": id, "before": "Pass", "after": "Block", "fire": ["house/no-word"], "rest": []}]})
    );
    let (_, told) = town.post("alice", path, replay("more", "zzzz")).await;
    assert_eq!(told["changes"], json!([]));
    let (status, problem) = town.post("alice", path, replay("house", "x[0-9")).await;
    assert_eq!(
        (status, &problem["field"]),
        (400, &json!("policy")),
        "{problem}"
    );
    assert_eq!(town.read(&id).await, before);
}
