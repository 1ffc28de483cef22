//! Fetches weights and adapters where they are not mounted, and proves their digests before an engine
//! sees them.

use aios_compile::{Format, Source};
use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{
            Container, KeyToPath, PodSpec, PodTemplateSpec, ProjectedVolumeSource,
            SecretProjection, Volume, VolumeProjection,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use serde_json::json;

use crate::{
    model::{
        build::{engines, meta, volume},
        prefetch::WRONG_DIGEST,
        validate::{Model, Own},
        weights::{File, Weights},
    },
    names::{self, Component},
    pods::{
        container_security, control_env, control_mount, control_volume, env, mount, pod_security,
        resources, scratch_mount, scratch_volume,
    },
    settings::Settings,
};

/// Further pods of one Job; each tries several times itself.
const TRIES: i32 = 2;
/// Where the tokens of sources are mounted, each named after its file's place in the list.
const TOKENS: &str = "/var/run/aios/weights";

/// The first one takes a pod of the engine's size: where that fits, the volume is bound to the right zone. Later
/// ones go where the volume is, beside engines that may have all the GPUs.
pub fn prefetch(settings: &Settings, model: &Model, own: &Own, is_first: bool) -> Job {
    let labels = names::model_labels(Component::Prefetch, &model.name);
    Job {
        metadata: meta(
            model,
            names::model_prefetch(&model.name, &own.weights.hash),
            Component::Prefetch,
        ),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: failure_rules(),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(settings, model, own, is_first)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Where the engines run: a volume is bound to the zone of its first pod.
fn pod(settings: &Settings, model: &Model, own: &Own, is_first: bool) -> PodSpec {
    let weights = &own.weights;
    let mut variables = control_env(settings, &model.namespace);
    variables.push(env("AIOS_MODEL", model.name.as_str()));
    variables.push(env("AIOS_WEIGHTS", weights.hash.as_str()));
    let mut volumes = volume::volumes(model, weights);
    let mut mounts = volume::mounts(weights, true);
    volumes.extend([control_volume(false), scratch_volume()]);
    mounts.extend([control_mount(), scratch_mount()]);
    if let Some(tokens) = tokens(weights) {
        volumes.push(tokens);
        mounts.push(mount("tokens", TOKENS, true));
    }
    let mut pod = PodSpec {
        restart_policy: Some("Never".into()),
        service_account_name: Some(names::model_service(&model.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        containers: vec![Container {
            name: "prefetch".into(),
            image: Some(settings.image_sidecar.clone()),
            image_pull_policy: Some(settings.image_pull_policy.clone()),
            args: Some(args(settings, weights)),
            env: Some(variables),
            termination_message_policy: Some("FallbackToLogsOnError".into()),
            security_context: Some(container_security()),
            resources: Some(if is_first && own.gpu.is_some() {
                engines::resources(own)
            } else {
                resources("50m", "32Mi", "256Mi")
            }),
            volume_mounts: Some(mounts),
            ..Container::default()
        }],
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    model.placement.put(&mut pod);
    pod
}

fn args(settings: &Settings, weights: &Weights) -> Vec<String> {
    let mut args = vec!["prefetch".to_owned(), "--tries".to_owned(), "5".to_owned()];
    for (index, file) in weights.files().enumerate() {
        args.extend(["--file".to_owned(), wanted(settings, index, file)]);
    }
    args
}

/// A file as `prefetch` reads it. One without address is mounted, and only its digest is checked.
fn wanted(settings: &Settings, index: usize, file: &File) -> String {
    let mut wanted = json!({"name": file.name, "digest": file.digest, "path": file.path});
    let format = match file.format {
        Format::Gguf => None,
        Format::Folder { quantization } => Some(json!({"Folder": {"quantization": quantization}})),
        Format::Any => Some(json!("Any")),
    };
    let snapshot = match &file.source {
        Source::Snapshot { org, repo, commit } => Some(json!({"hub": settings.hub_uri,
            "repository": format!("{org}/{repo}"), "commit": commit})),
        _ => None,
    };
    let optional = [
        ("format", format),
        ("snapshot", snapshot),
        ("uri", file.source.url(&settings.hub_uri).map(Into::into)),
        (
            "tokenFile",
            file.credentials
                .as_ref()
                .map(|_| format!("{TOKENS}/{index}").into()),
        ),
    ];
    for (key, value) in optional {
        if let (Some(value), Some(fields)) = (value, wanted.as_object_mut()) {
            fields.insert(key.to_owned(), value);
        }
    }
    wanted.to_string()
}

/// The tokens of all sources, if any has one.
fn tokens(weights: &Weights) -> Option<Volume> {
    let sources: Vec<VolumeProjection> = weights
        .files()
        .enumerate()
        .filter_map(|(index, file)| {
            let reference = file.credentials.as_ref()?;
            Some(VolumeProjection {
                secret: Some(SecretProjection {
                    name: reference.name.clone(),
                    items: Some(vec![KeyToPath {
                        key: reference.key.clone(),
                        path: index.to_string(),
                        mode: None,
                    }]),
                    optional: None,
                }),
                ..VolumeProjection::default()
            })
        })
        .collect();
    (!sources.is_empty()).then(|| Volume {
        name: "tokens".into(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    })
}

/// A drained node costs no try; a wrong digest ends the Job, for another try would fetch the same bytes.
fn failure_rules() -> Vec<PodFailurePolicyRule> {
    vec![
        PodFailurePolicyRule {
            action: "Ignore".into(),
            on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
            }]),
            ..PodFailurePolicyRule::default()
        },
        PodFailurePolicyRule {
            action: "FailJob".into(),
            on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                container_name: Some("prefetch".into()),
                operator: "In".into(),
                values: vec![WRONG_DIGEST],
            }),
            ..PodFailurePolicyRule::default()
        },
    ]
}
