#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::PolicySet;
use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference},
};
use kube::{
    Api, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        reflector::{self, Store},
        watcher,
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

use super::{Touch, Watched, feed, prune_kind, prune_pod, relisted};
use crate::{
    names,
    testing::server::{Head, Server},
    triggers::Guarded,
    watch::valid,
};

/// What a watch told of: `+name`, `~name`, `-name`, and `.` after a list.
struct Told<K: Watched> {
    store: Store<K>,
    heard: UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl<K: Watched + Resource<Scope = NamespaceResourceScope>> Told<K> {
    fn by(server: &Server) -> Self {
        let (store, writer) = reflector::store();
        let (tell, heard) = unbounded_channel();
        let listed = tell.clone();
        let touched = move |touch: Touch<K>| {
            let line = match touch {
                Touch::Applied { before: None, now } => format!("+{}", now.name_any()),
                Touch::Applied { now, .. } => format!("~{}", now.name_any()),
                Touch::Deleted(gone) => format!("-{}", gone.name_any()),
            };
            let _ = tell.send(line);
        };
        let api = Api::<K>::all(server.client.clone());
        let listed = move || drop(listed.send(".".into()));
        let config = watcher::Config::default();
        let task = tokio::spawn(feed(api, config, writer, prune_kind, touched, listed));
        Self { store, heard, task }
    }

    /// Everything up to the end of the next list, in order.
    async fn list(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.heard.recv().await {
            if line == "." {
                break;
            }
            lines.push(line);
        }
        lines.sort();
        lines
    }
}

impl<K: Watched> Drop for Told<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn item(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
        "metadata": {"name": name, "namespace": "team", "uid": name, "resourceVersion": "1"},
        "spec": spec,
    })
}

pub fn list(items: &Value, next: &str) -> (u16, Value) {
    let list = json!({"apiVersion": "aios.dev/v1alpha1", "kind": "PolicySetList",
        "metadata": {"resourceVersion": "1", "continue": next}, "items": items});
    (200, list)
}

/// The end of a watch whose place in history is gone: a new list follows.
pub fn expired() -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "Expired", "code": 410, "message": "too old"});
    (200, json!({"type": "ERROR", "object": status}))
}

pub fn is_watch(request: &Head) -> bool {
    request.query().contains("watch=true")
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_told_of_and_stops_nothing() {
    let server = Server::start(|request, _| {
        if is_watch(request) {
            return expired();
        }
        let good = json!({"rules": []});
        let bad = json!({"rules": "none"});
        list(
            &json!([item("a", &good), item("b", &bad), item("c", &good)]),
            "",
        )
    });
    let mut told = Told::<Guarded<PolicySet>>::by(&server);
    assert_eq!(told.list().await, ["+a", "+b", "+c"]);
    let held = told.store.state();
    let readable = held.iter().filter(|object| valid(object).is_some());
    assert_eq!((held.len(), readable.count()), (3, 2));
    // Nor does it stop the lists that follow, which have no news.
    assert_eq!(told.list().await, [""; 0]);
}

#[tokio::test]
async fn what_came_and_went_while_a_watch_was_down_is_told_after_the_next_list() {
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request, _| {
        if is_watch(request) {
            return expired();
        }
        let spec = json!({"rules": []});
        let first = lists.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let names: &[&str] = if first { &["a", "b"] } else { &["b", "c"] };
        let items: Vec<Value> = names.iter().map(|name| item(name, &spec)).collect();
        list(&json!(items), "")
    });
    let mut told = Told::<Guarded<PolicySet>>::by(&server);
    assert_eq!(told.list().await, ["+a", "+b"]);
    assert_eq!(told.list().await, ["+c", "-a"]);
    assert_eq!(told.store.state().len(), 2);
}

#[tokio::test]
async fn many_objects_come_in_pages_and_are_told_of_once() {
    let server = Server::start(|request, _| {
        let query = request.query().to_owned();
        if is_watch(request) {
            return expired();
        }
        assert!(query.contains("limit=500"), "{query}");
        let (from, next) = if query.contains("continue=more") {
            (500, "")
        } else {
            (0, "more")
        };
        let spec = json!({"rules": []});
        let items: Vec<Value> = (from..from + 500)
            .map(|n| item(&format!("p{n:04}"), &spec))
            .collect();
        list(&json!(items), next)
    });
    let mut told = Told::<Guarded<PolicySet>>::by(&server);
    let lines = told.list().await;
    assert_eq!(
        (lines.len(), lines.first()),
        (1000, Some(&"+p0000".to_owned()))
    );
    assert_eq!(told.store.state().len(), 1000);
}

