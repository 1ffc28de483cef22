//! The simulator's own endpoints, `/simulator/*`: its log, script and faults.

use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::calls::{Call, Counts};
use super::faults::{FaultRule, Faults};
use super::routes::Simulator;
use super::script::{Script, ScriptRule};
use crate::SimulatorError;

type Shared = State<Arc<Simulator>>;

pub fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/simulator/calls", get(calls).delete(reset_calls))
        .route(
            "/simulator/script",
            get(script).post(set_script).delete(clear_script),
        )
        .route(
            "/simulator/faults",
            get(faults).post(set_faults).delete(clear_faults),
        )
}

#[derive(Serialize)]
struct Log {
    counts: Counts,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Last {
    last: Option<usize>,
}

async fn calls(State(sim): Shared, Query(query): Query<Last>) -> Json<Log> {
    let calls = sim.calls.last(query.last.unwrap_or(usize::MAX));
    Json(Log {
        counts: sim.calls.counts(),
        calls,
    })
}

async fn reset_calls(State(sim): Shared) -> StatusCode {
    sim.calls.reset();
    StatusCode::NO_CONTENT
}

async fn script(State(sim): Shared) -> Json<Vec<ScriptRule>> {
    Json(
        sim.script
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .rules(),
    )
}

async fn set_script(State(sim): Shared, body: Bytes) -> Response {
    match Script::from_json(&body) {
        Ok(script) => {
            *sim.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refused(&error),
    }
}

async fn clear_script(State(sim): Shared) -> StatusCode {
    *sim.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    StatusCode::NO_CONTENT
}

async fn faults(State(sim): Shared) -> Json<Vec<FaultRule>> {
    Json(
        sim.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .rules(),
    )
}

async fn set_faults(State(sim): Shared, body: Bytes) -> Response {
    match Faults::from_json(&body) {
        Ok(faults) => {
            *sim.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refused(&error),
    }
}

async fn clear_faults(State(sim): Shared) -> StatusCode {
    *sim.faults.lock().unwrap_or_else(PoisonError::into_inner) = Faults::default();
    StatusCode::NO_CONTENT
}

fn refused(error: &SimulatorError) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Json(json!({"error": error.to_string()})),
    )
        .into_response()
}
