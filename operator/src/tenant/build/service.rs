//! The gateway's Service: intents on `https`, leases on `work`.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};

use crate::{
    names::{self, Component, GATEWAY},
    pods::{HTTPS, HTTPS_PORT, WORK, WORK_PORT, named},
    tenant::build::meta,
};

pub fn service(namespace: &str, owners: &[OwnerReference]) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.into()),
        port: number,
        protocol: Some("TCP".into()),
        target_port: Some(named(name)),
        ..ServicePort::default()
    };
    Service {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        spec: Some(ServiceSpec {
            selector: Some(names::labels(Component::Gateway, "aios")),
            ports: Some(vec![port(HTTPS, HTTPS_PORT), port(WORK, WORK_PORT)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
