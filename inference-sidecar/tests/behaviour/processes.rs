//! Both roles as whole processes, one calling the other.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use aios_inference_sidecar::{config::Source, egress, ingress, snapshot::file, trace::Collector};
use aios_proto::control::Snapshot;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::Certificates,
    fake::{Answer, End, Fake, completion, stream, token, until},
    world::{chat, header, init, model, snapshot, with},
};

async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

fn source(certificates: &Certificates, config: PathBuf) -> Source {
    Source {
        operator_uri: None,
        ca_file: Some(certificates.ca()),
        control_token_file: None,
        config_file: Some(config),
        cache_file: None,
    }
}

pub struct Hop {
    pub base: String,
    /// Of egress and ingress.
    pub admin: [SocketAddr; 2],
    pub shutdown: CancellationToken,
    pub ended: tokio::task::JoinHandle<anyhow::Result<()>>,
    _certificates: Certificates,
}

/// Egress, ingress, fake.
async fn hop(fake: &Fake, namespace: &str) -> Hop {
    let of = |model| snapshot(3, vec![model], json!([{"model": "m"}]));
    hop_with(fake, namespace, of, Collector::default()).await
}

/// The same, with a configuration made of the model, and somebody who collects spans.
pub async fn hop_with(
    fake: &Fake,
    namespace: &str,
    snapshot: impl FnOnce(Value) -> Snapshot,
    collector: Collector,
) -> Hop {
    init();
    let certificates = Certificates::new();
    let addresses = [free().await, free().await, free().await, free().await];
    let endpoint = format!("https://{}", addresses[2]);
    let mut body = model("m", &endpoint);
    body = with(
        body,
        "upstream.baseUrl",
        json!(format!("{}/v1", fake.address)),
    );
    let config = certificates.path("config.json");
    file::write(&config, &snapshot(body)).unwrap();
    let (client_cert, client_key) = certificates.client(namespace);
    let (tls_cert_file, tls_key_file) = certificates.server();
    let egress = egress::Args {
        listen: addresses[0],
        admin: addresses[1],
        client_cert_file: Some(client_cert),
        client_key_file: Some(client_key),
        connect_timeout_ms: 2000,
        drain_ms: 300,
        source: source(&certificates, config.clone()),
        collector: collector.clone(),
    };
    let ingress = ingress::Args {
        listen: addresses[2],
        admin: addresses[3],
        namespace: "acme".into(),
        model: "m".into(),
        tls_cert_file,
        tls_key_file,
        provider_key_file: None,
        upstream_ca_file: None,
        engine_health: Some(format!("{}/health", fake.address)),
        engine_model: None,
        engine_upstream: None,
        engine_digest: None,
        role_file: None,
        sleep_after_ms: 0,
        admission_wait_ms: 0,
        drain_ms: 300,
        source: source(&certificates, config),
        collector,
    };
    let shutdown = CancellationToken::new();
    let (one, two) = (
        egress::run(egress, shutdown.clone()),
        ingress::run(ingress, shutdown.clone()),
    );
    let ended = tokio::spawn(async move { tokio::try_join!(one, two).map(|_| ()) });
    let hop = Hop {
        base: format!("http://{}", addresses[0]),
        admin: [addresses[1], addresses[3]],
        shutdown,
        ended,
        _certificates: certificates,
    };
    for admin in hop.admin {
        ready(admin).await;
    }
    hop
}

async fn ready(admin: SocketAddr) {
    let http = reqwest::Client::new();
    for _ in 0..1000 {
        let answer = http.get(format!("http://{admin}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{admin} never was ready");
}

pub async fn call(base: &str, extra: Value) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{base}/v1/chat/completions"));
    let body = chat(extra).to_string();
    request
        .header("aios-pipeline", "p")
        .body(body)
        .send()
        .await
        .unwrap()
}

pub fn healthy() -> Answer {
    Answer::Plain(200, Vec::new(), "{}".into())
}

#[tokio::test]
async fn a_call_passes_both_roles_over_mutual_tls() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop(&fake, "acme").await;
    // The health checks take the script's answers: this fake answers every path alike from here on.
    fake.say(completion("Hello.", Some((100, 60))));
    let response = call(&hop.base, json!({})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "aios-cost"), "0.000051 USD");
    fake.say(stream(&["Hello"]));
    let text = call(&hop.base, json!({"stream": true}))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("Hello") && text.ends_with("[DONE]\n\n"),
        "{text}"
    );
    let metrics = reqwest::get(format!("http://{}/metrics", hop.admin[1]))
        .await
        .unwrap();
    assert!(
        metrics
            .text()
            .await
            .unwrap()
            .contains("gen_ai_server_request_duration_seconds_count")
    );
}

#[tokio::test]
async fn a_pod_of_another_namespace_gets_no_answer() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop(&fake, "rival").await;
    let body: Value = call(&hop.base, json!({})).await.json().await.unwrap();
    assert_eq!(body["error"]["code"], "routes_exhausted");
    assert_eq!(body["error"]["attempts"][0]["outcome"], "refused");
}

#[tokio::test]
async fn readiness_follows_the_engine() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop(&fake, "acme").await;
    fake.say(Answer::Plain(503, Vec::new(), "loading".into()));
    let http = reqwest::Client::new();
    let url = format!("http://{}/readyz", hop.admin[1]);
    for _ in 0..500 {
        if http.get(&url).send().await.unwrap().status() == 503 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still ready");
}

#[tokio::test]
async fn shutdown_does_not_wait_long_for_a_call_under_way() {
    let fake = Fake::start(vec![healthy()]).await;
    let hop = hop(&fake, "acme").await;
    fake.say(Answer::Stream(vec![token("A")], End::Hang));
    let mut response = call(&hop.base, json!({"stream": true})).await;
    assert!(response.chunk().await.unwrap().is_some());
    hop.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(3), hop.ended).await;
    ended.unwrap().unwrap().unwrap();
    until("the call went", || fake.calls() > 0).await;
}
