//! Responses requests to chat completions.

use serde_json::{Map, Value, json};

use super::{input, output::Envelope};
use crate::{
    dialect::{
        Chat,
        leftover::{Known, leftovers},
    },
    error::ApiError,
};

/// What is known inside of fields.
const KNOWN: [Known; 3] = [
    (
        "input[]",
        &[
            "type",
            "id",
            "status",
            "role",
            "content",
            "call_id",
            "name",
            "arguments",
            "output",
            "summary",
            "encrypted_content",
        ],
    ),
    (
        "input[].content[]",
        &[
            "type",
            "text",
            "refusal",
            "image_url",
            "detail",
            "annotations",
            "logprobs",
        ],
    ),
    (
        "tools[]",
        &["type", "name", "description", "parameters", "strict"],
    ),
];

const STATELESS: &str = "leave it out: this address keeps nothing between calls";

/// Translates a request of the Responses API, and gives what its answer repeats of it.
///
/// # Errors
/// `InvalidJson`, `InvalidField` or `Unsupported`, with the field's name.
pub fn to_chat(body: &[u8]) -> Result<(Chat, Envelope), ApiError> {
    let request: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
    let (mut out, mut dropped, mut cap) = (Map::new(), Vec::new(), None);
    leftovers(&request, &KNOWN, &mut dropped);
    let mut conversation = Vec::new();
    if let Some(text) = request.get("instructions").filter(|text| !text.is_null()) {
        let text = text.as_str();
        let text = text.ok_or_else(|| ApiError::field("instructions", "must be a text"))?;
        conversation.push(json!({"role": "system", "content": text}));
    }
    let missing = || ApiError::field("input", "is missing: add a text or a list of items");
    let mut left_out = false;
    input::messages(
        &mut conversation,
        request.get("input").ok_or_else(missing)?,
        &mut left_out,
    )?;
    if left_out {
        dropped.push("input.reasoning".to_owned());
    }
    let envelope = Envelope::of(&request);
    for (field, value) in request.into_iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "input" | "instructions" | "metadata" => {}
            "model"
            | "stream"
            | "temperature"
            | "top_p"
            | "parallel_tool_calls"
            | "user"
            | "safety_identifier"
            | "prompt_cache_key" => {
                out.insert(field, value);
            }
            "max_output_tokens" => cap = Some(whole_number(&value)?),
            "tools" => tools(&mut out, &value)?,
            "tool_choice" => {
                out.insert(field, tool_choice(value)?);
            }
            "text" => text(&mut out, &value, &mut dropped)?,
            "reasoning" => reasoning(&mut out, &value, &mut dropped)?,
            "include" => include(&value, &mut dropped)?,
            "store" | "background" if value == json!(false) => {}
            "truncation" if value == json!("disabled") => {}
            "truncation" => {
                let remedy = "shorten the input yourself, or leave it at disabled";
                return Err(ApiError::unsupported(field, remedy));
            }
            "store" | "background" | "previous_response_id" | "conversation" | "prompt" => {
                return Err(ApiError::unsupported(field, STATELESS));
            }
            "moderation" => {
                return Err(ApiError::unsupported(
                    field,
                    "judge it by a policy of calls",
                ));
            }
            "top_logprobs" => {
                return Err(ApiError::unsupported(field, "use chat/completions for it"));
            }
            _ => dropped.push(field),
        }
    }
    out.insert("messages".to_owned(), Value::Array(conversation));
    dropped.sort();
    let body = Value::Object(out);
    Ok((Chat { body, cap, dropped }, envelope))
}

fn whole_number(value: &Value) -> Result<u64, ApiError> {
    let number = value.as_u64().filter(|number| *number > 0);
    let problem = "must be a whole number of 1 or more";
    number.ok_or_else(|| ApiError::field("max_output_tokens", problem))
}

fn tools(out: &mut Map<String, Value>, value: &Value) -> Result<(), ApiError> {
    let list = value.as_array();
    let list = list.ok_or_else(|| ApiError::field("tools", "must be a list of tools"))?;
    let mut tools = Vec::new();
    for (index, tool) in list.iter().enumerate() {
        let at = format!("tools[{index}]");
        if tool.get("type").and_then(Value::as_str) != Some("function") {
            let remedy = "send functions: no other tool runs behind this address";
            return Err(ApiError::unsupported(format!("{at}.type"), remedy));
        }
        let mut function = Map::new();
        for field in ["name", "description", "parameters", "strict"] {
            if let Some(value) = tool.get(field).filter(|value| !value.is_null()) {
                function.insert(field.to_owned(), value.clone());
            }
        }
        if !function.get("name").is_some_and(Value::is_string) {
            return Err(ApiError::field(
                format!("{at}.name"),
                "is missing or no text",
            ));
        }
        tools.push(json!({"type": "function", "function": function}));
    }
    // Chat completions refuse an empty list.
    if !tools.is_empty() {
        out.insert("tools".to_owned(), Value::Array(tools));
    }
    Ok(())
}

