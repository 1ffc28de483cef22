//! Removes children that are no longer desired. Runs last, and only over objects of one owner.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, core::PartialObjectMeta};

use crate::{
    apply::{Applier, Child},
    error::{Result, Verb},
};

/// Deletes a model's objects of one kind that are not in `keep`. What is known may be behind: each is
/// looked at first, and its uid makes sure that only what was seen is deleted.
pub async fn sweep_model<K: Child>(
    applier: &Applier,
    namespace: &str,
    (model, owner_uid): (&str, &str),
    keep: &[String],
) -> Result<()> {
    let names = applier.known.of_model(&K::kind(&()), namespace, model);
    for name in names.iter().filter(|name| !keep.contains(name)) {
        let api = Api::<PartialObjectMeta<K>>::namespaced(applier.client(), namespace);
        let found = applier.done::<K, _>(Verb::Get, name, api.get_opt(name).await)?;
        if let Some(uid) = found.and_then(|found| orphan(found.metadata, owner_uid)) {
            tracing::info!(kind = %K::kind(&()), namespace, name, "removing what is no longer wanted");
            applier.delete::<K>(namespace, name, &uid).await?;
        }
    }
    Ok(())
}

/// Uid of an object that this owner has, and that is not being deleted.
fn orphan(meta: ObjectMeta, owner_uid: &str) -> Option<String> {
    let mut owners = meta.owner_references.iter().flatten();
    let is_owned = owners.any(|owner| owner.uid == owner_uid);
    let stays = is_owned && meta.deletion_timestamp.is_none();
    stays.then_some(meta.uid).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::orphan;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::{Value, json};

    fn object(more: &Value) -> ObjectMeta {
        let mut object = json!({"name": "small-standby", "namespace": "team", "uid": "o",
            "ownerReferences": [{"apiVersion": "aios.dev/v1alpha1", "kind": "ModelDeployment",
                "name": "small", "uid": "u1"}]});
        let fields = object.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_objects_of_the_same_owner_that_stay_are_orphans() {
        let stays = object(&json!({}));
        assert_eq!(orphan(stays.clone(), "u1").as_deref(), Some("o"));
        assert_eq!(orphan(stays, "u2"), None);
        let goes = object(&json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        assert_eq!(orphan(goes, "u1"), None);
        assert_eq!(orphan(object(&json!({"ownerReferences": []})), "u1"), None);
    }
}
