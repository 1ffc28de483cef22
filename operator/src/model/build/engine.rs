//! The engine's containers: llama.cpp's `llama-server` on its pod's loopback, behind the ingress,
//! and its `ggml-rpc-server` in the group's other pods. The leader has no probe of its own: the kubelet
//! cannot reach a loopback, so the ingress asks `/health` and is not ready before the engine is.

use aios_compile::ENGINE_PORT;
use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, Probe, ResourceRequirements, TCPSocketAction},
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use crate::{
    model::{
        build::volume,
        validate::{Model, Own},
        weights::Weights,
    },
    names,
    pods::{container_security, port, scratch_mount},
    settings::Settings,
};

/// Resource of GPUs.
const GPU: &str = "nvidia.com/gpu";

/// Where a shard listens for its leader.
pub const SHARD_PORT: i32 = 50_052;

/// The container that loads the model and answers.
pub fn leader(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    let context = u64::from(own.context_tokens) * u64::from(own.slots);
    let mut args: Vec<String> = [
        "-m".to_owned(),
        own.weights.model.path.clone(),
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
        ..engine(settings, own)
    }
}

/// The container that holds a part of the model for its leader.
pub fn shard(settings: &Settings, own: &Own) -> Container {
    let port = SHARD_PORT.to_string();
    Container {
        command: Some(vec!["ggml-rpc-server".into()]),
        args: Some(vec!["-H".into(), "0.0.0.0".into(), "-p".into(), port]),
        ports: Some(vec![port_of_shards()]),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::Int(SHARD_PORT),
                host: None,
            }),
            period_seconds: Some(2),
            ..Probe::default()
        }),
        volume_mounts: Some(vec![scratch_mount()]),
        ..engine(settings, own)
    }
}

fn port_of_shards() -> ContainerPort {
    port("shard", SHARD_PORT)
}

/// DNS names of a group's further pods, which are known before the pods exist.
fn shard_addresses(model: &Model, own: &Own, group: &str) -> Vec<String> {
    let (set, service) = (names::group_shards(group), names::model_shards(&model.name));
    let namespace = &model.namespace;
    (0..own.pods.saturating_sub(1))
        .map(|index| format!("{set}-{index}.{service}.{namespace}.svc:{SHARD_PORT}"))
        .collect()
}

fn engine(settings: &Settings, own: &Own) -> Container {
    let image = own
        .engine
        .image
        .as_ref()
        .unwrap_or(&settings.image_llama_cpp);
    Container {
        name: names::ENGINE.into(),
        image: Some(image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        security_context: Some(container_security()),
        resources: Some(resources(own)),
        ..Container::default()
    }
}

/// llama.cpp takes all adapters in one value; no path holds a comma.
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

fn resources(own: &Own) -> ResourceRequirements {
    let (mut requests, mut limits) = (
        std::collections::BTreeMap::new(),
        std::collections::BTreeMap::new(),
    );
    if let Some(resources) = &own.engine.resources {
        requests.insert("cpu".to_owned(), Quantity(resources.cpu.clone()));
        requests.insert("memory".to_owned(), Quantity(resources.memory.clone()));
        limits.insert("memory".to_owned(), Quantity(resources.memory.clone()));
    }
    if let Some(gpu) = &own.gpu {
        let count = Quantity(gpu.count.to_string());
        requests.insert(GPU.to_owned(), count.clone());
        limits.insert(GPU.to_owned(), count);
    }
    ResourceRequirements {
        requests: (!requests.is_empty()).then_some(requests),
        limits: (!limits.is_empty()).then_some(limits),
        claims: None,
    }
}
