//! What is to be said about a model's nodes: how far they are, or why none comes and what to change.
//! Pure.

use std::collections::BTreeMap;

use aios_crds::{ConditionType, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    apply::quantity,
    conditions::{Fact, State},
    pool::{
        answer::{Lack, about, lack},
        class::{GpuClass, Nodes},
        kinds::{NodeClaim, NodePool},
    },
};

/// Longest part of what somebody else says, in characters: messages of conditions are bounded.
const LONGEST_QUOTE: usize = 400;
/// Steps of a NodeClaim, in order.
const STEPS: [&str; 3] = ["Launched", "Registered", "Initialized"];

/// How a model's pods stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Groups that there shall be, with those that stand by.
    pub wanted: i32,
    /// Whether all of them are ready, as the present spec says.
    pub is_settled: bool,
    /// Pods that are not bound to a node.
    pub waiting: Vec<Waiting>,
    /// Nodes that its pods are bound to.
    pub nodes: Vec<String>,
}

/// A pod without a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub pod: String,
    /// What the scheduler says.
    pub scheduler: Option<String>,
    /// What Karpenter says; nothing while it makes a node.
    pub karpenter: Option<String>,
}

/// What is known of the nodes.
pub enum Seen<'a> {
    /// The class is of nodes that are there.
    Existing,
    /// Karpenter's kinds are not served.
    NoKarpenter,
    Pool {
        pool: &'a NodePool,
        claims: &'a [NodeClaim],
    },
}

/// The condition `NodePoolReady`.
pub fn explain(class: &GpuClass, seen: &Seen, standing: &Standing) -> Fact {
    let (state, reason, message) = match seen {
        Seen::Existing => existing(class, standing),
        Seen::NoKarpenter => (
            State::False,
            Reason::KarpenterMissing,
            format!(
                "GPU class `{}` makes nodes with Karpenter, but the cluster has no NodePool of \
                 karpenter.sh/v1: install Karpenter, or give the class `nodes: Existing`",
                class.name
            ),
        ),
        Seen::Pool { pool, claims } => karpenter(class, pool, claims, standing),
    };
    Fact {
        kind: ConditionType::NodePoolReady,
        state,
        reason,
        message,
    }
}

type Said = (State, Reason, String);

fn unavailable(message: String) -> Said {
    (State::False, Reason::NodesUnavailable, message)
}

fn provisioning(message: String) -> Said {
    (State::Unknown, Reason::NodesProvisioning, message)
}

fn existing(class: &GpuClass, standing: &Standing) -> Said {
    if let Some((pod, why)) = first(&standing.waiting, |pod| pod.scheduler.as_deref()) {
        let labels = match &class.nodes {
            Nodes::Existing { labels } => listed(labels.iter()),
            Nodes::Karpenter(_) => String::new(),
        };
        return unavailable(format!(
            "no node for pod {pod}: {}. GPU class `{}` takes nodes with {labels}: label one with \
             free GPUs, or ask for less",
            quoted(why),
            class.name
        ));
    }
    if !standing.is_settled || !standing.waiting.is_empty() {
        return provisioning("pods of the model start on existing nodes".into());
    }
    let message = "the model has its pods on existing nodes".into();
    (State::True, Reason::Ready, message)
}

