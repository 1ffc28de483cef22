//! Create, list and read documents, and a pipeline's numbers.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{caller::Caller, view};
use crate::{
    clock::now_ms,
    machine::Status,
    serve::{auth::Verb, gateway::Gateway, problem::Problem},
    store::{Accept, Idempotency, PipelineStats},
};

const LONGEST_LIST: u32 = 1000;

/// Body of a create intent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    pointer: Map<String, Value>,
    /// Instead of the `Idempotency-Key` header: the event behind the intent.
    source: Option<String>,
    id: Option<String>,
}

/// `POST /v1/pipelines/{pipeline}/documents`: 201 and the document; the same answer with 200 for a
/// repeat.
pub async fn create(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
    body: Result<Json<Create>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.may(&gateway, Verb::Create, &pipeline).await?;
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let Json(create) = body.map_err(|rejection| Problem::invalid("body", rejection.body_text()))?;
    let accept = Accept {
        id: uuid::Uuid::now_v7().to_string(),
        pipeline,
        creator: caller.0.name,
        run: None,
        subject: None,
        idempotency: idempotency(&headers, &create)?,
        pointer: create.pointer,
        quota: compiled.documents_per_day,
    };
    let (id, new) = gateway.store.accept(accept, now_ms()).await?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(view::document(&gateway.store.document(&id).await?)),
    ))
}

fn idempotency(headers: &HeaderMap, create: &Create) -> Result<Idempotency, Problem> {
    if let (Some(source), Some(id)) = (&create.source, &create.id) {
        return Ok(Idempotency::Event {
            source: source.clone(),
            id: id.clone(),
        });
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .map(|key| key.trim().trim_matches('"').to_owned())
        .filter(|key| (1..=255).contains(&key.len()));
    key.map(Idempotency::Key).ok_or_else(|| {
        let why = "send header `Idempotency-Key` (1 to 255 characters), or `source` and `id` of the \
            event, so that a repeat is recognised";
        Problem::invalid("Idempotency-Key", why)
    })
}

/// Query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    run: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/pipelines/{pipeline}/documents?status=&run=&after=&limit=`.
pub async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::List, &pipeline).await?;
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    if let Some(status) = &query.status
        && Status::parse(status).is_none()
    {
        let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let why = format!("`{status}` is no status; use one of {}", known.join(", "));
        return Err(Problem::invalid("status", why));
    }
    let limit = query.limit.unwrap_or(LONGEST_LIST).clamp(1, LONGEST_LIST);
    let (status, run, after) = (
        query.status.as_deref(),
        query.run.as_deref(),
        query.after.as_deref(),
    );
    let documents = gateway
        .store
        .list(&pipeline, status, run, after, limit)
        .await?;
    let next = if documents.len() == limit as usize {
        documents.last().map(|document| document.id.clone())
    } else {
        None
    };
    let documents: Vec<_> = documents.iter().map(view::listed).collect();
    Ok(Json(json!({"documents": documents, "next": next})))
}

/// `GET /v1/pipelines/{pipeline}/documents/{id}`.
pub async fn read(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::Get, &pipeline).await?;
    Ok(Json(view::document(
        &of_pipeline(&gateway, &pipeline, &id).await?,
    )))
}

/// The document, if it is one of this pipeline: rights are given by pipeline.
pub async fn of_pipeline(
    gateway: &Gateway,
    pipeline: &str,
    id: &str,
) -> Result<crate::machine::State, Problem> {
    let state = gateway.store.document(id).await?;
    if state.pipeline == pipeline {
        Ok(state)
    } else {
        Err(crate::store::StoreError::NoDocument(id.to_owned()).into())
    }
}

pub(super) fn bad_query(rejection: &QueryRejection) -> Problem {
    Problem::invalid("query", rejection.body_text())
}

/// Query of the numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    run: Option<String>,
}

/// `GET /v1/pipelines/{pipeline}/stats?run=`.
pub async fn stats(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
    query: Result<Query<StatsQuery>, QueryRejection>,
) -> Result<Json<PipelineStats>, Problem> {
    caller.may(&gateway, Verb::List, &pipeline).await?;
    let Query(query) = query.map_err(|rejection| bad_query(&rejection))?;
    Ok(Json(
        gateway.store.stats(&pipeline, query.run.as_deref()).await?,
    ))
}
