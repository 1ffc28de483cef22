//! The only room that writes children: compare first, then server-side apply with one field manager.

mod cluster;
mod compare;
mod foreign;
mod known;
mod sweep;

pub use compare::{is_as_desired, quantity};
pub use foreign::Foreign;
pub use known::{Known, version};
pub use sweep::sweep_model;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
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
    known: Known,
}

impl Applier {
    pub fn new(client: Client, metrics: Metrics, known: Known) -> Self {
        Self {
            client,
            metrics,
            known,
        }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The object, if it exists.
    pub async fn get<K: Child>(&self, namespace: &str, name: &str) -> Result<Option<K>> {
        let found = self.api::<K>(namespace).get_opt(name).await;
        self.done::<K, _>(Verb::Get, name, found)
    }

    /// Texts of those ConfigMaps that exist, by name.
    pub async fn config_maps(
        &self,
        namespace: &str,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(map) = self.get::<ConfigMap>(namespace, name).await? {
                found.insert(name.clone(), map.data.unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// Whether neither a watch nor a write of ours has shown such an object of ours.
    pub fn has_none<K: Child>(&self, namespace: &str, name: &str) -> bool {
        self.known.is_absent(&K::kind(&()), namespace, name)
    }

    /// What is known of children without asking.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The object, if it exists and carries our labels: one that neither a watch nor a write of
    /// ours has shown is not asked for.
    pub async fn get_own<K: Child>(&self, namespace: &str, name: &str) -> Result<Option<K>> {
        if self.has_none::<K>(namespace, name) {
            return Ok(None);
        }
        self.get(namespace, name).await
    }

    /// Objects of a namespace that `which` selects. `of` names in errors what was asked for.
    pub async fn list<K: Child>(
        &self,
        namespace: &str,
        of: &str,
        which: &ListParams,
    ) -> Result<Vec<K>> {
        let found = self.api::<K>(namespace).list(which).await;
        self.done::<K, _>(Verb::List, of, found.map(|found| found.items))
    }

    /// Brings the object to what is desired. Nothing is written when it already is as desired, and
    /// nothing read while the watches show the version that was: then the server's defaults are
    /// missing from what is returned, but not identity, replicas and status.
    pub async fn apply<K: Child>(&self, namespace: &str, desired: &K) -> Result<K> {
        let (name, kind) = (desired.name_any(), K::kind(&()));
        let mut wanted = Wanted::new(desired)?;
        if let Some(known) = self.unchanged(namespace, &name, &mut wanted)? {
            return Ok(known);
        }
        let found = if self.known.is_absent(&kind, namespace, &name)
            || self.known.is_verified(&kind, namespace, &name)
        {
            None
        } else {
            self.live::<K>(namespace, &name).await?
        };
        self.bring(namespace, &name, &wanted, found.as_ref()).await
    }

    /// Like [`Applier::apply`], but leaves an object alone that does not exist, or that does not carry
    /// our labels.
    pub async fn apply_existing<K: Child>(
        &self,
        namespace: &str,
        desired: &K,
    ) -> Result<Option<K>> {
        let name = desired.name_any();
        let mut wanted = Wanted::new(desired)?;
        if let Some(known) = self.unchanged(namespace, &name, &mut wanted)? {
            return Ok(Some(known));
        }
        if self.known.is_absent(&K::kind(&()), namespace, &name) {
            return Ok(None);
        }
        match self.live::<K>(namespace, &name).await? {
            Some(found) => self
                .bring(namespace, &name, &wanted, Some(&found))
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// The same for kinds that no watch shows: the object is read every time. What is desired comes whole,
    /// for `K` may know only what is read.
    pub async fn apply_unwatched<K: Child>(
        &self,
        namespace: &str,
        name: &str,
        desired: Value,
    ) -> Result<K> {
        let resource = kube::core::ApiResource::erase::<K>(&());
        let api = Api::namespaced_with(self.client.clone(), namespace, &resource);
        self.compare_and_apply::<K>(&api, name, desired).await
    }

    async fn compare_and_apply<K>(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        mut desired: Value,
    ) -> Result<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        compare::stamp(&mut desired)?;
        let found = self.done::<K, _>(Verb::Get, name, api.get_opt(name).await)?;
        if let Some(found) = found {
            let live = serde_json::to_value(found)?;
            if is_as_desired(&desired, &live) {
                return Ok(serde_json::from_value(live)?);
            }
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(name, &params, &Patch::Apply(&desired)).await;
        let namespace = desired
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        tracing::info!(kind = %K::kind(&()), namespace, name, "applied");
        let applied = self.done::<K, _>(Verb::Apply, name, applied)?;
        Ok(serde_json::from_value(serde_json::to_value(applied)?)?)
    }

    /// Creates an object under a manager of its own, so that a later apply that does not name its
    /// content never takes it back. Another creator's object is left as it is.
    pub async fn create_once<K: Child>(&self, namespace: &str, desired: &K) -> Result<()> {
        self.post(namespace, desired, KEY_MANAGER).await.map(drop)
    }

    /// Makes an object of a kind that is watched in full. False if there is one of its name already,
    /// whoever made it.
    pub async fn create<K: Child>(&self, namespace: &str, desired: &K) -> Result<bool> {
        self.post(namespace, desired, FIELD_MANAGER).await
    }

    async fn post<K: Child>(&self, namespace: &str, desired: &K, manager: &str) -> Result<bool> {
        let name = desired.name_any();
        let params = PostParams {
            field_manager: Some(manager.into()),
            ..PostParams::default()
        };
        match self.api::<K>(namespace).create(&params, desired).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            created => self
                .done::<K, _>(Verb::Create, &name, created)
                .map(|_| true),
        }
    }

    /// Makes the object. `None` if there is one already, whoever made it.
    pub async fn make<K: Child>(&self, namespace: &str, desired: &K) -> Result<Option<K>> {
        let (name, kind) = (desired.name_any(), K::kind(&()));
        if !self.known.is_absent(&kind, namespace, &name) {
            return Ok(None);
        }
        let wanted = Wanted::new(desired)?;
        let _writing = self.known.writing(kind.clone(), namespace, &name);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let object: K = serde_json::from_value(wanted.object)?;
        let made = match self.api::<K>(namespace).create(&params, &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(None),
            made => self.done::<K, _>(Verb::Create, &name, made)?,
        };
        let live = serde_json::to_value(&made)?;
        self.known
            .verified(kind, made.meta(), &wanted.digest, &live);
        Ok(Some(made))
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
        match self.api::<K>(namespace).delete(name, &exactly(uid)).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            deleted => self.done::<K, _>(Verb::Delete, name, deleted).map(drop),
        }
    }

    /// The object while it is known to be as desired, which is taken from `wanted` then.
    fn unchanged<K: Child>(
        &self,
        namespace: &str,
        name: &str,
        wanted: &mut Wanted,
    ) -> Result<Option<K>> {
        let known = self
            .known
            .unchanged(&K::kind(&()), namespace, name, &wanted.digest);
        let Some((added, version)) = known else {
            return Ok(None);
        };
        let object = added.over(wanted.object.take(), version);
        Ok(Some(serde_json::from_value(object)?))
    }

    async fn bring<K: Child>(
        &self,
        namespace: &str,
        name: &str,
        wanted: &Wanted,
        found: Option<&Value>,
    ) -> Result<K> {
        if let Some(found) = found
            && is_as_desired(&wanted.object, found)
        {
            let object: K = serde_json::from_value(found.clone())?;
            self.known
                .verified(K::kind(&()), object.meta(), &wanted.digest, found);
            return Ok(object);
        }
        let _writing = self.known.writing(K::kind(&()), namespace, name);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self
            .api::<K>(namespace)
            .patch(name, &params, &Patch::Apply(&wanted.object))
            .await;
        tracing::info!(kind = %K::kind(&()), namespace, name, "applied");
        let applied = self.done::<K, _>(Verb::Apply, name, applied)?;
        let live = serde_json::to_value(&applied)?;
        self.known
            .verified(K::kind(&()), applied.meta(), &wanted.digest, &live);
        Ok(applied)
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

    fn done<K: Resource<DynamicType = ()>, T>(
        &self,
        verb: Verb,
        name: &str,
        result: std::result::Result<T, kube::Error>,
    ) -> Result<T> {
        self.metrics.requested(verb, result.is_ok());
        result.map_err(|error| Error::api(verb, &K::kind(&()), name, error))
    }
}

/// Deletes the object of this uid alone, with what it owns.
fn exactly(uid: &str) -> DeleteParams {
    let mut params = DeleteParams::background();
    params.preconditions = Some(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    params
}

/// A desired object, stamped with its digest.
struct Wanted {
    object: Value,
    digest: String,
}

impl Wanted {
    fn new<K: Child>(desired: &K) -> Result<Self> {
        let mut object = serde_json::to_value(desired)?;
        let digest = compare::stamp(&mut object)?;
        Ok(Self { object, digest })
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
