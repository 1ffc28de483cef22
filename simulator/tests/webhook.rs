//! What a sender can rely on: counting, deduplication, signatures, read-back, lost answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aios_simulator::Served;
use aios_simulator::webhook::{Secret, Settings};
use common::{client, get, post, webhook};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn request(served: &Served, id: &str, body: &str) -> RequestBuilder {
    let request = client().post(format!("{}/deliveries", served.url()));
    request.header("webhook-id", id).body(body.to_owned())
}

async fn deliver(served: &Served, id: &str, body: &str) -> Response {
    request(served, id, body).send().await.unwrap()
}

async fn add_fault(served: &Served, fault: Value) {
    assert_eq!(post(served, "/faults", &fault).await.status(), 204);
}

#[tokio::test]
async fn every_post_is_counted_and_an_id_is_recorded_once() {
    let served = webhook(&Settings::default()).await;
    assert_eq!(deliver(&served, "d-1", "hello").await.status(), 201);
    let repeat = deliver(&served, "d-1", "hello").await;
    assert_eq!(repeat.status(), 200);
    assert_eq!(repeat.headers()["aios-simulator"], "true");
    let repeat: Value = repeat.json().await.unwrap();
    assert_eq!(repeat["duplicate"], true);
    assert_eq!(deliver(&served, "d-1", "other").await.status(), 409);
    let elsewhere = client().post(format!("{}/deliveries/mail/de", served.url()));
    let elsewhere = elsewhere
        .header("webhook-id", "d-2")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), 201);
    let anonymous = client()
        .post(format!("{}/deliveries", served.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), 400);
    assert!(anonymous.text().await.unwrap().contains("webhook-id"));
    let expected = json!({
        "posts": 5, "documents": 2, "duplicates": 1, "conflicts": 1, "rejected": 1, "failed": 0,
    });
    assert_eq!(get(&served, "/counts").await, expected);
    let list = get(&served, "/deliveries").await;
    assert_eq!(
        (&list[0]["id"], &list[1]["path"]),
        (&json!("d-1"), &json!("/deliveries/mail/de"))
    );
}

#[tokio::test]
async fn read_back_gives_digest_and_body_or_404() {
    let served = webhook(&Settings::default()).await;
    deliver(&served, "d-1", "hello").await;
    deliver(&served, "d-1", "hello").await;
    let found = get(&served, "/deliveries/d-1").await;
    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(found["digest"], digest);
    assert_eq!(
        (&found["body"], &found["posts"]),
        (&json!("hello"), &json!(2))
    );
    assert_eq!(get(&served, "/deliveries/mail/d-1").await, found);
    let missing = client()
        .get(format!("{}/deliveries/d-9", served.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn only_signed_posts_are_recorded_when_there_is_a_secret() {
    let secret: Secret = SECRET.parse().unwrap();
    let served = webhook(&Settings {
        secrets: vec![secret.clone()],
        ..Settings::default()
    })
    .await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_string();
    let signature = secret.sign("d-1", &now, b"hello").unwrap();
    let signed = |body: &str| {
        let request = request(&served, "d-1", body).header("webhook-timestamp", &now);
        request.header("webhook-signature", &signature)
    };
    assert_eq!(deliver(&served, "d-1", "hello").await.status(), 401);
    assert_eq!(signed("forged").send().await.unwrap().status(), 401);
    assert_eq!(signed("hello").send().await.unwrap().status(), 201);
    let counts = get(&served, "/counts").await;
    assert_eq!(
        (&counts["posts"], &counts["documents"], &counts["rejected"]),
        (&json!(3), &json!(1), &json!(2))
    );
}

#[tokio::test]
async fn a_dropped_response_sends_not_one_byte_but_the_delivery_is_recorded() {
    let served = webhook(&Settings::default()).await;
    add_fault(&served, json!({"mode": "drop-response", "matches": "d-1"})).await;
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let request =
        "POST /deliveries HTTP/1.1\r\nhost: x\r\nwebhook-id: d-1\r\ncontent-length: 5\r\n\r\nhello";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert_eq!(get(&served, "/deliveries/d-1").await["posts"], 1);
    // Used up: the repeat is answered.
    assert_eq!(deliver(&served, "d-1", "hello").await.status(), 200);
}

#[tokio::test]
async fn error_500_records_nothing_and_delay_answers_late() {
    let served = webhook(&Settings::default()).await;
    add_fault(&served, json!({"mode": "error-500", "times": 2})).await;
    for _ in 0..2 {
        assert_eq!(deliver(&served, "d-1", "hello").await.status(), 500);
    }
    add_fault(
        &served,
        json!({"mode": "delay", "delayMs": 60_000, "matches": "hello"}),
    )
    .await;
    let slow = request(&served, "d-1", "hello").timeout(Duration::from_millis(200));
    assert!(slow.send().await.unwrap_err().is_timeout());
    assert_eq!(get(&served, "/deliveries/d-1").await["posts"], 1);
    let counts = get(&served, "/counts").await;
    assert_eq!(
        (&counts["posts"], &counts["failed"]),
        (&json!(3), &json!(2))
    );
}

#[tokio::test]
async fn read_back_can_be_made_to_fail_and_faults_to_end() {
    let served = webhook(&Settings::default()).await;
    deliver(&served, "d-1", "hello").await;
    add_fault(
        &served,
        json!({"mode": "error-read-back", "matches": "d-1", "times": 9}),
    )
    .await;
    let url = format!("{}/deliveries/d-1", served.url());
    assert_eq!(client().get(&url).send().await.unwrap().status(), 503);
    assert_eq!(get(&served, "/faults").await[0]["times"], 8);
    let cleared = client()
        .delete(format!("{}/faults", served.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(cleared.status(), 204);
    assert_eq!(client().get(&url).send().await.unwrap().status(), 200);
    assert_eq!(
        post(&served, "/faults", &json!({"mode": "explode"}))
            .await
            .status(),
        400
    );
}

#[tokio::test]
async fn counts_and_documents_survive_a_restart_and_a_torn_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("posts.ndjson");
    let settings = Settings {
        data: Some(path.clone()),
        ..Settings::default()
    };
    let served = webhook(&settings).await;
    deliver(&served, "d-1", "hello").await;
    deliver(&served, "d-1", "hello").await;
    deliver(&served, "d-2", "x").await;
    let (counts, list) = (
        get(&served, "/counts").await,
        get(&served, "/deliveries").await,
    );
    served.stop().await;

    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"result\":\"Rece");
    std::fs::write(&path, text).unwrap();
    let served = webhook(&settings).await;
    assert_eq!(get(&served, "/counts").await, counts);
    assert_eq!(get(&served, "/deliveries").await, list);
    deliver(&served, "d-3", "y").await;
    served.stop().await;
    let served = webhook(&settings).await;
    assert_eq!(get(&served, "/counts").await["documents"], 3);
}
