//! vLLM's own endpoints, with made-up numbers: `/metrics`, and sleep as vLLM has it with
//! `VLLM_SERVER_DEV_MODE=1` and `--enable-sleep-mode`. Stricter than vLLM: what would lose calls there is
//! refused here, so that a test sees it.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::calls::Counts;
use super::routes::Simulator;

type Shared = State<Arc<Simulator>>;

/// Calls that fill the made-up cache of keys and values.
const CACHE_HOLDS: f64 = 64.0;

/// Whether the engine sleeps.
#[derive(Debug, Default)]
pub struct Bed(AtomicBool);

impl Bed {
    pub fn is_asleep(&self) -> bool {
        self.0.load(SeqCst)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: u8,
}

pub fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/sleep", post(sleep))
        .route("/wake_up", post(wake_up))
        .route("/is_sleeping", get(is_sleeping))
}

async fn metrics(State(sim): Shared) -> Response {
    let text = exposition(sim.calls.counts(), sim.first_model());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// vLLM would abort what is under way; level 2 would lose the weights.
async fn sleep(State(sim): Shared, Query(Level { level }): Query<Level>) -> Response {
    if level != 1 {
        return refused("a standby is to wake with its weights: use level=1");
    }
    if sim.calls.counts().active > 0 {
        return refused("calls are under way, which sleep would abort");
    }
    sim.bed.0.store(true, SeqCst);
    StatusCode::OK.into_response()
}

async fn wake_up(State(sim): Shared) -> StatusCode {
    sim.bed.0.store(false, SeqCst);
    StatusCode::OK
}

async fn is_sleeping(State(sim): Shared) -> Response {
    Json(json!({"is_sleeping": sim.bed.is_asleep()})).into_response()
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response()
}

fn exposition(counts: Counts, model: &str) -> String {
    let running = counts.active as f64;
    let gauges = [
        ("num_requests_running", running),
        ("num_requests_waiting", 0.0),
        ("kv_cache_usage_perc", (running / CACHE_HOLDS).min(1.0)),
    ];
    let mut text = String::new();
    for (name, value) in gauges {
        let lines = format!(
            "# HELP vllm:{name} SIMULATED by aios-simulator.\n\
             # TYPE vllm:{name} gauge\n\
             vllm:{name}{{engine=\"0\",model_name=\"{model}\"}} {value:?}\n"
        );
        // Writing to a String does not fail.
        let _ = text.write_str(&lines);
    }
    text
}
