//! Fields of a chat completion request that no other dialect has: what becomes of each.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// What shapes an answer so that leaving it out would give another one.
const REFUSED: [&str; 11] = [
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "logit_bias",
    "top_logprobs",
    "audio",
    "modalities",
    "prediction",
    "moderation",
    "web_search_options",
];

/// The caller's cap of the answer; the newer name wins.
pub fn cap(request: &Map<String, Value>) -> Option<Value> {
    ["max_completion_tokens", "max_tokens"]
        .iter()
        .filter_map(|name| request.get(*name))
        .find(|value| !value.is_null())
        .cloned()
}

/// Whether a field that a converter does not know is dropped, and so named to the caller; false for one
/// that says nothing.
///
/// # Errors
/// `Unsupported` for a field that asks for what the model cannot do.
pub fn is_dropped(field: &str, value: &Value) -> Result<bool, ApiError> {
    if REFUSED.contains(&field) {
        if is_empty(value) && field != "web_search_options" {
            return Ok(false);
        }
        let remedy = "leave it out, or route to a model of the OpenAI dialect";
        return Err(ApiError::unsupported(field, remedy));
    }
    match is_default(field, value) {
        Some(true) => Ok(false),
        Some(false) => Err(ApiError::unsupported(field, "leave it at its default")),
        None => Ok(true),
    }
}

/// Whether a field that can only be accepted at its default stands at it. None for other fields.
fn is_default(field: &str, value: &Value) -> Option<bool> {
    match field {
        "n" => Some(value.as_u64() == Some(1)),
        "presence_penalty" | "frequency_penalty" => Some(value.as_f64() == Some(0.0)),
        "logprobs" | "store" => Some(value.as_bool() == Some(false)),
        "response_format" => Some(value.get("type").and_then(Value::as_str) == Some("text")),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}
