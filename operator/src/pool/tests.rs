#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use aios_crds::Reason;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::{
    build::{name, node_pool, placement},
    class::{GpuClass, GpuClasses, Nodes},
    explain::{Seen, Standing, Waiting, explain},
    kinds::{NodeClaim, NodePool},
};
use crate::conditions::State;

const CLASSES: &str = r#"[
    {"name": "l4", "nodeClass": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "gpu"},
        "requirements": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["gpu-l4-1"]}],
        "capacityTypes": ["on-demand"], "labels": {"team": "ml"},
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
        "limits": {"nvidia.com/gpu": "2"}},
    {"name": "spot", "nodeClass": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "gpu"},
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "30s",
            "budgets": [{"nodes": "10%", "reasons": ["Drifted"]}]}},
    {"name": "rack", "nodes": "Existing", "labels": {"gpu": "l4"}}
]"#;

fn class(name: &str) -> GpuClass {
    GpuClasses::parse(CLASSES)
        .unwrap()
        .find(name)
        .unwrap()
        .clone()
}

#[test]
fn a_node_pool_is_made_of_its_class_and_says_whose_it_is() {
    let class = class("l4");
    let Nodes::Karpenter(template) = &class.nodes else {
        unreachable!()
    };
    let pool = node_pool(&class, template, "team");
    let own = json!({"aios.dev/namespace": "team", "aios.dev/gpu-class": "l4"});
    assert_eq!(pool["metadata"]["name"], name("team", "l4"));
    for (key, value) in own.as_object().unwrap() {
        assert_eq!(&pool["metadata"]["labels"][key], value);
        assert_eq!(&pool["spec"]["template"]["metadata"]["labels"][key], value);
    }
    assert_eq!(pool["spec"]["template"]["metadata"]["labels"]["team"], "ml");
    assert_eq!(
        pool["spec"]["template"]["spec"],
        json!({
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "gpu"},
            "requirements": [
                {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["gpu-l4-1"]},
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            ],
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
        })
    );
    assert_eq!(pool["spec"]["limits"], json!({"nvidia.com/gpu": "2"}));
    assert_eq!(
        pool["spec"]["disruption"],
        json!({"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"})
    );
}

#[test]
fn a_node_pool_is_disrupted_as_its_class_says() {
    let class = class("spot");
    let Nodes::Karpenter(template) = &class.nodes else {
        unreachable!()
    };
    let pool = node_pool(&class, template, "team");
    let said = json!({"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "30s",
        "budgets": [{"nodes": "10%", "reasons": ["Drifted"]}]});
    assert_eq!(pool["spec"]["disruption"], said);
}

#[test]
fn names_of_node_pools_fit_a_label_and_differ_by_namespace_and_class() {
    let longest = name(&"n".repeat(63), &"c".repeat(40));
    assert!(longest.len() <= 63, "{longest}");
    assert_ne!(name("a-b", "c"), name("a", "b-c"));
    assert_eq!(name("team", "l4"), name("team", "l4"));
}

#[test]
fn pods_select_the_node_pool_or_the_existing_nodes_and_tolerate_the_classs_taints() {
    let mut pod = PodSpec::default();
    placement(&class("l4"), "team").put(&mut pod);
    let value = serde_json::to_value(&pod).unwrap();
    assert_eq!(
        value["nodeSelector"],
        json!({"karpenter.sh/nodepool": name("team", "l4")})
    );
    assert_eq!(
        value["tolerations"],
        json!([{"key": "nvidia.com/gpu", "operator": "Equal", "value": "present",
            "effect": "NoSchedule"}])
    );
    let existing = placement(&class("rack"), "team");
    assert_eq!(
        existing.node_selector,
        BTreeMap::from([("gpu".into(), "l4".into())])
    );
    assert_eq!(existing.tolerations[0].operator.as_deref(), Some("Exists"));
}

fn pool(limits: &Value, used: &Value, conditions: &Value) -> NodePool {
    serde_json::from_value(json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "aios-l4-x"},
        "spec": {"limits": limits, "template": {}},
        "status": {"resources": used, "conditions": conditions},
    }))
    .unwrap()
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn claim(conditions: &[Value]) -> NodeClaim {
    serde_json::from_value(json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": "aios-l4-x-abcde", "labels": {"karpenter.sh/nodepool": "aios-l4-x"}},
        "spec": {}, "status": {"nodeName": "n1", "conditions": conditions},
    }))
    .unwrap()
}

