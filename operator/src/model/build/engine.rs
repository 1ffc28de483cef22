//! The engine's container: llama.cpp's `llama-server` on the pod's loopback, behind the ingress.
//! It has no probe of its own: the kubelet cannot reach a loopback, so the ingress asks `/health`
//! and is not ready before the engine is.

use aios_compile::ENGINE_PORT;
use k8s_openapi::{
    api::core::v1::{Container, PersistentVolumeClaimVolumeSource, ResourceRequirements, Volume},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    model::validate::{Model, Own},
    names,
    pods::{container_security, mount, scratch_mount},
    settings::Settings,
};

/// Resource of GPUs.
const GPU: &str = "nvidia.com/gpu";

pub fn container(settings: &Settings, own: &Own) -> Container {
    let context = u64::from(own.context_tokens) * u64::from(own.slots);
    let mut args: Vec<String> = [
        "-m".to_owned(),
        own.file.clone(),
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
    args.extend(own.engine.args.iter().cloned());
    let image = own
        .engine
        .image
        .as_ref()
        .unwrap_or(&settings.image_llama_cpp);
    Container {
        name: "engine".into(),
        image: Some(image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(args),
        security_context: Some(container_security()),
        resources: Some(resources(own)),
        volume_mounts: Some(vec![mount("weights", "/weights", true), scratch_mount()]),
        ..Container::default()
    }
}

pub fn weights_volume(model: &Model) -> Volume {
    Volume {
        name: "weights".into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: names::model_weights(&model.name),
            read_only: None,
        }),
        ..Volume::default()
    }
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
