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

/// How thoughts of a chat are named where they are dropped.
pub const THOUGHTS: &str = "messages.reasoning_content";

/// Whether a chat tells what a model thought.
pub fn has_thoughts(messages: &Value) -> bool {
    let told = |message: &Value| {
        let thoughts = message.get("reasoning_content");
        thoughts.is_some_and(|thoughts| !thoughts.is_null())
    };
    messages
        .as_array()
        .is_some_and(|messages| messages.iter().any(told))
}
