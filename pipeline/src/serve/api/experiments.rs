//! What became of published documents outside, and how the variants of experiments compare.

use aios_audit::{AuditError, Happened, SignedEvent};
use aios_crds::experiment::Reporter;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use super::{caller::Caller, documents::of_pipeline};
use crate::{
    clock::now_ms,
    serve::{auth::Verb, gateway::Gateway, problem::Problem},
    store::Outcome,
};

/// The log keeps the body as it was signed.
const LARGEST_EVENT: usize = 1024;

/// `POST …/documents/{id}/outcomes`, signed as a webhook: 201, and 200 for a repeat.
pub async fn report(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((pipeline, document)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.may(&gateway, Verb::Report, &pipeline).await?;
    let compiled = gateway
        .pipeline(&pipeline)
        .ok_or_else(|| Problem::no_pipeline(&pipeline))?;
    let (reporter, event, happened) = signed(&compiled.config.reporters, &headers, &body)?;
    if happened.document != document {
        let why = "the signed event is about another document than the path names";
        return Err(Problem::invalid("document", why));
    }
    if !is_name(&happened.name) {
        let why = "write the sort of event in lower case letters, digits and dashes, as in click: it is \
            in reports";
        return Err(Problem::invalid("name", why));
    }
    // Rights are given by pipeline.
    of_pipeline(&gateway, &pipeline, &document).await?;
    let outcome = Outcome {
        reporter,
        by: caller.0.name,
        happened,
        event,
    };
    let new = gateway.store.record_outcome(&outcome, now_ms()).await?;
    let answer = json!({"name": outcome.happened.name, "id": outcome.event.id});
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(answer)))
}

/// Who of the reporters signed the event, and what it says. A repeat is known by its id for ever, so that its age is
/// no matter.
fn signed(
    reporters: &[Reporter],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, SignedEvent, Happened), Problem> {
    let header = |name: &'static str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        let why = "sign the event as Standard Webhooks does: webhook-id, webhook-timestamp, webhook-signature";
        value.ok_or_else(|| Problem::invalid(name, why))
    };
    let (id, signatures) = (header("webhook-id")?, header("webhook-signature")?);
    let timestamp = header("webhook-timestamp")?.parse();
    let timestamp: u64 = timestamp
        .map_err(|_| Problem::invalid("webhook-timestamp", "must be seconds since 1970"))?;
    let body = std::str::from_utf8(body).ok();
    let body = body.filter(|body| body.len() <= LARGEST_EVENT);
    let body = body.ok_or_else(|| Problem::invalid("body", "must be JSON of at most 1 KiB"))?;
    let signatures = signatures.split(' ');
    for signature in signatures.filter(|signature| signature.starts_with("v1a,")) {
        for reporter in reporters {
            let event = SignedEvent {
                id: id.to_owned(),
                timestamp,
                body: body.to_owned(),
                signature: signature.to_owned(),
                key: reporter.public_key.clone(),
            };
            match event.verify() {
                Ok(happened) => return Ok((reporter.name.clone(), event, happened)),
                Err(AuditError::SignatureMismatch(_)) => {}
                Err(error) => return Err(Problem::invalid("body", error.to_string())),
            }
        }
    }
    let why = "no reporter of the pipeline signed this (v1a): add the sender's public key to spec.reporters";
    Err(Problem::new(StatusCode::FORBIDDEN, "not_signed", why))
}

/// `GET /v1/pipelines/{pipeline}/experiments`.
pub async fn variants(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(pipeline): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.may(&gateway, Verb::List, &pipeline).await?;
    let variants = gateway.store.variants(&pipeline).await?;
    Ok(Json(json!({"variants": variants})))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let mut rest = bytes;
    begins
        && name.len() <= 63
        && rest.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
