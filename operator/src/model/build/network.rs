//! Who may dial a group's shards: engines speak to each other without a password.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use crate::{
    model::{
        build::{engine::SHARD_PORT, meta},
        validate::Model,
    },
    names::{self, Component, LABEL_MODEL},
};

pub fn shards(model: &Model) -> NetworkPolicy {
    let of_the_model = LabelSelector {
        match_labels: Some([(LABEL_MODEL.to_owned(), model.name.clone())].into()),
        match_expressions: None,
    };
    NetworkPolicy {
        metadata: meta(model, names::model_shards(&model.name), Component::Shard),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(names::model_labels(Component::Shard, &model.name)),
                match_expressions: None,
            }),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: Some(vec![NetworkPolicyPeer {
                    pod_selector: Some(of_the_model),
                    ..NetworkPolicyPeer::default()
                }]),
                ports: Some(vec![NetworkPolicyPort {
                    port: Some(IntOrString::Int(SHARD_PORT)),
                    protocol: Some("TCP".into()),
                    end_port: None,
                }]),
            }]),
            egress: None,
        }),
    }
}
