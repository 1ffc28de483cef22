//! Refusals in the shape of the Messages API. The name of what happened goes along as `code`, and the field
//! as `param`: SDKs show what they do not know.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// The body of a refusal, from the same in OpenAI's shape.
pub fn body(status: StatusCode, openai: &Value) -> Value {
    let of = |field: &str| openai.pointer(&format!("/error/{field}"));
    let message = of("message").and_then(Value::as_str);
    let mut error = json!({
        "type": kind(status),
        "message": message.unwrap_or("no reason given"),
    });
    for field in ["code", "param", "attempts"] {
        if let Some(value) = of(field).filter(|value| !value.is_null()) {
            error[field] = value.clone();
        }
    }
    json!({"type": "error", "error": error})
}

/// The last event of a stream that failed.
pub fn event(status: StatusCode, openai: &Value) -> Bytes {
    format!("event: error\ndata: {}\n\n", body(status, openai)).into()
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    #[test]
    fn a_refusal_keeps_its_name_and_field() {
        let openai = json!({"error": {"message": "m", "type": "t", "param": "tools", "code": "c"}});
        let body = super::body(StatusCode::BAD_REQUEST, &openai);
        let error =
            json!({"type": "invalid_request_error", "message": "m", "code": "c", "param": "tools"});
        assert_eq!(body, json!({"type": "error", "error": error}));
    }

    #[test]
    fn what_says_nothing_is_still_an_error() {
        let body = super::body(StatusCode::BAD_GATEWAY, &json!("?"));
        assert_eq!(body["error"]["type"], "api_error");
    }
}
