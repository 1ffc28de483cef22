//! Kinds that others define: read at whatever version their API prefers, if it is there at all, and written
//! without the help of a watch.

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
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

    /// Whether a kind is served at exactly this group and version.
    pub async fn serves(&self, api: &'static str, plural: &'static str) -> Result<bool> {
        let request = Request::get(format!("/apis/{api}")).body(Vec::new());
        let failed = |error| Error::api(Verb::Get, plural, api, error);
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        let found = self.client.request::<APIResourceList>(request).await;
        let is_absent = matches!(&found, Err(kube::Error::Api(status)) if status.code == 404);
        self.metrics
            .requested(Verb::Get, found.is_ok() || is_absent);
        if is_absent {
            return Ok(false);
        }
        let found = found.map_err(failed)?;
        Ok(found
            .resources
            .iter()
            .any(|resource| resource.name == plural))
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
