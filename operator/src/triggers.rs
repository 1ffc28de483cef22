//! Queues of objects to reconcile. Anything that learns something puts a name here; the runner
//! drops doubles and bounds concurrency.

use std::sync::Arc;

use aios_crds::{ClusterPolicySet, ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::reflector::{Lookup, ObjectRef},
};
use tokio::sync::mpsc;

/// An object that may be unreadable without stopping its watch.
pub type Guarded<K> = DeserializeGuard<K>;
/// A namespace, of which only metadata is read.
pub type NamespaceMeta = PartialObjectMeta<Namespace>;

/// One kind's queue.
pub struct Queue<K: Lookup>(mpsc::UnboundedSender<ObjectRef<K>>);

/// The reading end of a queue.
pub type Requests<K> = mpsc::UnboundedReceiver<ObjectRef<K>>;

/// Which namespaces a cell is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Namespace(String),
}

impl Scope {
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(own) => own == namespace,
        }
    }
}

/// Queues of one scope.
pub struct Cell {
    pub scope: Scope,
    pub models: Queue<Guarded<ModelDeployment>>,
    pub policies: Queue<Guarded<PolicySet>>,
    pub pipelines: Queue<Guarded<WritingPipeline>>,
    pub runs: Queue<Guarded<WritingRun>>,
}

/// Every queue.
#[derive(Clone)]
pub struct Triggers(Arc<Queues>);

struct Queues {
    cells: Vec<Cell>,
    cluster_policies: Queue<Guarded<ClusterPolicySet>>,
    tenants: Queue<NamespaceMeta>,
    offers: Queue<NamespaceMeta>,
}

impl<K: Lookup> Queue<K>
where
    K::DynamicType: Default,
{
    pub fn new() -> (Self, Requests<K>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// A closed queue means shutdown: nothing is lost that would still be done.
    fn push(&self, reference: ObjectRef<K>) {
        let _ = self.0.send(reference);
    }
}

impl Triggers {
    pub fn new(
        cells: Vec<Cell>,
        cluster_policies: Queue<Guarded<ClusterPolicySet>>,
        (tenants, offers): (Queue<NamespaceMeta>, Queue<NamespaceMeta>),
    ) -> Self {
        Self(Arc::new(Queues {
            cells,
            cluster_policies,
            tenants,
            offers,
        }))
    }

    pub fn model(&self, namespace: &str, name: &str) {
        if let Some(cell) = self.cell(namespace) {
            cell.models.push(ObjectRef::new(name).within(namespace));
        }
    }

    pub fn policy(&self, namespace: &str, name: &str) {
        if let Some(cell) = self.cell(namespace) {
            cell.policies.push(ObjectRef::new(name).within(namespace));
        }
    }

    pub fn pipeline(&self, namespace: &str, name: &str) {
        if let Some(cell) = self.cell(namespace) {
            cell.pipelines.push(ObjectRef::new(name).within(namespace));
        }
    }

    pub fn run(&self, namespace: &str, name: &str) {
        if let Some(cell) = self.cell(namespace) {
            cell.runs.push(ObjectRef::new(name).within(namespace));
        }
    }

    pub fn cluster_policy(&self, name: &str) {
        self.0.cluster_policies.push(ObjectRef::new(name));
    }

    /// A namespace's trust, keys and gateway, and what it starts with.
    pub fn tenant(&self, namespace: &str) {
        if self.cell(namespace).is_some() {
            self.0.tenants.push(ObjectRef::new(namespace));
            self.offer(namespace);
        }
    }

    /// Only what a namespace's data planes start with.
    pub fn offer(&self, namespace: &str) {
        if self.cell(namespace).is_some() {
            self.0.offers.push(ObjectRef::new(namespace));
        }
    }

    fn cell(&self, namespace: &str) -> Option<&Cell> {
        self.0
            .cells
            .iter()
            .find(|cell| cell.scope.covers(namespace))
    }
}
