//! The log for auditors, and erasure.

use aios_audit::{BundleWriter, Envelope, Kind};
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::caller::Caller;
use crate::{
    clock::now_ms,
    serve::{auth::Verb, gateway::Gateway, problem::Problem},
    store::StoredLeaf,
};

/// Leaves read at once.
const PAGE: u64 = 1000;

/// `GET /v1/audit/checkpoint`: the signed head and the key that signed it.
pub async fn checkpoint(
    State(gateway): State<Gateway>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::Audit, "*").await?;
    let (size, note) = gateway.store.sign_checkpoint().await?;
    let key = gateway.store.log_key().verifier().to_string();
    Ok(Json(json!({"size": size, "checkpoint": note, "key": key})))
}

/// `GET /v1/audit/bundle`: everything that offline verification needs.
pub async fn bundle(State(gateway): State<Gateway>, caller: Caller) -> Result<Response, Problem> {
    caller.may(&gateway, Verb::Audit, "*").await?;
    let (size, note) = gateway.store.sign_checkpoint().await?;
    let key = gateway.store.log_key().verifier();
    let mut writer = BundleWriter::new(Vec::new(), &key, &note).map_err(|e| failed(&e))?;
    let mut from = 0;
    while from < size {
        let to = size.min(from + PAGE);
        for stored in gateway.store.leaves(from, to).await? {
            write(&mut writer, &stored).map_err(|e| failed(&e))?;
        }
        from = to;
    }
    let bytes = writer.finish().map_err(|e| failed(&e))?;
    Ok((
        StatusCode::OK,
        [(CONTENT_TYPE, "application/x-ndjson")],
        bytes,
    )
        .into_response())
}

fn write(writer: &mut BundleWriter<Vec<u8>>, stored: &StoredLeaf) -> std::io::Result<()> {
    writer.leaf(&stored.leaf)?;
    let Some((salt, payload)) = &stored.opening else {
        return Ok(());
    };
    if stored.leaf.kind == Kind::Provenance {
        let envelope: Envelope = serde_json::from_slice(payload)?;
        writer.envelope(salt, &envelope)
    } else {
        writer.opening(salt, payload)
    }
}

/// `DELETE /v1/subjects/{id}`: destroys the person's key and salts; old proofs still verify.
pub async fn erase(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::Delete, "*").await?;
    let person = gateway.store.vault().person(&id);
    let documents = gateway
        .store
        .erase(person, &caller.0.name, now_ms())
        .await?;
    Ok(Json(json!({"documents": documents})))
}

fn failed(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "bundle");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "bundle_failed",
        "the bundle cannot be written",
    )
}