fn steps(states: [&str; 3]) -> NodeClaim {
    let names = ["Launched", "Registered", "Initialized"];
    let each = names.into_iter().zip(states);
    let conditions: Vec<_> = each
        .map(|(kind, state)| {
            let why = if state == "True" {
                kind
            } else {
                "NodeNotFound"
            };
            condition(kind, state, why, "Node not registered with cluster")
        })
        .collect();
    claim(&conditions)
}

fn free() -> NodePool {
    pool(
        &json!({"nvidia.com/gpu": "2"}),
        &json!({"nvidia.com/gpu": "0"}),
        &json!([]),
    )
}

fn wanting(waiting: &[(Option<&str>, Option<&str>)]) -> Standing {
    let waiting = waiting.iter().map(|(scheduler, karpenter)| Waiting {
        pod: "small-engine-0".into(),
        scheduler: scheduler.map(Into::into),
        karpenter: karpenter.map(Into::into),
    });
    Standing {
        wanted: 1,
        is_settled: false,
        waiting: waiting.collect(),
        nodes: Vec::new(),
    }
}

fn placed(wanted: i32, is_settled: bool, nodes: &[&str]) -> Standing {
    Standing {
        wanted,
        is_settled,
        waiting: Vec::new(),
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
    }
}

struct Case {
    what: &'static str,
    pool: NodePool,
    claims: Vec<NodeClaim>,
    standing: Standing,
    expect: (State, Reason),
    /// Each stands in the message.
    says: &'static [&'static str],
}

const READY: (State, Reason) = (State::True, Reason::Ready);
const COMING: (State, Reason) = (State::Unknown, Reason::NodesProvisioning);
const NONE: (State, Reason) = (State::False, Reason::NodesUnavailable);

/// From NodePool to Initialized node.
fn on_the_way() -> Vec<Case> {
    let waiting = || wanting(&[(Some("0/1 nodes are available"), None)]);
    vec![
        Case {
            what: "no pod yet",
            pool: free(),
            claims: Vec::new(),
            standing: placed(1, false, &[]),
            expect: COMING,
            says: &["aios-l4-x", "no pod of the model has asked"],
        },
        Case {
            what: "a pod waits, Karpenter has not answered",
            pool: free(),
            claims: Vec::new(),
            standing: waiting(),
            expect: COMING,
            says: &["wait for Karpenter", "0/1 nodes are available"],
        },
        Case {
            what: "asked for",
            pool: free(),
            claims: vec![claim(&[])],
            standing: waiting(),
            expect: COMING,
            says: &["0 of 1 nodes", "asked for, not yet launched"],
        },
        Case {
            what: "launched",
            pool: free(),
            claims: vec![steps(["True", "Unknown", "Unknown"])],
            standing: waiting(),
            expect: COMING,
            says: &["is launched, not yet registered", "Node not registered"],
        },
        Case {
            what: "registered, of two",
            pool: free(),
            claims: vec![
                steps(["True", "True", "True"]),
                steps(["True", "True", "Unknown"]),
            ],
            standing: waiting(),
            expect: COMING,
            says: &[
                "1 of 2 nodes",
                "launched and registered, not yet initialized",
            ],
        },
        Case {
            what: "initialized, engines are loading",
            pool: free(),
            claims: vec![steps(["True", "True", "True"])],
            standing: placed(1, false, &["n1"]),
            expect: READY,
            says: &["1 of 1 nodes of NodePool aios-l4-x are initialized"],
        },
        Case {
            what: "a ready model does not lose its nodes to another model's that are on their way",
            pool: free(),
            claims: vec![
                steps(["True", "True", "True"]),
                steps(["True", "Unknown", "Unknown"]),
            ],
            standing: placed(1, true, &[]),
            expect: READY,
            says: &["1 of 2 nodes"],
        },
        Case {
            what: "scaled to zero",
            pool: free(),
            claims: Vec::new(),
            standing: placed(0, true, &[]),
            expect: READY,
            says: &["needs no node"],
        },
    ]
}

