//! A watch of metadata that holds no object: what is read of children is noted in `apply::Known`.

use std::{pin::pin, sync::Arc};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};

use crate::{
    apply::Known,
    share::Move,
    watch::{Meta, feed::Watched, follow::Following},
};

/// Where a watch notes what it sees, and whom it tells.
pub struct Noted {
    pub known: Known,
    /// The one that is watched; none for all.
    pub namespace: Option<String>,
    /// An object came, went, or was changed by somebody else.
    pub news: Arc<dyn Fn(&ObjectMeta) + Send + Sync>,
    /// A namespace lost objects while nobody watched; which is not known.
    pub lost: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What a watch shows of an object, whoever did it.
pub enum Shown<'a> {
    Is(&'a ObjectMeta),
    Gone(&'a ObjectMeta),
}

/// Watches for ever, with back-off. `each` is called with everything that is shown, `listed` after every
/// complete list.
pub async fn note<K>(
    api: Api<Meta<K>>,
    config: watcher::Config,
    mut following: Following<Meta<K>>,
    to: Noted,
    (mut each, mut listed): (impl FnMut(Shown<'_>), impl FnMut()),
) where
    K: Resource<DynamicType = ()> + Watched,
{
    let mut listing = None;
    let mut events = pin!(watcher(api, config.clone()).default_backoff());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            moved = following.next(), if listing.is_none() => {
                match moved {
                    Move::Lost(namespace) if following.drops(&namespace) => {
                        to.known.forget(&K::kind(&()), &namespace);
                    }
                    Move::Lost(_) => {}
                    Move::Gained(arrival) => {
                        for object in following.list(&arrival, &config).await {
                            each(Shown::Is(&object.metadata));
                            to.saw::<K>(object.metadata);
                        }
                    }
                }
                continue;
            }
        };
        match event {
            Some(Ok(Event::Init)) => {
                listing = Some(to.known.listing(K::kind(&()), to.namespace.as_deref()));
            }
            Some(Ok(Event::InitApply(object) | Event::Apply(object))) => {
                if following.takes(&object) {
                    each(Shown::Is(&object.metadata));
                    to.saw::<K>(object.metadata);
                }
            }
            Some(Ok(Event::Delete(object))) => {
                if following.takes(&object) {
                    each(Shown::Gone(&object.metadata));
                    to.known.gone(&K::kind(&()), &object.metadata);
                    (to.news)(&object.metadata);
                }
            }
            Some(Ok(Event::InitDone)) => {
                if let Some(listing) = listing.take() {
                    listing
                        .ended()
                        .iter()
                        .for_each(|namespace| (to.lost)(namespace));
                }
                listed();
            }
            Some(Err(error)) => tracing::warn!(kind = %K::kind(&()), %error, "watch"),
            None => return,
        }
    }
}

impl Noted {
    fn saw<K: Resource<DynamicType = ()>>(&self, meta: ObjectMeta) {
        let news = self.news.clone();
        self.known.seen(K::kind(&()), meta, move |meta| news(meta));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use k8s_openapi::api::core::v1::Secret;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::{
        testing::server::Server,
        watch::feed::tests::{expired, is_watch, list},
    };

    fn secret(name: &str) -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "namespace": "team", "resourceVersion": "1"}})
    }

    #[tokio::test]
    async fn what_came_is_told_by_name_and_what_went_unseen_by_namespace() {
        let lists = AtomicUsize::new(0);
        let server = Server::start(move |request, _| {
            if is_watch(request) {
                return expired();
            }
            let first = lists.fetch_add(1, SeqCst) == 0;
            let names: &[&str] = if first { &["a", "b"] } else { &["b", "c"] };
            let items: Vec<Value> = names.iter().map(|name| secret(name)).collect();
            list(&json!(items), "")
        });
        let (tell, mut told) = unbounded_channel();
        let (news, lost, listed) = (tell.clone(), tell.clone(), tell);
        let known = Known::default();
        known.listed();
        let to = Noted {
            known: known.clone(),
            namespace: None,
            news: Arc::new(move |meta| {
                let _ = news.send(format!("+{}", meta.name.as_deref().unwrap()));
            }),
            lost: Arc::new(move |namespace| {
                let _ = lost.send(format!("-{namespace}"));
            }),
        };
        let api = Api::<Meta<Secret>>::all(server.client.clone());
        let listed = move || {
            let _ = listed.send(".".into());
        };
        let (config, all) = (watcher::Config::default(), Following::nothing());
        let task = tokio::spawn(note(api, config, all, to, (|_: Shown<'_>| (), listed)));
        let mut lines = Vec::new();
        while lines.iter().filter(|line| *line == ".").count() < 2 {
            lines.push(told.recv().await.unwrap());
        }
        task.abort();
        assert_eq!(lines, ["+a", "+b", ".", "+c", "-team", "."]);
        let absent = ["a", "b", "c"].map(|name| known.is_absent("Secret", "team", name));
        assert_eq!(absent, [true, false, false]);
        let accept = server.requests().first().unwrap().accept.clone();
        assert!(accept.contains("as=PartialObjectMetadataList"), "{accept}");
    }
}
