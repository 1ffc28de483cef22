#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, client::Body};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::{Applier, compare};
use crate::metrics::Metrics;

/// Every request, in order.
type Log = Arc<Mutex<Vec<(Method, String, Value)>>>;

/// A fake API server that answers `GET` with `live` and echoes what is applied.
fn server(live: Option<Value>) -> (Applier, Log) {
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let log: Log = Log::default();
    let written = log.clone();
    tokio::spawn(async move {
        while let Some((request, send)) = handle.next_request().await {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let sent: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let answer = match (&parts.method, &live) {
                (&Method::GET, Some(live)) => ok(live),
                (&Method::GET, None) => Response::builder()
                    .status(404)
                    .body(Body::from(
                        serde_json::to_vec(&json!({"kind": "Status", "apiVersion": "v1",
                            "status": "Failure", "reason": "NotFound", "code": 404, "message": ""}))
                        .unwrap(),
                    ))
                    .unwrap(),
                _ => ok(&sent),
            };
            written
                .lock()
                .unwrap()
                .push((parts.method, parts.uri.to_string(), sent));
            send.send_response(answer);
        }
    });
    let client = Client::new(service, "default");
    (
        Applier::new(client, Metrics::new(&mut Registry::default())),
        log,
    )
}

fn ok(value: &Value) -> Response<Body> {
    Response::new(Body::from(serde_json::to_vec(value).unwrap()))
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

fn methods(log: &Log) -> Vec<Method> {
    log.lock()
        .unwrap()
        .iter()
        .map(|(method, _, _)| method.clone())
        .collect()
}

#[tokio::test]
async fn what_is_as_desired_is_not_written_again() {
    let (applier, log) = server(Some(applied()));
    let returned = applier.apply("team", &desired()).await.unwrap();
    assert_eq!(methods(&log), [Method::GET]);
    assert_eq!(returned.metadata.uid.as_deref(), Some("u"));
}

#[tokio::test]
async fn what_is_missing_is_applied_by_one_manager() {
    let (applier, log) = server(None);
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(methods(&log), [Method::GET, Method::PATCH]);
    let uri = log.lock().unwrap().last().unwrap().1.clone();
    assert!(
        uri.contains("fieldManager=aios-operator") && uri.contains("force=true"),
        "{uri}"
    );
}

#[tokio::test]
async fn drift_is_mended() {
    let mut live = applied();
    *live.pointer_mut("/data/ca.crt").unwrap() = json!("two");
    let (applier, log) = server(Some(live));
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(methods(&log), [Method::GET, Method::PATCH]);
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
    let (applier, log) = server(Some(live));
    applier.apply("team", &desired()).await.unwrap();
    assert_eq!(methods(&log), [Method::GET, Method::PATCH]);
}

#[tokio::test]
async fn what_must_exist_first_is_never_created() {
    let (applier, log) = server(None);
    assert!(
        applier
            .apply_existing("team", &desired())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(methods(&log), [Method::GET]);
}

#[tokio::test]
async fn keys_are_created_under_a_manager_of_their_own() {
    let (applier, log) = server(None);
    applier.create_once("team", &desired()).await.unwrap();
    let uri = log.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(methods(&log), [Method::POST]);
    assert!(uri.contains("fieldManager=aios-operator-keys"), "{uri}");
}
