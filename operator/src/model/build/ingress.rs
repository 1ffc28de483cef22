//! The ingress: the only way to a provider or an engine, and the only holder of a provider's key.

use aios_crds::reference::KeyRef;
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, ObjectFieldSelector, Volume,
};
use serde_json::json;

use crate::{
    model::validate::{Backend, Model},
    names::{self, LABEL_COMPONENT},
    pods::{
        ADMIN, ADMIN_PORT, HTTPS, HTTPS_PORT, container_security, control_env, control_mount,
        control_volume, env, mount, named, port, probe, resources, scratch_mount, scratch_volume,
        secret_volume, serving_env, serving_mount, serving_volume, trace_env,
    },
    settings::Settings,
};

const KEY_FOLDER: &str = "/var/run/aios/provider";
const POD_FOLDER: &str = "/var/run/aios/pod";
const ROLE: &str = "role";

/// `credentials` is the provider's key; engines have none.
pub fn container(settings: &Settings, model: &Model, credentials: Option<&KeyRef>) -> Container {
    let mut variables = control_env(settings, &model.namespace);
    variables.extend(trace_env(settings));
    variables.extend(serving_env());
    variables.push(env("AIOS_MODEL", model.name.as_str()));
    variables.push(env("AIOS_CACHE_FILE", "/tmp/snapshot.json"));
    let mut mounts = vec![control_mount(), serving_mount(), scratch_mount()];
    if let Some(health) = model.engine_health() {
        variables.push(env("AIOS_ENGINE_HEALTH", health));
    }
    if matches!(model.backend, Backend::Own(_)) {
        let config = &model.config;
        variables.push(env("AIOS_ENGINE_MODEL", config.model.as_str()));
        // Kubernetes reads `$(NAME)` as a variable, and `$$` as a dollar.
        let upstream = json!(config.upstream).to_string().replace('$', "$$");
        variables.push(env("AIOS_ENGINE_UPSTREAM", upstream));
        let digest = config.digest.as_deref();
        variables.extend(digest.map(|digest| env("AIOS_ENGINE_DIGEST", digest)));
    }
    if model.sleeps() {
        variables.push(env("AIOS_ROLE_FILE", format!("{POD_FOLDER}/{ROLE}")));
        mounts.push(mount("pod", POD_FOLDER, true));
    }
    if credentials.is_some() {
        variables.push(env("AIOS_PROVIDER_KEY_FILE", format!("{KEY_FOLDER}/key")));
        mounts.push(mount("provider", KEY_FOLDER, true));
    }
    Container {
        name: "ingress".into(),
        image: Some(settings.image_sidecar.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(vec!["ingress".into()]),
        env: Some(variables),
        ports: Some(vec![port(HTTPS, HTTPS_PORT), port(ADMIN, ADMIN_PORT)]),
        startup_probe: Some(probe("/healthz", named(ADMIN), 1, 60)),
        readiness_probe: Some(probe("/readyz", named(ADMIN), 2, 3)),
        liveness_probe: Some(probe("/healthz", named(ADMIN), 10, 3)),
        security_context: Some(container_security()),
        resources: Some(resources("20m", "32Mi", "256Mi")),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

pub fn volumes(model: &Model, credentials: Option<&KeyRef>) -> Vec<Volume> {
    let mut volumes = vec![
        control_volume(false),
        serving_volume(&names::model_tls(&model.name)),
        scratch_volume(),
    ];
    if model.sleeps() {
        volumes.push(role_volume());
    }
    if let Some(reference) = credentials {
        volumes.push(secret_volume(
            "provider",
            &reference.name,
            &[(&reference.key, "key")],
        ));
    }
    volumes
}

/// The pod's role, which the kubelet writes anew when its label changes, without a restart.
fn role_volume() -> Volume {
    let label = ObjectFieldSelector {
        field_path: format!("metadata.labels['{LABEL_COMPONENT}']"),
        api_version: Some("v1".into()),
    };
    Volume {
        name: "pod".into(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![DownwardAPIVolumeFile {
                path: ROLE.into(),
                field_ref: Some(label),
                ..DownwardAPIVolumeFile::default()
            }]),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    }
}
