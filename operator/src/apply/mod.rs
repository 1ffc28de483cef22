//! The only room that writes children: compare first, then server-side apply with one field manager.

mod compare;
mod sweep;

pub use compare::is_as_desired;
pub use sweep::sweep_model;

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::{DynamicObject, NamespaceResourceScope},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, Result, Verb},
    metrics::Metrics,
    names::{FIELD_MANAGER, KEY_MANAGER},
};

/// A namespaced object with a static type.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Reads and writes objects of tenants.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    metrics: Metrics,
}

impl Applier {
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The object, if it exists.
    pub async fn get<K: Child>(&self, namespace: &str, name: &str) -> Result<Option<K>> {
        let found = self.api::<K>(namespace).get_opt(name).await;
        self.done::<K, _>(Verb::Get, name, found)
    }

    /// Brings the object to what is desired and returns it as the server has it. Nothing is sent
    /// when it already is as desired.
    pub async fn apply<K: Child>(&self, namespace: &str, desired: &K) -> Result<K> {
        let name = desired.name_any();
        let found = self.live::<K>(namespace, &name).await?;
        self.bring(namespace, &name, desired, found.as_ref()).await
    }

    /// Like [`Applier::apply`], but leaves an object alone that does not exist.
    pub async fn apply_existing<K: Child>(
        &self,
        namespace: &str,
        desired: &K,
    ) -> Result<Option<K>> {
        let name = desired.name_any();
        match self.live::<K>(namespace, &name).await? {
            Some(found) => self
                .bring(namespace, &name, desired, Some(&found))
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// Creates an object under a manager of its own, so that a later apply that does not name its
    /// content never takes it back. Another creator's object is left as it is.
    pub async fn create_once<K: Child>(&self, namespace: &str, desired: &K) -> Result<()> {
        let name = desired.name_any();
        let params = PostParams {
            field_manager: Some(KEY_MANAGER.into()),
            ..PostParams::default()
        };
        match self.api::<K>(namespace).create(&params, desired).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            created => self.done::<K, _>(Verb::Create, &name, created).map(drop),
        }
    }

    /// Changes single fields of an object whose other fields are immutable.
    pub async fn merge<K: Child>(&self, namespace: &str, name: &str, patch: &Value) -> Result<K> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let patched = self
            .api::<K>(namespace)
            .patch(name, &params, &Patch::Merge(patch))
            .await;
        self.done::<K, _>(Verb::Patch, name, patched)
    }

    /// Deletes exactly this object, with what it owns. One that is gone already is fine.
    pub async fn delete<K: Child>(&self, namespace: &str, name: &str, uid: &str) -> Result<()> {
        let mut params = DeleteParams::background();
        params.preconditions = Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        match self.api::<K>(namespace).delete(name, &params).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            deleted => self.done::<K, _>(Verb::Delete, name, deleted).map(drop),
        }
    }

    async fn bring<K: Child>(
        &self,
        namespace: &str,
        name: &str,
        desired: &K,
        found: Option<&Value>,
    ) -> Result<K> {
        let mut wanted = serde_json::to_value(desired)?;
        compare::stamp(&mut wanted)?;
        if let Some(found) = found
            && is_as_desired(&wanted, found)
        {
            return Ok(serde_json::from_value(found.clone())?);
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self
            .api::<K>(namespace)
            .patch(name, &params, &Patch::Apply(&wanted))
            .await;
        tracing::info!(kind = %K::kind(&()), namespace, name, created = found.is_none(), "applied");
        self.done::<K, _>(Verb::Apply, name, applied)
    }

    /// The object as the server has it, every field kept.
    async fn live<K: Child>(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        let resource = kube::core::ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = self.done::<K, _>(Verb::Get, name, api.get_opt(name).await)?;
        found
            .map(|object| serde_json::to_value(object).map_err(Error::from))
            .transpose()
    }

    fn api<K: Child>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn done<K: Child, T>(
        &self,
        verb: Verb,
        name: &str,
        result: std::result::Result<T, kube::Error>,
    ) -> Result<T> {
        self.metrics.requested(verb, result.is_ok());
        result.map_err(|error| Error::api(verb, &K::kind(&()), name, error))
    }
}

/// Reference to an owner. Only one owner of an object may be its controller.
pub fn owned_by<K: Resource<DynamicType = ()>>(
    owner: &K,
    controller: bool,
) -> Option<OwnerReference> {
    let meta = owner.meta();
    Some(OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: meta.name.clone()?,
        uid: meta.uid.clone()?,
        controller: controller.then_some(true),
        block_owner_deletion: None,
    })
}

#[cfg(test)]
mod tests;
