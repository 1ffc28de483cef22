//! Books of every budget: what data planes are granted stands in an object of the operator's namespace
//! before they are told of it, so that an operator that starts anew grants nothing twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
};

use aios_budget::{Ask, Book, Period, Refusal};
use aios_crds::writing_pipeline::Budget;
use aios_proto::control::{LeaseRefusal, LeaseRequest, LeaseResponse};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::Mutex;
use tonic::Status;

use crate::{
    names::{self, Component, FIELD_MANAGER, LABEL_COMPONENT, LABEL_NAMESPACE, LABEL_PIPELINE},
    triggers::Triggers,
};

const BOOK: &str = "book";
const COMPONENT: &str = "budget";
/// Another writer may be faster once; then what it wrote is known.
const TRIES: usize = 2;

pub struct Budgets {
    client: Client,
    /// The operator's namespace.
    namespace: String,
    kept: std::sync::Mutex<HashMap<Key, Arc<Slot>>>,
    triggers: Triggers,
}

/// Namespace and name of a pipeline.
type Key = (String, String);
/// One question at a time; none until the object was read, and when it is unknown what was written.
type Slot = Mutex<Option<Kept>>;

struct Kept {
    book: Book,
    /// None while there is no object.
    version: Option<String>,
}

/// Why a book is not written.
enum Lost {
    /// Another was faster, or deleted the object.
    Raced,
    Unavailable(Status),
}