/// Why none comes.
fn in_vain() -> Vec<Case> {
    let full = pool(
        &json!({"nvidia.com/gpu": "1"}),
        &json!({"nvidia.com/gpu": 1}),
        &json!([]),
    );
    let karpenter = |why| wanting(&[(Some("0/1 nodes are available"), Some(why))]);
    let case = |what, standing, says| Case {
        what,
        pool: free(),
        claims: Vec::new(),
        standing,
        expect: NONE,
        says,
    };
    let launch = |what, reason, message, says| Case {
        claims: vec![claim(&[condition("Launched", "Unknown", reason, message)])],
        ..case(what, wanting(&[(None, None)]), says)
    };
    vec![
        Case {
            pool: full,
            ..case(
                "the limit is reached",
                wanting(&[(None, None)]),
                &[
                    "limits (nvidia.com/gpu 1 of 1)",
                    "raise gpuClasses[l4].limits",
                ],
            )
        },
        case(
            "another node would exceed the limit",
            karpenter(
                "all available instance types exceed limits for nodepool (NodePool=aios-l4-x)",
            ),
            &["limits (nvidia.com/gpu 0 of 2)", "gpuClasses[l4].limits"],
        ),
        case(
            "no instance type is large enough",
            karpenter(
                "no instance type has enough resources, requirements=…, resources={\"nvidia.com/gpu\":\"8\"}",
            ),
            &[
                "small-engine-0",
                "no instance type has enough",
                "ask for fewer GPUs",
            ],
        ),
        case(
            "no instance type meets the requirements",
            karpenter("no instance type met all requirements, requirements=…"),
            &["widen gpuClasses[l4].requirements"],
        ),
        case(
            "no zone or capacity type has it",
            karpenter("no instance type has the required offering, requirements=…"),
            &["other zones, capacityTypes"],
        ),
        launch(
            "the quota is used up",
            "LaunchFailed",
            "VcpuLimitExceeded: you have requested more vCPU than your quota of 32 allows",
            &[
                "NodeClaim aios-l4-x-abcde",
                "VcpuLimitExceeded",
                "Raise the provider's quota",
            ],
        ),
        launch(
            "the provider has no such machine free",
            "LaunchFailed",
            "insufficient capacity, all requested instance types were unavailable",
            &["The provider has none free"],
        ),
        Case {
            pool: pool(
                &json!({}),
                &json!({}),
                &json!([
                    condition("Ready", "False", "UnhealthyDependents", ""),
                    condition(
                        "NodeClassReady",
                        "False",
                        "NodeClassNotFound",
                        "NodeClass not found on cluster"
                    ),
                ]),
            ),
            ..case(
                "the node class does not exist",
                wanting(&[(None, None)]),
                &["NodeClassNotFound: NodeClass not found", "gpuClasses[l4]"],
            )
        },
    ]
}

#[test]
fn the_condition_tells_the_truth_from_node_pool_to_initialized_node_and_why_none_comes() {
    let class = class("l4");
    for case in on_the_way().into_iter().chain(in_vain()) {
        let seen = Seen::Pool {
            pool: &case.pool,
            claims: &case.claims,
        };
        let fact = explain(&class, &seen, &case.standing);
        let what = case.what;
        assert_eq!(
            (fact.state, fact.reason),
            case.expect,
            "{what}: {}",
            fact.message
        );
        for words in case.says {
            assert!(fact.message.contains(words), "{what}: {}", fact.message);
        }
    }
}

#[test]
fn without_karpenter_a_class_says_what_to_install() {
    let fact = explain(&class("l4"), &Seen::NoKarpenter, &wanting(&[(None, None)]));
    assert_eq!(
        (fact.state, fact.reason),
        (State::False, Reason::KarpenterMissing)
    );
    assert!(
        fact.message.contains("install Karpenter"),
        "{}",
        fact.message
    );
}

#[test]
fn existing_nodes_are_ready_with_their_pods_or_say_which_labels_are_missing() {
    let rack = class("rack");
    let fact = explain(&rack, &Seen::Existing, &placed(1, true, &[]));
    assert_eq!((fact.state, fact.reason), READY);
    let waiting = wanting(&[(
        Some("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        None,
    )]);
    let fact = explain(&rack, &Seen::Existing, &waiting);
    assert_eq!((fact.state, fact.reason), NONE);
    for words in ["Insufficient nvidia.com/gpu. GPU class", "gpu=l4"] {
        assert!(fact.message.contains(words), "{}", fact.message);
    }
    let fact = explain(&rack, &Seen::Existing, &placed(1, false, &[]));
    assert_eq!((fact.state, fact.reason), COMING);
}

#[test]
fn what_others_say_is_quoted_in_bounds() {
    let long = "x".repeat(5000);
    let fact = explain(
        &class("l4"),
        &Seen::Pool {
            pool: &free(),
            claims: &[],
        },
        &wanting(&[(None, Some(&long))]),
    );
    assert!(
        fact.message.len() < 1024 && fact.message.contains("see NodePool"),
        "{}",
        fact.message
    );
}
