//! One watch: a store kept up to date, and a call for each object that came, changed or went.

use std::{collections::HashMap, fmt::Debug, pin::pin, sync::Arc};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::names;

/// Labels of pods that are read.
const READ: [&str; 3] = [
    names::LABEL_COMPONENT,
    names::LABEL_MANAGED_BY,
    names::LABEL_MODEL,
];
/// `kubectl apply` keeps the whole object in it, a Secret's values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What happened to an object. The store shows it already.
pub enum Touch<K> {
    Applied { before: Option<Arc<K>>, now: Arc<K> },
    Deleted(Arc<K>),
}

/// What a feed needs of a kind.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

/// Watches for ever, with back-off. `prune` takes from each object what nobody reads; `listed` is
/// called after every complete list. Lists come in pages, and each object is held once: a list of
/// many costs no more than a page above what is kept. (Streamed lists would spare the pages, but are
/// not on in every Kubernetes that the chart allows.)
pub async fn feed<K: Watched>(
    api: Api<K>,
    config: watcher::Config,
    mut store: Writer<K>,
    prune: fn(&mut ObjectMeta),
    mut touched: impl FnMut(Touch<K>),
    mut listed: impl FnMut(),
) {
    let reader = store.as_reader();
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let mut event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "watch");
                continue;
            }
        };
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event
        {
            prune(object.meta_mut());
        }
        match &event {
            Event::Apply(object) => {
                let key = ObjectRef::from_obj(object);
                let before = reader.get(&key);
                store.apply_watcher_event(&event);
                // What the store holds is handed on: there is no second copy.
                if let Some(now) = reader.get(&key) {
                    touched(Touch::Applied { before, now });
                }
            }
            Event::Delete(object) => {
                let gone = Arc::new(object.clone());
                store.apply_watcher_event(&event);
                touched(Touch::Deleted(gone));
            }
            Event::Init | Event::InitApply(_) => store.apply_watcher_event(&event),
            Event::InitDone => {
                let held = reader.state();
                store.apply_watcher_event(&event);
                relisted(held, reader.state(), &mut touched);
                listed();
            }
        }
    }
}

/// After a list: what changed, came or went unseen while the watch was down.
fn relisted<K: Watched>(held: Vec<Arc<K>>, fresh: Vec<Arc<K>>, touched: &mut impl FnMut(Touch<K>)) {
    let mut held: HashMap<ObjectRef<K>, Arc<K>> = held
        .into_iter()
        .map(|object| (ObjectRef::from_obj(object.as_ref()), object))
        .collect();
    for now in fresh {
        let before = held.remove(&ObjectRef::from_obj(now.as_ref()));
        if before
            .as_ref()
            .is_some_and(|before| same(before.meta(), now.meta()))
        {
            continue;
        }
        touched(Touch::Applied { before, now });
    }
    for gone in held.into_values() {
        touched(Touch::Deleted(gone));
    }
}

fn same(before: &ObjectMeta, now: &ObjectMeta) -> bool {
    before.resource_version.is_some()
        && before.resource_version == now.resource_version
        && before.uid == now.uid
}

/// Of a kind of ours: managed fields are the larger half of most objects, and what `kubectl apply`
/// remembers is the object once more.
pub fn prune_kind(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Of a data plane's pod: labels say whose it is.
pub fn prune_pod(meta: &mut ObjectMeta) {
    let whole = std::mem::take(meta);
    *meta = ObjectMeta {
        name: whole.name,
        namespace: whole.namespace,
        uid: whole.uid,
        resource_version: whole.resource_version,
        labels: whole.labels.map(|mut labels| {
            labels.retain(|key, _| READ.contains(&key.as_str()));
            labels
        }),
        ..ObjectMeta::default()
    };
}

#[cfg(test)]
pub(super) mod tests;
