//! The run's Job: workers that lease items until the gateway says that none is left.

use aios_crds::{WritingPipeline, WritingRun};
use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern,
            PodFailurePolicyRule,
        },
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;

use crate::{
    apply::owned_by,
    names::{self, Component, GATEWAY, LABEL_PIPELINE, LABEL_QUEUE, LABEL_RUN, WORKER},
    pods::{
        ADMIN, ADMIN_PORT, WORK_PORT, client_env, container_security, control_env, control_mount,
        control_volume, egress, env, named, pod_security, port, probe, resources, scratch_mount,
        scratch_volume,
    },
    settings::Settings,
};

/// Workers that may die before the run counts as failed. Nothing is lost with one: its leases end
/// and its items are leased again.
const TRIES: i32 = 20;

pub fn job(
    settings: &Settings,
    run: &WritingRun,
    pipeline: &WritingPipeline,
    namespace: &str,
) -> Job {
    let name = run.name_any();
    let mut labels = names::labels(Component::Worker, &name);
    labels.insert(LABEL_RUN.into(), name.clone());
    labels.insert(LABEL_PIPELINE.into(), pipeline.name_any());
    let mut own_labels = labels.clone();
    let queue = pipeline.spec.execution.queue_name.clone();
    let is_queued = queue.is_some();
    own_labels.extend(queue.map(|queue| (LABEL_QUEUE.into(), queue)));
    Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.into()),
            labels: Some(own_labels),
            owner_references: Some(owned_by(run, true).into_iter().collect()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            // A work queue: no count of completions, done when the first worker finds it drained.
            parallelism: Some(pipeline.spec.execution.parallelism),
            // In a queue, Kueue starts it.
            suspend: Some(run.spec.suspend || is_queued),
            backoff_limit: Some(TRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                // A drained node is not the worker's fault.
                rules: vec![PodFailurePolicyRule {
                    action: "Ignore".into(),
                    on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                        type_: "DisruptionTarget".into(),
                        status: "True".into(),
                    }]),
                    ..PodFailurePolicyRule::default()
                }],
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(settings, run, namespace)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn pod(settings: &Settings, run: &WritingRun, namespace: &str) -> PodSpec {
    PodSpec {
        // Pod failure policies need it; the Job starts another pod.
        restart_policy: Some("Never".into()),
        service_account_name: Some(WORKER.into()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(30),
        security_context: Some(pod_security()),
        init_containers: Some(vec![egress(settings, namespace)]),
        containers: vec![worker(settings, run, namespace)],
        volumes: Some(vec![control_volume(true), scratch_volume()]),
        ..PodSpec::default()
    }
}

fn worker(settings: &Settings, run: &WritingRun, namespace: &str) -> Container {
    let mut variables = control_env(settings, namespace);
    variables.extend(client_env());
    variables.extend([
        env("AIOS_RUN", run.name_any()),
        env("AIOS_RUN_UID", run.uid().unwrap_or_default()),
        env(
            "AIOS_GATEWAY_URI",
            format!("https://{GATEWAY}.{namespace}.svc:{WORK_PORT}"),
        ),
        env("AIOS_EGRESS_URI", "http://127.0.0.1:4000"),
    ]);
    Container {
        name: "worker".into(),
        image: Some(settings.image_pipeline.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(vec!["work".into()]),
        env: Some(variables),
        ports: Some(vec![port(ADMIN, ADMIN_PORT)]),
        liveness_probe: Some(probe("/healthz", named(ADMIN), 10, 6)),
        security_context: Some(container_security()),
        resources: Some(resources("50m", "64Mi", "512Mi")),
        volume_mounts: Some(vec![control_mount(), scratch_mount()]),
        ..Container::default()
    }
}
