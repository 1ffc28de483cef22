//! Pieces of a request, whatever the dialect: their type, and texts that must be there.

use serde_json::Value;

use crate::error::ApiError;

/// Its `type`; empty without one.
pub fn kind(block: &Value) -> &str {
    block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A text of the piece at a path.
///
/// # Errors
/// `InvalidField` with its path.
pub fn text_of<'a>(value: &'a Value, field: &str, at: &str) -> Result<&'a str, ApiError> {
    let text = value.get(field).and_then(Value::as_str);
    text.ok_or_else(|| ApiError::field(format!("{at}.{field}"), "is missing or no text"))
}

/// The text with which the model refused, of a message of a chat.
pub fn refusal(message: &Value) -> Option<&str> {
    let text = message.get("refusal").and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

/// Refuses what a message of a chat says that no other dialect can.
///
/// # Errors
/// `Unsupported` with its path.
pub fn sayable(message: &Value, at: &str) -> Result<(), ApiError> {
    let said = |field: &&str| message.get(*field).is_some_and(|said| !said.is_null());
    match ["audio", "function_call"].into_iter().find(said) {
        None => Ok(()),
        Some(field) => {
            let remedy = "leave it out, or route to a model of the OpenAI dialect";
            Err(ApiError::unsupported(format!("{at}.{field}"), remedy))
        }
    }
}