fn map(name: &str, version: &str) -> Arc<ConfigMap> {
    Arc::new(ConfigMap {
        metadata: ObjectMeta {
            namespace: Some("team".into()),
            name: Some(name.into()),
            uid: Some(format!("uid-{name}")),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    })
}

#[test]
fn a_list_tells_only_of_what_changed_came_or_went() {
    let held = vec![map("same", "1"), map("changed", "1"), map("gone", "1")];
    let fresh = vec![map("same", "1"), map("changed", "2"), map("new", "3")];
    let mut told = Vec::new();
    relisted(held, fresh, &mut |touch| {
        told.push(match touch {
            Touch::Applied { before, now } => {
                (now.metadata.name.clone().unwrap(), before.is_some())
            }
            Touch::Deleted(gone) => (gone.metadata.name.clone().unwrap(), false),
        });
    });
    let told: Vec<_> = told
        .iter()
        .map(|(name, known)| (name.as_str(), *known))
        .collect();
    assert_eq!(told, [("changed", true), ("new", false), ("gone", false)]);
}

#[test]
fn of_a_pod_identity_and_the_labels_that_are_read_are_held() {
    let labels = |more: bool| {
        let mut labels = names::labels(names::Component::Gateway, "aios");
        labels.retain(|key, _| more || super::READ.contains(&key.as_str()));
        labels
    };
    let kept = ObjectMeta {
        name: Some("gateway-0".into()),
        namespace: Some("team".into()),
        uid: Some("u".into()),
        resource_version: Some("7".into()),
        labels: Some(labels(false)),
        ..ObjectMeta::default()
    };
    let mut meta = ObjectMeta {
        labels: Some(labels(true)),
        annotations: Some([("a".to_owned(), "b".to_owned())].into()),
        owner_references: Some(vec![OwnerReference::default()]),
        managed_fields: Some(Vec::new()),
        ..kept.clone()
    };
    prune_pod(&mut meta);
    assert_eq!(meta, kept);
}

#[test]
fn of_our_kinds_neither_managed_fields_nor_what_kubectl_remembers_is_held() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let annotations = |more: bool| {
        let mut all = BTreeMap::from([("team".to_owned(), "letters".to_owned())]);
        if more {
            all.insert(LAST.to_owned(), "a value that was a secret".to_owned());
        }
        all
    };
    let kept = ObjectMeta {
        name: Some("mail".into()),
        namespace: Some("team".into()),
        uid: Some("u".into()),
        resource_version: Some("7".into()),
        generation: Some(3),
        labels: Some([("a".to_owned(), "b".to_owned())].into()),
        annotations: Some(annotations(false)),
        owner_references: Some(vec![OwnerReference::default()]),
        finalizers: Some(vec!["aios.dev/nodes".into()]),
        ..ObjectMeta::default()
    };
    let mut meta = ObjectMeta {
        annotations: Some(annotations(true)),
        managed_fields: Some(vec![ManagedFieldsEntry::default()]),
        ..kept.clone()
    };
    prune_kind(&mut meta);
    assert_eq!(meta, kept);
    let mut only = ObjectMeta {
        annotations: Some([(LAST.to_owned(), "{}".to_owned())].into()),
        ..ObjectMeta::default()
    };
    prune_kind(&mut only);
    assert_eq!(only, ObjectMeta::default());
}

#[tokio::test]
async fn what_kubectl_remembers_is_held_of_no_object_that_a_watch_tells_of() {
    let server = Server::start(|request, _| {
        if is_watch(request) {
            return expired();
        }
        let mut object = item("a", &json!({"rules": []}));
        object["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": "sesame"});
        object["metadata"]["managedFields"] = json!([{"manager": "sesame"}]);
        list(&json!([object]), "")
    });
    let mut told = Told::<Guarded<PolicySet>>::by(&server);
    assert_eq!(told.list().await, ["+a"]);
    for held in told.store.state() {
        let meta = Resource::meta(held.as_ref());
        assert!(!format!("{meta:?}").contains("sesame"), "{meta:?}");
    }
}
