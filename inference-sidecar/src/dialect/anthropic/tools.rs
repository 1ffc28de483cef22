//! Tools of a chat, and the shape that it asks its answer to have, as the Messages API has them.

use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// `tools`, for functions.
///
/// # Errors
/// `InvalidField` or `Unsupported`, with the path.
pub fn tools(value: &Value) -> Result<Vec<Value>, ApiError> {
    let list = value.as_array();
    let list = list.ok_or_else(|| ApiError::field("tools", "must be a list of tools"))?;
    list.iter().enumerate().map(tool).collect()
}

fn tool((index, tool): (usize, &Value)) -> Result<Value, ApiError> {
    let at = format!("tools[{index}]");
    let function = tool.get("function").filter(|function| function.is_object());
    let Some(function) = function else {
        let remedy = "send functions, or route to a model of the OpenAI dialect";
        return Err(ApiError::unsupported(format!("{at}.type"), remedy));
    };
    let name = function.get("name").and_then(Value::as_str);
    let missing = || ApiError::field(format!("{at}.function.name"), "is missing or no text");
    let schema = function
        .get("parameters")
        .filter(|schema| !schema.is_null());
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(name.ok_or_else(missing)?));
    out.insert(
        "input_schema".to_owned(),
        schema.cloned().unwrap_or_else(|| json!({"type": "object"})),
    );
    let fields = [
        ("description", function),
        ("strict", function),
        ("cache_control", tool),
    ];
    for (field, from) in fields {
        if let Some(value) = from.get(field).filter(|value| !value.is_null()) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(out))
}

/// `tool_choice`, from the fields of the same name and `parallel_tool_calls`. None where nothing is asked.
///
/// # Errors
/// `Unsupported`.
pub fn choice(choice: Option<&Value>, alone: bool) -> Result<Option<Value>, ApiError> {
    let function = choice.and_then(|choice| choice.pointer("/function/name"));
    let mut out = match (choice.and_then(Value::as_str), function) {
        (Some("auto"), _) => json!({"type": "auto"}),
        (Some("none"), _) => return Ok(Some(json!({"type": "none"}))),
        (Some("required"), _) => json!({"type": "any"}),
        (None, Some(name)) => json!({"type": "tool", "name": name}),
        (None, None) if choice.is_none() && alone => json!({"type": "auto"}),
        (None, None) if choice.is_none() => return Ok(None),
        _ => {
            let remedy = "name auto, none, required or a function";
            return Err(ApiError::unsupported("tool_choice", remedy));
        }
    };
    if let (true, Some(out)) = (alone, out.as_object_mut()) {
        out.insert("disable_parallel_tool_use".to_owned(), json!(true));
    }
    Ok(Some(out))
}

/// `output_config`, from `response_format`. None where a text is asked for.
///
/// # Errors
/// `Unsupported` or `InvalidField`.
pub fn output_config(format: &Value) -> Result<Option<Value>, ApiError> {
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_schema") => {
            let schema = format.pointer("/json_schema/schema");
            let schema = schema.filter(|schema| schema.is_object()).ok_or_else(|| {
                ApiError::field("response_format.json_schema.schema", "must be an object")
            })?;
            Ok(Some(
                json!({"format": {"type": "json_schema", "schema": schema}}),
            ))
        }
        _ => {
            let remedy = "give a JSON schema, or route to a model of the OpenAI dialect";
            Err(ApiError::unsupported("response_format", remedy))
        }
    }
}
