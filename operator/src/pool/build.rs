//! The NodePool of a namespace and class, and where pods of the class go. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, Taint, Toleration};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    names::{FIELD_MANAGER, LABEL_GPU_CLASS, LABEL_MANAGED_BY, LABEL_NAME, LABEL_NAMESPACE},
    pool::{
        class::{GpuClass, Nodes, Template},
        kinds::LABEL_POOL,
    },
};

/// Nodes that pods may go to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    pub node_selector: BTreeMap<String, String>,
    pub tolerations: Vec<Toleration>,
}

impl Placement {
    /// Sends a pod there. What the pod says itself stays.
    pub fn put(&self, pod: &mut PodSpec) {
        if !self.node_selector.is_empty() {
            let selector = pod.node_selector.get_or_insert_default();
            selector.extend(self.node_selector.clone());
        }
        if !self.tolerations.is_empty() {
            let tolerations = pod.tolerations.get_or_insert_default();
            tolerations.extend(self.tolerations.iter().cloned());
        }
    }
}

/// Where pods of a class go in a namespace.
pub fn placement(class: &GpuClass, namespace: &str) -> Placement {
    let node_selector = match &class.nodes {
        Nodes::Existing { labels } => labels.clone(),
        Nodes::Karpenter(_) => [(LABEL_POOL.to_owned(), name(namespace, &class.name))].into(),
    };
    Placement {
        node_selector,
        tolerations: class.taints.iter().map(tolerate).collect(),
    }
}

fn tolerate(taint: &Taint) -> Toleration {
    let operator = if taint.value.is_some() {
        "Equal"
    } else {
        "Exists"
    };
    Toleration {
        key: Some(taint.key.clone()),
        operator: Some(operator.into()),
        value: taint.value.clone(),
        effect: Some(taint.effect.clone()),
        toleration_seconds: None,
    }
}

/// NodePools are cluster-scoped: the hash keeps `a-b` with `c` apart from `a` with `b-c`.
pub fn name(namespace: &str, class: &str) -> String {
    let hash = hex::encode(Sha256::digest(format!("{namespace}/{class}")));
    let hash: String = hash.chars().take(10).collect();
    format!("aios-{class}-{hash}")
}

/// Which namespace and class an object of a NodePool is for.
pub fn labels(namespace: &str, class: &str) -> BTreeMap<String, String> {
    [(LABEL_NAMESPACE, namespace), (LABEL_GPU_CLASS, class)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

pub fn node_pool(class: &GpuClass, template: &Template, namespace: &str) -> Value {
    let own = labels(namespace, &class.name);
    let mut pool_labels = own.clone();
    pool_labels.insert(LABEL_NAME.into(), "aios".into());
    pool_labels.insert(LABEL_MANAGED_BY.into(), FIELD_MANAGER.into());
    // Karpenter puts these on NodeClaims and nodes.
    let mut node_labels = template.labels.clone();
    node_labels.extend(own);
    let mut spec = json!({
        "template": {
            "metadata": {"labels": node_labels},
            "spec": {
                "nodeClassRef": template.node_class,
                "requirements": template.requirements,
            },
        },
        "disruption": template.disruption,
    });
    if !class.taints.is_empty() {
        spec["template"]["spec"]["taints"] = json!(class.taints);
    }
    if !template.limits.is_empty() {
        spec["limits"] = json!(template.limits);
    }
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name(namespace, &class.name), "labels": pool_labels},
        "spec": spec,
    })
}
