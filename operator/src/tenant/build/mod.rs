//! Desired objects of a tenant. Pure: one file per kind of child.

mod access;
pub mod bootstrap;
mod gateway;
pub mod keys;
mod network;
mod service;
mod trust;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use crate::{
    names::{self, Component},
    settings::Settings,
    tenant::{
        fetch::Found,
        validate::{Papers, Tenant},
    },
};

pub use trust::tls_secret;

pub struct Desired {
    pub trust: ConfigMap,
    pub client: Secret,
    pub gateway: Option<Box<GatewayObjects>>,
}

pub struct GatewayObjects {
    /// Owners and labels of the keys' Secret; never its data.
    pub keys_meta: Secret,
    pub serving: Secret,
    pub account: ServiceAccount,
    pub worker: ServiceAccount,
    pub role: Role,
    pub binding: RoleBinding,
    pub service: Service,
    pub policy: NetworkPolicy,
    pub workload: StatefulSet,
    /// Owners of the volume's claim.
    pub claim: PersistentVolumeClaim,
}

/// `found` holds the gateway as the server has it: what is immutable in it stays.
pub fn build(settings: &Settings, tenant: &Tenant, papers: &Papers, found: &Found) -> Desired {
    let namespace = tenant.namespace.as_str();
    let live = found.gateway.as_ref();
    let gateway = tenant
        .gateway
        .as_ref()
        .zip(papers.serving.as_ref())
        .map(|(needs, serving)| {
            let owners = needs.owners.as_slice();
            let retained: &[OwnerReference] = if needs.delete_data { owners } else { &[] };
            Box::new(GatewayObjects {
                keys_meta: keys::metadata(namespace, retained),
                serving: tls_secret(
                    meta(namespace, names::GATEWAY_TLS, Component::Gateway, owners),
                    serving,
                ),
                account: access::gateway_account(namespace, owners),
                worker: access::worker_account(namespace, owners),
                role: access::role(namespace, owners, &needs.secrets),
                binding: access::binding(namespace, owners),
                service: service::service(namespace, owners),
                policy: network::policy(namespace, owners),
                workload: gateway::stateful_set(settings, namespace, owners, live),
                claim: gateway::claim(namespace, retained),
            })
        });
    Desired {
        trust: trust::config_map(namespace, &tenant.owners, &papers.ca),
        client: tls_secret(
            meta(
                namespace,
                names::CLIENT_TLS,
                Component::Tenant,
                &tenant.owners,
            ),
            &papers.client,
        ),
        gateway,
    }
}

fn meta(
    namespace: &str,
    name: &str,
    component: Component,
    owners: &[OwnerReference],
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(namespace.into()),
        labels: Some(names::labels(component, "aios")),
        owner_references: (!owners.is_empty()).then(|| owners.to_vec()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