impl Budgets {
    pub fn new(client: Client, namespace: &str, triggers: Triggers) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            kept: std::sync::Mutex::default(),
            triggers,
        }
    }

    /// The book of a pipeline's budget as it was written last.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn book(&self, namespace: &str, pipeline: &str) -> Result<Book, kube::Error> {
        let slot = self.slot(namespace, pipeline);
        let mut slot = slot.lock().await;
        let kept = self.known(&mut slot, (namespace, pipeline)).await?;
        Ok(kept.book.clone())
    }

    /// Grants a part of a budget to a pod, or takes it back.
    pub async fn lease(
        &self,
        (namespace, pod_uid): (&str, &str),
        budget: &Budget,
        request: &LeaseRequest,
    ) -> Result<LeaseResponse, Status> {
        let now = Timestamp::now();
        let period = Period::of(budget, now)
            .map_err(|error| Status::failed_precondition(error.to_string()))?;
        let ask = asked(pod_uid, request);
        let limit = budget.amount.millionths();
        let key = (namespace, request.pipeline.as_str());
        let slot = self.slot(key.0, key.1);
        let mut slot = slot.lock().await;
        for _ in 0..TRIES {
            let kept = self.known(&mut slot, key).await.map_err(unavailable)?;
            let (book, grant) = match kept.book.ask(limit, &period, &ask, now.as_millisecond()) {
                Ok(answer) => answer,
                Err(refusal) => return Ok(refused(refusal)),
            };
            if book.grants_as(&kept.book) {
                kept.book = book;
                self.triggers.pipeline(key.0, key.1);
                return Ok(granted(grant));
            }
            let version = kept.version.clone();
            // Whatever becomes of the write: until it is known, nothing is.
            *slot = None;
            match self.write(key, &book, version).await {
                Ok(version) => {
                    *slot = Some(Kept {
                        book,
                        version: Some(version),
                    });
                    self.triggers.pipeline(key.0, key.1);
                    return Ok(granted(grant));
                }
                Err(Lost::Raced) => {}
                Err(Lost::Unavailable(status)) => return Err(status),
            }
        }
        Err(Status::aborted(
            "another wrote the budget's book meanwhile: ask again",
        ))
    }

    async fn known<'a>(
        &self,
        slot: &'a mut Option<Kept>,
        (namespace, pipeline): (&str, &str),
    ) -> Result<&'a mut Kept, kube::Error> {
        let kept = match slot.take() {
            Some(kept) => kept,
            None => read(
                self.api()
                    .get_opt(&names::budget(namespace, pipeline))
                    .await?,
            )?,
        };
        Ok(slot.insert(kept))
    }

    /// Writes only over what was read: another writer's grants are never lost.
    async fn write(
        &self,
        (namespace, pipeline): (&str, &str),
        book: &Book,
        version: Option<String>,
    ) -> Result<String, Lost> {
        let text = serde_json::to_string(book)
            .map_err(|error| Lost::Unavailable(Status::internal(error.to_string())))?;
        let name = names::budget(namespace, pipeline);
        let written = match version {
            None => {
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PostParams::default()
                };
                let map = self.object(namespace, pipeline, text);
                self.api().create(&params, &map).await
            }
            Some(version) => {
                // A merge, because an apply would make an object anew that a person deleted.
                let patch = serde_json::json!({
                    "metadata": {"resourceVersion": version}, "data": {BOOK: text},
                });
                let params = PatchParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                self.api()
                    .patch(&name, &params, &Patch::Merge(&patch))
                    .await
            }
        };
        match written {
            Ok(map) => Ok(map.resource_version().unwrap_or_default()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Err(Lost::Raced),
            Err(error) => Err(Lost::Unavailable(unavailable(error))),
        }
    }

    fn object(&self, namespace: &str, pipeline: &str, text: String) -> ConfigMap {
        let mut map = ConfigMap {
            data: Some(BTreeMap::from([(BOOK.to_owned(), text)])),
            ..ConfigMap::default()
        };
        map.metadata.name = Some(names::budget(namespace, pipeline));
        map.metadata.namespace = Some(self.namespace.clone());
        let mut labels = names::labels(Component::Tenant, namespace);
        labels.insert(LABEL_COMPONENT.into(), COMPONENT.into());
        labels.insert(LABEL_NAMESPACE.into(), namespace.into());
        labels.insert(LABEL_PIPELINE.into(), pipeline.into());
        map.metadata.labels = Some(labels);
        map
    }

    fn slot(&self, namespace: &str, pipeline: &str) -> Arc<Slot> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), pipeline.to_owned());
        kept.entry(key).or_default().clone()
    }

    fn api(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// A book that cannot be read is nobody's to replace: nothing is granted until a person looks.
fn read(map: Option<ConfigMap>) -> Result<Kept, kube::Error> {
    let Some(map) = map else {
        return Ok(Kept {
            book: Book::default(),
            version: None,
        });
    };
    let text = map.data.as_ref().and_then(|data| data.get(BOOK));
    let text = text.map(String::as_str).unwrap_or_default();
    Ok(Kept {
        book: serde_json::from_str(text).map_err(kube::Error::SerdeError)?,
        version: map.resource_version(),
    })
}

/// A pod speaks for its own holders alone.
fn asked(pod_uid: &str, request: &LeaseRequest) -> Ask {
    Ask {
        holder: format!("{pod_uid}/{}", request.holder),
        sequence: request.sequence,
        period: request.period.clone(),
        spent: request.spent,
        keeps: request.keeps,
        needs: request.needs,
        wishes: request.wishes,
        closes: request.closes,
    }
}

fn granted(grant: aios_budget::Grant) -> LeaseResponse {
    LeaseResponse {
        period: grant.period,
        ends_in_ms: grant.ends_in_ms,
        granted: grant.granted,
        refusal: LeaseRefusal::Unspecified.into(),
    }
}

fn refused(refusal: Refusal) -> LeaseResponse {
    let refusal = match refusal {
        Refusal::Stale => LeaseRefusal::Stale,
        Refusal::Unknown => LeaseRefusal::Unknown,
    };
    LeaseResponse {
        refusal: refusal.into(),
        ..LeaseResponse::default()
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "used as a function of map_err"
)]
fn unavailable(error: kube::Error) -> Status {
    tracing::warn!(%error, "a budget's book");
    Status::unavailable("the budget's book cannot be read or written")
}

#[cfg(test)]
mod tests;
