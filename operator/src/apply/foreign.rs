//! Reads of kinds that others define: at whatever version their API prefers, if it is there at all.

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::{
    Api,
    api::ListParams,
    core::{ApiResource, DynamicObject},
};

use crate::{
    apply::Applier,
    error::{Error, Result, Verb},
};

/// A namespaced kind of somebody else's.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    pub group: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
}

impl Applier {
    /// Objects by their labels; none when the kind is not served.
    pub async fn list_foreign(
        &self,
        namespace: &str,
        of: Foreign,
        labels: &str,
    ) -> Result<Option<Vec<DynamicObject>>> {
        let Some(version) = self.served_version(of).await? else {
            return Ok(None);
        };
        let resource = ApiResource {
            group: of.group.into(),
            api_version: format!("{}/{version}", of.group),
            version,
            kind: of.kind.into(),
            plural: of.plural.into(),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = api.list(&ListParams::default().labels(labels)).await;
        let found = self.served(Verb::List, of, labels, found)?;
        Ok(found.map(|list| list.items))
    }

    async fn served_version(&self, of: Foreign) -> Result<Option<String>> {
        let path = format!("/apis/{}", of.group);
        let request = Request::get(path).body(Vec::new()).map_err(|error| {
            Error::api(Verb::Get, of.kind, of.group, kube::Error::HttpError(error))
        })?;
        let group = self.client.request::<APIGroup>(request).await;
        let group = self.served(Verb::Get, of, of.group, group)?;
        Ok(group.and_then(|group| {
            let preferred = group.preferred_version;
            let any = || group.versions.into_iter().next();
            preferred.or_else(any).map(|version| version.version)
        }))
    }

    fn served<T>(
        &self,
        verb: Verb,
        of: Foreign,
        name: &str,
        answer: std::result::Result<T, kube::Error>,
    ) -> Result<Option<T>> {
        let is_absent = matches!(&answer, Err(kube::Error::Api(status)) if status.code == 404);
        self.metrics.requested(verb, answer.is_ok() || is_absent);
        if is_absent {
            return Ok(None);
        }
        let answer = answer.map_err(|error| Error::api(verb, of.kind, name, error))?;
        Ok(Some(answer))
    }
}
