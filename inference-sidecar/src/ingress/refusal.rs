//! What an upstream's refusal means, in either dialect. Pure.

use aios_proto::config::Dialect;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{
    dialect::{anthropic, text},
    error::ApiError,
    face::retry_after,
};

/// Classifies an answer whose status is not 200.
pub fn classify(
    dialect: &Dialect,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> ApiError {
    let error = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|mut body| body.get_mut("error").map(Value::take))
        .unwrap_or_default();
    let of = |field: &str| error.get(field).and_then(Value::as_str);
    let message = match dialect {
        Dialect::OpenInference(_) | Dialect::OpenInferenceGrpc { .. } | Dialect::BentoML(_) => {
            text::problem(body)
        }
        Dialect::OpenAI | Dialect::Anthropic => of("message")
            .or(error.as_str())
            .unwrap_or_default()
            .to_owned(),
    };
    match status.as_u16() {
        // The provider's own message may show a part of the key.
        401 | 403 => ApiError::CredentialsRefused,
        404 => ApiError::ModelRefused,
        429 if of("code") == Some("insufficient_quota") => ApiError::QuotaExhausted,
        429 => ApiError::RateLimited {
            retry_after: retry_after(headers),
        },
        400..=499 if is_context(of("code"), of("type")) => {
            ApiError::UpstreamContextExceeded(cut(&message))
        }
        400 if *dialect == Dialect::Anthropic => {
            anthropic::from_error(&String::from_utf8_lossy(body))
        }
        code @ (400 | 402 | 405..=499) => ApiError::UpstreamRejected {
            status: code,
            message: cut(&message),
            param: of("param").map(str::to_owned),
            code: of("code").map(str::to_owned),
        },
        code @ 500..=599 => ApiError::UpstreamFailed {
            status: code,
            message: cut(&message),
        },
        code => ApiError::UpstreamMalformed(format!("status {code}")),
    }
}

/// OpenAI tells by code, llama.cpp by type.
fn is_context(code: Option<&str>, kind: Option<&str>) -> bool {
    code == Some("context_length_exceeded") || kind == Some("exceed_context_size_error")
}

/// A server's own words, bounded.
pub fn cut(text: &str) -> String {
    if text.is_empty() {
        return "no reason given".to_owned();
    }
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use aios_proto::config::Dialect;
    use http::{HeaderMap, StatusCode};
    use rstest::rstest;

    use super::classify;

    #[rstest]
    #[case(
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz"}}"#,
        "credentials_refused"
    )]
    #[case(403, "", "credentials_refused")]
    #[case(404, r#"{"error":{"message":"no such model"}}"#, "model_refused")]
    #[case(429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, "rate_limited")]
    #[case(
        429,
        r#"{"error":{"code":"insufficient_quota"}}"#,
        "insufficient_quota"
    )]
    #[case(
        400,
        r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#,
        "context_length_exceeded"
    )]
    #[case(
        400,
        r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
        "context_length_exceeded"
    )]
    #[case(
        400,
        r#"{"error":{"code":"invalid_value","message":"x","param":"top_p"}}"#,
        "invalid_value"
    )]
    #[case(400, "<html>", "upstream_rejected")]
    #[case(422, r#"{"detail":[]}"#, "upstream_rejected")]
    #[case(500, "oops", "upstream_failed")]
    #[case(503, r#"{"error":{"message":"Loading model"}}"#, "upstream_failed")]
    #[case(302, "", "upstream_malformed")]
    fn every_openai_refusal_has_a_code(
        #[case] status: u16,
        #[case] body: &str,
        #[case] code: &str,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let error = classify(&Dialect::OpenAI, status, &HeaderMap::new(), body.as_bytes());
        let shown = error.body();
        assert_eq!(shown["error"]["code"], code);
        assert!(!shown.to_string().contains("sk-ab"), "{shown}");
    }

    #[rstest]
    #[case(
        400,
        "invalid_request_error",
        "max_tokens: required",
        "upstream_rejected"
    )]
    #[case(
        400,
        "invalid_request_error",
        "prompt is too long: 9 > 8",
        "context_length_exceeded"
    )]
    #[case(
        401,
        "authentication_error",
        "invalid x-api-key",
        "credentials_refused"
    )]
    #[case(429, "rate_limit_error", "slow down", "rate_limited")]
    #[case(529, "overloaded_error", "busy", "upstream_failed")]
    fn every_anthropic_refusal_has_a_code(
        #[case] status: u16,
        #[case] kind: &str,
        #[case] message: &str,
        #[case] code: &str,
    ) {
        let body =
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let error = classify(
            &Dialect::Anthropic,
            status,
            &HeaderMap::new(),
            body.as_bytes(),
        );
        assert_eq!(error.code(), code);
    }
}
