//! Errors of the Messages API.

use serde::Deserialize;

use crate::error::ApiError;

#[derive(Deserialize)]
struct Body {
    error: Inner,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

/// What an `error` event says. The stream's status was 200, so the type alone classifies it.
pub fn from_error(data: &str) -> ApiError {
    let Ok(Body { error }) = serde_json::from_str::<Body>(data) else {
        return ApiError::UpstreamMalformed("an error event that cannot be read".to_owned());
    };
    let failed = |status| ApiError::UpstreamFailed {
        status,
        message: error.message.clone(),
    };
    match error.kind.as_str() {
        "overloaded_error" => failed(529),
        "rate_limit_error" => ApiError::RateLimited { retry_after: None },
        "authentication_error" | "permission_error" => ApiError::CredentialsRefused,
        "not_found_error" => ApiError::ModelRefused,
        "invalid_request_error" if error.message.contains("prompt is too long") => {
            ApiError::UpstreamContextExceeded(error.message)
        }
        "invalid_request_error" => ApiError::UpstreamRejected {
            status: 400,
            message: error.message,
            param: None,
            code: None,
        },
        _ => failed(500),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("overloaded_error", "upstream_failed")]
    #[case("rate_limit_error", "rate_limited")]
    #[case("authentication_error", "credentials_refused")]
    #[case("not_found_error", "model_refused")]
    #[case("invalid_request_error", "upstream_rejected")]
    #[case("api_error", "upstream_failed")]
    fn every_type_has_a_code(#[case] kind: &str, #[case] code: &str) {
        let data = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        assert_eq!(super::from_error(&data).code(), code);
    }

    #[test]
    fn an_unreadable_error_is_still_an_error() {
        assert_eq!(super::from_error("?").code(), "upstream_malformed");
    }
}
