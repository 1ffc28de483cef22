//! The engine's containers, one file an engine: how it is started in a group's leader and in its other
//! pods. A leader's engine is on its pod's loopback, behind the ingress; it has no probe of its own, for
//! the kubelet cannot reach a loopback: the ingress asks, and is not ready before the engine is.

mod llama_cpp;
mod tenants_own;
mod vllm;

use std::collections::BTreeMap;

use aios_crds::model_deployment::EngineName;
use k8s_openapi::{
    api::core::v1::{Container, ResourceRequirements, Volume},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    model::{
        build::volume,
        validate::{Model, Own},
    },
    names,
    pods::{container_security, scratch_volume},
    settings::Settings,
};

/// Resource of GPUs.
const GPU: &str = "nvidia.com/gpu";

/// Who of a group dials whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The leader dials its shards at this port, and fails without them.
    LeaderDials(i32),
    /// Shards, numbered from 1, dial their leader at this port and wait for it; then all of the group
    /// dial each other at any port.
    ShardsJoin(i32),
}

impl Meeting {
    pub const fn port(self) -> i32 {
        match self {
            Self::LeaderDials(port) | Self::ShardsJoin(port) => port,
        }
    }
}

pub fn meeting(own: &Own) -> Meeting {
    match own.engine.name {
        EngineName::VLLM => Meeting::ShardsJoin(vllm::RENDEZVOUS_PORT),
        // Of the others llama.cpp alone has shards.
        _ => Meeting::LeaderDials(llama_cpp::SHARD_PORT),
    }
}

/// The container that answers.
pub fn leader(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    match own.engine.name {
        EngineName::LlamaCpp => llama_cpp::leader(settings, model, own, group),
        EngineName::VLLM => vllm::leader(settings, model, own, group),
        EngineName::Custom | EngineName::KServe | EngineName::BentoML => {
            tenants_own::leader(settings, own)
        }
    }
}

/// The container that holds a part of the model for its leader.
pub fn shard(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    match own.engine.name {
        EngineName::VLLM => vllm::shard(settings, model, own, group),
        _ => llama_cpp::shard(settings, own),
    }
}

/// Volumes of a leader beside those of its ingress, which has the scratch space.
pub fn leader_volumes(model: &Model, own: &Own) -> Vec<Volume> {
    let mut volumes = volume::volumes(model, &own.weights);
    if own.engine.name == EngineName::VLLM {
        volumes.push(vllm::shared_memory());
    }
    volumes
}

/// Volumes of a shard: llama.cpp's get their part of the weights from their leader.
pub fn shard_volumes(model: &Model, own: &Own) -> Vec<Volume> {
    let mut volumes = vec![scratch_volume()];
    if own.engine.name == EngineName::VLLM {
        volumes.extend(leader_volumes(model, own));
    }
    volumes
}

/// What the engine's containers share; `image` is the platform's; a tenant's own server has its own.
fn container(settings: &Settings, own: &Own, image: &str) -> Container {
    Container {
        name: names::ENGINE.into(),
        image: Some(own.engine.image.clone().unwrap_or_else(|| image.to_owned())),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        security_context: Some(container_security()),
        resources: Some(resources(own)),
        ..Container::default()
    }
}

/// What an engine's container asks for.
pub fn resources(own: &Own) -> ResourceRequirements {
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
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
