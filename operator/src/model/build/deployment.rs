//! Groups of pods: an ingress alone before a provider, or an engine with its ingress.

use aios_crds::reference::KeyRef;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use crate::{
    model::{
        build::{engine, ingress, meta},
        validate::{Model, Own},
    },
    names::{self, Component},
    pods::pod_security,
    settings::Settings,
};

/// Longest answer that a pod may finish when it is told to go.
const DRAIN_SECONDS: i64 = 60;

pub fn hosted(settings: &Settings, model: &Model, credentials: Option<&KeyRef>) -> Deployment {
    let pod = PodSpec {
        containers: vec![ingress::container(settings, model, credentials)],
        volumes: Some(ingress::volumes(model, credentials)),
        ..base(model)
    };
    deployment(
        model,
        names::model_service(&model.name),
        Component::Ingress,
        1,
        pod,
    )
}

pub fn active(settings: &Settings, model: &Model, own: &Own) -> Deployment {
    let name = names::model_engine(&model.name);
    deployment(
        model,
        name,
        Component::Engine,
        own.replicas,
        group(settings, model, own),
    )
}

pub fn standby(settings: &Settings, model: &Model, own: &Own) -> Deployment {
    let name = names::model_standby(&model.name);
    deployment(
        model,
        name,
        Component::Standby,
        own.standby,
        group(settings, model, own),
    )
}

/// One pod of an engine. The ingress is a native sidecar: it is up before the engine and ends after.
fn group(settings: &Settings, model: &Model, own: &Own) -> PodSpec {
    let mut ingress = ingress::container(settings, model, None);
    ingress.restart_policy = Some("Always".into());
    let mut volumes = ingress::volumes(model, None);
    volumes.push(engine::weights_volume(model));
    PodSpec {
        init_containers: Some(vec![ingress]),
        containers: vec![engine::container(settings, own)],
        volumes: Some(volumes),
        ..base(model)
    }
}

fn base(model: &Model) -> PodSpec {
    PodSpec {
        service_account_name: Some(names::model_service(&model.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(DRAIN_SECONDS),
        security_context: Some(pod_security()),
        ..PodSpec::default()
    }
}

fn deployment(
    model: &Model,
    name: String,
    component: Component,
    replicas: i32,
    pod: PodSpec,
) -> Deployment {
    let labels = names::model_labels(component, &model.name);
    let whole = |n| Some(IntOrString::Int(n));
    Deployment {
        metadata: meta(model, name, component),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                match_expressions: None,
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                // A new group beside the old ones, so that nothing is short while it loads.
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: whole(1),
                    max_unavailable: whole(0),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
