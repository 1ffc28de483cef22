//! Items of `input` as messages of a chat.

use serde_json::{Map, Value, json};

use crate::{
    dialect::block::{kind, text_of},
    error::ApiError,
};

const ROUTE: &str = "leave it out: this address keeps no state and runs no tools of its own";

/// Adds the messages of `input`: a text, or a list of items. `left_out` tells whether items were left out
/// that hold a model's reasoning.
///
/// # Errors
/// `InvalidField` or `Unsupported`, with the path.
pub fn messages(out: &mut Vec<Value>, input: &Value, left_out: &mut bool) -> Result<(), ApiError> {
    if let Value::String(text) = input {
        out.push(json!({"role": "user", "content": text}));
        return Ok(());
    }
    let Some(items) = input.as_array().filter(|items| !items.is_empty()) else {
        let problem = "must be a text or a list of items that is not empty";
        return Err(ApiError::field("input", problem));
    };
    // Of the message that follows them.
    let mut thoughts = String::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        match item.get("type").and_then(Value::as_str) {
            None | Some("message") => out.push(message(item, &at)?),
            Some("function_call") => call(out, item, &at)?,
            Some("function_call_output") => out.push(result(item, &at)?),
            Some("reasoning") => {
                let told = told(item);
                *left_out |= told.is_empty();
                thoughts.push_str(&told);
                continue;
            }
            Some(_) => return Err(ApiError::unsupported(format!("{at}.type"), ROUTE)),
        }
        if !thoughts.is_empty() {
            *left_out |= !think(out, std::mem::take(&mut thoughts));
        }
    }
    *left_out |= !thoughts.is_empty();
    Ok(())
}

fn message(item: &Value, at: &str) -> Result<Value, ApiError> {
    let role = item.get("role").and_then(Value::as_str);
    let Some(role @ ("user" | "assistant" | "system" | "developer")) = role else {
        let problem = "must be user, assistant, system or developer";
        return Err(ApiError::field(format!("{at}.role"), problem));
    };
    let field = format!("{at}.content");
    let content = match item.get("content") {
        Some(Value::String(text)) => json!(text),
        Some(Value::Array(parts)) => content(parts, &field)?,
        _ => return Err(ApiError::field(field, "must be a text or a list of parts")),
    };
    // Servers that do not know the newer role take the older one for the same.
    let role = if role == "developer" { "system" } else { role };
    Ok(json!({"role": role, "content": content}))
}

fn content(parts: &[Value], field: &str) -> Result<Value, ApiError> {
    let mut texts = Vec::new();
    let mut mapped = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let at = format!("{field}[{index}]");
        match part.get("type").and_then(Value::as_str) {
            Some("input_text" | "output_text") => {
                let text = text_of(part, "text", &at)?;
                texts.push(text);
                mapped.push(json!({"type": "text", "text": text}));
            }
            Some("refusal") => {
                let text = text_of(part, "refusal", &at)?;
                texts.push(text);
                mapped.push(json!({"type": "text", "text": text}));
            }
            Some("input_image") => {
                let mut image = json!({"url": text_of(part, "image_url", &at)?});
                if let Some(detail) = part.get("detail").filter(|detail| !detail.is_null()) {
                    image["detail"] = detail.clone();
                }
                mapped.push(json!({"type": "image_url", "image_url": image}));
            }
            _ => {
                let remedy = "send parts of text and image_url";
                return Err(ApiError::unsupported(format!("{at}.type"), remedy));
            }
        }
    }
    // Many servers know no parts: a single text goes without.
    match (texts.as_slice(), mapped.len()) {
        ([], 0) => Ok(json!("")),
        ([only], 1) => Ok(json!(only)),
        _ => Ok(Value::Array(mapped)),
    }
}

/// What a model told of its thoughts; empty where they are encrypted, or a summary.
fn told(item: &Value) -> String {
    let parts = item.get("content").and_then(Value::as_array);
    let parts = parts.into_iter().flatten();
    parts
        .filter(|part| kind(part) == "reasoning_text")
        .filter_map(|part| part.get("text")?.as_str())
        .collect()
}

/// Whether the last message is the model's, whose thoughts they are.
fn think(out: &mut [Value], thoughts: String) -> bool {
    let last = out.last_mut().and_then(Value::as_object_mut);
    let Some(message) = last.filter(is_the_models) else {
        return false;
    };
    message.insert("reasoning_content".to_owned(), Value::String(thoughts));
    true
}

fn is_the_models(message: &&mut Map<String, Value>) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}

/// Calls of one turn stand in one message.
fn call(out: &mut Vec<Value>, item: &Value, at: &str) -> Result<(), ApiError> {
    let call = json!({
        "id": text_of(item, "call_id", at)?,
        "type": "function",
        "function": {
            "name": text_of(item, "name", at)?,
            "arguments": text_of(item, "arguments", at)?,
        },
    });
    let last = out.last_mut().and_then(Value::as_object_mut);
    if let Some(message) = last.filter(is_the_models) {
        let calls = message.entry("tool_calls").or_insert_with(|| json!([]));
        if let Some(calls) = calls.as_array_mut() {
            calls.push(call);
            return Ok(());
        }
    }
    out.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    Ok(())
}

fn result(item: &Value, at: &str) -> Result<Value, ApiError> {
    let id = text_of(item, "call_id", at)?;
    let field = format!("{at}.output");
    let output = match item.get("output") {
        Some(Value::String(text)) => json!(text),
        Some(Value::Array(parts)) => content(parts, &field)?,
        _ => return Err(ApiError::field(field, "must be a text or a list of parts")),
    };
    Ok(json!({"role": "tool", "tool_call_id": id, "content": output}))
}
