//! Where egresses find a model: one Service before what takes traffic, one before what waits.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use crate::{
    model::{
        build::{engines::Meeting, meta},
        validate::Model,
    },
    names::{self, Component, LABEL_COMPONENT, LABEL_MODEL, LABEL_SPARE},
    pods::{HTTPS, HTTPS_PORT, named},
};

pub fn active(model: &Model, component: Component) -> Service {
    service(model, aios_compile::model_service(&model.name), component)
}

/// Leads to what waits, and to what takes traffic while nothing else waits loaded.
pub fn standby(model: &Model) -> Service {
    let name = aios_compile::standby_service(&model.name);
    let mut service = service(model, name, Component::Standby);
    if let Some(selector) = service
        .spec
        .as_mut()
        .and_then(|spec| spec.selector.as_mut())
    {
        selector.remove(LABEL_COMPONENT);
        selector.insert(LABEL_SPARE.into(), "true".into());
    }
    service
}

/// Leads to a revision that is on trial.
pub fn next(model: &Model) -> Service {
    let name = aios_compile::next_service(&model.name);
    service(model, name, Component::Candidate)
}

/// Gives pods that are dialled by others of their group their names, ready or not: the others wait for
/// them. They are the shards, or also the leaders.
pub fn shards(model: &Model, meeting: Meeting) -> Service {
    let mut service = service(model, names::model_shards(&model.name), Component::Shard);
    if let Some(spec) = &mut service.spec {
        spec.cluster_ip = Some("None".into());
        spec.publish_not_ready_addresses = Some(true);
        spec.ports = Some(vec![ServicePort {
            name: Some("shard".into()),
            port: meeting.port(),
            protocol: Some("TCP".into()),
            ..ServicePort::default()
        }]);
        if let Meeting::ShardsJoin(_) = meeting {
            spec.selector = Some([(LABEL_MODEL.to_owned(), model.name.clone())].into());
        }
    }
    service
}

fn service(model: &Model, name: String, component: Component) -> Service {
    Service {
        metadata: meta(model, name, component),
        spec: Some(ServiceSpec {
            selector: Some(names::model_labels(component, &model.name)),
            ports: Some(vec![ServicePort {
                name: Some(HTTPS.into()),
                port: HTTPS_PORT,
                protocol: Some("TCP".into()),
                target_port: Some(named(HTTPS)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
