//! Applies manifests as `kubectl apply --server-side` does.

use anyhow::{Context, Result};
use kube::api::{Api, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};

const FIELD_MANAGER: &str = "aios-e2e";

/// Applies every document of a YAML text, in order; `namespace` is for objects
/// that name none. Returns what the server answered.
///
/// # Errors
/// The first document that is refused, with the server's message.
pub async fn apply_yaml(
    client: &Client,
    namespace: Option<&str>,
    yaml: &str,
) -> Result<Vec<DynamicObject>> {
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(yaml).context("not YAML")?;
    let mut applied = Vec::new();
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        applied.push(apply(client, namespace, document).await?);
    }
    Ok(applied)
}

/// Applies one object.
pub(super) async fn apply(
    client: &Client,
    namespace: Option<&str>,
    document: serde_json::Value,
) -> Result<DynamicObject> {
    let object: DynamicObject =
        serde_json::from_value(document).context("not a Kubernetes object")?;
    let types = object
        .types
        .clone()
        .context("apiVersion and kind are missing")?;
    let shown = format!("{} {}", types.kind, object.name_any());
    let kind = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) = pinned_kind(client, &kind)
        .await
        .with_context(|| format!("{shown}: no such kind"))?;
    let namespace = object
        .namespace()
        .or_else(|| namespace.map(ToOwned::to_owned));
    let api: Api<DynamicObject> = match (capabilities.scope, namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
        .await
        .with_context(|| format!("{shown} is refused"))
}