fn tool_choice(value: Value) -> Result<Value, ApiError> {
    if matches!(value.as_str(), Some("auto" | "none" | "required")) {
        return Ok(value);
    }
    let is_function = value.get("type").and_then(Value::as_str) == Some("function");
    match value.get("name").and_then(Value::as_str) {
        Some(name) if is_function => Ok(json!({"type": "function", "function": {"name": name}})),
        _ => {
            let remedy = "name auto, none, required or a function";
            Err(ApiError::unsupported("tool_choice", remedy))
        }
    }
}

fn text(
    out: &mut Map<String, Value>,
    value: &Value,
    dropped: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (field, value) in fields("text", value)? {
        match field.as_str() {
            "format" => format(out, value)?,
            "verbosity" => {
                out.insert("verbosity".to_owned(), value.clone());
            }
            other => dropped.push(format!("text.{other}")),
        }
    }
    Ok(())
}

fn format(out: &mut Map<String, Value>, value: &Value) -> Result<(), ApiError> {
    let format = match value.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(()),
        Some("json_object") => json!({"type": "json_object"}),
        Some("json_schema") => {
            let mut schema = Map::new();
            for field in ["name", "description", "schema", "strict"] {
                if let Some(value) = value.get(field).filter(|value| !value.is_null()) {
                    schema.insert(field.to_owned(), value.clone());
                }
            }
            json!({"type": "json_schema", "json_schema": schema})
        }
        _ => {
            let problem = "must be text, json_object or json_schema";
            return Err(ApiError::field("text.format.type", problem));
        }
    };
    out.insert("response_format".to_owned(), format);
    Ok(())
}

fn reasoning(
    out: &mut Map<String, Value>,
    value: &Value,
    dropped: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (field, value) in fields("reasoning", value)? {
        match field.as_str() {
            "effort" => {
                out.insert("reasoning_effort".to_owned(), value.clone());
            }
            other => dropped.push(format!("reasoning.{other}")),
        }
    }
    Ok(())
}

fn include(value: &Value, dropped: &mut Vec<String>) -> Result<(), ApiError> {
    let list = value.as_array();
    let list = list.ok_or_else(|| ApiError::field("include", "must be a list of names"))?;
    for name in list {
        if name != "reasoning.encrypted_content" {
            let remedy = "leave it out: the answer does not hold it";
            return Err(ApiError::unsupported("include", remedy));
        }
        dropped.push("include".to_owned());
    }
    Ok(())
}

fn fields<'a>(
    name: &str,
    value: &'a Value,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, ApiError> {
    let fields = value.as_object();
    let fields = fields.ok_or_else(|| ApiError::field(name, "must be an object"))?;
    Ok(fields.iter().filter(|(_, value)| !value.is_null()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case("input", json!([]), "input")]
    #[case("input", json!(null), "input")]
    #[case("input", json!([{"role": "tool", "content": "x"}]), "input[0].role")]
    #[case("input", json!([{"role": "user", "content": 3}]), "input[0].content")]
    #[case("input", json!([{"role": "user", "content": [{"type": "input_file"}]}]), "input[0].content[0].type")]
    #[case("input", json!([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]), "input[0].content[0].image_url")]
    #[case("input", json!([{"type": "item_reference", "id": "x"}]), "input[0].type")]
    #[case("input", json!([{"type": "web_search_call", "id": "x"}]), "input[0].type")]
    #[case("input", json!([{"type": "function_call", "name": "n", "arguments": "{}"}]), "input[0].call_id")]
    #[case("input", json!([{"type": "function_call_output", "call_id": "c"}]), "input[0].output")]
    #[case("instructions", json!(["x"]), "instructions")]
    #[case("max_output_tokens", json!(0), "max_output_tokens")]
    #[case("store", json!(true), "store")]
    #[case("background", json!(true), "background")]
    #[case("conversation", json!("c"), "conversation")]
    #[case("previous_response_id", json!("r"), "previous_response_id")]
    #[case("prompt", json!({"id": "p"}), "prompt")]
    #[case("truncation", json!("auto"), "truncation")]
    #[case("top_logprobs", json!(3), "top_logprobs")]
    #[case("include", json!(["message.output_text.logprobs"]), "include")]
    #[case("tools", json!([{"type": "web_search"}]), "tools[0].type")]
    #[case("tools", json!([{"type": "function"}]), "tools[0].name")]
    #[case("tool_choice", json!({"type": "file_search"}), "tool_choice")]
    #[case("text", json!({"format": {"type": "xml"}}), "text.format.type")]
    #[case("reasoning", json!("high"), "reasoning")]
    fn what_is_not_served_here_is_refused_by_name(
        #[case] field: &str,
        #[case] value: Value,
        #[case] named: &str,
    ) {
        let mut body = json!({"model": "m", "input": "x"});
        body[field] = value;
        let error = super::to_chat(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.body()["error"]["param"], named);
        assert_eq!(error.status(), 400);
    }
}
