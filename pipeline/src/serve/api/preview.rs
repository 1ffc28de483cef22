//! What a document would become: written and checked, never stored, never published.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{caller::Caller, view};
use crate::{
    clock::now_ms,
    draft::{StepError, write_step},
    machine::{self, Effect, Event, apply, next},
    serve::{auth::Verb, gateway::Gateway, problem::Problem, retrieve::retrieve},
};

/// More steps than any document takes.
const MOST_STEPS: usize = 500;

/// Body of a preview intent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    pointer: Map<String, Value>,
}

/// `POST /v1/pipelines/{pipeline}/preview`.
pub async fn preview(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    body: Result<Json<Preview>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::Preview, &pipeline).await?;
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let Json(body) = body.map_err(|rejection| Problem::invalid("body", rejection.body_text()))?;
    let id = format!("preview-{}", uuid::Uuid::now_v7());
    let creator = caller.0.name;
    let mut state = machine::State::accepted(id, pipeline, creator, None, body.pointer, now_ms());
    for _ in 0..MOST_STEPS {
        let view = compiled.view_of(&state);
        let effect = next(&state, &view, now_ms(), 0);
        let event = match &effect {
            Effect::Retrieve => retrieve(&gateway.store, &compiled, &state).await?.event,
            effect if effect.for_worker() => {
                let (egress, store) = (&gateway.egress, &gateway.store);
                let step = write_step(effect, &state, &compiled, egress, Some(store)).await;
                step.map_err(|error| match error {
                    StepError::Store(error) => error.into(),
                    error => {
                        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
                        Problem::new(status, "cannot_draft", error.to_string())
                    }
                })?
            }
            _ => break,
        };
        let view = match &event {
            Event::Retrieved(retrieved) => compiled.view(Some(&retrieved.language)),
            _ => view,
        };
        state = apply(state, event, &view, now_ms())
            .map_err(crate::store::StoreError::from)?
            .state;
    }
    Ok(Json(view::document(&state)))
}
