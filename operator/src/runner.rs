//! Runs one kind's reconciler over its queue: doubles dropped, concurrency bounded, failures
//! tried again with back-off, every pass measured.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use kube::{
    Resource, ResourceExt,
    runtime::{
        controller::{self, Action, applier},
        reflector::{ObjectRef, Store},
    },
};
use tokio::sync::mpsc;
use tokio_util::time::{DelayQueue, delay_queue};

use crate::{
    admission::Admission,
    context::Context,
    control::Kind,
    error::{Error, Result},
    rounds::{ROUND, rounds},
    share::{self, Held},
    triggers::Requests,
};

/// For how long requests for an object are held back, so that their doubles join them.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Until none came for so long,
    quiet: Duration,
    /// but never longer than this after the first.
    most: Duration,
}

/// Objects of a namespace are applied in bursts, and what they share lists them all: one pass for
/// each burst instead of one for each object.
pub const BURST: Hold = Hold {
    quiet: Duration::from_millis(200),
    most: Duration::from_secs(1),
};

/// What the first data planes of a namespace start with is there before them.
pub const FIRST_OFFER: Hold = Hold {
    quiet: Duration::from_millis(500),
    most: Duration::from_millis(500),
};

/// Later it may be this old: data planes that run are told at once. It holds the configuration of a
/// whole namespace, so that each writing of it is dear.
pub const OFFER: Hold = Hold {
    quiet: Duration::from_secs(5),
    most: Duration::from_secs(30),
};

/// Requests of a kind that may wait for each pass at once.
const WAITING: usize = 8;

/// Holds every request back for a while, in which its doubles join it.
pub fn gathered<K>(
    mut requests: Requests<K>,
    hold: impl Fn(&ObjectRef<K>) -> Hold + Send + 'static,
) -> Requests<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    let (sender, gathered) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut due = DelayQueue::new();
        let mut held: HashMap<ObjectRef<K>, (delay_queue::Key, Instant)> = HashMap::new();
        loop {
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let now = Instant::now();
                    let Hold { quiet, most } = hold(&request);
                    if let Some((key, first)) = held.get(&request) {
                        let left = most.saturating_sub(now.duration_since(*first));
                        due.reset(key, quiet.min(left));
                    } else {
                        let key = due.insert(request.clone(), quiet);
                        held.insert(request, (key, now));
                    }
                }
                Some(ended) = due.next() => {
                    let request = ended.into_inner();
                    held.remove(&request);
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            }
        }
    });
    gathered
}

