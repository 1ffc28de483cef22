//! vLLM's own endpoints.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use aios_simulator::{Served, model::Settings};
use common::{client, get, model, post};
use serde_json::json;

async fn vllm() -> Served {
    model(Settings {
        vllm: true,
        ..Settings::default()
    })
    .await
}

async fn ask(served: &Served) -> u16 {
    let body = json!({"model": "any", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(served, "/v1/chat/completions", &body).await;
    answer.status().as_u16()
}

async fn say(served: &Served, path: &str) -> u16 {
    let url = format!("{}{path}", served.url());
    client().post(url).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_engine_that_sleeps_answers_no_call_until_it_is_woken() {
    let served = vllm().await;
    assert_eq!(ask(&served).await, 200);
    assert_eq!(say(&served, "/sleep?level=1").await, 200);
    let state = get(&served, "/is_sleeping").await;
    assert_eq!(state, json!({"is_sleeping": true}));
    assert_eq!(ask(&served).await, 500);
    assert_eq!(say(&served, "/wake_up").await, 200);
    assert_eq!(ask(&served).await, 200);
}

#[tokio::test]
async fn sleep_that_would_lose_weights_or_is_not_understood_is_refused() {
    let served = vllm().await;
    for query in ["?level=2", "", "?level=1&mode=keep"] {
        assert_eq!(
            say(&served, &format!("/sleep{query}")).await,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn metrics_have_vllms_names_and_say_that_they_are_made_up() {
    let served = vllm().await;
    let answer = client().get(format!("{}/metrics", served.url()));
    let text = answer.send().await.unwrap().text().await.unwrap();
    assert!(
        text.contains("vllm:num_requests_running{engine=\"0\",model_name=\"simulator\"} 0.0\n")
    );
    assert!(
        text.contains("# HELP vllm:kv_cache_usage_perc SIMULATED"),
        "{text}"
    );
}

#[tokio::test]
async fn other_providers_have_none_of_this() {
    let served = model(Settings::default()).await;
    let metrics = client().get(format!("{}/metrics", served.url()));
    assert_eq!(metrics.send().await.unwrap().status(), 404);
    assert_eq!(say(&served, "/sleep?level=1").await, 404);
}
