//! The Job that asks a revision on trial the evaluation's inputs, and its stable one beside it.

use aios_crds::rollout::Evaluation;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{ConfigMapVolumeSource, Container, PodSpec, PodTemplateSpec, Volume},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    model::{
        build::meta,
        rollout::{Asking, Set},
        validate::Model,
    },
    names::{self, Component},
    pods::{
        client_env, container_security, control_env, control_mount, control_volume, env, mount,
        pod_security, resources, scratch_mount, scratch_volume,
    },
    settings::Settings,
};

/// Further pods of one Job.
const TRIES: i32 = 2;
const INPUTS: &str = "/var/run/aios/inputs";

pub fn job(
    settings: &Settings,
    model: &Model,
    evaluation: &Evaluation,
    asking: &Asking,
    set: &Set,
) -> Job {
    let name = names::model_evaluation(&model.name, &asking.key);
    let labels = names::model_labels(Component::Evaluation, &model.name);
    Job {
        metadata: meta(model, name, Component::Evaluation),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    restart_policy: Some("Never".into()),
                    service_account_name: Some(names::model_service(&model.name)),
                    automount_service_account_token: Some(false),
                    enable_service_links: Some(false),
                    security_context: Some(pod_security()),
                    containers: vec![container(settings, model, asking, set)],
                    volumes: Some(vec![
                        control_volume(true),
                        inputs(evaluation),
                        scratch_volume(),
                    ]),
                    ..PodSpec::default()
                }),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn container(settings: &Settings, model: &Model, asking: &Asking, set: &Set) -> Container {
    let mut variables = control_env(settings, &model.namespace);
    variables.extend(client_env());
    let timeout = model.config.resilience.timeout.get().as_millis();
    // Kubernetes reads `$(NAME)` in arguments as a variable, and `$$` as a dollar.
    let policies = set.policies.replace('$', "$$");
    let mut args = vec!["evaluate".to_owned()];
    let next = aios_compile::next_endpoint(&model.name, &model.namespace);
    for (flag, value) in [
        ("model", model.name.as_str()),
        ("candidate", next.as_str()),
        ("inputs", INPUTS),
        ("inputs-digest", set.inputs_digest.as_str()),
        ("policies", policies.as_str()),
        ("timeout-ms", timeout.to_string().as_str()),
    ] {
        args.push(format!("--{flag}={value}"));
    }
    if asking.compares {
        args.push(format!("--stable={}", model.config.endpoint));
    }
    variables.push(env("AIOS_REPORT_FILE", "/dev/termination-log"));
    Container {
        name: "evaluate".into(),
        image: Some(settings.image_pipeline.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(args),
        env: Some(variables),
        termination_message_policy: Some("File".into()),
        security_context: Some(container_security()),
        resources: Some(resources("50m", "32Mi", "256Mi")),
        volume_mounts: Some(vec![
            control_mount(),
            mount("inputs", INPUTS, true),
            scratch_mount(),
        ]),
        ..Container::default()
    }
}

fn inputs(evaluation: &Evaluation) -> Volume {
    Volume {
        name: "inputs".into(),
        config_map: Some(ConfigMapVolumeSource {
            name: evaluation.config_map_ref.name.clone(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}
