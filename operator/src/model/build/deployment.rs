//! The ingress before a provider.

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
        build::{base, ingress, meta},
        validate::Model,
    },
    names::{self, Component},
    settings::Settings,
};

pub fn hosted(settings: &Settings, model: &Model, credentials: Option<&KeyRef>) -> Deployment {
    let labels = names::model_labels(Component::Ingress, &model.name);
    let whole = |n| Some(IntOrString::Int(n));
    Deployment {
        metadata: meta(model, names::model_service(&model.name), Component::Ingress),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                match_expressions: None,
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                // A new ingress beside the old one, so that there always is one.
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
                spec: Some(PodSpec {
                    containers: vec![ingress::container(settings, model, credentials)],
                    volumes: Some(ingress::volumes(model, credentials)),
                    ..base(model)
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
