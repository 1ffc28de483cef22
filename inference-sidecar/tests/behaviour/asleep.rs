//! Engines that sleep while their group stands by, against the simulator's strict bed.

use aios_simulator::Served;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::{ingress::Before, simulated::vllm};

async fn is_asleep(engine: &Served) -> bool {
    let url = format!("{}/is_sleeping", engine.url());
    let state: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    state["is_sleeping"].as_bool().unwrap()
}

/// What the kubelet writes when the operator changes the pod's role.
fn set_role(before: &Before, role: &str) {
    std::fs::write(before.certificates.path("role"), role).unwrap();
}

#[tokio::test]
async fn a_standby_sleeps_and_is_woken_by_the_call_that_needs_it() {
    let engine = vllm(0).await;
    let before = Before::sleeping(&engine.url()).await;
    set_role(&before, "standby");
    before.bed.follow_role().await;
    assert!(is_asleep(&engine).await);
    for _ in 0..2 {
        assert_eq!(before.call(json!({})).await.status(), 200);
        assert!(!is_asleep(&engine).await);
    }
    before.bed.follow_role().await;
    assert!(is_asleep(&engine).await, "the call is over");
}

#[tokio::test]
async fn calls_that_come_at_once_wake_a_sleeping_engine_together() {
    let engine = vllm(0).await;
    let before = Before::sleeping(&engine.url()).await;
    set_role(&before, "standby");
    before.bed.follow_role().await;
    let calls = (0..4).map(|_| before.call(json!({})));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_group_that_is_to_take_traffic_is_awake_before_its_first_call() {
    let engine = vllm(0).await;
    let before = Before::sleeping(&engine.url()).await;
    set_role(&before, "standby");
    before.bed.follow_role().await;
    assert!(is_asleep(&engine).await);
    set_role(&before, "engine");
    before.bed.follow_role().await;
    assert!(!is_asleep(&engine).await);
    before.bed.follow_role().await;
    assert!(
        !is_asleep(&engine).await,
        "who takes traffic does not sleep"
    );
}

#[tokio::test]
async fn an_ingress_that_starts_before_a_sleeping_engine_wakes_it() {
    let engine = vllm(0).await;
    let url = format!("{}/sleep?level=1", engine.url());
    reqwest::Client::new().post(url).send().await.unwrap();
    let before = Before::sleeping(&engine.url()).await;
    assert_eq!(before.call(json!({})).await.status(), 200);
}

#[tokio::test]
async fn no_engine_sleeps_while_a_stream_runs() {
    let engine = vllm(20).await;
    let before = Before::sleeping(&engine.url()).await;
    set_role(&before, "standby");
    let answer = before.call(json!({"stream": true, "max_tokens": 10})).await;
    let mut parts = answer.bytes_stream();
    assert!(parts.next().await.unwrap().is_ok());
    before.bed.follow_role().await;
    assert!(!is_asleep(&engine).await);
    let mut text = Vec::new();
    while let Some(part) = parts.next().await {
        text.extend_from_slice(&part.unwrap());
    }
    assert!(
        String::from_utf8(text)
            .unwrap()
            .ends_with("data: [DONE]\n\n")
    );
}

#[tokio::test]
async fn a_call_to_an_engine_that_does_not_wake_is_refused_as_unreachable() {
    let engine = crate::world::nowhere().await;
    let before = Before::sleeping(&engine).await;
    let refused = before.call(json!({})).await;
    assert_eq!(refused.status(), 502);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "upstream_unreachable");
}
