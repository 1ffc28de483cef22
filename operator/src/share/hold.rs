//! The gate before every reconciler: whether the object's namespace is this operator's. The first who
//! has something to write there claims it, and the API server lets only one be the first.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::json;

use crate::{
    context::Context,
    error::Result,
    names::CA,
    share::{Standing, Verdict},
    tenant,
};

/// Until objects of a namespace that is not all known yet are looked at again.
const ARRIVING: Duration = Duration::from_millis(500);

/// What may be done about a namespace's objects.
#[derive(Debug, PartialEq, Eq)]
pub enum Held {
    Yes,
    /// Not all that is in it is known yet.
    Later(Duration),
    /// It is not selected.
    Outside,
    /// This operator serves it.
    Another(String),
}

/// Claims a namespace unless it is claimed.
pub async fn hold(context: &Context, namespace: &str) -> Result<Held> {
    let known = context.stores.namespace(namespace);
    let labels = known.as_ref().map(|known| known.labels());
    let held = match context.share.standing(namespace, labels) {
        Standing::Judged(Verdict::Free) => claim(context, namespace, labels).await?,
        // A namespace that is newer than what the watch shows of namespaces.
        Standing::Judged(Verdict::Another(_)) if labels.is_none() => Held::Later(ARRIVING),
        standing => held(standing),
    };
    if held == Held::Yes {
        context.share.accepts(namespace);
    }
    Ok(held)
}

fn held(standing: Standing) -> Held {
    match standing {
        Standing::Outside => Held::Outside,
        Standing::Arriving => Held::Later(ARRIVING),
        Standing::Judged(Verdict::Another(operator)) => Held::Another(operator),
        Standing::Judged(Verdict::Mine | Verdict::Free) => Held::Yes,
    }
}

async fn claim(
    context: &Context,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Held> {
    let (share, applier) = (&context.share, &context.applier);
    let Some(trust) = tenant::claim(namespace, context) else {
        // Without a pipeline or a model nothing but statuses is written.
        return Ok(Held::Yes);
    };
    let turn = share.turn(namespace);
    let _turn = turn.lock().await;
    let standing = share.standing(namespace, labels);
    if standing != Standing::Judged(Verdict::Free) {
        return Ok(held(standing));
    }
    if let Some(made) = applier.make(namespace, &trust).await? {
        share.saw(&made.metadata);
        return Ok(Held::Yes);
    }
    let Some(found) = applier.get::<ConfigMap>(namespace, CA).await? else {
        return Ok(Held::Later(ARRIVING));
    };
    share.saw(&found.metadata);
    let standing = share.standing(namespace, labels);
    if standing != Standing::Judged(Verdict::Free) {
        return Ok(held(standing));
    }
    // Whose it was is written in the version that was judged: of two that take it, one is refused.
    let taken = json!({"metadata": {
        "resourceVersion": found.metadata.resource_version,
        "labels": trust.metadata.labels,
        "annotations": trust.metadata.annotations,
    }});
    let taken = applier.merge::<ConfigMap>(namespace, CA, &taken).await?;
    tracing::info!(namespace, "taken over");
    share.saw(&taken.metadata);
    Ok(Held::Yes)
}
