#![allow(clippy::unwrap_used)]

use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::{Applier, Foreign, Known, compare};
use crate::{
    metrics::Metrics,
    testing::server::{Server, refusal},
};

/// A fake API server that answers `GET` with `live` and echoes what is applied.
fn server(live: Option<Value>) -> (Applier, Server) {
    server_with(live, Known::default())
}

/// The same beside watches that have shown something.
fn server_with(live: Option<Value>, known: Known) -> (Applier, Server) {
    let server = Server::start(move |request, sent| match (request.method(), &live) {
        (&Method::GET, Some(live)) => (200, live.clone()),
        (&Method::GET, None) => refusal(404, "NotFound"),
        _ => (200, versioned(sent)),
    });
    let metrics = Metrics::new(&mut Registry::default());
    (Applier::new(server.client.clone(), metrics, known), server)
}

/// As the server answers: with a version.
fn versioned(sent: &Value) -> Value {
    let mut answer = sent.clone();
    if let Some(metadata) = answer.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), "8".into());
    }
    answer
}

fn desired() -> ConfigMap {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "trust", "namespace": "team"}, "data": {"ca.crt": "one"},
    }))
    .unwrap()
}

/// What the server has after the first apply, with what it adds by itself.
fn applied() -> Value {
    let mut value = serde_json::to_value(desired()).unwrap();
    compare::stamp(&mut value).unwrap();
    let metadata = value.get_mut("metadata").unwrap().as_object_mut().unwrap();
    metadata.insert("uid".into(), "u".into());
    metadata.insert("resourceVersion".into(), "7".into());
    value
}

#[tokio::test]
async fn what_is_as_desired_is_not_written_again() {
    let (applier, server) = server(Some(applied()));
    let returned = applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::GET]);
    assert_eq!(returned.metadata.uid.as_deref(), Some("u"));
}

#[tokio::test]
async fn what_is_missing_is_applied_by_one_manager() {
    let (applier, server) = server(None);
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::GET, Method::PATCH]);
    let uri = server.requests().last().unwrap().query.clone();
    assert!(
        uri.contains("fieldManager=aios-operator") && uri.contains("force=true"),
        "{uri}"
    );
}

#[tokio::test]
async fn drift_is_mended() {
    let mut live = applied();
    *live.pointer_mut("/data/ca.crt").unwrap() = json!("two");
    let (applier, server) = server(Some(live));
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::GET, Method::PATCH]);
}

#[tokio::test]
async fn a_field_that_is_no_longer_wanted_is_taken_back() {
    let mut before = desired();
    before
        .data
        .as_mut()
        .unwrap()
        .insert("old".into(), "x".into());
    let mut live = serde_json::to_value(&before).unwrap();
    compare::stamp(&mut live).unwrap();
    let (applier, server) = server(Some(live));
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::GET, Method::PATCH]);
}

#[tokio::test]
async fn what_must_exist_first_is_never_created() {
    let (applier, server) = server(None);
    assert!(
        applier
            .apply_existing("team", &desired())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(server.methods(), [Method::GET]);
}

#[tokio::test]
async fn keys_are_created_under_a_manager_of_their_own() {
    let (applier, server) = server(None);
    applier.create_once("team", &desired()).await.unwrap();
    let uri = server.requests().last().unwrap().query.clone();
    assert_eq!(server.methods(), [Method::POST]);
    assert!(uri.contains("fieldManager=aios-operator-keys"), "{uri}");
}

#[tokio::test]
async fn what_no_watch_shows_is_applied_unread_and_then_neither_read_nor_written() {
    let known = Known::default();
    known.listed();
    let (applier, server) = server_with(None, known);
    applier.apply("team", &desired()).await.unwrap();
    let again = applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::PATCH]);
    assert_eq!(again.metadata.resource_version.as_deref(), Some("8"));
}

#[tokio::test]
async fn a_later_version_on_a_watch_is_compared_again() {
    let known = Known::default();
    let (applier, server) = server_with(Some(applied()), known.clone());
    applier.apply("team", &desired()).await.unwrap();
    let mut seen = desired().metadata;
    seen.resource_version = Some("9".into());
    known.seen("ConfigMap".into(), seen, |_| ());
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(server.methods(), [Method::GET, Method::GET]);
}

#[tokio::test]
async fn what_is_known_is_written_unread_when_something_else_is_desired() {
    let known = Known::default();
    known.listed();
    let (applier, server) = server_with(None, known);
    applier.apply("team", &desired()).await.unwrap();
    let mut other = desired();
    other.data = Some([("ca.crt".to_owned(), "two".to_owned())].into());
    applier.apply("team", &other).await.unwrap();
    assert_eq!(server.methods(), [Method::PATCH, Method::PATCH]);
}

#[tokio::test]
async fn ones_own_object_that_no_watch_shows_is_not_asked_for() {
    let known = Known::default();
    known.listed();
    let (applier, server) = server_with(Some(applied()), known);
    let found = applier.get_own::<ConfigMap>("team", "trust").await.unwrap();
    assert!(found.is_none() && server.methods().is_empty());
}

const WORKLOADS: Foreign = Foreign {
    group: "kueue.x-k8s.io",
    kind: "Workload",
    plural: "workloads",
};

#[tokio::test]
async fn a_foreign_kind_is_read_at_the_version_that_its_api_prefers() {
    let server = Server::start(|request, _| match request.path() {
        "/apis/kueue.x-k8s.io" => (
            200,
            json!({"kind": "APIGroup", "apiVersion": "v1", "name": "kueue.x-k8s.io",
                "versions": [], "preferredVersion":
                    {"groupVersion": "kueue.x-k8s.io/v1beta1", "version": "v1beta1"}}),
        ),
        "/apis/kueue.x-k8s.io/v1beta1/namespaces/team/workloads" => (
            200,
            json!({"kind": "WorkloadList", "apiVersion": "kueue.x-k8s.io/v1beta1", "metadata": {},
                "items": [{"metadata": {"name": "w"}, "spec": {"active": true}}]}),
        ),
        _ => refusal(404, "NotFound"),
    });
    let metrics = Metrics::new(&mut Registry::default());
    let applier = Applier::new(server.client.clone(), metrics, Known::default());
    let found = applier.list_foreign("team", WORKLOADS, "a=b").await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].data["spec"]["active"], true);
    assert!(server.requests()[1].query.contains("labelSelector=a%3Db"));
}

#[tokio::test]
async fn a_foreign_kind_that_nobody_serves_is_absent_and_no_error() {
    let (applier, server) = server(None);
    let found = applier.list_foreign("team", WORKLOADS, "a=b").await;
    assert!(found.unwrap().is_none());
    assert_eq!(server.methods(), [Method::GET]);
}
