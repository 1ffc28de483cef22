//! Servers on free loopback ports, a client, and waiting without sleeping blindly.
#![allow(clippy::unwrap_used, dead_code)]

use std::time::{Duration, Instant};

use aios_simulator::{Listen, Served, model, start, webhook};
use axum::Router;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub async fn serve(app: Router) -> Served {
    start(app, &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

pub async fn model(settings: model::Settings) -> Served {
    serve(model::router(settings).unwrap()).await
}

pub async fn webhook(settings: &webhook::Settings) -> Served {
    serve(webhook::router(settings).unwrap()).await
}

pub fn client() -> Client {
    aios_runtime::init("test");
    Client::builder().no_proxy().build().unwrap()
}

pub async fn get(served: &Served, path: &str) -> Value {
    client()
        .get(format!("{}{path}", served.url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

pub async fn post(served: &Served, path: &str, body: &Value) -> Response {
    client()
        .post(format!("{}{path}", served.url()))
        .json(body)
        .send()
        .await
        .unwrap()
}

/// Asks until `done` holds, for at most ten seconds.
pub async fn until(served: &Served, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let value = get(served, path).await;
        if done(&value) {
            return value;
        }
        assert!(Instant::now() < deadline, "{path} is still {value}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
