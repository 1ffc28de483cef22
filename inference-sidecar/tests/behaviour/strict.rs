//! A model's server that refuses what its provider refuses, with its words.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, response::IntoResponse};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, ingress, model, serve, with};

/// Why a server takes no such body, if it does not.
pub type Strictness = fn(&Value) -> Option<Value>;

/// A model's server that refuses what its provider refuses.
#[derive(Clone)]
pub struct Strict {
    refuses: Strictness,
    answer: Value,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Strict {
    /// Behind an ingress and an egress.
    pub async fn world(dialect: &str, refuses: Strictness) -> (Self, World) {
        let answer = match dialect {
            "Anthropic" => {
                json!({"id": "m1", "type": "message", "role": "assistant", "model": "up",
                "content": [{"type": "text", "text": "Dear"}], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 4}})
            }
            _ => said(json!({"role": "assistant", "content": "Dear"})),
        };
        Self::saying(answer, dialect, refuses).await
    }

    /// The same, with an answer of one's own.
    pub async fn saying(answer: Value, dialect: &str, refuses: Strictness) -> (Self, World) {
        let strict = Self {
            refuses,
            answer,
            seen: Arc::default(),
        };
        let server = Router::new().fallback(answered).with_state(strict.clone());
        let address = serve(server).await;
        let body = with(model("m", &address), "upstream.dialect", json!(dialect));
        let model = with(body.clone(), "endpoint", json!(ingress(&body).await));
        (
            strict,
            World::start(vec![model], json!([{"model": "m"}])).await,
        )
    }

    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn last(&self) -> Value {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

async fn answered(State(strict): State<Strict>, Json(body): Json<Value>) -> impl IntoResponse {
    strict.seen.lock().unwrap().push(body.clone());
    match (strict.refuses)(&body) {
        None => (StatusCode::OK, Json(strict.answer)),
        Some(error) => (StatusCode::BAD_REQUEST, Json(error)),
    }
}

/// A chat completion of this message.
pub fn said(message: Value) -> Value {
    json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 4}})
}

/// A call of pipeline `p`.
pub async fn asked(world: &World, face: &str, body: &Value) -> reqwest::Response {
    let post = world.http.post(format!("{}/v1/{face}", world.base));
    let post = post.header("aios-pipeline", "p").body(body.to_string());
    post.send().await.unwrap()
}
