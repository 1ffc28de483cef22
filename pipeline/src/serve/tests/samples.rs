//! What a person sees although no rule holds it, and what a person decides about when words were removed.

use serde_json::{Value, json};

use super::town::{Town, TownOptions};

async fn town(options: TownOptions) -> Town {
    let town = Town::start(options).await;
    town.upload_customers().await;
    town
}

/// How the text that the model now writes would end, told without keeping it.
async fn previewed(town: &Town) -> String {
    let body = json!({"pointer": {"customerId": 17}});
    let (status, told) = town.post("alice", "/v1/pipelines/mail/preview", body).await;
    assert_eq!(status, 200, "{told}");
    told["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sampled_text_waits_for_a_person_and_the_same_text_is_always_sampled() {
    let town = town(TownOptions {
        sample_percent: Some(50),
        ..TownOptions::default()
    })
    .await;
    let mut seen = Vec::new();
    for place in 0..12 {
        town.model.say(&format!("Join webinar {place}."));
        let first = previewed(&town).await;
        assert_eq!(first, previewed(&town).await, "the same text");
        let sampled = first == "Review";
        let id = town
            .created(&format!("k{place}"), json!({"customerId": 17}))
            .await;
        let status = if sampled { "Review" } else { "Published" };
        let document = town.wait_for(&id, status).await;
        assert_eq!(
            document["verdict"]["sampled"] == true,
            sampled,
            "{document:#}"
        );
        seen.push((sampled, id, document["digest"].clone()));
    }
    let (waiting, gone): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(sampled, ..)| *sampled);
    assert!(!waiting.is_empty() && !gone.is_empty());
    let (_, id, digest) = &waiting[0];
    let (status, answer) = town
        .decide("bob", id, "approve", json!({"digest": digest}))
        .await;
    assert_eq!(status, 200, "{answer}");
    town.wait_for(id, "Published").await;
    let posts = town.receiver_counts().await["posts"].as_u64();
    assert_eq!(posts, Some(gone.len() as u64 + 1));
}

#[tokio::test]
async fn an_approval_binds_to_the_text_without_the_words_that_were_removed() {
    let town = town(TownOptions {
        always_review: true,
        ..TownOptions::default()
    })
    .await;
    town.model.say("Call 555 now.");
    let id = town.created("k1", json!({"customerId": 17})).await;
    let document = town.wait_for(&id, "Review").await;
    let verdict = &document["verdict"];
    assert_eq!(document["digest"], verdict["redacted"]);
    assert_ne!(document["digest"], verdict["document"]);
    assert!(!document["parts"].to_string().contains("555"));

    let written = json!({"digest": verdict["document"]});
    let (status, problem) = town.decide("bob", &id, "approve", written).await;
    assert_eq!(status, 409, "that text is not what goes on: {problem}");
    let redacted = json!({"digest": document["digest"]});
    assert_eq!(town.decide("bob", &id, "approve", redacted).await.0, 200);
    let published = town.wait_for(&id, "Published").await;
    assert_eq!(published["digest"], document["digest"]);
    assert_eq!(published["parts"], document["parts"]);
    let received = town.received().await;
    assert!(received.contains("Call [removed] now."), "{received}");
    assert!(!received.contains("555"), "{received}");
    let decisions: &Value = &published["decisions"];
    assert_eq!(decisions[0]["digest"], document["digest"], "{decisions}");
}
