//! Fetches weights and proves their digest before an engine sees them.

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    model::{
        build::{engine::weights_volume, meta},
        validate::{Model, Own},
    },
    names::{self, Component},
    pods::{container_security, mount, pod_security, resources, scratch_mount, scratch_volume},
    settings::Settings,
};

/// Further pods of one Job; each tries several times itself.
const TRIES: i32 = 2;
/// `prefetch` ends so when the digest is wrong: another try would fetch the same bytes.
const WRONG_DIGEST: i32 = 3;

pub fn prefetch(settings: &Settings, model: &Model, own: &Own) -> Job {
    let labels = names::model_labels(Component::Prefetch, &model.name);
    Job {
        metadata: meta(
            model,
            names::model_prefetch(&model.name, &own.hash),
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
                spec: Some(pod(settings, model, own)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Where the engines run: a volume is bound to the zone of its first pod.
fn pod(settings: &Settings, model: &Model, own: &Own) -> PodSpec {
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
            args: Some(vec![
                "prefetch".into(),
                "--uri".into(),
                own.weights.uri.clone(),
                "--digest".into(),
                own.weights.digest.clone(),
                "--to".into(),
                own.file.clone(),
                "--tries".into(),
                "5".into(),
            ]),
            termination_message_policy: Some("FallbackToLogsOnError".into()),
            security_context: Some(container_security()),
            resources: Some(resources("50m", "32Mi", "256Mi")),
            volume_mounts: Some(vec![mount("weights", "/weights", false), scratch_mount()]),
            ..Container::default()
        }],
        volumes: Some(vec![weights_volume(model), scratch_volume()]),
        ..PodSpec::default()
    };
    model.placement.put(&mut pod);
    pod
}

/// A drained node costs no try; a wrong digest ends the Job.
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
