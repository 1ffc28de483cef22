//! Errors of the API as RFC 9457 problem details.

use axum::{
    Json,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::auth::AuthError;
use crate::{machine::MachineError, store::StoreError};

/// A refusal: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    /// Field of the request that is at fault, as a JSON path.
    pub field: Option<String>,
    /// Digest of the version that a decision must name now.
    pub current_digest: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            current_digest: None,
        }
    }

    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail);
        problem.field = Some(field.into());
        problem
    }

    pub fn no_pipeline(name: &str) -> Self {
        let detail = format!(
            "pipeline `{name}` is not in force here: apply a WritingPipeline of that name and wait until it is Ready"
        );
        Self::new(StatusCode::NOT_FOUND, "no_such_pipeline", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("https://aios.dev/problems/{}", self.code),
            "title": self.code,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "field": self.field,
            "currentDigest": self.current_digest,
        });
        (
            self.status,
            [(CONTENT_TYPE, "application/problem+json")],
            Json(body),
        )
            .into_response()
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let (status, code) = match error {
            AuthError::NoToken | AuthError::BadToken => {
                (StatusCode::UNAUTHORIZED, "unauthenticated")
            }
            AuthError::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            AuthError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "cannot_check_caller"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::NoDocument(_) => (StatusCode::NOT_FOUND, "no_such_document"),
            StoreError::Erased(_) => (StatusCode::GONE, "erased"),
            StoreError::Fenced => (StatusCode::CONFLICT, "busy"),
            StoreError::Quota { .. } => (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"),
            StoreError::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            StoreError::EventReused => (StatusCode::UNPROCESSABLE_ENTITY, "event_id_reused"),
            StoreError::Machine(MachineError::AuthorCannotApprove(_)) => {
                (StatusCode::FORBIDDEN, "author_cannot_approve")
            }
            StoreError::Machine(MachineError::DigestMismatch { .. }) => {
                (StatusCode::CONFLICT, "digest_mismatch")
            }
            StoreError::Machine(MachineError::PublicationBegun(_)) => {
                (StatusCode::CONFLICT, "publication_begun")
            }
            StoreError::Machine(_) => (StatusCode::CONFLICT, "wrong_status"),
            _ => {
                tracing::error!(%error, "store");
                return Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "store_failed",
                    "the store failed; the gateway's log says why",
                );
            }
        };
        let mut problem = Self::new(status, code, error.to_string());
        if let StoreError::Machine(MachineError::DigestMismatch { current, .. }) = error {
            problem.current_digest = Some(current);
        }
        problem
    }
}
