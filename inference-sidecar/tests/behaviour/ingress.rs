//! The ingress over mutual TLS.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_inference_sidecar::{
    client::Client,
    config::Live,
    ingress::{Admission, Bed, Infer, Ingress, KeyFile, Learnt, router},
    metrics::Metrics,
    snapshot::Scope,
};
use aios_proto::control::{ItemKind, Snapshot};
use aios_runtime::tls::{ClientTls, ServerTls};
use prometheus_client::registry::Registry;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::Certificates,
    fake::{Answer, DONE, End, Fake, completion, error, json_answer, role, stream, token, until},
    world::{chat, header, init, item, model, with},
};

pub struct Before {
    pub base: String,
    pub http: reqwest::Client,
    pub certificates: Certificates,
    pub bed: Arc<Bed>,
}

impl Before {
    /// An ingress of namespace `acme` before the fake.
    pub async fn start(fake: &Fake, patch: (&str, Value)) -> Self {
        Self::of(&fake.address, patch).await
    }

    /// The same before any address.
    pub async fn of(address: &str, patch: (&str, Value)) -> Self {
        Self::made(address, patch, false).await
    }

    /// The same before an engine that sleeps while file `role` of the certificates says `standby`.
    pub async fn sleeping(address: &str) -> Self {
        Self::made(address, NO_PATCH, true).await
    }

