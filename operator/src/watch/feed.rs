//! One watch: a store kept up to date, and a call for each object that came, changed or went.

use std::{collections::HashMap, fmt::Debug, pin::pin, sync::Arc};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::{apply::version, names, share::Move, watch::follow::Following};

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
    store: Writer<K>,
    prune: fn(&mut ObjectMeta),
    touched: impl FnMut(Touch<K>),
    listed: impl FnMut(),
) {
    let following = Following::nothing();
    follow(api, config, following, store, (prune, touched, listed)).await;
}

/// The same for objects of this operator's namespaces alone.
pub async fn follow<K: Watched>(
    api: Api<K>,
    config: watcher::Config,
    mut following: Following<K>,
    mut store: Writer<K>,
    (prune, mut touched, mut listed): (fn(&mut ObjectMeta), impl FnMut(Touch<K>), impl FnMut()),
) {
    let reader = store.as_reader();
    let mut events = pin!(watcher(api, config.clone()).default_backoff());
    // Until the end of a list nothing can be added to what it brings.
    let mut is_listing = true;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            moved = following.next(), if !is_listing => {
                match moved {
                    Move::Lost(namespace) if following.drops(&namespace) => {
                        drop_all(&mut store, &namespace, &mut touched);
                    }
                    Move::Lost(_) => {}
                    Move::Gained(arrival) => {
                        let found = following.list(&arrival, &config).await;
                        take_all(&mut store, found, prune, &mut touched);
                    }
                }
                continue;
            }
        };
        let mut event = match event {
            None => return,
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                tracing::warn!(kind = %K::kind(&()), %error, "watch");
                continue;
            }
        };
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event
        {
            if !following.takes(object) {
                continue;
            }
            prune(object.meta_mut());
        }
        // What a namespace had when it came may be ahead of the watch.
        if let Event::Apply(object) = &event
            && is_old(&reader, object)
        {
            continue;
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
            Event::Init | Event::InitApply(_) => {
                is_listing = true;
                store.apply_watcher_event(&event);
            }
            Event::InitDone => {
                is_listing = false;
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
    // An empty map keeps the room of eleven entries.
    meta.annotations = meta.annotations.take().filter(|kept| !kept.is_empty());
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

/// Whether a later version is held.
fn is_old<K: Watched>(held: &Store<K>, object: &K) -> bool {
    let held = held.get(&ObjectRef::from_obj(object));
    held.is_some_and(|held| version(held.meta()) > version(object.meta()))
}

/// Holds what is in a namespace that came.
fn take_all<K: Watched>(
    store: &mut Writer<K>,
    found: Vec<K>,
    prune: fn(&mut ObjectMeta),
    touched: &mut impl FnMut(Touch<K>),
) {
    let reader = store.as_reader();
    for mut object in found {
        let key = ObjectRef::from_obj(&object);
        let before = reader.get(&key);
        let (has, held) = (
            version(object.meta()),
            before.as_ref().map(|b| version(b.meta())),
        );
        if held.is_some_and(|held| held >= has) {
            continue;
        }
        prune(object.meta_mut());
        store.apply_watcher_event(&Event::Apply(object));
        if let Some(now) = reader.get(&key) {
            touched(Touch::Applied { before, now });
        }
    }
}

/// Holds nothing of a namespace any more.
fn drop_all<K: Watched>(
    store: &mut Writer<K>,
    namespace: &str,
    touched: &mut impl FnMut(Touch<K>),
) {
    for object in store.as_reader().state() {
        if object.namespace().as_deref() == Some(namespace) {
            store.apply_watcher_event(&Event::Delete(object.as_ref().clone()));
            touched(Touch::Deleted(object));
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
