//! Desired objects of a model. Pure: one file per kind of child.

mod account;
mod certificate;
mod deployment;
mod engine;
mod ingress;
mod job;
mod service;
mod volume;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    ca::Issued,
    model::{
        fetch::{Credentials, Found},
        prefetch::Fetched,
        validate::{Backend, Model},
    },
    names::{self, Component},
    settings::Settings,
};

pub struct Desired {
    pub account: ServiceAccount,
    pub certificate: Secret,
    pub services: Vec<Service>,
    pub claim: Option<PersistentVolumeClaim>,
    pub prefetch: Option<Job>,
    /// Groups that take traffic. `None` until key or weights are there.
    pub active: Option<Deployment>,
    pub standby: Option<Deployment>,
    /// Deployments that stay as they are until key or weights are there.
    pub kept: Vec<String>,
}

pub fn build(settings: &Settings, model: &Model, found: &Found, certificate: &Issued) -> Desired {
    let mut desired = Desired {
        account: account::account(model),
        certificate: certificate::secret(model, certificate),
        services: Vec::new(),
        claim: None,
        prefetch: None,
        active: None,
        standby: None,
        kept: Vec::new(),
    };
    match &model.backend {
        Backend::Hosted { credentials } => {
            desired
                .services
                .push(service::active(model, Component::Ingress));
            if matches!(found.credentials, Some(Credentials::Missing { .. })) {
                desired.kept.push(names::model_service(&model.name));
            } else {
                desired.active = Some(deployment::hosted(settings, model, credentials.as_ref()));
            }
        }
        Backend::Own(own) => {
            desired
                .services
                .push(service::active(model, Component::Engine));
            desired.claim = Some(volume::claim(model, own));
            desired.prefetch = Some(job::prefetch(settings, model, own));
            if own.standby > 0 {
                desired.services.push(service::standby(model));
            }
            if found.weights.as_ref().is_some_and(Fetched::is_ready) {
                desired.active = Some(deployment::active(settings, model, own));
                desired.standby =
                    (own.standby > 0).then(|| deployment::standby(settings, model, own));
            } else {
                // What runs on older weights goes on until the new ones are there.
                desired.kept.push(names::model_engine(&model.name));
                if own.standby > 0 {
                    desired.kept.push(names::model_standby(&model.name));
                }
            }
        }
    }
    desired
}

fn meta(model: &Model, name: String, component: Component) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(model.namespace.clone()),
        labels: Some(names::model_labels(component, &model.name)),
        owner_references: Some(model.owner.clone()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
