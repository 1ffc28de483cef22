//! Messages of the Messages API as messages of a chat.

use serde_json::{Map, Value, json};

use super::request::Dropped;
use crate::{
    dialect::{
        anthropic::unsigned::is_unsigned,
        block::{kind, text_of},
        unwanted::of_beginning,
    },
    error::ApiError,
};

/// Text of `system`: a text, or blocks of text.
///
/// # Errors
/// `InvalidField` or `Unsupported`, with the path.
pub fn system(value: &Value, dropped: &mut Dropped) -> Result<Value, ApiError> {
    if let Value::String(text) = value {
        return Ok(json!(text));
    }
    let mut parts = Vec::new();
    for (index, block) in blocks(value, "system")?.iter().enumerate() {
        let at = format!("system[{index}]");
        if kind(block) != "text" {
            let remedy = "send blocks of text";
            return Err(ApiError::unsupported(format!("{at}.type"), remedy));
        }
        parts.push(text_part(block, &at, dropped)?);
    }
    Ok(together(parts))
}

/// Adds the messages of a conversation. One message with results of tools becomes several.
///
/// # Errors
/// `InvalidField` or `Unsupported`, with the path.
pub fn messages(
    out: &mut Vec<Value>,
    value: &Value,
    dropped: &mut Dropped,
) -> Result<(), ApiError> {
    let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
        let problem = "must be a list of messages that is not empty";
        return Err(ApiError::field("messages", problem));
    };
    for (index, message) in list.iter().enumerate() {
        let at = format!("messages[{index}]");
        let content = message.get("content").unwrap_or(&Value::Null);
        match message.get("role").and_then(Value::as_str) {
            Some("user") => user(out, content, &at, dropped)?,
            Some("assistant") if index + 1 == list.len() => {
                return Err(of_beginning(index));
            }
            Some("assistant") => out.push(assistant(content, &at, dropped)?),
            _ => {
                let problem = "must be user or assistant: instructions go to `system`";
                return Err(ApiError::field(format!("{at}.role"), problem));
            }
        }
    }
    Ok(())
}

fn user(
    out: &mut Vec<Value>,
    content: &Value,
    at: &str,
    dropped: &mut Dropped,
) -> Result<(), ApiError> {
    if let Value::String(text) = content {
        out.push(json!({"role": "user", "content": text}));
        return Ok(());
    }
    let mut parts = Vec::new();
    for (index, block) in blocks(content, &format!("{at}.content"))?
        .iter()
        .enumerate()
    {
        let at = format!("{at}.content[{index}]");
        match kind(block) {
            "text" => parts.push(text_part(block, &at, dropped)?),
            "image" => parts.push(image_part(block, &at, dropped)?),
            // Results stand right after the calls that they are of.
            "tool_result" => out.push(tool_result(block, &at, dropped)?),
            _ => return Err(unknown(&at, "text, image and tool_result")),
        }
    }
    if !parts.is_empty() {
        out.push(json!({"role": "user", "content": together(parts)}));
    }
    Ok(())
}

fn assistant(content: &Value, at: &str, dropped: &mut Dropped) -> Result<Value, ApiError> {
    if let Value::String(text) = content {
        return Ok(json!({"role": "assistant", "content": text}));
    }
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for (index, block) in blocks(content, &format!("{at}.content"))?
        .iter()
        .enumerate()
    {
        let at = format!("{at}.content[{index}]");
        match kind(block) {
            "text" => text.push_str(texts(block, &at, dropped)?),
            "tool_use" => calls.push(tool_use(block, &at, dropped)?),
            "thinking" if is_unsigned(block) => thoughts.push_str(text_of(block, "thinking", &at)?),
            // Their signatures are of another provider's.
            "thinking" | "redacted_thinking" => dropped.add("thinking"),
            _ => return Err(unknown(&at, "text, thinking and tool_use")),
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let silent = text.is_empty() && !calls.is_empty();
    let text = if silent { Value::Null } else { json!(text) };
    message.insert("content".to_owned(), text);
    if !thoughts.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(thoughts));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Ok(Value::Object(message))
}

fn text_part(block: &Value, at: &str, dropped: &mut Dropped) -> Result<Value, ApiError> {
    Ok(json!({"type": "text", "text": texts(block, at, dropped)?}))
}

fn texts<'a>(block: &'a Value, at: &str, dropped: &mut Dropped) -> Result<&'a str, ApiError> {
    dropped.cache_control(block);
    if block.get("citations").is_some_and(|list| !list.is_null()) {
        dropped.add("citations");
    }
    text_of(block, "text", at)
}

fn image_part(block: &Value, at: &str, dropped: &mut Dropped) -> Result<Value, ApiError> {
    dropped.cache_control(block);
    let at = format!("{at}.source");
    let source = block.get("source").unwrap_or(&Value::Null);
    let url = match kind(source) {
        "url" => text_of(source, "url", &at)?.to_owned(),
        "base64" => {
            let media = text_of(source, "media_type", &at)?;
            let data = text_of(source, "data", &at)?;
            format!("data:{media};base64,{data}")
        }
        _ => {
            let remedy = "send it as base64 or url";
            return Err(ApiError::unsupported(format!("{at}.type"), remedy));
        }
    };
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

fn tool_use(block: &Value, at: &str, dropped: &mut Dropped) -> Result<Value, ApiError> {
    dropped.cache_control(block);
    let input = block.get("input").filter(|input| input.is_object());
    let input = input.ok_or_else(|| ApiError::field(format!("{at}.input"), "must be an object"))?;
    Ok(json!({
        "id": text_of(block, "id", at)?,
        "type": "function",
        "function": {"name": text_of(block, "name", at)?, "arguments": input.to_string()},
    }))
}

fn tool_result(block: &Value, at: &str, dropped: &mut Dropped) -> Result<Value, ApiError> {
    dropped.cache_control(block);
    if block.get("is_error").and_then(Value::as_bool) == Some(true) {
        dropped.add("is_error");
    }
    let id = text_of(block, "tool_use_id", at)?;
    let content = match block.get("content") {
        None | Some(Value::Null) => Value::String(String::new()),
        Some(Value::String(text)) => json!(text),
        Some(list) => {
            let field = format!("{at}.content");
            let mut parts = Vec::new();
            for (index, block) in blocks(list, &field)?.iter().enumerate() {
                let at = format!("{field}[{index}]");
                if kind(block) != "text" {
                    return Err(unknown(&at, "text"));
                }
                parts.push(text_part(block, &at, dropped)?);
            }
            together(parts)
        }
    };
    Ok(json!({"role": "tool", "tool_call_id": id, "content": content}))
}

/// Many servers know no parts: a single text goes without.
fn together(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => Value::String(String::new()),
        [only] if kind(only) == "text" => only.get("text").cloned().unwrap_or_default(),
        _ => Value::Array(parts),
    }
}

fn blocks<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, ApiError> {
    let problem = "must be a text or a list of blocks";
    value
        .as_array()
        .ok_or_else(|| ApiError::field(field, problem))
}

fn unknown(at: &str, known: &str) -> ApiError {
    let remedy = format!("send blocks of {known}, or route to a model of the Anthropic dialect");
    ApiError::unsupported(format!("{at}.type"), remedy)
}
