//! The gateway's pod, with an egress beside it; and the gateway that is one pod with its store on a
//! retained volume.

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
            StatefulSetUpdateStrategy,
        },
        core::v1::{
            Container, EnvVar, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec,
            PodTemplateSpec, VolumeMount, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
    },
};

use crate::{
    names::{self, Component, GATEWAY, GATEWAY_DATA, GATEWAY_TLS, TENANT_KEYS},
    pods::{
        ADMIN, ADMIN_PORT, HTTPS, HTTPS_PORT, WORK, WORK_PORT, client_env, container_security,
        control_env, control_mount, control_volume, egress, env, mount, named, pod_security, port,
        probe, resources, scratch_mount, scratch_volume, secret_volume, serving_env, serving_mount,
        serving_volume,
    },
    settings::Settings,
    tenant::build::meta,
};

const DATA: &str = "/var/lib/aios";
const KEYS: &str = "/var/run/aios/tenant";

/// What a store adds to the gateway's container.
pub struct Storage {
    pub variables: Vec<EnvVar>,
    pub mount: VolumeMount,
}

pub fn stateful_set(
    settings: &Settings,
    namespace: &str,
    owners: &[OwnerReference],
    live: Option<&StatefulSet>,
) -> StatefulSet {
    let labels = names::labels(Component::Gateway, "aios");
    let storage = Storage {
        variables: vec![env("AIOS_DATA_DIR", DATA)],
        mount: mount("data", DATA, false),
    };
    let retain = || Some("Retain".to_owned());
    StatefulSet {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        spec: Some(StatefulSetSpec {
            // Never two writers of one store.
            replicas: Some(1),
            service_name: Some(GATEWAY.into()),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                match_expressions: None,
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(settings, namespace, storage)),
            },
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: None,
            }),
            volume_claim_templates: Some(vec![template(settings, live)]),
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: retain(),
                    when_scaled: retain(),
                },
            ),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// The owners of the claim: all pipelines if the volume goes with the last of them, else nobody.
pub fn claim(namespace: &str, owners: &[OwnerReference]) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: meta(namespace, GATEWAY_DATA, Component::Gateway, owners),
        ..PersistentVolumeClaim::default()
    }
}

pub fn pod(settings: &Settings, namespace: &str, storage: Storage) -> PodSpec {
    PodSpec {
        service_account_name: Some(GATEWAY.into()),
        // It asks the API server for SubjectAccessReviews.
        automount_service_account_token: Some(true),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(30),
        security_context: Some(pod_security()),
        init_containers: Some(vec![egress(settings, namespace)]),
        containers: vec![gateway(settings, namespace, storage)],
        volumes: Some(vec![
            control_volume(true),
            serving_volume(GATEWAY_TLS),
            secret_volume(
                "tenant",
                TENANT_KEYS,
                &[("kek", "kek"), ("signing.key", "signing.key")],
            ),
            scratch_volume(),
        ]),
        ..PodSpec::default()
    }
}

fn gateway(settings: &Settings, namespace: &str, storage: Storage) -> Container {
    let mut variables = control_env(settings, namespace);
    variables.extend(client_env());
    variables.extend(serving_env());
    variables.extend(storage.variables);
    variables.extend([
        env("AIOS_TENANT_KEK_FILE", format!("{KEYS}/kek")),
        env(
            "AIOS_TENANT_SIGNING_KEY_FILE",
            format!("{KEYS}/signing.key"),
        ),
        env("AIOS_EGRESS_URI", "http://127.0.0.1:4000"),
    ]);
    Container {
        name: "gateway".into(),
        image: Some(settings.image_pipeline.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(vec!["serve".into()]),
        env: Some(variables),
        ports: Some(vec![
            port(HTTPS, HTTPS_PORT),
            port(WORK, WORK_PORT),
            port(ADMIN, ADMIN_PORT),
        ]),
        // Opening a large store replays its journal.
        startup_probe: Some(probe("/healthz", named(ADMIN), 1, 120)),
        readiness_probe: Some(probe("/readyz", named(ADMIN), 2, 3)),
        liveness_probe: Some(probe("/healthz", named(ADMIN), 10, 3)),
        security_context: Some(container_security()),
        resources: Some(resources("50m", "64Mi", "512Mi")),
        volume_mounts: Some(vec![
            control_mount(),
            serving_mount(),
            mount("tenant", KEYS, true),
            storage.mount,
            scratch_mount(),
        ]),
        ..Container::default()
    }
}

/// Size and class of a living gateway's volume stay: claim templates are immutable.
fn template(settings: &Settings, live: Option<&StatefulSet>) -> PersistentVolumeClaim {
    let spec = live
        .and_then(|set| set.spec.as_ref()?.volume_claim_templates.as_ref()?.first())
        .and_then(|claim| claim.spec.as_ref());
    let size = spec
        .and_then(|spec| {
            spec.resources
                .as_ref()?
                .requests
                .as_ref()?
                .get("storage")
                .cloned()
        })
        .unwrap_or_else(|| Quantity(settings.gateway_storage_size.clone()));
    let class = match spec {
        Some(spec) => spec.storage_class_name.clone(),
        None => settings.gateway_storage_class.clone(),
    };
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".into()),
            labels: Some(names::labels(Component::Gateway, "aios")),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: class,
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
