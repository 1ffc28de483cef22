//! One watch: a store kept up to date, and a call for each object that came, changed or went.

use std::{collections::HashMap, fmt::Debug, hash::Hash, pin::pin, sync::Arc};

use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::store::Writer,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

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

/// Watches for ever, with back-off. `listed` is called after every complete list.
pub async fn feed<K: Watched>(
    api: Api<K>,
    config: watcher::Config,
    mut store: Writer<K>,
    mut touched: impl FnMut(Touch<K>),
    mut listed: impl FnMut(),
) {
    let reader = store.as_reader();
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut fresh: Vec<Arc<K>> = Vec::new();
    while let Some(event) = events.next().await {
        let mut event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "watch");
                continue;
            }
        };
        prune(&mut event);
        let before = |object: &K| {
            let key = identity(object);
            reader.find(|held| identity(held) == key)
        };
        match &event {
            Event::Apply(object) => {
                let before = before(object);
                let now = Arc::new(object.clone());
                store.apply_watcher_event(&event);
                touched(Touch::Applied { before, now });
            }
            Event::Delete(object) => {
                let gone = Arc::new(object.clone());
                store.apply_watcher_event(&event);
                touched(Touch::Deleted(gone));
            }
            Event::Init => {
                fresh.clear();
                store.apply_watcher_event(&event);
            }
            Event::InitApply(object) => {
                fresh.push(Arc::new(object.clone()));
                store.apply_watcher_event(&event);
            }
            Event::InitDone => {
                let held = by_identity(reader.state());
                store.apply_watcher_event(&event);
                relisted(held, std::mem::take(&mut fresh), &mut touched);
                listed();
            }
        }
    }
}

/// After a list: what it shows, and what went unseen while the watch was down.
fn relisted<K: Watched>(
    mut held: HashMap<Identity, Arc<K>>,
    fresh: Vec<Arc<K>>,
    touched: &mut impl FnMut(Touch<K>),
) {
    for now in fresh {
        let before = held.remove(&identity(now.as_ref()));
        touched(Touch::Applied { before, now });
    }
    for gone in held.into_values() {
        touched(Touch::Deleted(gone));
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity(Option<String>, Option<String>);

fn identity<K: Resource>(object: &K) -> Identity {
    Identity(object.meta().namespace.clone(), object.meta().name.clone())
}

fn by_identity<K: Watched>(objects: Vec<Arc<K>>) -> HashMap<Identity, Arc<K>> {
    objects
        .into_iter()
        .map(|object| (identity(object.as_ref()), object))
        .collect()
}

/// Managed fields are the larger half of most objects, and nobody here reads them.
fn prune<K: Resource>(event: &mut Event<K>) {
    if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = event {
        object.managed_fields_mut().clear();
    }
}
