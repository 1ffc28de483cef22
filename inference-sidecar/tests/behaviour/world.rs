//! Roles under test on loopback, with their configuration.

use std::{sync::Arc, time::Duration};

use aios_inference_sidecar::{
    client::Client,
    config::Live,
    egress::{self, Egress},
    ingress::{self, Admission, Infer, Ingress, Learnt},
    metrics::Metrics,
    money::Lessor,
    snapshot::Scope,
};
use aios_proto::{
    config::{Owner, pack},
    control::{Item, ItemKind, Snapshot},
};
use aios_runtime::{serve::Peer, tls::ClientTls};
use axum::{Extension, Router};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// An egress.
pub struct World {
    pub base: String,
    pub live: Live,
    pub http: reqwest::Client,
    registry: Registry,
}

impl World {
    /// With models (name and address, refined by `patch`), and pipeline `p` that drafts by `routes`.
    pub async fn start(models: Vec<Value>, routes: Value) -> Self {
        let world = Self::unconfigured().await;
        let acks = world.live.apply(&snapshot(1, models, routes));
        assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
        world
    }

    pub async fn unconfigured() -> Self {
        Self::leased(Lessor::own()).await
    }

    /// Without configuration; budgets are granted by `lessor`.
    pub async fn leased(lessor: Lessor) -> Self {
        Self::dialling(lessor, None).await
    }

    /// The same, which trusts and shows what `tls` says.
    pub async fn dialling(lessor: Lessor, tls: Option<ClientTls>) -> Self {
        init();
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&mut registry));
        let live = Live::new(Scope::Egress, None, metrics.clone());
        let client = Client::new(tls, Duration::from_secs(2)).unwrap();
        let egress = Egress::new(live.clone(), client, metrics, lessor);
        let base = serve(egress::router(Arc::new(egress))).await;
        Self {
            base,
            live,
            http: reqwest::Client::new(),
            registry,
        }
    }

    /// A call of pipeline `p`, step draft, in English.
    pub fn call(&self, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/v1/chat/completions", self.base))
            .header("aios-pipeline", "p")
            .header("aios-step", "draft")
            .header("aios-document", "d1")
            .header("aios-labels", r#"{"language":"en"}"#)
            .body(body.to_string())
    }

    pub fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Whether a metric line holds all the texts.
    pub fn metric(&self, texts: &[&str]) -> bool {
        self.metrics()
            .lines()
            .any(|line| texts.iter().all(|text| line.contains(text)))
    }
}

/// Logs nothing unless asked, and installs the crypto provider.
pub fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| aios_runtime::init("test"));
}

pub async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let never = CancellationToken::new();
    tokio::spawn(aios_runtime::serve::serve(listener, app, None, never));
    base
}

/// Address of an ingress before a model, which takes every caller for one of its namespace.
pub async fn ingress(model: &Value) -> String {
    ingress_counting(model, &mut Registry::default()).await
}

/// The same, which counts there.
pub async fn ingress_counting(model: &Value, registry: &mut Registry) -> String {
    let name = model["name"].as_str().unwrap();
    let metrics = Arc::new(Metrics::new(registry));
    let scope = Scope::Ingress {
        model: name.to_owned(),
        engine: None,
    };
    let live = Live::new(scope, None, metrics.clone());
    let items = vec![item(ItemKind::Model, name, model)];
    live.apply(&Snapshot { sequence: 1, items });
    let ingress = Ingress {
        namespace: "acme".to_owned(),
        model: name.to_owned(),
        live,
        client: Client::new(None, Duration::from_secs(2)).unwrap(),
        key: None,
        bed: None,
        admission: Admission::new(metrics.clone()),
        admission_wait: Duration::from_mins(1),
        learnt: Learnt::default(),
        infer: Infer::default(),
        metrics,
        tracer: None,
    };
    let peer = Peer {
        addr: ([127, 0, 0, 1], 0).into(),
        uris: vec!["spiffe://aios/ns/acme".to_owned()],
    };
    serve(ingress::router(Arc::new(ingress)).layer(Extension(peer))).await
}

pub fn item(kind: ItemKind, name: &str, body: &Value) -> Item {
    let owner = Owner {
        name: name.into(),
        uid: "u".into(),
        generation: 1,
    };
    pack(kind, owner, body).unwrap()
}

pub fn model(name: &str, endpoint: &str) -> Value {
    json!({
        "name": name, "model": "up", "digest": "sha256:aa",
        "endpoint": endpoint, "standbyEndpoint": null,
        "upstream": {"dialect": "OpenAI", "baseUrl": format!("{endpoint}/v1")},
        "limits": {"contextTokens": 4096, "maxOutputTokens": 64, "maxInFlight": 4},
        "resilience": {"timeout": "5s", "firstTokenTimeout": "2s", "retries": 0},
        "pricing": {"inputPerMillion": "0.15", "outputPerMillion": "0.60", "currency": "USD"},
    })
}

pub fn with(mut model: Value, field: &str, value: Value) -> Value {
    let mut at = &mut model;
    for part in field.split('.') {
        at = &mut at[part];
    }
    *at = value;
    model
}

pub fn pipeline(routes: Value) -> Value {
    json!({
        "name": "p", "kind": "Email", "variables": null, "languageVariable": null,
        "subjectVariable": null, "labels": [], "skeletons": [], "context": [], "retrieval": null,
        "models": {"draft": {"routes": routes}}, "policies": [], "publish": [], "execution": {},
    })
}

pub fn snapshot(sequence: u64, models: Vec<Value>, routes: Value) -> Snapshot {
    let mut items: Vec<_> = models
        .iter()
        .map(|model| item(ItemKind::Model, model["name"].as_str().unwrap(), model))
        .collect();
    items.push(item(ItemKind::Pipeline, "p", &pipeline(routes)));
    Snapshot { sequence, items }
}

pub fn chat(extra: Value) -> Value {
    let mut body =
        json!({"model": "auto", "messages": [{"role": "user", "content": "Write a line."}]});
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// Texts at a place of a stream's events of a type, together.
pub fn joined(events: &[Value], kind: &str, at: &str) -> String {
    let of_kind = events.iter().filter(|event| event["type"] == kind);
    of_kind
        .filter_map(|event| event.pointer(at)?.as_str())
        .collect()
}

pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// An address where nobody listens.
pub async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
