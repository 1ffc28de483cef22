//! Makes a model's NodePool, and looks how far its nodes are.

use std::time::Duration;

use aios_crds::{ModelDeployment, Reason};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    conditions::{Fact, State},
    context::Context,
    error::{Error, Result, Verb},
    names::FINALIZER,
    pool::{
        build,
        class::{GpuClass, Nodes},
        explain::{Seen, Standing, explain},
        kinds::NodePool,
        observe,
    },
};

/// The finalizer has a manager of its own, so that no other apply takes it back.
const MANAGER: &str = "aios-operator-nodes";
/// Pods and their events are not watched: while nodes are on their way they are looked at this often,
const SOON: Duration = Duration::from_secs(5);
/// and this often while none comes.
const LATER: Duration = Duration::from_secs(15);

/// Brings the NodePool of a model's class, before the pods that need it. `None` for existing nodes and
/// while Karpenter is absent.
pub async fn bring(
    context: &Context,
    model: &ModelDeployment,
    class: &GpuClass,
) -> Result<Option<NodePool>> {
    let Nodes::Karpenter(template) = &class.nodes else {
        return Ok(None);
    };
    if !context.karpenter.is_served() {
        return Ok(None);
    }
    let namespace = model.namespace().unwrap_or_default();
    if !has_finalizer(model) {
        finalize(context, model, true).await?;
    }
    let desired = build::node_pool(class, template, &namespace);
    let name = build::name(&namespace, &class.name);
    context.applier.apply_wide(&name, desired).await.map(Some)
}

/// What is to be said of a model's nodes, and when to look again.
pub async fn look(
    context: &Context,
    model: (&str, &str),
    class: &GpuClass,
    pool: Option<&NodePool>,
    (wanted, is_settled): (i32, bool),
) -> Result<(Fact, Option<Duration>)> {
    let claims = pool
        .map(|pool| context.karpenter.claims(&pool.name_any()))
        .unwrap_or_default();
    let seen = match pool {
        Some(pool) => Seen::Pool {
            pool,
            claims: &claims,
        },
        None if class.is_karpenter() => Seen::NoKarpenter,
        None => Seen::Existing,
    };
    let standing = match seen {
        // Its pods wait for one and the same thing.
        Seen::NoKarpenter => Standing::default(),
        _ => observe::standing(context, model, wanted, is_settled).await?,
    };
    let fact = explain(class, &seen, &standing);
    let again = match (fact.state, fact.reason) {
        // The watch of Karpenter's kinds brings us back.
        (State::True, _) | (_, Reason::KarpenterMissing) => None,
        (_, Reason::NodesUnavailable) => Some(LATER),
        _ => Some(SOON),
    };
    Ok((fact, again))
}

pub fn has_finalizer(model: &ModelDeployment) -> bool {
    model.finalizers().iter().any(|own| own == FINALIZER)
}

/// Sets the finalizer, or takes it back. The uid makes sure that no successor is meant, and that an
/// object that has gone is not made anew.
pub async fn finalize(context: &Context, model: &ModelDeployment, is_held: bool) -> Result<()> {
    let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
    let api = Api::<ModelDeployment>::namespaced(context.applier.client(), &namespace);
    let finalizers: &[&str] = if is_held { &[FINALIZER] } else { &[] };
    let patch = json!({
        "apiVersion": "aios.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "uid": model.uid(), "finalizers": finalizers},
    });
    let params = PatchParams::apply(MANAGER).force();
    let patched = api.patch(&name, &params, &Patch::Apply(&patch)).await;
    context.metrics.requested(Verb::Patch, patched.is_ok());
    match patched {
        Ok(_) => Ok(()),
        // Deleted meanwhile.
        Err(kube::Error::Api(status)) if !is_held && matches!(status.code, 404 | 409 | 422) => {
            Ok(())
        }
        Err(error) => Err(Error::api(Verb::Patch, "ModelDeployment", &name, error)),
    }
}
