//! Who may dial what is not the ingress: engines of a group speak to each other without a password, and
//! vLLM's in a form that runs as code; a server of one's own may listen everywhere.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use crate::{
    model::{
        build::{engines::Meeting, meta},
        validate::Model,
    },
    names::{self, Component, LABEL_MODEL},
    pods::{ADMIN_PORT, HTTPS_PORT},
};

/// Among the pods of a group of several.
pub fn shards(model: &Model, meeting: Meeting) -> NetworkPolicy {
    let peers = Some(vec![NetworkPolicyPeer {
        pod_selector: Some(of_the_model(model)),
        ..NetworkPolicyPeer::default()
    }]);
    match meeting {
        Meeting::LeaderDials(port) => {
            let shards = LabelSelector {
                match_labels: Some(names::model_labels(Component::Shard, &model.name)),
                match_expressions: None,
            };
            policy(model, shards, vec![rule(peers, &[port])])
        }
        Meeting::ShardsJoin(_) => {
            let rules = vec![rule(peers, &[]), rule(None, &INGRESS)];
            policy(model, of_the_model(model), rules)
        }
    }
}

/// Before an engine that may listen on more than its pod's loopback.
pub fn ingress_only(model: &Model) -> NetworkPolicy {
    policy(model, of_the_model(model), vec![rule(None, &INGRESS)])
}

/// Where an ingress listens.
const INGRESS: [i32; 2] = [HTTPS_PORT, ADMIN_PORT];

fn of_the_model(model: &Model) -> LabelSelector {
    LabelSelector {
        match_labels: Some([(LABEL_MODEL.to_owned(), model.name.clone())].into()),
        match_expressions: None,
    }
}

fn policy(
    model: &Model,
    guarded: LabelSelector,
    rules: Vec<NetworkPolicyIngressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta(model, names::model_shards(&model.name), Component::Shard),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(guarded),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(rules),
            egress: None,
        }),
    }
}

/// Lets `from`, or anybody, dial the ports, or any port.
fn rule(from: Option<Vec<NetworkPolicyPeer>>, ports: &[i32]) -> NetworkPolicyIngressRule {
    let ports: Vec<NetworkPolicyPort> = ports
        .iter()
        .map(|port| NetworkPolicyPort {
            port: Some(IntOrString::Int(*port)),
            protocol: Some("TCP".into()),
            end_port: None,
        })
        .collect();
    NetworkPolicyIngressRule {
        from,
        ports: (!ports.is_empty()).then_some(ports),
    }
}