    async fn made(address: &str, patch: (&str, Value), sleeps: bool) -> Self {
        init();
        let certificates = Certificates::new();
        let metrics = Arc::new(Metrics::new(&mut Registry::default()));
        let scope = Scope::Ingress {
            model: "m".into(),
            engine: None,
        };
        let live = Live::new(scope, None, metrics.clone());
        let body = with(model("m", address), patch.0, patch.1);
        let items = vec![item(ItemKind::Model, "m", &body)];
        let acks = live.apply(&Snapshot { sequence: 1, items });
        assert!(acks[0].accepted, "{acks:?}");
        std::fs::write(certificates.path("key"), "sk-secret\n").unwrap();
        let bed = Arc::new(Bed {
            live: live.clone(),
            model: "m".into(),
            client: Client::new(None, Duration::from_secs(2)).unwrap(),
            metrics: metrics.clone(),
            role_file: certificates.path("role"),
            after: Duration::ZERO,
            state: Arc::default(),
            last_call: Mutex::default(),
        });
        let app = router(Arc::new(Ingress {
            namespace: "acme".into(),
            model: "m".into(),
            live,
            client: Client::new(None, Duration::from_secs(2)).unwrap(),
            key: Some(KeyFile::new(certificates.path("key"))),
            bed: sleeps.then(|| bed.clone()),
            admission: Admission::new(metrics.clone()),
            admission_wait: Duration::ZERO,
            learnt: Learnt::default(),
            infer: Infer::default(),
            metrics,
            tracer: None,
        }));
        let (cert, key) = certificates.server();
        let tls = ServerTls::new(&cert, &key, Some(&certificates.ca())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let never = CancellationToken::new();
        tokio::spawn(aios_runtime::serve::serve(listener, app, Some(tls), never));
        let http = client(&certificates, Some("acme"));
        Self {
            base,
            http,
            certificates,
            bed,
        }
    }

    pub async fn call(&self, extra: Value) -> reqwest::Response {
        let mut body = chat(extra);
        body["model"] = json!("m");
        self.http
            .post(self.url())
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    pub fn url(&self) -> String {
        format!("{}/v1/chat/completions", self.base)
    }
}

pub fn client(certificates: &Certificates, namespace: Option<&str>) -> reqwest::Client {
    let identity = namespace.map(|namespace| certificates.client(namespace));
    let identity = identity
        .as_ref()
        .map(|(cert, key)| (cert.as_path(), key.as_path()));
    let tls = ClientTls::new(Some(&certificates.ca()), identity).unwrap();
    Client::new(Some(tls), Duration::from_secs(2))
        .unwrap()
        .get()
}

pub const NO_PATCH: (&str, Value) = ("digest", Value::Null);

#[tokio::test]
async fn bytes_pass_with_the_key_and_the_upstreams_model_name() {
    let fake = Fake::start(vec![completion("Hello.", Some((7, 2)))]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let response = before.call(json!({"mystery": [1]})).await;
    assert_eq!(response.status(), 200);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("system_fingerprint")
    );
    let seen = fake.seen(0);
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.headers["authorization"], "Bearer sk-secret");
    assert_eq!(
        (&fake.body(0)["model"], &fake.body(0)["mystery"]),
        (&json!("up"), &json!([1]))
    );
}

#[tokio::test]
async fn a_caller_of_another_namespace_is_refused() {
    let fake = Fake::start(vec![completion("Hello.", None)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let other = client(&before.certificates, Some("rival"));
    let response = other
        .post(before.url())
        .body(chat(json!({})).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 403);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "caller_not_allowed");
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn a_caller_without_a_certificate_of_the_ca_does_not_get_in() {
    let fake = Fake::start(vec![completion("Hello.", None)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let anonymous = client(&before.certificates, None);
    assert!(anonymous.post(before.url()).send().await.is_err());
    let foreign = Certificates::new();
    let (cert, key) = foreign.client("acme");
    let tls = ClientTls::new(Some(&before.certificates.ca()), Some((&cert, &key))).unwrap();
    let forged = Client::new(Some(tls), Duration::from_secs(2))
        .unwrap()
        .get();
    assert!(forged.post(before.url()).send().await.is_err());
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_room_comes_back() {
    let fake = Fake::start(vec![Answer::Hang, completion("Hello.", None)]).await;
    let before = Before::start(&fake, ("limits.maxInFlight", json!(1))).await;
    let mut body = chat(json!({}));
    body["model"] = json!("m");
    let first = before.http.post(before.url()).body(body.to_string()).send();
    let first = tokio::spawn(first);
    until("the first call", || fake.under_way() == 1).await;
    let refused = before.call(json!({})).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(header(&refused, "x-should-retry"), "true");
    first.abort();
    until("cancellation", || fake.cancelled() == 1).await;
    assert_eq!(before.call(json!({})).await.status(), 200);
}

#[tokio::test]
async fn a_stream_passes_whole_and_a_cut_one_ends_with_an_error() {
    let cut = Answer::Stream(vec![role(), token("Hel")], End::Cut);
    let fake = Fake::start(vec![stream(&["Hello"]), cut]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let whole = before
        .call(json!({"stream": true}))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        whole.ends_with(DONE) && whole.contains("\"usage\""),
        "{whole}"
    );
    let cut = before
        .call(json!({"stream": true}))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        cut.contains("stream_cut") && !cut.contains("[DONE]"),
        "{cut}"
    );
}

#[tokio::test]
async fn a_cancelled_stream_is_cancelled_upstream() {
    let fake = Fake::start(vec![Answer::Stream(vec![token("A")], End::Hang)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let mut response = before.call(json!({"stream": true})).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    until("cancellation", || fake.cancelled() == 1).await;
}

#[tokio::test]
async fn a_rotated_key_is_used_without_a_restart() {
    let fake = Fake::start(vec![completion("Hello.", None)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    before.call(json!({})).await;
    let path = before.certificates.path("key");
    std::fs::write(&path, "sk-newer").unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::open(&path)
        .unwrap()
        .set_modified(later)
        .unwrap();
    before.call(json!({})).await;
    assert_eq!(fake.seen(1).headers["authorization"], "Bearer sk-newer");
}

#[rstest]
#[case::server_error(error(500, "x"), 502, "upstream_failed", "true")]
#[case::key(json_answer(401, &json!({"error": {"message": "key sk-secret is wrong"}})), 502, "credentials_refused", "false")]
#[case::model(error(404, "model_not_found"), 502, "model_refused", "false")]
#[case::echo(json_answer(400, &json!({"error": {"message": "you sent sk-secret"}})), 400, "upstream_rejected", "false")]
#[case::trace(json_answer(500, &json!({"error": {"message": "at Client(key=sk-secret)"}})), 502, "upstream_failed", "true")]
#[case::rate(Answer::Plain(429, vec![("retry-after", "7".into())], "{}".into()), 429, "rate_limited", "true")]
#[case::quota(error(429, "insufficient_quota"), 429, "insufficient_quota", "false")]
#[case::rejected(error(400, "invalid_value"), 400, "invalid_value", "false")]
#[case::context(
    error(400, "context_length_exceeded"),
    400,
    "context_length_exceeded",
    "false"
)]
#[case::redirect(Answer::Plain(302, vec![("location", "http://127.0.0.1:9/".into())], String::new()), 502, "upstream_malformed", "false")]
#[case::html(Answer::Plain(200, vec![], "<html>".into()), 502, "upstream_malformed", "false")]
#[tokio::test]
async fn a_refusal_of_the_upstream_is_told_once_and_by_name(
    #[case] answer: Answer,
    #[case] status: u16,
    #[case] code: &str,
    #[case] retry: &str,
) {
    let fake = Fake::start(vec![answer]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let response = before.call(json!({})).await;
    assert_eq!(response.status(), status);
    assert_eq!(header(&response, "x-should-retry"), retry);
    if code == "rate_limited" {
        assert_eq!(header(&response, "retry-after"), "7");
    }
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], code);
    assert!(!body.to_string().contains("sk-secret"));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_with_the_key_in_its_words_is_told_without_it() {
    let broken = "data: {\"error\": {\"message\": \"key sk-secret ran out\"}}\n\n";
    let events = vec![role(), token("A"), broken.to_owned()];
    let fake = Fake::start(vec![Answer::Stream(events, End::Close)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let told = before.call(json!({"stream": true})).await;
    let told = told.text().await.unwrap();
    assert!(told.contains("key [key] ran out"), "{told}");
}

#[tokio::test]
async fn an_engine_that_is_gone_and_one_that_hangs_are_told_apart() {
    let fake = Fake::start(vec![Answer::Hang]).await;
    let slow = Before::start(&fake, ("resilience.timeout", json!("200ms"))).await;
    let body: Value = slow.call(json!({})).await.json().await.unwrap();
    assert_eq!(body["error"]["code"], "upstream_timeout");
    let nowhere = json!(format!("{}/v1", crate::world::nowhere().await));
    let gone = Before::start(&fake, ("upstream.baseUrl", nowhere)).await;
    let body: Value = gone.call(json!({})).await.json().await.unwrap();
    assert_eq!(body["error"]["code"], "upstream_unreachable");
}

#[tokio::test]
async fn a_call_for_another_model_is_refused() {
    let fake = Fake::start(vec![completion("Hello.", None)]).await;
    let before = Before::start(&fake, NO_PATCH).await;
    let body = chat(json!({"model": "other"})).to_string();
    let response = before
        .http
        .post(before.url())
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}
