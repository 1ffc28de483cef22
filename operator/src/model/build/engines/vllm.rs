//! vLLM's `vllm serve`. A group of several pods is one engine over multiprocessing, without Ray (vLLM
//! 0.11.1 and later): every pod runs the same command with its rank, rank 0 answers, and the others are
//! headless and dial it. <https://docs.vllm.ai/en/stable/serving/parallelism_scaling/>

use aios_compile::ENGINE_PORT;
use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, EnvVar, Volume, VolumeMount};

use super::container;
use crate::{
    model::{
        build::volume,
        validate::{Model, Own},
    },
    names,
    pods::{env, field, mount, port, scratch_mount},
    settings::Settings,
};

/// Where the leader waits for its shards; vLLM's default.
pub const RENDEZVOUS_PORT: i32 = 29_501;

const RANK: &str = "AIOS_RANK";
const SHARED_MEMORY: &str = "shm";

pub fn leader(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    let mut args = shared(model, own);
    args.extend(flag("--host", "127.0.0.1"));
    args.extend(flag("--port", ENGINE_PORT.to_string()));
    if own.pods > 1 {
        args.extend(member(model, own, group, "0"));
    }
    args.extend(own.engine.args.iter().cloned());
    Container {
        ports: (own.pods > 1).then(|| vec![port("shard", RENDEZVOUS_PORT)]),
        ..engine(settings, own, args, environment(own))
    }
}

/// Without a probe: it listens nowhere, and the leader is ready only once all its shards are loaded.
pub fn shard(settings: &Settings, model: &Model, own: &Own, group: &str) -> Container {
    let mut args = shared(model, own);
    args.extend(member(model, own, group, &format!("$({RANK})")));
    args.push("--headless".to_owned());
    args.extend(own.engine.args.iter().cloned());
    let mut variables = environment(own);
    // The pod's number in its StatefulSet, which begins at 1.
    let index = "metadata.labels['apps.kubernetes.io/pod-index']";
    variables.push(field(RANK, index));
    engine(settings, own, args, variables)
}

/// Memory through which the processes of one pod speak; it counts to the container's.
pub fn shared_memory() -> Volume {
    Volume {
        name: SHARED_MEMORY.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: Some("Memory".into()),
            size_limit: None,
        }),
        ..Volume::default()
    }
}

/// What the engine is, for every rank alike.
fn shared(model: &Model, own: &Own) -> Vec<String> {
    let mut args = vec![own.weights.path().to_owned()];
    args.extend(names_and_adapter(model, own));
    args.extend(flag("--max-model-len", own.context_tokens.to_string()));
    args.extend(flag("--max-num-seqs", own.slots.to_string()));
    args.extend(flag(
        "--tensor-parallel-size",
        own.shards.tensor.to_string(),
    ));
    args.extend(flag(
        "--pipeline-parallel-size",
        own.shards.pipeline.to_string(),
    ));
    if own.sleeps {
        args.push("--enable-sleep-mode".to_owned());
    }
    args
}

/// With an adapter, calls name that; the model itself is then known by its path alone, which is no name
/// of an adapter.
fn names_and_adapter(model: &Model, own: &Own) -> Vec<String> {
    match own.weights.adapters.first() {
        Some(adapter) => {
            let named = format!("{}={}", model.config.model, adapter.path);
            let mut args = vec!["--enable-lora".to_owned()];
            args.extend(flag("--lora-modules", named));
            args
        }
        None => flag("--served-model-name", model.config.model.as_str()).into(),
    }
}

/// A pod's place in its group. The leader's name is known before the pods exist.
fn member(model: &Model, own: &Own, group: &str, rank: &str) -> Vec<String> {
    let (service, namespace) = (names::model_shards(&model.name), &model.namespace);
    let leader = format!("{group}-0.{service}.{namespace}.svc");
    [
        flag("--distributed-executor-backend", "mp"),
        flag("--nnodes", own.pods.to_string()),
        flag("--node-rank", rank),
        flag("--master-addr", leader),
        flag("--master-port", RENDEZVOUS_PORT.to_string()),
    ]
    .concat()
}

fn flag(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.to_owned(), value.into()]
}

/// The root file system is read-only, nobody may be dialled for weights, and no user is in the image's
/// `/etc/passwd`, where PyTorch looks for the name of its cache.
fn environment(own: &Own) -> Vec<EnvVar> {
    let mut variables = vec![
        env("HOME", "/tmp"),
        env("USER", "aios"),
        env("HF_HUB_OFFLINE", "1"),
        env("VLLM_NO_USAGE_STATS", "1"),
    ];
    if own.sleeps {
        // The endpoints that it opens, on loopback alone, are how the ingress asks for sleep.
        variables.push(env("VLLM_SERVER_DEV_MODE", "1"));
    }
    if own.pods > 1 {
        variables.push(field("VLLM_HOST_IP", "status.podIP"));
    }
    variables
}

fn engine(settings: &Settings, own: &Own, args: Vec<String>, variables: Vec<EnvVar>) -> Container {
    Container {
        command: Some(vec!["vllm".into(), "serve".into()]),
        args: Some(args),
        env: Some(variables),
        volume_mounts: Some(mounts(own)),
        ..container(settings, own, &settings.image_vllm)
    }
}

fn mounts(own: &Own) -> Vec<VolumeMount> {
    let mut mounts = volume::mounts(&own.weights, false);
    mounts.extend([scratch_mount(), mount(SHARED_MEMORY, "/dev/shm", false)]);
    mounts
}
