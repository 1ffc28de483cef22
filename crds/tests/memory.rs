//! What objects cost in memory, by the growth of this process: it is a program of its own with one test, and
//! counts what the allocator rounds up and keeps beside.
#![cfg(all(feature = "kube", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

use std::{fs, hint::black_box, sync::Arc};

use aios_crds::{Conditions, ModelDeployment, WritingPipeline};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MANY: usize = 10_000;

/// Bytes that are resident.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// Bytes that each of many objects costs as its type holds it.
fn cost<T: DeserializeOwned>(written: impl Fn(usize) -> Value) -> usize {
    let mut held: Vec<Arc<T>> = Vec::with_capacity(MANY);
    let before = resident();
    for index in 0..MANY {
        held.push(Arc::new(serde_json::from_value(written(index)).unwrap()));
    }
    let after = resident();
    black_box(&held);
    // What was held is not given back: the next must not find room in it.
    std::mem::forget(held);
    after.saturating_sub(before) / MANY
}

fn metadata(kind: &str, index: usize) -> Value {
    json!({"name": format!("{kind}-{index:05}"), "namespace": format!("bench-{:04}", index / 100),
        "uid": format!("0f0e0d0c-0b0a-4908-8706-{index:012}"), "generation": 1,
        "resourceVersion": (1_000_000 + index).to_string(),
        "creationTimestamp": "2026-01-01T00:00:00Z"})
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

/// Of a pipeline whose gateway is not there yet.
fn conditions() -> Value {
    let awaited = "the gateway's pod is not ready";
    json!([
        condition("Ready", "Unknown", "GatewayNotReady", awaited),
        condition("Reconciling", "True", "GatewayNotReady", awaited),
        condition("ModelsReady", "True", "Ready", "every model is ready"),
        condition("PoliciesEnforced", "True", "Ready", "no policy is named"),
        condition("Serving", "Unknown", "GatewayNotReady", awaited),
        condition(
            "AuditVerified",
            "True",
            "NoLogYet",
            "The gateway has not shown a head yet."
        ),
    ])
}

fn pipeline(index: usize) -> Value {
    let text = "Dear {{ customer.name }},\n\n{{ slots.opening }}\n\nOur next talk is about \
        {{ customer.topic }}.\n\nYour team\nWritten with AI assistance.\n";
    json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingPipeline",
        "metadata": metadata("pipeline", index),
        "spec": {
            "content": {
                "kind": "Email",
                "variables": {"type": "object", "required": ["customerId"],
                    "properties": {"customerId": {"type": "integer"}}},
                "subjectVariable": "customer.id",
                "skeletons": [{"language": "en",
                    "parts": [
                        {"name": "subject", "template": {"inline": "Welcome, {{ customer.name }}"}},
                        {"name": "text", "template": {"inline": text}}],
                    "slots": [{"name": "opening", "safe": "We are glad to have you with us.",
                        "prompt": "Write one short sentence about {{ customer.topic }}.",
                        "maxTokens": 40, "maxSentences": 1}]}],
            },
            "context": [{"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}],
            "models": {"draft": {"routes": [{"model": format!("model-{index:05}")}]}},
            "publish": [{"name": "receiver", "webhook": {
                "url": "http://receiver.example.internal/deliveries", "readBack": true}}],
        },
        "status": {"observedGeneration": 1, "conditions": conditions(),
            "configDigest": format!("sha256:{}", "ab".repeat(32)),
            "endpoint": "https://aios-gateway.bench-0001.svc:8443"},
    })
}

fn model(index: usize) -> Value {
    let none = "no pod of the Service is ready";
    json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": metadata("model", index),
        "spec": {
            "hosted": {"provider": "OpenAICompatible", "model": "writer-large",
                "baseURL": "http://models.example.internal:8080/v1"},
            "pricing": {"inputPerMillion": "0.15", "outputPerMillion": "0.60", "currency": "EUR"},
        },
        "status": {"observedGeneration": 1, "model": "writer-large", "summary": "0/1",
            "replicas": 1, "endpoint": "https://model.bench-0001.svc:8443",
            "conditions": [
                condition("Ready", "Unknown", "NoEndpoints", none),
                condition("Reconciling", "True", "NoEndpoints", none),
                condition("CredentialsReady", "True", "Ready", "no credentials are needed"),
                condition("EndpointReachable", "Unknown", "NoEndpoints", none)]},
    })
}

#[test]
fn objects_and_their_conditions_cost_little_memory() {
    let kubernetes = cost::<Vec<Condition>>(|_| conditions());
    let ours = cost::<Conditions>(|_| conditions());
    let (pipelines, models) = (
        cost::<WritingPipeline>(pipeline),
        cost::<ModelDeployment>(model),
    );
    println!("six conditions {ours} B, of {kubernetes} B as Kubernetes has them");
    println!("a pipeline {pipelines} B, a model {models} B");
    assert!(ours * 3 < kubernetes, "{ours} {kubernetes}");
    assert!(pipelines < 4_000 && models < 2_500, "{pipelines} {models}");
}
