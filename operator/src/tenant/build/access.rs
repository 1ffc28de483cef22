//! Who the gateway and the workers are, and the little that the gateway may ask of the API.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        core::v1::ServiceAccount,
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};

use crate::{
    names::{Component, GATEWAY, WORKER},
    tenant::build::meta,
};

pub fn gateway_account(namespace: &str, owners: &[OwnerReference]) -> ServiceAccount {
    account(namespace, GATEWAY, Component::Gateway, owners)
}

pub fn worker_account(namespace: &str, owners: &[OwnerReference]) -> ServiceAccount {
    account(namespace, WORKER, Component::Worker, owners)
}

/// `secrets` are those that publishers sign with.
pub fn role(namespace: &str, owners: &[OwnerReference], secrets: &BTreeSet<String>) -> Role {
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut rules = vec![PolicyRule {
        // Whether a caller may create, approve or publish.
        api_groups: Some(strings(&["authorization.k8s.io"])),
        resources: Some(strings(&["localsubjectaccessreviews"])),
        verbs: strings(&["create"]),
        ..PolicyRule::default()
    }];
    // Without names the rule would open every Secret of the namespace.
    if !secrets.is_empty() {
        rules.push(PolicyRule {
            api_groups: Some(strings(&[""])),
            resources: Some(strings(&["secrets"])),
            resource_names: Some(secrets.iter().cloned().collect()),
            verbs: strings(&["get"]),
            ..PolicyRule::default()
        });
    }
    Role {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        rules: Some(rules),
    }
}

pub fn binding(namespace: &str, owners: &[OwnerReference]) -> RoleBinding {
    RoleBinding {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "Role".into(),
            name: GATEWAY.into(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: GATEWAY.into(),
            namespace: Some(namespace.into()),
            api_group: None,
        }]),
    }
}

fn account(
    namespace: &str,
    name: &str,
    component: Component,
    owners: &[OwnerReference],
) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(namespace, name, component, owners),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
