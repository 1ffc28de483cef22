//! Desired objects of a tenant. Pure: one file per kind of child.

mod access;
pub mod bootstrap;
mod gateway;
pub mod keys;
mod network;
mod replicas;
mod service;
mod trust;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use crate::{
    names::{self, Component},
    settings::Settings,
    share::Share,
    tenant::{
        fetch::Found,
        store::{Choice, Store, choose},
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
    pub workload: Workload,
    /// Owners of the volume's claim.
    pub claim: PersistentVolumeClaim,
    pub store_conflict: Option<String>,
}

/// What runs the gateway: never both, for each has a store of its own.
pub enum Workload {
    Alone(Box<StatefulSet>),
    Replicated {
        deployment: Box<Deployment>,
        budget: Box<PodDisruptionBudget>,
    },
}

/// `found` holds the gateway as the server has it: what is immutable in it stays.
pub fn build(
    (settings, share): (&Settings, &Share),
    tenant: &Tenant,
    papers: &Papers,
    found: &Found,
) -> Desired {
    let namespace = tenant.namespace.as_str();
    let live = found.gateway.as_ref();
    let gateway = tenant
        .gateway
        .as_ref()
        .zip(papers.serving.as_ref())
        .map(|(needs, serving)| {
            let owners = needs.owners.as_slice();
            let Choice { store, conflict } =
                choose(found, settings.gateway_postgres_secret.as_deref());
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
                workload: match store {
                    Store::Volume => {
                        let set = gateway::stateful_set(settings, namespace, owners, live);
                        Workload::Alone(Box::new(set))
                    }
                    Store::Postgres { secret } => Workload::Replicated {
                        deployment: Box::new(replicas::deployment(
                            settings, namespace, owners, &secret,
                        )),
                        budget: Box::new(replicas::budget(namespace, owners)),
                    },
                },
                claim: gateway::claim(namespace, retained),
                store_conflict: conflict,
            })
        });
    Desired {
        trust: trust(namespace, &tenant.owners, &papers.ca, share),
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

/// With the claim that the share's operator serves the namespace.
pub fn trust(namespace: &str, owners: &[OwnerReference], ca: &str, share: &Share) -> ConfigMap {
    let mut trust = trust::config_map(namespace, owners, ca);
    share.sign(&mut trust.metadata);
    trust
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
