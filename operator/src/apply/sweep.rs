//! Removes children that are no longer desired. Runs last, and only over objects of one owner.

use std::sync::Arc;

use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    apply::{Applier, Child},
    error::Result,
    names::LABEL_MODEL,
};

/// Deletes a model's objects of one kind that are not in `keep`. The watch may be behind: the uid
/// makes sure that only what was seen is deleted.
pub async fn sweep_model<K: Child>(
    applier: &Applier,
    store: &Store<PartialObjectMeta<K>>,
    namespace: &str,
    (model, owner_uid): (&str, &str),
    keep: &[String],
) -> Result<()> {
    let names = applier.known.names(&K::kind(&()), namespace);
    let of_name = |name: &String| store.get(&ObjectRef::new(name).within(namespace));
    let objects: Vec<_> = names.iter().filter_map(of_name).collect();
    for orphan in orphans(&objects, namespace, model, owner_uid, keep) {
        let name = orphan.name_any();
        tracing::info!(kind = %K::kind(&()), namespace, name, "removing what is no longer wanted");
        applier
            .delete::<K>(namespace, &name, &orphan.uid().unwrap_or_default())
            .await?;
    }
    Ok(())
}

fn orphans<K: Child>(
    objects: &[Arc<PartialObjectMeta<K>>],
    namespace: &str,
    model: &str,
    owner_uid: &str,
    keep: &[String],
) -> Vec<Arc<PartialObjectMeta<K>>> {
    objects
        .iter()
        .filter(|object| object.namespace().as_deref() == Some(namespace))
        .filter(|object| {
            object
                .labels()
                .get(LABEL_MODEL)
                .is_some_and(|label| label == model)
        })
        .filter(|object| {
            object
                .owner_references()
                .iter()
                .any(|owner| owner.uid == owner_uid)
        })
        .filter(|object| object.metadata.deletion_timestamp.is_none())
        .filter(|object| !keep.contains(&object.name_any()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::orphans;
    use k8s_openapi::api::apps::v1::Deployment;
    use kube::{ResourceExt, core::PartialObjectMeta};
    use serde_json::json;
    use std::sync::Arc;

    fn object(name: &str, model: &str, owner: &str) -> Arc<PartialObjectMeta<Deployment>> {
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "namespace": "team", "labels": {"aios.dev/model": model},
                    "ownerReferences": [{"apiVersion": "aios.dev/v1alpha1",
                        "kind": "ModelDeployment", "name": model, "uid": owner}]},
            }))
            .unwrap(),
        )
    }

    #[test]
    fn only_unwanted_objects_of_the_same_owner_are_orphans() {
        let objects = [
            object("small-engine", "small", "u1"),
            object("small-standby", "small", "u1"),
            object("large-standby", "large", "u2"),
            object("foreign", "small", "u3"),
        ];
        let keep = ["small-engine".to_owned()];
        let found = orphans(&objects, "team", "small", "u1", &keep);
        let names: Vec<_> = found.iter().map(|object| object.name_any()).collect();
        assert_eq!(names, ["small-standby"]);
        assert!(orphans(&objects, "other", "small", "u1", &keep).is_empty());
    }
}
