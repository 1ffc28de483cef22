//! Books of every budget: what data planes are granted stands in an object before they are told of it, so
//! that an operator that starts anew grants nothing twice. The object is in the operator's namespace, out
//! of the tenants' reach; that of a run's budget is beside the run, and goes with it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
};

use aios_budget::{Allowance, Ask, Book, Refusal};
use aios_crds::{
    WritingRun,
    budget::{InvalidUnit, Unit},
};
use aios_proto::control::{LeaseRefusal, LeaseRequest, LeaseResponse};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::Mutex;
use tonic::Status;

use crate::{
    control::{Account, Kind},
    names::{
        self, Component, FIELD_MANAGER, LABEL_COMPONENT, LABEL_MODEL, LABEL_NAMESPACE,
        LABEL_PIPELINE, LABEL_POLICY, LABEL_RUN,
    },
    triggers::Triggers,
};

const BOOK: &str = "book";
const COMPONENT: &str = "budget";
/// Another writer may be faster once; then what it wrote is known.
const TRIES: usize = 2;
/// Books that are remembered; from then on those that nobody asks about just now are read again.
const MOST: usize = 4096;

pub struct Budgets {
    client: Client,
    /// The operator's namespace.
    namespace: String,
    kept: std::sync::Mutex<HashMap<Account, Arc<Slot>>>,
    triggers: Triggers,
}

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

    /// The book of a budget as it was written last.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn book(&self, account: &Account) -> Result<Book, kube::Error> {
        let slot = self.slot(account);
        let mut slot = slot.lock().await;
        let kept = self.known(&mut slot, account).await?;
        Ok(kept.book.clone())
    }

    /// The books of a ClusterPolicySet's budget that are remembered and not being written, by namespace.
    /// Nothing is read: there may be thousands.
    pub fn remembered(&self, policy: &str) -> Vec<(String, Book)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .filter(|(account, _)| account.kind == Kind::ClusterPolicy && account.name == policy)
            .filter_map(|(account, slot)| {
                let slot = slot.try_lock().ok()?;
                Some((account.namespace.clone(), slot.as_ref()?.book.clone()))
            })
            .collect()
    }

    /// Grants a part of a budget to a pod, or takes it back.
    pub async fn lease(
        &self,
        (account, allowance): (&Account, &Allowance),
        pod_uid: &str,
        request: &LeaseRequest,
        now: Timestamp,
    ) -> Result<LeaseResponse, Status> {
        let ask = asked(pod_uid, request)?;
        let slot = self.slot(account);
        let mut slot = slot.lock().await;
        for _ in 0..TRIES {
            let kept = self.known(&mut slot, account).await.map_err(unavailable)?;
            let (book, grant) = match kept.book.ask(allowance, &ask, now.as_millisecond()) {
                Ok(answer) => answer,
                Err(refusal) => return Ok(refused(refusal)),
            };
            if book.grants_as(&kept.book) {
                kept.book = book;
                self.tell(account);
                return Ok(granted(grant));
            }
            let version = kept.version.clone();
            // Whatever becomes of the write: until it is known, nothing is.
            *slot = None;
            match self.write(account, &book, version).await {
                Ok(version) => {
                    *slot = Some(Kept {
                        book,
                        version: Some(version),
                    });
                    self.tell(account);
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

    /// Who shows what is spent looks again.
    fn tell(&self, account: &Account) {
        let (namespace, name) = (account.namespace.as_str(), account.name.as_str());
        match account.kind {
            Kind::Pipeline => self.triggers.pipeline(namespace, name),
            Kind::Run => self.triggers.run(namespace, name),
            Kind::Model => self.triggers.model(namespace, name),
            Kind::Policy => self.triggers.policy(namespace, name),
            Kind::ClusterPolicy => self.triggers.cluster_policy(name),
        }
    }

    async fn known<'a>(
        &self,
        slot: &'a mut Option<Kept>,
        account: &Account,
    ) -> Result<&'a mut Kept, kube::Error> {
        let kept = match slot.take() {
            Some(kept) => kept,
            None => read(self.api(account).get_opt(&names::budget(account)).await?)?,
        };
        Ok(slot.insert(kept))
    }

    /// Writes only over what was read: another writer's grants are never lost.
    async fn write(
        &self,
        account: &Account,
        book: &Book,
        version: Option<String>,
    ) -> Result<String, Lost> {
        let text = serde_json::to_string(book)
            .map_err(|error| Lost::Unavailable(Status::internal(error.to_string())))?;
        let name = names::budget(account);
        let written = match version {
            None => {
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PostParams::default()
                };
                let map = self.object(account, text);
                self.api(account).create(&params, &map).await
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
                self.api(account)
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

    fn object(&self, account: &Account, text: String) -> ConfigMap {
        let mut map = ConfigMap {
            data: Some(BTreeMap::from([(BOOK.to_owned(), text)])),
            ..ConfigMap::default()
        };
        map.metadata.name = Some(names::budget(account));
        map.metadata.namespace = Some(self.home(account).to_owned());
        let namespace = &account.namespace;
        let mut labels = names::labels(Component::Tenant, namespace);
        labels.insert(LABEL_COMPONENT.into(), COMPONENT.into());
        labels.insert(LABEL_NAMESPACE.into(), namespace.clone());
        labels.insert(label(account.kind).into(), account.name.clone());
        map.metadata.labels = Some(labels);
        map.metadata.owner_references = owner(account).map(|owner| vec![owner]);
        map
    }

    fn slot(&self, account: &Account) -> Arc<Slot> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST && !kept.contains_key(account) {
            kept.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        kept.entry(account.clone()).or_default().clone()
    }

    fn api(&self, account: &Account) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.home(account))
    }

    /// Namespace of the object.
    fn home<'a>(&'a self, account: &'a Account) -> &'a str {
        match account.kind {
            Kind::Run => &account.namespace,
            _ => &self.namespace,
        }
    }
}

/// A run's book goes with the run.
fn owner(account: &Account) -> Option<OwnerReference> {
    let uid = account.run_uid.clone()?;
    Some(OwnerReference {
        api_version: WritingRun::api_version(&()).into_owned(),
        kind: WritingRun::kind(&()).into_owned(),
        name: account.name.clone(),
        uid,
        ..OwnerReference::default()
    })
}

fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Pipeline => LABEL_PIPELINE,
        Kind::Run => LABEL_RUN,
        Kind::Model => LABEL_MODEL,
        Kind::Policy | Kind::ClusterPolicy => LABEL_POLICY,
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
fn asked(pod_uid: &str, request: &LeaseRequest) -> Result<Ask, Status> {
    let unit: Option<Unit> = match request.unit.as_str() {
        "" => None,
        unit => Some(unit.parse().map_err(unreadable)?),
    };
    Ok(Ask {
        holder: format!("{pod_uid}/{}", request.holder),
        sequence: request.sequence,
        unit,
        period: request.period.clone(),
        spent: request.spent,
        keeps: request.keeps,
        needs: request.needs,
        wishes: request.wishes,
        closes: request.closes,
    })
}

fn unreadable(error: InvalidUnit) -> Status {
    Status::invalid_argument(format!("unit {error}"))
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
        Refusal::OtherUnit => LeaseRefusal::OtherUnit,
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
