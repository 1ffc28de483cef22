#![allow(clippy::unwrap_used)]

use aios_crds::PolicySet;
use kube::{
    Api, ResourceExt,
    runtime::{
        reflector::{self, Store},
        watcher,
    },
};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

use super::Following;
use crate::{
    share::{Arrived, Choice, NamespaceSelector, Share},
    testing::server::{Head, Server, refusal},
    triggers::Guarded,
    watch::{
        Touch,
        feed::{follow, prune_kind},
    },
};

/// A share that moves, and what a watch that follows it told: `+name`, `~name`, `-name`, `.` after a list.
struct Scene {
    share: Share,
    arrivals: UnboundedReceiver<Arrived>,
    store: Store<Guarded<PolicySet>>,
    told: UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scene {
    fn of(server: &Server, namespaces: &[&str]) -> Self {
        let selector = NamespaceSelector::default();
        let (share, mut arrivals) =
            Share::new("aios-a", (Choice::Selected, selector), Gauge::default());
        for namespace in namespaces {
            share.gained(namespace);
            assert!(share.settle(&arrivals.try_recv().unwrap()));
        }
        let (store, writer) = reflector::store();
        let (tell, told) = unbounded_channel();
        let listed = tell.clone();
        let touched = move |touch: Touch<Guarded<PolicySet>>| {
            let (sign, object) = match touch {
                Touch::Applied { before: None, now } => ('+', now),
                Touch::Applied { now, .. } => ('~', now),
                Touch::Deleted(gone) => ('-', gone),
            };
            let _ = tell.send(format!("{sign}{}", object.name_any()));
        };
        let listed = move || drop(listed.send(".".into()));
        let client = server.client.clone();
        let following = Following::of(&share, &client, Api::namespaced);
        let (api, config) = (Api::all(client), watcher::Config::default());
        let by: (fn(&mut _), _, _) = (prune_kind, touched, listed);
        let task = tokio::spawn(follow(api, config, following, writer, by));
        Self {
            share,
            arrivals,
            store,
            told,
            task,
        }
    }

    async fn tells(&mut self, expected: &[&str]) {
        for line in expected {
            assert_eq!(self.told.recv().await.unwrap(), *line);
        }
    }

    fn held(&self) -> Vec<String> {
        let mut names: Vec<_> = self.store.state().iter().map(|o| o.name_any()).collect();
        names.sort();
        names
    }
}

fn item(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
        "metadata": {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "3"},
        "spec": {"rules": []},
    })
}

/// Namespaces `ours` and `others`. Watches tell nothing; `fails` says which requests are refused.
fn server(fails: impl Fn(&Head) -> bool + Send + Sync + 'static) -> Server {
    Server::start(move |request, _| {
        if fails(request) {
            return refusal(503, "ServiceUnavailable");
        }
        if request.query().contains("watch=true") {
            let bookmark = json!({"type": "BOOKMARK", "object": {"apiVersion": "aios.dev/v1alpha1",
                "kind": "PolicySet", "metadata": {"resourceVersion": "5"}, "spec": {"rules": []}}});
            return (200, bookmark);
        }
        let all = [item("ours", "a"), item("others", "b"), item("others", "c")];
        let asked = |item: &Value| {
            let namespace = item["metadata"]["namespace"].as_str().unwrap();
            let path = request.path();
            !path.contains("/namespaces/") || path.contains(&format!("/namespaces/{namespace}/"))
        };
        let items: Vec<Value> = all.into_iter().filter(asked).collect();
        let list = json!({"apiVersion": "aios.dev/v1alpha1", "kind": "PolicySetList",
            "metadata": {"resourceVersion": "4"}, "items": items});
        (200, list)
    })
}

#[tokio::test]
async fn only_what_is_in_the_shares_namespaces_is_held() {
    let server = server(|_| false);
    let mut scene = Scene::of(&server, &["ours"]);
    scene.tells(&["+a", "."]).await;
    assert_eq!(scene.held(), ["a"]);
}

#[tokio::test]
async fn a_namespace_that_comes_is_listed_and_one_that_goes_is_dropped() {
    let server = server(|_| false);
    let mut scene = Scene::of(&server, &["ours"]);
    scene.tells(&["+a", "."]).await;
    scene.share.gained("others");
    scene.tells(&["+b", "+c"]).await;
    let arrived = scene.arrivals.recv().await.unwrap();
    assert!(scene.share.settle(&arrived));
    scene.share.lost("ours");
    scene.tells(&["-a"]).await;
    assert_eq!(scene.held(), ["b", "c"]);
    let listed = server.requests();
    let of_others: Vec<_> = listed
        .iter()
        .filter(|sent| sent.path.contains("/namespaces/others/"))
        .collect();
    assert_eq!(of_others.len(), 1, "{of_others:?}");
}

#[tokio::test]
async fn a_namespace_whose_list_fails_arrives_once_it_succeeds() {
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let is_first = move |request: &Head| {
        request.path().contains("/namespaces/")
            && failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0
    };
    let server = server(is_first);
    let mut scene = Scene::of(&server, &["ours"]);
    scene.tells(&["+a", "."]).await;
    scene.share.gained("others");
    scene.tells(&["+b", "+c"]).await;
    assert!(scene.arrivals.recv().await.is_some());
}