fn karpenter(class: &GpuClass, pool: &NodePool, claims: &[NodeClaim], standing: &Standing) -> Said {
    let name = pool.name_any();
    let (initialized, total) = (
        claims.iter().filter(|claim| is_initialized(claim)).count(),
        claims.len(),
    );
    let count = format!("{initialized} of {total} nodes of NodePool {name} are initialized");
    // What follows would be about nodes of other models, or of groups to come.
    if standing.waiting.is_empty() && standing.wanted > 0 && standing.is_settled {
        return (State::True, Reason::Ready, count);
    }
    if let Some(why) = pool
        .status
        .as_ref()
        .and_then(|status| broken(&status.conditions))
    {
        return unavailable(format!(
            "NodePool {name} is not ready: {}. Mend what gpuClasses[{}] says of nodeClass and \
             requirements, or the node class itself",
            quoted(&why),
            class.name
        ));
    }
    if !standing.waiting.is_empty()
        && let Some((claim, why)) = claims.iter().find_map(failed_launch)
    {
        return unavailable(format!(
            "NodeClaim {claim} cannot be launched: {}. {}",
            quoted(&why),
            remedy_of_launch(&why, class)
        ));
    }
    // A node on its way may be the one that a pod waits for, or the one that its pods are bound to.
    let concerns = |claim: &&NodeClaim| {
        let node = claim
            .status
            .as_ref()
            .and_then(|status| status.node_name.as_ref());
        !standing.waiting.is_empty() || node.is_some_and(|node| standing.nodes.contains(node))
    };
    if let Some(said) = claims.iter().filter(concerns).find_map(under_way) {
        return provisioning(format!("{count}; {said}"));
    }
    if !standing.waiting.is_empty() {
        return no_node(class, pool, standing);
    }
    if !standing.is_settled && standing.nodes.is_empty() {
        return provisioning(format!(
            "NodePool {name} is there; no pod of the model has asked for a node yet"
        ));
    }
    if standing.wanted == 0 {
        let message = format!("NodePool {name} is there; scaled to zero, the model needs no node");
        return (State::True, Reason::Ready, message);
    }
    (State::True, Reason::Ready, count)
}

/// Pods wait, and Karpenter makes no node for them.
fn no_node(class: &GpuClass, pool: &NodePool, standing: &Standing) -> Said {
    let (name, class_name) = (pool.name_any(), &class.name);
    let answer = first(&standing.waiting, |pod| pod.karpenter.as_deref())
        .map(|(pod, why)| (pod, about(why, &name)));
    let lack = answer.map(|(_, why)| lack(why));
    if is_exhausted(pool) || lack == Some(Lack::Limits) {
        let state = limits(pool);
        return unavailable(format!(
            "NodePool {name} has reached its limits ({state}): raise \
             gpuClasses[{class_name}].limits, or remove or shrink a model of this namespace and class"
        ));
    }
    let (Some((pod, why)), Some(lack)) = (answer, lack) else {
        let scheduler = first(&standing.waiting, |pod| pod.scheduler.as_deref())
            .map(|(_, why)| format!(" ({})", quoted(why)))
            .unwrap_or_default();
        return provisioning(format!(
            "pods wait for Karpenter to answer{scheduler}; if it stays so, see whether it runs"
        ));
    };
    let remedy = match lack {
        Lack::Size => format!(
            "ask for fewer GPUs, CPUs or less memory, or let gpuClasses[{class_name}].requirements \
             allow larger instance types"
        ),
        Lack::Offering => {
            format!(
                "let gpuClasses[{class_name}] allow other zones, capacityTypes or instance types"
            )
        }
        Lack::Requirements => format!("widen gpuClasses[{class_name}].requirements"),
        Lack::Limits | Lack::Unknown => format!("see NodePool {name} and Karpenter's log"),
    };
    unavailable(format!(
        "Karpenter makes no node for pod {pod}: {}. To mend it, {remedy}",
        quoted(why)
    ))
}

/// The first condition of a NodePool that is False.
fn broken(conditions: &[Condition]) -> Option<String> {
    // The particular ones say more than their summary.
    let mut bad: Vec<_> = conditions
        .iter()
        .filter(|one| one.status == "False")
        // Says that nodes did not register lately; Karpenter goes on trying.
        .filter(|one| one.type_ != "NodeRegistrationHealthy")
        .collect();
    bad.sort_by_key(|one| one.type_ == "Ready");
    bad.first().map(|one| said_by(one))
}

