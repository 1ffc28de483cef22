//! What the watches hold: our kinds in full. Of everything else, see `apply::Known`.

use std::sync::Arc;

use aios_crds::{ClusterPolicySet, ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use kube::{
    Resource,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use crate::triggers::{Guarded, NamespaceMeta, Scope};

/// An object of which only metadata is known.
pub type Meta<K> = PartialObjectMeta<K>;

/// Stores of one scope.
pub struct CellStores {
    pub scope: Scope,
    pub models: Store<Guarded<ModelDeployment>>,
    pub policies: Store<Guarded<PolicySet>>,
    pub pipelines: Store<Guarded<WritingPipeline>>,
    pub runs: Store<Guarded<WritingRun>>,
}

/// Stores of what has no namespace.
pub struct ClusterStores {
    pub policies: Store<Guarded<ClusterPolicySet>>,
    pub namespaces: Store<NamespaceMeta>,
}

/// Every store.
pub struct Stores {
    pub cells: Vec<CellStores>,
    pub cluster: ClusterStores,
}

/// The object, unless it cannot be read.
pub fn valid<K>(guarded: &Guarded<K>) -> Option<&K> {
    guarded.0.as_ref().ok()
}

impl Stores {
    pub fn cell(&self, namespace: &str) -> Option<&CellStores> {
        self.cells.iter().find(|cell| cell.scope.covers(namespace))
    }

    pub fn namespace(&self, name: &str) -> Option<Arc<NamespaceMeta>> {
        self.cluster.namespaces.get(&ObjectRef::new(name))
    }

    pub fn model(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<ModelDeployment>>> {
        self.cell(namespace)?
            .models
            .get(&ObjectRef::new(name).within(namespace))
    }

    pub fn policy(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<PolicySet>>> {
        self.cell(namespace)?
            .policies
            .get(&ObjectRef::new(name).within(namespace))
    }

    pub fn pipeline(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<WritingPipeline>>> {
        self.cell(namespace)?
            .pipelines
            .get(&ObjectRef::new(name).within(namespace))
    }

    pub fn run(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<WritingRun>>> {
        self.cell(namespace)?
            .runs
            .get(&ObjectRef::new(name).within(namespace))
    }

    /// Readable pipelines of a namespace that are not being deleted, by name.
    pub fn pipelines(&self, namespace: &str) -> Vec<WritingPipeline> {
        self.cell(namespace)
            .map(|cell| living(&cell.pipelines, namespace))
            .unwrap_or_default()
    }

    /// Readable models of a namespace that are not being deleted, by name.
    pub fn models(&self, namespace: &str) -> Vec<ModelDeployment> {
        self.cell(namespace)
            .map(|cell| living(&cell.models, namespace))
            .unwrap_or_default()
    }
}

fn living<K>(store: &Store<Guarded<K>>, namespace: &str) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let mut found: Vec<K> = store
        .state()
        .iter()
        .filter_map(|guarded| valid(guarded))
        .filter(|object| {
            let meta = object.meta();
            meta.namespace.as_deref() == Some(namespace) && meta.deletion_timestamp.is_none()
        })
        .cloned()
        .collect();
    found.sort_by(|a, b| a.meta().name.cmp(&b.meta().name));
    found
}
