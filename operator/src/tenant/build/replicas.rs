//! The gateway with PostgreSQL: several pods that share a store and roll without a failed request.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodTemplateSpec, SecretVolumeSource, TopologySpreadConstraint, Volume},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};

use super::gateway::{Storage, pod};
use crate::{
    names::{self, Component, GATEWAY},
    pods::{env, mount},
    settings::Settings,
    tenant::{
        build::meta,
        store::{POSTGRES, URI},
    },
};

const FOLDER: &str = "/var/run/aios/postgres";
/// Longer than Services usually take to lead elsewhere; the gateway waits on where they take longer.
const DRAIN_MS: u32 = 6000;
/// For the drain, requests under way, and documents under way.
const GRACE_SECONDS: i64 = 45;

pub fn deployment(
    settings: &Settings,
    namespace: &str,
    owners: &[OwnerReference],
    secret: &str,
) -> Deployment {
    let labels = names::labels(Component::Gateway, "aios");
    let storage = Storage {
        variables: vec![
            env("AIOS_POSTGRES_URI_FILE", format!("{FOLDER}/{URI}")),
            env("AIOS_DRAIN_MS", DRAIN_MS.to_string()),
            env("AIOS_DATA_DIR", "/tmp"),
        ],
        mount: mount(POSTGRES, FOLDER, true),
    };
    let mut spec = pod(settings, namespace, storage);
    spec.volumes.get_or_insert_default().push(whole(secret));
    spec.termination_grace_period_seconds = Some(GRACE_SECONDS);
    spec.topology_spread_constraints = Some(vec![
        apart("kubernetes.io/hostname"),
        apart("topology.kubernetes.io/zone"),
    ]);
    Deployment {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        spec: Some(DeploymentSpec {
            replicas: Some(settings.gateway_replicas),
            selector: selector(),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(spec),
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Drains take one pod after the other.
pub fn budget(namespace: &str, owners: &[OwnerReference]) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

fn selector() -> LabelSelector {
    LabelSelector {
        match_labels: Some(names::labels(Component::Gateway, "aios")),
        match_expressions: None,
    }
}

/// Every key, so that the URI may name a certificate beside it.
fn whole(secret: &str) -> Volume {
    Volume {
        name: POSTGRES.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Pods of one revision, where there is a choice.
fn apart(topology_key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        label_selector: Some(selector()),
        match_label_keys: Some(vec!["pod-template-hash".into()]),
        ..TopologySpreadConstraint::default()
    }
}
