//! Both dialects, and an engine's own endpoints, against the simulator, which was written apart.

use std::{sync::Arc, time::Duration};

use aios_inference_sidecar::{
    client::Client, config::Live, ingress::Gauges, metrics::Metrics, snapshot::Scope,
};
use aios_proto::control::{ItemKind, Snapshot};
use aios_simulator::{
    Listen, Served,
    model::{Settings, router},
    start,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    ingress::Before,
    world::{init, item, model},
};

async fn simulator() -> Served {
    let app = router(Settings {
        api_key: Some("sk-secret".into()),
        ..Settings::default()
    });
    start(app.unwrap(), &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

/// An engine with vLLM's own endpoints.
pub async fn vllm(token_ms: u64) -> Served {
    let app = router(Settings {
        vllm: true,
        token_ms,
        ..Settings::default()
    });
    start(app.unwrap(), &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

async fn before(simulator: &Served, dialect: &str) -> Before {
    let base_url = format!("{}/v1", simulator.url());
    let upstream = json!({"dialect": dialect, "baseUrl": base_url});
    Before::of(&simulator.url(), ("upstream", upstream)).await
}

/// Text and usage of a streamed answer.
fn joined(stream: &str) -> (String, Value) {
    let chunks = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let chunks: Vec<Value> = chunks
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    let text = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
    let usage = chunks.iter().find(|chunk| chunk["usage"].is_object());
    (
        text.collect(),
        usage.map_or(Value::Null, |chunk| chunk["usage"].clone()),
    )
}

#[tokio::test]
async fn a_stream_says_the_same_as_a_plain_answer_in_both_dialects() {
    let simulator = simulator().await;
    for dialect in ["OpenAI", "Anthropic"] {
        let before = before(&simulator, dialect).await;
        let plain: Value = before
            .call(json!({"max_tokens": 20}))
            .await
            .json()
            .await
            .unwrap();
        let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(!text.is_empty(), "{dialect}: {plain}");
        let asked = json!({"max_tokens": 20, "stream": true,
            "stream_options": {"include_usage": true}});
        let streamed = before.call(asked).await.text().await.unwrap();
        assert!(
            streamed.ends_with("data: [DONE]\n\n"),
            "{dialect}: {streamed}"
        );
        let (streamed, usage) = joined(&streamed);
        assert_eq!(streamed, text, "{dialect}");
        for field in ["prompt_tokens", "completion_tokens"] {
            assert_eq!(usage[field], plain["usage"][field], "{dialect} {field}");
        }
    }
}

#[tokio::test]
async fn an_engines_own_numbers_are_told_in_one_vocabulary() {
    init();
    let engine = vllm(0).await;
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::new(&mut registry));
    let scope = Scope::Ingress {
        model: "m".into(),
        engine: None,
    };
    let live = Live::new(scope, None, metrics.clone());
    let body = model("m", &engine.url());
    let items = vec![item(ItemKind::Model, "m", &body)];
    live.apply(&Snapshot { sequence: 1, items });
    let gauges = Gauges {
        live,
        model: "m".into(),
        client: Client::new(None, Duration::from_secs(2)).unwrap(),
        metrics,
    };
    let told = || {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.lines()
            .filter(|line| line.starts_with("aios_engine_") && line.contains("aios_model=\"m\""))
            .count()
    };
    gauges.look().await;
    assert_eq!(told(), 3);
    engine.stop().await;
    gauges.look().await;
    assert_eq!(told(), 0, "an engine that is gone has no numbers");
}
