//! The same for objects without a namespace, of kinds that may be absent.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{ListParams, Patch, PatchParams},
    core::{ApiResource, ClusterResourceScope, DynamicObject},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    apply::{Applier, compare, exactly, is_as_desired},
    error::{Result, Verb},
    names::FIELD_MANAGER,
};

/// A cluster-scoped object of which only some fields have a type.
pub trait Wide:
    Resource<DynamicType = (), Scope = ClusterResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Wide for K where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl Applier {
    /// Like [`Applier::apply`]. What is desired comes whole: `K` knows only what is read.
    pub async fn apply_wide<K: Wide>(&self, name: &str, mut desired: Value) -> Result<K> {
        compare::stamp(&mut desired)?;
        let api: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        let found = self.done::<K, _>(Verb::Get, name, api.get_opt(name).await)?;
        if let Some(found) = found {
            let live = serde_json::to_value(found)?;
            if is_as_desired(&desired, &live) {
                return Ok(serde_json::from_value(live)?);
            }
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(name, &params, &Patch::Apply(&desired)).await;
        tracing::info!(kind = %K::kind(&()), name, "applied");
        let applied = self.done::<K, _>(Verb::Apply, name, applied)?;
        Ok(serde_json::from_value(serde_json::to_value(applied)?)?)
    }

    /// Objects by their labels. A kind that is not served, or that the operator may not read, has none.
    pub async fn list_wide<K: Wide>(&self, labels: &str) -> Result<Vec<K>> {
        let api = Api::<K>::all(self.client.clone());
        match api.list(&ListParams::default().labels(labels)).await {
            Ok(found) => {
                self.metrics.requested(Verb::List, true);
                Ok(found.items)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
                tracing::warn!(kind = %K::kind(&()), reason = status.reason, "cannot be listed");
                Ok(Vec::new())
            }
            failed => self.done::<K, _>(Verb::List, labels, failed.map(|list| list.items)),
        }
    }

    /// Deletes exactly this object. Returns whether it is gone: a finalizer may hold it.
    pub async fn delete_wide<K: Wide>(&self, name: &str, uid: &str) -> Result<bool> {
        let api = Api::<K>::all(self.client.clone());
        match api.delete(name, &exactly(uid)).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(true),
            deleted => self.done::<K, _>(Verb::Delete, name, deleted.map(drop))?,
        }
        let left = self.done::<K, _>(Verb::Get, name, api.get_opt(name).await)?;
        Ok(left.is_none_or(|left| left.meta().uid.as_deref() != Some(uid)))
    }
}
