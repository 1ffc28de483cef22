#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::revision;
use crate::{
    model::validate::{Model, validate},
    testing::{model, settings},
};

fn digest(byte: &str) -> String {
    format!("sha256:{}", byte.repeat(32))
}

fn adapter(byte: &str) -> Value {
    json!([{"name": "style", "uri": "pvc://styles/house", "digest": digest(byte)}])
}

fn spec() -> Value {
    json!({
        "selfHosted": {
            "engine": {"name": "VLLM", "image": "mirror/vllm:1", "args": ["--enforce-eager"],
                "resources": {"cpu": "4", "memory": "32Gi"}},
            "model": {"uri": "pvc://models/llama", "digest": digest("ab")},
            "adapters": adapter("cd"),
            "gpu": {"count": 1},
            "warm": {"standby": 1},
        },
        "replicas": 1,
        "limits": {"contextTokens": 8192, "maxInFlight": 32},
    })
}

/// The revision once fields, by their JSON pointers, have these values.
fn changed(changes: &[(&str, Value)]) -> String {
    let mut spec = spec();
    for (at, value) in changes {
        let (parent, key) = at.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    of(&validate(&model("small", &spec)).unwrap())
}

fn of(model: &Model) -> String {
    revision(&settings(), model).unwrap()
}

#[test]
fn whatever_changes_what_pods_run_makes_a_new_revision() {
    let first = changed(&[]);
    let mut known = BTreeMap::from([(first.clone(), "the spec as it was")]);
    for (what, changes) in [
        (
            "weights",
            vec![("/selfHosted/model/digest", json!(digest("ef")))],
        ),
        (
            "their place",
            vec![("/selfHosted/model/uri", json!("pvc://others/llama"))],
        ),
        ("no adapter", vec![("/selfHosted/adapters", json!([]))]),
        (
            "an adapter's weights",
            vec![("/selfHosted/adapters", adapter("ef"))],
        ),
        (
            "image",
            vec![("/selfHosted/engine/image", json!("mirror/vllm:2"))],
        ),
        (
            "argument",
            vec![(
                "/selfHosted/engine/args",
                json!(["--enable-prefix-caching"]),
            )],
        ),
        ("no argument", vec![("/selfHosted/engine/args", json!([]))]),
        (
            "resources",
            vec![("/selfHosted/engine/resources/memory", json!("64Gi"))],
        ),
        ("GPUs", vec![("/selfHosted/gpu/count", json!(2))]),
        (
            "devices of a layer",
            vec![
                ("/selfHosted/gpu/count", json!(2)),
                ("/selfHosted/shards", json!({"tensor": 2})),
            ],
        ),
        (
            "stages",
            vec![("/selfHosted/shards", json!({"pipeline": 2}))],
        ),
        ("context", vec![("/limits/contextTokens", json!(4096))]),
    ] {
        if let Some(same) = known.insert(changed(&changes), what) {
            panic!("{what} makes the same revision as {same}");
        }
    }
    let mut placed = validate(&model("small", &spec())).unwrap();
    placed.placement.node_selector = BTreeMap::from([("gpu".into(), "l4".into())]);
    assert_ne!(of(&placed), first, "nodes of another class");
    let mut settings = settings();
    settings.image_sidecar = "sidecar:2".into();
    let model = validate(&model("small", &spec())).unwrap();
    assert_ne!(revision(&settings, &model), Some(first), "sidecar");
}

#[test]
fn what_changes_nothing_for_a_pod_makes_no_new_revision() {
    let first = changed(&[]);
    let evaluation = json!({"configMapRef": {"name": "inputs"}, "policyRefs": [{"name": "tone"}]});
    let rollout = json!({"evaluation": evaluation});
    for (what, changes) in [
        ("replicas", vec![("/replicas", json!(3))]),
        ("standby", vec![("/selfHosted/warm/standby", json!(0))]),
        ("scaling", vec![("/scaling", json!({"min": 0, "max": 4}))]),
        (
            "schedules",
            vec![
                ("/scaling", json!({"min": 0, "max": 4})),
                (
                    "/selfHosted/warm/schedules",
                    json!([{"name": "n", "cron": "0 9 * * *", "for": "1h"}]),
                ),
            ],
        ),
        (
            "how revisions are tried",
            vec![("/selfHosted/rollout", rollout)],
        ),
        // It says what the weights must be: those that are quantized otherwise have another digest.
        (
            "quantization",
            vec![("/selfHosted/quantization", json!({"method": "AWQ"}))],
        ),
        ("slo", vec![("/slo", json!({"coldStart": "5m"}))]),
        (
            "resilience",
            vec![("/resilience", json!({"timeout": "90s"}))],
        ),
        (
            "prices",
            vec![(
                "/pricing",
                json!({"inputPerMillion": "0.1", "outputPerMillion": "0.2", "currency": "EUR"}),
            )],
        ),
    ] {
        assert_eq!(changed(&changes), first, "{what}");
    }
}
