//! What is said of a namespace that another operator serves, although this one selects it, too. The
//! other writes its statuses; only what nobody has looked at for long is told why.

use std::time::{Duration, Instant};

use aios_crds::Reason;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Namespace, ObjectReference},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt, runtime::controller::Action};

use crate::{conditions::Fact, context::Context, control::Kind, error::Result, invalid, names::CA};

/// The other operator has so long to look at an object; and a claim is judged again so often.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says so. `object` is one of ours, or none for what its namespace shares.
pub async fn refuse(
    context: &Context,
    namespace: &str,
    object: Option<(Kind, &ObjectMeta)>,
    operator: &str,
) -> Result<Action> {
    let (share, again) = (&context.share, Ok(Action::requeue(PATIENCE)));
    let message = message(namespace, operator, share.me());
    if share.refuses(namespace) {
        tracing::warn!(namespace, operator, "another operator serves a namespace");
        let of = reference(context, namespace);
        context
            .statuses
            .warn(&of, Reason::ServedByAnother, &message)
            .await;
    }
    let Some((kind, meta)) = object else {
        return again;
    };
    let uid = meta.uid.clone().unwrap_or_default();
    let generation = meta.generation.unwrap_or_default();
    let now = Instant::now();
    let Some(since) = share.waits(&uid, generation, now) else {
        return again;
    };
    if now.duration_since(since) < PATIENCE {
        return again;
    }
    let fact = Fact::no(invalid::fact_of(kind), Reason::ServedByAnother, message);
    let client = context.applier.client();
    let is_unseen = |observed: Option<i64>| observed != Some(generation);
    invalid::say(client, (kind, meta), fact, is_unseen, Timestamp::now()).await?;
    share.told(&uid, generation);
    again
}

fn message(namespace: &str, operator: &str, me: &str) -> String {
    format!(
        "the operators of namespaces {operator} and {me} both select namespace {namespace}, and the \
         former serves it: let only one of their namespaceSelectors select it, or, if the former is \
         gone, `kubectl delete configmap {CA} -n {namespace}`"
    )
}

fn reference(context: &Context, namespace: &str) -> ObjectReference {
    let known = context.stores.namespace(namespace);
    ObjectReference {
        api_version: Some(Namespace::api_version(&()).into()),
        kind: Some(Namespace::kind(&()).into()),
        name: Some(namespace.to_owned()),
        uid: known.and_then(|known| known.uid()),
        ..ObjectReference::default()
    }
}
