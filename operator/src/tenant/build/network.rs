//! Who may connect to the gateway: anyone to intents and metrics, only workers to leases.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, OwnerReference},
        util::intstr::IntOrString,
    },
};

use crate::{
    names::{self, Component, GATEWAY, LABEL_COMPONENT, LABEL_MANAGED_BY},
    pods::{ADMIN_PORT, HTTPS_PORT, WORK_PORT},
    tenant::build::meta,
};

pub fn policy(namespace: &str, owners: &[OwnerReference]) -> NetworkPolicy {
    let port = |number: i32| NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".into()),
        end_port: None,
    };
    let workers = NetworkPolicyPeer {
        pod_selector: Some(selector(Component::Worker)),
        ..NetworkPolicyPeer::default()
    };
    NetworkPolicy {
        metadata: meta(namespace, GATEWAY, Component::Gateway, owners),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(Component::Gateway)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    ports: Some(vec![port(HTTPS_PORT), port(ADMIN_PORT)]),
                    from: None,
                },
                NetworkPolicyIngressRule {
                    ports: Some(vec![port(WORK_PORT)]),
                    from: Some(vec![workers]),
                },
            ]),
            egress: None,
        }),
    }
}

fn selector(component: Component) -> LabelSelector {
    let mut labels = names::labels(component, "aios");
    labels.retain(|key, _| key == LABEL_COMPONENT || key == LABEL_MANAGED_BY);
    LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    }
}