/// Runs until the queue closes.
pub async fn run<K, F, Fut>(
    kind: &'static str,
    context: Arc<Context>,
    store: Store<K>,
    requests: Requests<K>,
    reconcile: F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut,
    Fut: Future<Output = Result<Action>> + Send + 'static,
{
    // Namespaces are few, and their passes read: each has a timer of its own.
    let round = (K::kind(&()) != "Namespace").then_some(ROUND);
    let concurrency = context.settings.concurrency;
    let admission = Admission::new(WAITING * usize::from(concurrency));
    let queue = admission.admit(rounds(requests, store.clone(), round));
    let queue = queue.map(Ok::<_, std::convert::Infallible>);
    let config = at_once(concurrency);
    let measured = |object: Arc<K>, context: Arc<Context>| {
        admission.begun(&ObjectRef::from_obj(object.as_ref()));
        let key = key(kind, object.as_ref());
        let pass = reconcile(object.clone(), context.clone());
        let pass = gated(kind, object, context.clone(), pass);
        async move {
            let started = Instant::now();
            let result = pass.await;
            let outcome = match &result {
                Ok(_) => "ok",
                Err(error) => error.class().as_str(),
            };
            context.metrics.reconciled(kind, outcome, started.elapsed());
            if result.is_ok() {
                context.backoff.succeeded(&key);
            }
            result
        }
        .boxed()
    };
    let failed = |object: Arc<K>, error: &Error, context: Arc<Context>| {
        let delay = context
            .backoff
            .failed(&key(kind, object.as_ref()), rand::random());
        tracing::warn!(kind, object = object.name_any(), namespace = object.namespace(), %error,
            retry = ?delay, "reconcile failed");
        Action::requeue(delay)
    };
    applier(measured, failed, context.clone(), store, queue, config)
        .for_each(|ended| {
            // An object that is gone was queued by its own deletion: nothing is left to do for it.
            if let Err(controller::Error::ObjectNotFound(gone)) = ended {
                context
                    .backoff
                    .succeeded(&key_of(kind, gone.namespace.as_deref(), &gone.name));
                admission.begun(&gone.into_kind_unchecked(()));
            }
            std::future::ready(())
        })
        .await;
}

/// So many objects of a kind are brought to their specs at once; the others wait.
fn at_once(concurrency: u16) -> controller::Config {
    controller::Config::default()
        .debounce(Duration::from_millis(5))
        .concurrency(concurrency)
}

/// Lets through what is in a namespace of this operator, and what is in none.
async fn gated<K>(
    kind: &'static str,
    object: Arc<K>,
    context: Arc<Context>,
    pass: impl Future<Output = Result<Action>>,
) -> Result<Action>
where
    K: Resource,
    K::DynamicType: Default,
{
    let meta = object.meta();
    let is_namespace = K::kind(&K::DynamicType::default()) == "Namespace";
    let namespace = if is_namespace {
        &meta.name
    } else {
        &meta.namespace
    };
    let Some(namespace) = namespace else {
        return pass.await;
    };
    match share::hold(&context, namespace).await? {
        Held::Yes => pass.await,
        Held::Later(left) => Ok(Action::requeue(left)),
        Held::Outside => Ok(Action::await_change()),
        Held::Another(operator) => {
            let told = Kind::parse(kind).map(|kind| (kind, meta));
            share::refuse(&context, namespace, told, &operator).await
        }
    }
}

fn key<K: Resource>(kind: &str, object: &K) -> String {
    key_of(kind, object.meta().namespace.as_deref(), &object.name_any())
}

fn key_of(kind: &str, namespace: Option<&str>, name: &str) -> String {
    format!("{kind}/{}/{name}", namespace.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use futures::{FutureExt, StreamExt, stream};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{
        controller::{Action, applier},
        reflector::{self, ObjectRef},
        watcher::Event,
    };
    use tokio::sync::{Semaphore, mpsc};

    use super::{Hold, at_once, gathered};
    use crate::triggers::NamespaceMeta;

    #[tokio::test]
    async fn doubles_that_come_while_a_request_is_held_join_it() {
        let (sender, requests) = mpsc::unbounded_channel();
        for name in ["a", "b", "a", "a"] {
            sender.send(ObjectRef::<NamespaceMeta>::new(name)).unwrap();
        }
        let hold = Hold {
            quiet: Duration::from_millis(5),
            most: Duration::from_mins(1),
        };
        let mut gathered = gathered(requests, move |_| hold);
        let first = gathered.recv().await.unwrap();
        let second = gathered.recv().await.unwrap();
        assert_eq!((first.name.as_str(), second.name.as_str()), ("a", "b"));
        assert!(gathered.try_recv().is_err());
        sender.send(ObjectRef::<NamespaceMeta>::new("a")).unwrap();
        assert_eq!(gathered.recv().await.unwrap().name, "a");
    }
    #[tokio::test]
    async fn whoever_asks_without_a_pause_is_not_held_for_ever() {
        let (sender, requests) = mpsc::unbounded_channel();
        let hold = Hold {
            quiet: Duration::from_hours(1),
            most: Duration::from_millis(5),
        };
        let mut gathered = gathered(requests, move |_| hold);
        let asking = tokio::spawn(async move {
            while sender.send(ObjectRef::<NamespaceMeta>::new("a")).is_ok() {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(gathered.recv().await.unwrap().name, "a");
        asking.abort();
    }

    fn named(name: usize) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("team".into());
        object.metadata.name = Some(name.to_string());
        object
    }

    #[tokio::test]
    async fn no_more_objects_are_under_way_at_once_than_the_concurrency_says() {
        const OBJECTS: usize = 100;
        const AT_ONCE: u16 = 4;
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        for name in 0..OBJECTS {
            writer.apply_watcher_event(&Event::InitApply(named(name)));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let queue = (0..OBJECTS).map(|name| Ok::<_, Infallible>(ObjectRef::from_obj(&named(name))));
        // The queue stays open, as that of a watch does.
        let queue = stream::iter(queue).chain(stream::pending());

        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let (enters, mut entered) = mpsc::unbounded_channel();
        let highest = most.clone();
        let (passing, pass) = (gate.clone(), under_way.clone());
        let reconcile = move |_: Arc<ConfigMap>, _: Arc<()>| {
            let (gate, under_way) = (passing.clone(), pass.clone());
            let (highest, enters) = (highest.clone(), enters.clone());
            async move {
                let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                highest.fetch_max(now, Ordering::SeqCst);
                let _ = enters.send(());
                gate.acquire().await.unwrap().forget();
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Action::await_change())
            }
            .boxed()
        };
        let failed = |_: Arc<ConfigMap>, _: &Infallible, _: Arc<()>| Action::await_change();
        let config = at_once(AT_ONCE);
        let running = applier(reconcile, failed, Arc::new(()), store, queue, config);
        let running = tokio::spawn(running.for_each(|_| std::future::ready(())));

        for _ in 0..AT_ONCE {
            entered.recv().await.unwrap();
        }
        for _ in usize::from(AT_ONCE)..OBJECTS {
            gate.add_permits(1);
            entered.recv().await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), usize::from(AT_ONCE));
        running.abort();
    }
}
