//! Who decides when work is done: a watcher of its own, beside whoever is measured.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource,
    api::DynamicObject,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::world::{self, Id, PARENTS};

/// No event for so long, and all is observed: done.
const QUIET: Duration = Duration::from_millis(1500);

#[derive(Default)]
struct Seen {
    parents: HashMap<Id, Parent>,
    children: HashMap<Id, Instant>,
    /// Every rise of an `observedGeneration`, in order.
    observed: Vec<(Id, i64, Instant)>,
    last: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Parent {
    generation: i64,
    observed: i64,
    since: Instant,
}

impl Parent {
    fn is_observed(self) -> bool {
        self.observed == self.generation
    }
}

/// Watches the two kinds and every kind of child, until it is dropped.
pub struct Observer {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Observer {
    pub fn start(client: &Client) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        for kind in PARENTS {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &world::resource(kind));
            tasks.spawn(parents(api, kind, seen.clone()));
        }
        let start = (client, &seen);
        child::<ServiceAccount>(start, &mut tasks);
        child::<Secret>(start, &mut tasks);
        child::<ConfigMap>(start, &mut tasks);
        child::<Service>(start, &mut tasks);
        child::<Deployment>(start, &mut tasks);
        child::<StatefulSet>(start, &mut tasks);
        child::<Role>(start, &mut tasks);
        child::<RoleBinding>(start, &mut tasks);
        child::<NetworkPolicy>(start, &mut tasks);
        Self {
            seen,
            _tasks: tasks,
        }
    }

    /// Waits until so many parents are observed at their generation and nothing happens any more.
    /// The moment returned is that of the last thing that had to happen, not the end of the wait.
    pub async fn done(&self, parents: usize, deadline: Duration) -> Result<Instant> {
        let begun = Instant::now();
        loop {
            if let Some(done) = self.finished(parents) {
                return Ok(done);
            }
            if begun.elapsed() > deadline {
                let (there, observed) = self.count();
                bail!("not within {deadline:?}: {observed} of {parents} observed, {there} there");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn finished(&self, parents: usize) -> Option<Instant> {
        let seen = self.lock();
        let observed = seen.parents.values().filter(|parent| parent.is_observed());
        let all = observed.count() == parents && seen.parents.len() == parents;
        if !all || seen.last?.elapsed() < QUIET {
            return None;
        }
        let since = seen.parents.values().map(|parent| parent.since);
        let born = seen.children.values().copied();
        since.chain(born).max()
    }

    /// Waits until no event came for so long.
    pub async fn quiet(&self, how_long: Duration, deadline: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < deadline {
            if self
                .lock()
                .last
                .is_none_or(|last| last.elapsed() > how_long)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("events still come after {deadline:?}")
    }

    /// When an object's generation, or a later one, was first seen observed.
    pub fn observed_at(&self, wanted: &HashMap<(Id, i64), Instant>) -> Vec<Duration> {
        let seen = self.lock();
        let mut first: HashMap<&Id, Vec<(i64, Instant)>> = HashMap::new();
        for (id, generation, at) in &seen.observed {
            first.entry(id).or_default().push((*generation, *at));
        }
        wanted
            .iter()
            .filter_map(|((id, generation), asked)| {
                let rises = first.get(id)?;
                let (_, at) = rises.iter().find(|(observed, _)| observed >= generation)?;
                Some(at.saturating_duration_since(*asked))
            })
            .collect()
    }

    /// Children by kind.
    pub fn children(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for id in self.lock().children.keys() {
            *counts.entry(id.kind.clone()).or_default() += 1;
        }
        counts
    }

    fn count(&self) -> (usize, usize) {
        let seen = self.lock();
        let observed = seen.parents.values().filter(|parent| parent.is_observed());
        (seen.parents.len(), observed.count())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn parents(api: Api<DynamicObject>, kind: &'static str, seen: Arc<Mutex<Seen>>) {
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let now = Instant::now();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let id = Id::of(kind, &object);
                let generation = object.metadata.generation.unwrap_or_default();
                let observed = object.data.pointer("/status/observedGeneration");
                let observed = observed.and_then(serde_json::Value::as_i64).unwrap_or(-1);
                let before = seen.parents.get(&id).copied();
                let rose = before.is_none_or(|before| observed > before.observed);
                if rose {
                    seen.observed.push((id.clone(), observed, now));
                }
                let since = match before {
                    Some(before) if !rose && before.generation == generation => before.since,
                    _ => now,
                };
                seen.parents.insert(
                    id,
                    Parent {
                        generation,
                        observed,
                        since,
                    },
                );
                seen.last = Some(now);
            }
            Ok(Event::Delete(object)) => {
                seen.parents.remove(&Id::of(kind, &object));
                seen.last = Some(now);
            }
            Ok(Event::Init | Event::InitDone) | Err(_) => {}
        }
    }
}

fn child<K>((client, seen): (&Client, &Arc<Mutex<Seen>>), tasks: &mut JoinSet<()>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(client.clone());
    let seen = seen.clone();
    tasks.spawn(async move {
        let config = watcher::Config::default().labels(world::OURS);
        let mut events = pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            let now = Instant::now();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    if world::is_childs_place(object.metadata.namespace.as_deref()) {
                        seen.children
                            .entry(Id::of(&K::kind(&()), &object))
                            .or_insert(now);
                    }
                    seen.last = Some(now);
                }
                Ok(Event::Delete(object)) => {
                    seen.children.remove(&Id::of(&K::kind(&()), &object));
                    seen.last = Some(now);
                }
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
        }
    });
}
