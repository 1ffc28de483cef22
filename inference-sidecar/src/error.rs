//! Every refusal of both roles, in the shape that OpenAI's SDKs read.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::outcome::Outcome;

/// Tells SDKs, which retry 408, 409, 429 and 5xx by themselves, whether that makes sense.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What became of one route, for the body of `routes_exhausted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Index of the route; none when the model was called by name.
    pub route: Option<usize>,
    /// Name of the ModelDeployment.
    pub model: String,
    pub outcome: Outcome,
    pub detail: String,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    #[error("the body is not a JSON object that can be read: {0}")]
    InvalidJson(String),
    #[error("`{field}` {problem}")]
    InvalidField { field: String, problem: String },
    #[error("header `{name}` {problem}")]
    InvalidHeader { name: &'static str, problem: String },
    #[error("the body is longer than {limit} bytes: shorten the messages")]
    BodyTooLarge { limit: usize },
    #[error("the body ended early: {0}")]
    BodyCut(String),
    #[error("`{field}` cannot be translated for this model: {remedy}")]
    Unsupported { field: String, remedy: String },
    #[error(
        "about {prompt} prompt tokens and {output} answer tokens do not fit the {context} tokens \
         of {model}: shorten the messages, lower max_tokens or choose a model with more context"
    )]
    ContextExceeded {
        model: String,
        prompt: u64,
        output: u64,
        context: u64,
    },
    #[error("no ModelDeployment `{0}` is in force: name one that GET /v1/models lists")]
    ModelUnknown(String),
    #[error("no WritingPipeline `{0}` is in force: check header aios-pipeline")]
    PipelineUnknown(String),
    #[error(
        "pipeline `{pipeline}` has no models for step `{step}`: use step draft, or set spec.models.{step}"
    )]
    StepUnknown { pipeline: String, step: String },
    #[error(
        "no such address: use POST /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings or \
         /v1/moderations, or GET /v1/models"
    )]
    PathUnknown,
    #[error("this address does not take that method: use POST for calls and GET for /v1/models")]
    MethodUnknown,
    #[error("no configuration is in force yet: try again shortly")]
    NotConfigured,
    #[error("no route answered: {}", summary(.0))]
    RoutesExhausted(Vec<Note>),
    #[error("only callers of namespace {0} may use this model: present its client certificate")]
    CallerNotAllowed(String),
    #[error("{limit} calls are under way, which is limits.maxInFlight: try again later")]
    Overloaded { limit: u32 },
    #[error("too many calls wait for {model}: try again later, or raise spec.scaling.max")]
    HoldFull { model: String },
    #[error(
        "no group of {model} took the call within {} ms: look at its status, or raise spec.scaling.holdFor",
        .after.as_millis()
    )]
    HoldExpired { model: String, after: Duration },
    #[error(
        "the provider's key cannot be read: check the Secret that spec.hosted.credentials names"
    )]
    CredentialsUnavailable,
    #[error("the provider refuses the key: check the Secret that spec.hosted.credentials names")]
    CredentialsRefused,
    #[error(
        "the model's server does not know the model or the address: check model and baseURL of \
         spec.hosted, or model and path of spec.selfHosted.engine"
    )]
    ModelRefused,
    #[error("the model's server cannot be reached: {0}")]
    UpstreamUnreachable(String),
    #[error("the model's server did not answer within {} ms", .0.as_millis())]
    UpstreamTimeout(Duration),
    #[error("the model's server stopped in the middle of an answer: nothing came for {} ms", .0.as_millis())]
    UpstreamStalled(Duration),
    #[error("the model's server gave an answer that cannot be read: {0}")]
    UpstreamMalformed(String),
    #[error("the model's server limits the rate")]
    RateLimited { retry_after: Option<Duration> },
    #[error("the model's server failed with status {status}: {message}")]
    UpstreamFailed { status: u16, message: String },
    #[error("the model's server failed: {0}")]
    UpstreamBroke(String),
    #[error("the model's server took the call and ended the connection without an answer: {0}")]
    UpstreamGone(String),
    #[error("the model's server rejects the request: {message}")]
    UpstreamRejected {
        status: u16,
        message: String,
        param: Option<String>,
        /// As the server calls it.
        code: Option<String>,
    },
    #[error("the model's server finds the prompt too long: {0}")]
    UpstreamContextExceeded(String),
    #[error("the provider's account has no credit left: check its billing")]
    QuotaExhausted,
    #[error(
        "the budget of {owner}{allows} has no room left for this call, which may come to {most}: {remedy}"
    )]
    BudgetExhausted {
        owner: String,
        allows: String,
        most: String,
        remedy: String,
    },
    #[error(
        "{owner} has a budget and model `{model}` has no price in {currency}: set spec.pricing of the \
         ModelDeployment, with 0 where calls cost nothing"
    )]
    Unpriced {
        model: String,
        owner: String,
        currency: String,
    },
    #[error(
        "`{field}` asks the provider for what nobody can price beforehand, and {owner} has a budget: leave it out"
    )]
    Unbounded { field: String, owner: String },
    #[error(
        "nobody grants more of the budget of {0} while the operator is away: try again shortly"
    )]
    BudgetUnreachable(String),
    #[error("the answer ended before it was whole: use none of it")]
    StreamCut,
    #[error("rule `{rule}` of policy `{policy}` refuses the prompt: {message}")]
    PromptBlocked {
        policy: String,
        rule: String,
        message: String,
    },
    #[error("rule `{rule}` of policy `{policy}` refuses the answer, use none of it: {message}")]
    AnswerBlocked {
        policy: String,
        rule: String,
        message: String,
    },
}

