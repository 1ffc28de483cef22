//! The same for objects without a namespace, of kinds that may be absent.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::ListParams,
    core::{ApiResource, ClusterResourceScope},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    apply::{Applier, exactly},
    error::{Result, Verb},
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
    /// Like [`Applier::apply_unwatched`].
    pub async fn apply_wide<K: Wide>(&self, name: &str, desired: Value) -> Result<K> {
        let api = Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        self.compare_and_apply::<K>(&api, name, desired).await
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
