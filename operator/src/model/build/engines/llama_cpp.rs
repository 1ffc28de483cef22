//! llama.cpp: `llama-server` in the leader, `ggml-rpc-server` in the group's other pods. The leader
//! dials them by names that are known before the pods exist, and gives each its part of the weights.

use aios_compile::ENGINE_PORT;
use k8s_openapi::{
    api::core::v1::{Container, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::container;
use crate::{
    model::{
        build::volume,
        validate::{Model, Own},
        weights::Weights,
    },
    names,
    pods::{port, scratch_mount},
    settings::Settings,
};

/// Where a shard listens for its leader.
pub const SHARD_PORT: i32 = 50_052;
/// Seconds that a shard has until it listens.
const STARTS: i32 = 300;

pub fn leader(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    let context = u64::from(own.context_tokens) * u64::from(own.slots);
    let mut args: Vec<String> = [
        "-m".to_owned(),
        own.weights.path().to_owned(),
        "--host".to_owned(),
        "127.0.0.1".to_owned(),
        "--port".to_owned(),
        ENGINE_PORT.to_string(),
        "-c".to_owned(),
        context.to_string(),
        "-np".to_owned(),
        own.slots.to_string(),
        "--metrics".to_owned(),
    ]
    .into();
    if own.pods > 1 {
        args.push("--rpc".to_owned());
        args.push(shard_addresses(model, own, group).join(","));
    }
    args.extend(adapters(&own.weights));
    args.extend(own.engine.args.iter().cloned());
    let mut mounts = volume::mounts(&own.weights, false);
    mounts.push(scratch_mount());
    Container {
        args: Some(args),
        volume_mounts: Some(mounts),
        ..container(settings, own, &settings.image_llama_cpp)
    }
}

pub fn shard(settings: &Settings, own: &Own) -> Container {
    let listens = SHARD_PORT.to_string();
    Container {
        command: Some(vec!["ggml-rpc-server".into()]),
        args: Some(vec!["-H".into(), "0.0.0.0".into(), "-p".into(), listens]),
        ports: Some(vec![port("shard", SHARD_PORT)]),
        // Only until it listens: it takes one connection at a time, and that is its leader's from then on.
        startup_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::Int(SHARD_PORT),
                host: None,
            }),
            period_seconds: Some(1),
            failure_threshold: Some(STARTS),
            ..Probe::default()
        }),
        volume_mounts: Some(vec![scratch_mount()]),
        ..container(settings, own, &settings.image_llama_cpp)
    }
}

/// DNS names of a group's further pods, which are known before the pods exist.
fn shard_addresses(model: &Model, own: &Own, group: &str) -> Vec<String> {
    let (set, service) = (names::group_shards(group), names::model_shards(&model.name));
    let namespace = &model.namespace;
    (0..own.pods.saturating_sub(1))
        .map(|index| format!("{set}-{index}.{service}.{namespace}.svc:{SHARD_PORT}"))
        .collect()
}

/// All adapters in one value; no path holds a comma.
fn adapters(weights: &Weights) -> Vec<String> {
    let paths: Vec<&str> = weights
        .adapters
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    if paths.is_empty() {
        return Vec::new();
    }
    vec!["--lora".to_owned(), paths.join(",")]
}
