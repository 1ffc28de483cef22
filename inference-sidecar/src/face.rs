//! What both roles' OpenAI faces share: bodies within bounds, lists of models, refusals of addresses.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;

use crate::error::ApiError;

/// Header of an answer: digest of the weights that gave it.
pub const DIGEST: &str = "aios-model-digest";

/// Longest request body.
pub const MAX_BODY: usize = 10 << 20;

/// Reads a whole body.
///
/// # Errors
/// `BodyTooLarge`, or `BodyCut` when the caller went away.
pub async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::BodyTooLarge { limit: MAX_BODY })
        }
        Err(error) => Err(ApiError::BodyCut(error.to_string())),
    }
}

/// `GET /v1/models`.
pub fn models<'a>(names: impl Iterator<Item = &'a String>) -> Response {
    let data: Vec<_> = names
        .map(|name| json!({"id": name, "object": "model", "created": 0, "owned_by": "aios"}))
        .collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

/// Answers whatever else in OpenAI's shape.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async { ApiError::PathUnknown })
        .method_not_allowed_fallback(|| async { ApiError::MethodUnknown })
}

/// How long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds. Dates are not read:
/// the default back-off stands in.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or(number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    #[test]
    fn waits_are_read_in_both_forms_and_nonsense_is_none() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            super::retry_after(&headers)
        };
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(
            read("retry-after-ms", "150"),
            Some(Duration::from_millis(150))
        );
        for nonsense in ["-1", "soon", "NaN", "1e300"] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
    }
}