fn failed_launch(claim: &NodeClaim) -> Option<(String, String)> {
    let launched = condition(claim, "Launched")?;
    let is_failed = launched.status == "False"
        || (launched.status == "Unknown" && launched.reason.contains("Failed"));
    is_failed.then(|| (claim.name_any(), said_by(launched)))
}

fn remedy_of_launch(why: &str, class: &GpuClass) -> String {
    let lower = why.to_lowercase();
    let name = &class.name;
    if lower.contains("quota") || lower.contains("limitexceeded") {
        format!(
            "Raise the provider's quota for these instances, or let gpuClasses[{name}].requirements allow others"
        )
    } else if lower.contains("capacity") {
        format!(
            "The provider has none free: let gpuClasses[{name}] allow other zones, capacityTypes or instance types"
        )
    } else if lower.contains("node class") || lower.contains("nodeclass") {
        format!("Mend the node class that gpuClasses[{name}].nodeClass names")
    } else {
        "Karpenter tries again; its log says more".into()
    }
}

/// The step that a NodeClaim has not taken yet.
fn under_way(claim: &NodeClaim) -> Option<String> {
    if claim.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let open = STEPS.into_iter().find(|step| !is_true(claim, step))?;
    let done: Vec<_> = STEPS.into_iter().take_while(|step| *step != open).collect();
    let done = if done.is_empty() {
        "asked for".to_owned()
    } else {
        done.join(" and ").to_lowercase()
    };
    let why = condition(claim, open)
        .map(said_by)
        .map(|why| format!(" ({})", quoted(&why)))
        .unwrap_or_default();
    Some(format!(
        "NodeClaim {} is {done}, not yet {}{why}",
        claim.name_any(),
        open.to_lowercase()
    ))
}

pub fn is_initialized(claim: &NodeClaim) -> bool {
    claim.metadata.deletion_timestamp.is_none() && STEPS.iter().all(|step| is_true(claim, step))
}

fn is_true(claim: &NodeClaim, kind: &str) -> bool {
    condition(claim, kind).is_some_and(|one| one.status == "True")
}

fn condition<'a>(claim: &'a NodeClaim, kind: &str) -> Option<&'a Condition> {
    let status = claim.status.as_ref()?;
    status.conditions.iter().find(|one| one.type_ == kind)
}

/// `Reason: message`, or the reason alone where the message repeats it.
fn said_by(condition: &Condition) -> String {
    if condition.message.is_empty() || condition.message == condition.reason {
        return condition.reason.clone();
    }
    format!("{}: {}", condition.reason, condition.message)
}

/// Whether the nodes have all of a resource that the limits allow.
fn is_exhausted(pool: &NodePool) -> bool {
    let used = pool.status.as_ref().map(|status| &status.resources);
    let amount = |value: Option<&Value>| value.map(shown).and_then(|text| quantity(&text));
    pool.spec.limits.iter().any(|(resource, limit)| {
        let used = amount(used.and_then(|used| used.get(resource))).unwrap_or(0);
        amount(Some(limit)).is_some_and(|limit| used >= limit)
    })
}

/// `nvidia.com/gpu 1 of 1, …` for each limit.
fn limits(pool: &NodePool) -> String {
    let used: BTreeMap<String, Value> = pool
        .status
        .as_ref()
        .map(|status| status.resources.clone())
        .unwrap_or_default();
    let each = pool.spec.limits.iter().map(|(resource, limit)| {
        let used = used.get(resource).map_or_else(|| "0".into(), shown);
        format!("{resource} {used} of {}", shown(limit))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn first<'a>(
    waiting: &'a [Waiting],
    what: impl Fn(&'a Waiting) -> Option<&'a str>,
) -> Option<(&'a str, &'a str)> {
    waiting
        .iter()
        .find_map(|pod| what(pod).map(|said| (pod.pod.as_str(), said)))
}

fn listed<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Without the full stop that our own sentence sets.
fn quoted(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.chars().count() <= LONGEST_QUOTE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_QUOTE).chain(['…']).collect()
}
