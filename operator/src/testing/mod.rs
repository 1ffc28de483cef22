//! Objects that tests start from.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod books;
pub mod reviews;
pub mod server;

use aios_crds::{ModelDeployment, WritingPipeline, WritingRun};
use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{settings::Settings, share::Share};

pub fn settings() -> Settings {
    Settings::parse_from([
        "operator",
        "--image-pipeline=pipeline:1",
        "--image-sidecar=sidecar:1",
        "--image-llama-cpp=llama:1",
        "--image-vllm=vllm:1",
    ])
}

pub fn share() -> Share {
    settings()
        .share(prometheus_client::metrics::gauge::Gauge::default())
        .unwrap()
        .0
}

/// An object of ours, as the server returns it.
fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "team", "uid": format!("uid-{name}"),
            "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
    }))
    .unwrap()
}

/// A model of any spec.
pub fn model(name: &str, spec: &Value) -> ModelDeployment {
    object("ModelDeployment", name, spec)
}

pub fn hosted(credentials: bool) -> ModelDeployment {
    let mut hosted = json!({"provider": "OpenAICompatible", "model": "m",
        "baseURL": "http://models.example.com/v1"});
    if credentials {
        hosted["credentials"] = json!({"secretKeyRef": {"name": "provider", "key": "token"}});
    }
    object("ModelDeployment", "big", &json!({"hosted": hosted}))
}

pub fn self_hosted(standby: i32) -> ModelDeployment {
    object(
        "ModelDeployment",
        "small",
        &json!({
            "selfHosted": {
                "engine": {"name": "LlamaCpp", "args": ["--no-webui"],
                    "resources": {"cpu": "500m", "memory": "512Mi"}},
                "model": {"uri": "http://files/smollm.gguf",
                    "digest": format!("sha256:{}", "ab".repeat(32)), "cache": {"size": "1Gi"}},
                "gpu": {"count": 1},
                "warm": {"standby": standby},
            },
            "replicas": 2,
            "limits": {"contextTokens": 1024, "maxOutputTokens": 128, "maxInFlight": 8},
        }),
    )
}

pub fn pipeline(name: &str, retrieval: bool, deletion: &str) -> WritingPipeline {
    let mut spec = json!({
        "content": {"kind": "Email", "skeletons": [{"language": "en", "writer": "SafeTemplate",
            "parts": [{"name": "subject", "template": {"inline": "Hello"}},
                {"name": "text", "template": {"inline": "Hello"}}]}]},
        "models": {"draft": {"routes": [{"model": "small"}]}},
        "policyRefs": [{"name": "tone"}],
        "publish": [{"name": "hook", "webhook": {"url": "http://hook/in",
            "signingSecret": {"secretKeyRef": {"name": "signing", "key": "secret"}}}}],
        "execution": {"parallelism": 2},
        "deletionPolicy": deletion,
    });
    if retrieval {
        spec["retrieval"] = json!({"sources": [{"name": "rules", "configMapRef": {"name": "rules"}}],
            "query": {"text": "deposit"}});
    }
    object("WritingPipeline", name, &spec)
}

pub fn run(suspend: bool) -> WritingRun {
    object(
        "WritingRun",
        "batch",
        &json!({"pipelineRef": {"name": "mail"}, "suspend": suspend,
            "input": {"pointers": [{"customerId": 17}]}}),
    )
}

/// Fails unless every pod of `value` passes Pod Security `restricted`.
pub fn assert_restricted(value: &Value) {
    let pod = value
        .pointer("/spec/template/spec")
        .expect("a pod template");
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    let list = |key: &str| pod[key].as_array().cloned().unwrap_or_default();
    let containers: Vec<Value> = list("initContainers")
        .into_iter()
        .chain(list("containers"))
        .collect();
    assert!(!containers.is_empty());
    for container in containers {
        let security = &container["securityContext"];
        assert_eq!(
            security["allowPrivilegeEscalation"], false,
            "{}",
            container["name"]
        );
        assert_eq!(
            security["readOnlyRootFilesystem"], true,
            "{}",
            container["name"]
        );
        assert_eq!(
            security["capabilities"]["drop"],
            json!(["ALL"]),
            "{}",
            container["name"]
        );
    }
}
