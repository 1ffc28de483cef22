//! Refusals in the provider's own words and shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::faults::Fault;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("We could not parse the JSON body of your request: {0}")]
    Json(String),
    #[error("{0}: Field required")]
    Missing(String),
    #[error("{param}: {why}")]
    Invalid { param: String, why: String },
    #[error("no API key was sent, or not the one this simulator was started with")]
    Key,
    #[error("the model `{0}` does not exist")]
    UnknownModel(String),
    #[error("this simulator's context holds {limit} tokens, {wanted} were asked for")]
    Context { limit: u64, wanted: u64 },
    #[error("the simulated engine sleeps, and a call came to it: wake it first")]
    Asleep,
    #[error("injected fault: rate limit reached")]
    RateLimit { retry_after_seconds: u64 },
    #[error("injected fault: server error")]
    Server,
    #[error("injected fault: overloaded")]
    Overloaded,
}

impl Problem {
    pub fn invalid(param: &str, why: impl Into<String>) -> Self {
        Self::Invalid {
            param: param.into(),
            why: why.into(),
        }
    }

    /// The answer to a fault that comes instead of a completion.
    pub fn of(fault: Fault) -> Option<Self> {
        match fault {
            Fault::RateLimit {
                retry_after_seconds,
            } => Some(Self::RateLimit {
                retry_after_seconds,
            }),
            Fault::ServerError => Some(Self::Server),
            Fault::Overloaded => Some(Self::Overloaded),
            Fault::Stall { .. } | Fault::Cut { .. } | Fault::Delay { .. } => None,
        }
    }

    pub fn respond(&self, dialect: Dialect) -> Response {
        let (status, body) = match dialect {
            Dialect::OpenAi => self.as_openai(),
            Dialect::Anthropic => self.as_anthropic(),
        };
        let mut response = (status, Json(body)).into_response();
        if let Self::RateLimit {
            retry_after_seconds,
        } = self
        {
            let seconds = HeaderValue::from(*retry_after_seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }

    fn as_openai(&self) -> (StatusCode, Value) {
        let (status, kind, code) = match self {
            Self::Json(_) | Self::Invalid { .. } => {
                (StatusCode::BAD_REQUEST, "invalid_request_error", None)
            }
            Self::Missing(_) => {
                let code = Some("missing_required_parameter");
                (StatusCode::BAD_REQUEST, "invalid_request_error", code)
            }
            Self::Context { .. } => {
                let code = Some("context_length_exceeded");
                (StatusCode::BAD_REQUEST, "invalid_request_error", code)
            }
            Self::Key => (
                StatusCode::UNAUTHORIZED,
                "invalid_request_error",
                Some("invalid_api_key"),
            ),
            Self::UnknownModel(_) => (
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                Some("model_not_found"),
            ),
            Self::RateLimit { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "requests",
                Some("rate_limit_exceeded"),
            ),
            Self::Server | Self::Asleep => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None)
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "server_error", None),
        };
        let param = match self {
            Self::Missing(param) | Self::Invalid { param, .. } => Some(param.as_str()),
            Self::Context { .. } => Some("messages"),
            _ => None,
        };
        let message = match self {
            Self::Missing(param) => format!("Missing required parameter: '{param}'."),
            other => other.to_string(),
        };
        let error = json!({"message": message, "type": kind, "param": param, "code": code});
        (status, json!({"error": error}))
    }

    fn as_anthropic(&self) -> (StatusCode, Value) {
        let (status, kind) = match self {
            Self::Json(_) | Self::Missing(_) | Self::Invalid { .. } | Self::Context { .. } => {
                (StatusCode::BAD_REQUEST, "invalid_request_error")
            }
            Self::Key => (StatusCode::UNAUTHORIZED, "authentication_error"),
            Self::UnknownModel(_) => (StatusCode::NOT_FOUND, "not_found_error"),
            Self::RateLimit { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
            Self::Server | Self::Asleep => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
            // 529 is Anthropic's own.
            Self::Overloaded => (
                StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
                "overloaded_error",
            ),
        };
        let error = json!({"type": kind, "message": self.to_string()});
        (status, json!({"type": "error", "error": error}))
    }
}
