//! Removes the NodePools of a namespace that no model uses any more, and frees the models that held
//! them. Their NodeClaims and nodes go with them: Karpenter drains each first.

use std::{collections::BTreeSet, time::Duration};

use aios_crds::ModelDeployment;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};

use crate::{
    context::Context,
    error::Result,
    names::{FIELD_MANAGER, LABEL_GPU_CLASS, LABEL_MANAGED_BY, LABEL_MODEL, LABEL_NAMESPACE},
    pool::{
        apply::{finalize, has_finalizer},
        kinds::{LABEL_POOL, NodePool},
        watch::class_of,
    },
};

/// Time until a NodePool that could not go yet is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// For a model that needs its NodePool: removes those of classes that the namespace's models have left.
pub async fn tidy(context: &Context, namespace: &str) -> Result<Option<Duration>> {
    let pools = context.karpenter.pools(namespace);
    let left = remove_unused(context, namespace, pools).await?;
    Ok(left.then_some(AGAIN))
}

/// For a model that is being deleted, or needs no NodePool any more: removes what nobody uses, then
/// takes the finalizer back.
pub async fn leave(context: &Context, model: &ModelDeployment) -> Result<Option<Duration>> {
    if !has_finalizer(model) {
        return Ok(None);
    }
    let namespace = model.namespace().unwrap_or_default();
    let selector = format!("{LABEL_NAMESPACE}={namespace},{LABEL_MANAGED_BY}={FIELD_MANAGER}");
    let pools = context.applier.list_wide::<NodePool>(&selector).await?;
    if remove_unused(context, &namespace, pools).await? {
        return Ok(Some(AGAIN));
    }
    finalize(context, model, false).await?;
    Ok(None)
}

/// Returns whether one is left that shall go.
async fn remove_unused(context: &Context, namespace: &str, pools: Vec<NodePool>) -> Result<bool> {
    let models = context.stores.models(namespace);
    let unwanted: Vec<_> = pools
        .into_iter()
        .filter(|pool| !is_wanted(pool, &models))
        .collect();
    if unwanted.is_empty() {
        return Ok(false);
    }
    let selected = ListParams::default().labels(LABEL_MODEL);
    let pods: Vec<Pod> = context
        .applier
        .list(namespace, namespace, &selected)
        .await?;
    let mut is_left = false;
    for pool in unwanted {
        let name = pool.name_any();
        if is_used(&name, &pods, &models) {
            is_left = true;
            continue;
        }
        tracing::info!(namespace, name, "removing a NodePool that no model uses");
        let uid = pool.uid().unwrap_or_default();
        is_left |= !context.applier.delete_wide::<NodePool>(&name, &uid).await?;
    }
    Ok(is_left)
}

/// Whether a living model names the class that a NodePool is for.
fn is_wanted(pool: &NodePool, living: &[ModelDeployment]) -> bool {
    let class = pool.labels().get(LABEL_GPU_CLASS);
    let named: BTreeSet<_> = living.iter().filter_map(class_of).collect();
    class.is_some_and(|class| named.contains(class.as_str()))
}

/// Whether a living model still has pods there: one that changes its class serves from its old nodes
/// until it has new ones.
fn is_used(pool: &str, pods: &[Pod], living: &[ModelDeployment]) -> bool {
    pods.iter().any(|pod| {
        let of_living = pod
            .labels()
            .get(LABEL_MODEL)
            .is_some_and(|model| living.iter().any(|one| one.name_any() == *model));
        let selects = pod.spec.as_ref().is_some_and(|spec| {
            let selector = spec.node_selector.as_ref();
            selector
                .and_then(|all| all.get(LABEL_POOL))
                .map(String::as_str)
                == Some(pool)
        });
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        of_living && selects && !matches!(phase, Some("Succeeded" | "Failed"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{is_used, is_wanted};
    use crate::{
        pool::{build, kinds::NodePool},
        testing::self_hosted,
    };
    use aios_crds::ModelDeployment;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    fn pool(class: &str) -> NodePool {
        serde_json::from_value(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": {"name": build::name("team", class), "labels": build::labels("team", class)},
            "spec": {}}))
        .unwrap()
    }

    fn model(class: Option<&str>) -> ModelDeployment {
        let mut model = self_hosted(0);
        let gpu = model.spec.self_hosted.as_mut().unwrap().gpu.as_mut();
        gpu.unwrap().class = class.map(Into::into);
        model
    }

    fn pod(model: &str, pool: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "labels": {"aios.dev/model": model}},
            "spec": {"containers": [], "nodeSelector": {"karpenter.sh/nodepool": pool}},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn a_node_pool_is_wanted_while_a_model_of_the_namespace_names_its_class() {
        assert!(is_wanted(&pool("l4"), &[model(Some("l4"))]));
        assert!(!is_wanted(&pool("l4"), &[model(Some("a100"))]));
        assert!(!is_wanted(&pool("l4"), &[model(None)]));
        assert!(!is_wanted(&pool("l4"), &[]));
    }

    #[test]
    fn a_model_that_changed_its_class_keeps_its_old_nodes_until_its_pods_have_left() {
        let living = [model(Some("a100"))];
        let old = build::name("team", "l4");
        assert!(is_used(&old, &[pod("small", &old, "Running")], &living));
        assert!(!is_used(&old, &[pod("small", &old, "Succeeded")], &living));
        assert!(!is_used(&old, &[pod("gone", &old, "Running")], &living));
        assert!(!is_used(&old, &[pod("small", "other", "Running")], &living));
    }
}