/// `type` of an OpenAI error, HTTP status, `code`, and whether asking again may help.
struct Class {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    retry: bool,
}

impl ApiError {
    /// An `InvalidField`.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidField {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// An `Unsupported`.
    pub fn unsupported(field: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Unsupported {
            field: field.into(),
            remedy: remedy.into(),
        }
    }

    /// `code` in the body.
    pub fn code(&self) -> &'static str {
        self.class().code
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        self.class().status
    }

    /// The body: `{"error": {message, type, param, code}}`.
    pub fn body(&self) -> Value {
        let class = self.class();
        let mut error = json!({
            "message": self.to_string(),
            "type": class.kind,
            "param": self.param(),
            "code": class.code,
        });
        match self {
            Self::RoutesExhausted(notes) => {
                error["attempts"] = notes.iter().map(Note::to_json).collect();
            }
            Self::UpstreamRejected {
                code: Some(code), ..
            } => error["code"] = json!(code),
            _ => {}
        }
        json!({ "error": error })
    }

    /// The last event of a stream that failed after its first byte. No `[DONE]` follows: SDKs take
    /// that for success.
    pub fn event(&self) -> Bytes {
        format!("event: error\ndata: {}\n\n", self.body()).into()
    }

    /// How a call with this end is counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::UpstreamUnreachable(_) | Self::HoldExpired { .. } => Outcome::Unreachable,
            Self::UpstreamTimeout(_) | Self::UpstreamStalled(_) => Outcome::Timeout,
            Self::UpstreamMalformed(_) => Outcome::Malformed,
            Self::RateLimited { .. } | Self::Overloaded { .. } | Self::HoldFull { .. } => {
                Outcome::RateLimited
            }
            Self::UpstreamFailed { .. } | Self::UpstreamBroke(_) => Outcome::Failed,
            Self::UpstreamRejected { .. } => Outcome::Rejected,
            Self::ContextExceeded { .. } | Self::UpstreamContextExceeded(_) => {
                Outcome::ContextExceeded
            }
            // It may have written an answer, and counted it.
            Self::StreamCut | Self::UpstreamGone(_) => Outcome::Cut,
            _ => Outcome::Refused,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::InvalidField { field, .. }
            | Self::Unsupported { field, .. }
            | Self::Unbounded { field, .. } => Some(field),
            Self::InvalidHeader { name, .. } => Some(name),
            Self::ModelUnknown(_) => Some("model"),
            Self::ContextExceeded { .. } | Self::UpstreamContextExceeded(_) => Some("messages"),
            Self::UpstreamRejected { param, .. } => param.as_deref(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => *retry_after,
            Self::Overloaded { .. } | Self::NotConfigured | Self::HoldExpired { .. } => {
                Some(Duration::from_secs(1))
            }
            Self::HoldFull { .. } | Self::BudgetUnreachable(_) => Some(Duration::from_secs(5)),
            _ => None,
        }
    }

    #[allow(clippy::too_many_lines, reason = "a table")]
    fn class(&self) -> Class {
        let mistake = |status, code| Class {
            status,
            kind: "invalid_request_error",
            code,
            retry: false,
        };
        let failure = |status, code, retry| Class {
            status,
            kind: "api_error",
            code,
            retry,
        };
        match self {
            Self::InvalidJson(_) => mistake(StatusCode::BAD_REQUEST, "invalid_json"),
            Self::InvalidField { .. } => mistake(StatusCode::BAD_REQUEST, "invalid_field"),
            Self::InvalidHeader { .. } => mistake(StatusCode::BAD_REQUEST, "invalid_header"),
            Self::BodyTooLarge { .. } => mistake(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyCut(_) => mistake(StatusCode::BAD_REQUEST, "body_cut"),
            Self::Unsupported { .. } => mistake(StatusCode::BAD_REQUEST, "unsupported_by_model"),
            Self::ContextExceeded { .. } | Self::UpstreamContextExceeded(_) => {
                mistake(StatusCode::BAD_REQUEST, "context_length_exceeded")
            }
            Self::QuotaExhausted => Class {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "insufficient_quota",
                code: "insufficient_quota",
                retry: false,
            },
            Self::BudgetExhausted { .. } => Class {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "insufficient_quota",
                code: "budget_exhausted",
                retry: false,
            },
            Self::Unpriced { .. } => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "model_unpriced", false)
            }
            Self::Unbounded { .. } => mistake(StatusCode::BAD_REQUEST, "call_unbounded"),
            Self::BudgetUnreachable(_) => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "budget_unreachable", true)
            }
            Self::ModelUnknown(_) => mistake(StatusCode::NOT_FOUND, "model_not_found"),
            Self::PipelineUnknown(_) => mistake(StatusCode::NOT_FOUND, "pipeline_not_found"),
            Self::StepUnknown { .. } => mistake(StatusCode::NOT_FOUND, "step_not_found"),
            Self::PathUnknown => mistake(StatusCode::NOT_FOUND, "path_not_found"),
            Self::MethodUnknown => mistake(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotConfigured => failure(StatusCode::SERVICE_UNAVAILABLE, "not_configured", true),
            Self::RoutesExhausted(_) => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "routes_exhausted", false)
            }
            Self::HoldFull { .. } => failure(StatusCode::SERVICE_UNAVAILABLE, "hold_full", true),
            Self::HoldExpired { .. } => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "hold_expired", true)
            }
            Self::CallerNotAllowed(_) => Class {
                status: StatusCode::FORBIDDEN,
                kind: "permission_error",
                code: "caller_not_allowed",
                retry: false,
            },
            Self::Overloaded { .. } => Class {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "rate_limit_error",
                code: "overloaded",
                retry: true,
            },
            Self::RateLimited { .. } => Class {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "rate_limit_error",
                code: "rate_limited",
                retry: true,
            },
            Self::CredentialsUnavailable => failure(
                StatusCode::SERVICE_UNAVAILABLE,
                "credentials_unavailable",
                false,
            ),
            Self::CredentialsRefused => {
                failure(StatusCode::BAD_GATEWAY, "credentials_refused", false)
            }
            Self::ModelRefused => failure(StatusCode::BAD_GATEWAY, "model_refused", false),
            Self::UpstreamUnreachable(_) => {
                failure(StatusCode::BAD_GATEWAY, "upstream_unreachable", true)
            }
            Self::UpstreamTimeout(_) | Self::UpstreamStalled(_) => {
                failure(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", false)
            }
            Self::UpstreamMalformed(_) => {
                failure(StatusCode::BAD_GATEWAY, "upstream_malformed", false)
            }
            Self::UpstreamFailed { .. } | Self::UpstreamBroke(_) => {
                failure(StatusCode::BAD_GATEWAY, "upstream_failed", true)
            }
            Self::UpstreamGone(_) => failure(StatusCode::BAD_GATEWAY, "upstream_gone", true),
            Self::UpstreamRejected { status, .. } => mistake(
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST),
                "upstream_rejected",
            ),
            Self::StreamCut => failure(StatusCode::BAD_GATEWAY, "stream_cut", false),
            Self::PromptBlocked { .. } => mistake(StatusCode::BAD_REQUEST, "prompt_blocked"),
            Self::AnswerBlocked { .. } => mistake(StatusCode::BAD_REQUEST, "answer_blocked"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let class = self.class();
        let mut response = (class.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let retry = if class.retry { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(retry));
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl Note {
    fn to_json(&self) -> Value {
        json!({
            "route": self.route,
            "model": self.model,
            "outcome": self.outcome.as_str(),
            "detail": self.detail,
        })
    }
}

fn summary(notes: &[Note]) -> String {
    if notes.is_empty() {
        return "the step has no route".to_owned();
    }
    let each: Vec<_> = notes
        .iter()
        .map(|note| format!("{} {} ({})", note.model, note.outcome.as_str(), note.detail))
        .collect();
    each.join("; ")
}
