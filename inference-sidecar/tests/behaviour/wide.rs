//! More calls at once than a connection of HTTP/2 usually carries: none waits for another.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Barrier, time::timeout};

use crate::{
    fake::{DONE, role, stop, token},
    world::{World, chat, ingress, model, with},
};

const CALLS: usize = 300;
const STREAMS: u32 = 100;

/// A server that takes so many streams a connection, and finishes none before all calls have begun.
async fn narrow() -> String {
    let barrier = Arc::new(Barrier::new(CALLS));
    let app = Router::new()
        .route("/v1/chat/completions", post(together))
        .with_state(barrier);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().max_concurrent_streams(STREAMS);
                let _ = builder
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
    address
}

async fn together(State(barrier): State<Arc<Barrier>>) -> Response {
    let first = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(
        role() + &token("Hello"),
    ))]);
    let rest = stream::once(async move {
        barrier.wait().await;
        Ok(Bytes::from(stop() + DONE))
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(first.chain(rest)))
        .unwrap()
}

#[tokio::test]
async fn three_hundred_streams_of_one_connection_reach_a_model_together() {
    let limits = json!({"contextTokens": 4096, "maxOutputTokens": 64, "maxInFlight": CALLS});
    let upstream = with(model("m", &narrow().await), "limits", limits);
    let mut before = upstream.clone();
    before["endpoint"] = json!(ingress(&upstream).await);
    for part in ["timeout", "firstTokenTimeout", "tokenGapTimeout"] {
        before["resilience"][part] = json!("10m");
    }
    let world = World::start(vec![before], json!([{"model": "m"}])).await;
    // Knows no HTTP/1.1, and so has one connection.
    let http = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let call = || {
        let call = http.post(format!("{}/v1/chat/completions", world.base));
        let call = call.header("aios-pipeline", "p");
        let call = call.body(chat(json!({"stream": true})).to_string());
        async move { call.send().await.unwrap().text().await.unwrap() }
    };
    let answers = join_all((0..CALLS).map(|_| call()));
    let answers = timeout(Duration::from_mins(2), answers).await.unwrap();
    assert!(answers.iter().all(|text| text.ends_with(DONE)));
}
