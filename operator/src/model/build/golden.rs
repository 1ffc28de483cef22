//! What engines that no test can run are asked for, as whole objects in `golden/`. After a change that
//! is meant, write them again with `AIOS_GOLDEN=write cargo test -p aios-operator golden` and read the
//! difference.
#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path};

use serde_json::{Value, json};

use super::{
    Desired,
    tests::{built, found},
};
use crate::{
    model::prefetch::Fetched,
    testing::{assert_restricted, model},
};

/// A digest of weights.
fn digest(byte: &str) -> String {
    format!("sha256:{}", byte.repeat(32))
}

/// The objects of one group and what it needs beside it. Its revision counts the sidecar's settings too:
/// it is left out.
fn objects(desired: &Desired) -> Value {
    let group = &desired.groups[0];
    let objects = json!({
        "prefetch": desired.prefetch.as_ref().map(|job| &job.spec.as_ref().unwrap().template
            .spec.as_ref().unwrap().containers[0].args),
        "services": desired.services.iter().map(|service| json!({
            "name": service.metadata.name, "spec": service.spec})).collect::<Vec<_>>(),
        "network": desired.network.as_ref().map(|policy| &policy.spec),
        "sets": group.sets.iter().map(|set| json!({
            "name": set.metadata.name, "spec": set.spec})).collect::<Vec<_>>(),
    });
    let text = objects.to_string();
    let text = text.replace(&group.place.revision, "REVISION");
    serde_json::from_str(&text).unwrap()
}

/// Compares with the committed file, or writes it.
fn golden(name: &str, spec: &Value) {
    let desired = built(&model(name, spec), &found(Some(Fetched::Ready), None));
    for set in &desired.groups[0].sets {
        assert_restricted(&serde_json::to_value(set).unwrap());
    }
    let text = serde_json::to_string_pretty(&objects(&desired)).unwrap() + "\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/build/golden");
    let path = folder.join(format!("{name}.json"));
    if env::var("AIOS_GOLDEN").as_deref() == Ok("write") {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{} differs: see the head of golden.rs\n{text}",
        path.display()
    );
}

#[test]
fn golden_vllm_in_one_pod() {
    golden(
        "vllm",
        &json!({"selfHosted": {
            "engine": {"name": "VLLM", "args": ["--enforce-eager"],
                "resources": {"cpu": "4", "memory": "32Gi"}},
            "model": {"uri": "pvc://models/llama-3.1-8b", "digest": digest("ab")},
            "quantization": {"method": "AWQ"},
            "shards": {"tensor": 2},
            "gpu": {"count": 2},
        }, "limits": {"contextTokens": 8192, "maxInFlight": 32}}),
    );
}

#[test]
fn golden_vllm_over_two_pods_with_an_adapter() {
    golden(
        "vllm-two-pods",
        &json!({"selfHosted": {
            "engine": {"name": "VLLM", "image": "mirror.example/vllm:1"},
            "model": {"uri": "oci://r.example/models/llama:3.1/llama-3.1-70b", "digest": digest("ab")},
            "adapters": [{"name": "style", "uri": "pvc://styles/house", "digest": digest("cd")}],
            "shards": {"tensor": 4, "pipeline": 2},
            "gpu": {"count": 4},
        }}),
    );
}

#[test]
fn golden_vllm_that_sleeps_while_it_stands_by() {
    golden(
        "vllm-asleep",
        &json!({"selfHosted": {
            "engine": {"name": "VLLM"},
            "model": {"uri": "pvc://models/llama-3.1-8b", "digest": digest("ab")},
            "gpu": {"count": 1},
            "warm": {"standby": 1, "mode": "Asleep"},
        }}),
    );
}

#[test]
fn golden_vllm_with_a_repository_of_the_hub() {
    golden(
        "vllm-hub",
        &json!({"selfHosted": {
            "engine": {"name": "VLLM"},
            "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "digest": digest("ab"),
                "revision": "0e9e39f249a16976918f6564b8830bc894c89659",
                "credentials": {"secretKeyRef": {"name": "hub", "key": "token"}},
                "cache": {"size": "40Gi", "accessMode": "ReadWriteMany"}},
            "gpu": {"count": 1},
        }}),
    );
}

#[test]
fn golden_custom_without_weights() {
    golden(
        "custom",
        &json!({"selfHosted": {
            "engine": {"name": "Custom", "image": "mirror.example/server:1", "args": ["--fast"],
                "custom": {"port": 8000, "healthPath": "/livez", "model": "house"}},
        }}),
    );
}

#[test]
fn golden_custom_with_weights_of_its_own_format() {
    golden(
        "custom-weights",
        &json!({"selfHosted": {
            "engine": {"name": "Custom", "image": "mirror.example/server:1",
                "args": ["--model=$(AIOS_WEIGHTS_PATH)"], "custom": {"port": 8000}},
            "model": {"uri": "hf://org/repo/a.safetensors", "digest": digest("ab"),
                "cache": {"size": "8Gi"}},
        }}),
    );
}

#[test]
fn golden_kserve() {
    golden(
        "kserve",
        &json!({"selfHosted": {
            "engine": {"name": "KServe", "image": "mirror.example/server:1",
                "args": ["--model_name=house"], "kserve": {"model": "house"}},
        }}),
    );
}

#[test]
fn golden_bentoml() {
    golden(
        "bentoml",
        &json!({"selfHosted": {
            "engine": {"name": "BentoML", "image": "mirror.example/server:1",
                "args": ["serve", "service:Writer"],
                "bentoml": {"model": "house", "port": 3001}},
        }}),
    );
}
