//! Runs one kind's reconciler over its queue: doubles dropped, concurrency bounded, failures
//! tried again with back-off, every pass measured.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Debug,
    hash::Hash,
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
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{
    context::Context,
    error::{Error, Result},
    triggers::Requests,
};

/// Objects of a namespace are applied in bursts, and what they share lists them all: one pass for
/// each burst instead of one for each object.
pub const BURST: Duration = Duration::from_millis(200);

/// What data planes start with may be this old: those that run are told at once.
pub const OFFER: Duration = Duration::from_millis(500);

/// Holds every request back for a while, in which its doubles join it. However many come, none
/// waits longer than that.
pub fn gathered<K>(mut requests: Requests<K>, hold: Duration) -> Requests<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    let (sender, gathered) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut due: VecDeque<(tokio::time::Instant, ObjectRef<K>)> = VecDeque::new();
        let mut held: HashSet<ObjectRef<K>> = HashSet::new();
        loop {
            let next = due.front().map(|(at, _)| *at);
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => if held.insert(request.clone()) {
                        due.push_back((tokio::time::Instant::now() + hold, request));
                    },
                    None => return,
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(tokio::time::Instant::now)),
                    if next.is_some() =>
                {
                    if let Some((_, request)) = due.pop_front() {
                        held.remove(&request);
                        if sender.send(request).is_err() {
                            return;
                        }
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
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Debug + Eq + Hash + Clone + Default + Unpin + Send + Sync,
    F: Fn(Arc<K>, Arc<Context>) -> Fut,
    Fut: Future<Output = Result<Action>> + Send + 'static,
{
    let queue =
        UnboundedReceiverStream::new(requests).map(Ok::<ObjectRef<K>, std::convert::Infallible>);
    let config = controller::Config::default()
        .debounce(Duration::from_millis(5))
        .concurrency(context.settings.concurrency);
    let measured = |object: Arc<K>, context: Arc<Context>| {
        let key = key(kind, object.as_ref());
        let pass = reconcile(object, context.clone());
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
            }
            std::future::ready(())
        })
        .await;
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
    use std::time::Duration;

    use kube::runtime::reflector::ObjectRef;
    use tokio::sync::mpsc;

    use super::gathered;
    use crate::triggers::NamespaceMeta;

    #[tokio::test]
    async fn doubles_that_come_while_a_request_is_held_join_it() {
        let (sender, requests) = mpsc::unbounded_channel();
        for name in ["a", "b", "a", "a"] {
            sender.send(ObjectRef::<NamespaceMeta>::new(name)).unwrap();
        }
        let mut gathered = gathered(requests, Duration::from_millis(5));
        let first = gathered.recv().await.unwrap();
        let second = gathered.recv().await.unwrap();
        assert_eq!((first.name.as_str(), second.name.as_str()), ("a", "b"));
        assert!(gathered.try_recv().is_err());
        sender.send(ObjectRef::<NamespaceMeta>::new("a")).unwrap();
        assert_eq!(gathered.recv().await.unwrap().name, "a");
    }
}
