//! Chat completions to messages.

use serde_json::{Map, Value, json};

use super::{conversation::Conversation, tools};
use crate::{
    dialect::{
        fields,
        leftover::{Known, leftovers},
    },
    error::ApiError,
};

/// What is known inside of fields.
const KNOWN: [Known; 7] = [
    (
        "messages[]",
        &["role", "content", "tool_calls", "tool_call_id", "refusal"],
    ),
    (
        "messages[].content[]",
        &["type", "text", "image_url", "cache_control"],
    ),
    ("messages[].content[].image_url", &["url"]),
    (
        "messages[].tool_calls[]",
        &["index", "id", "type", "function"],
    ),
    ("messages[].tool_calls[].function", &["name", "arguments"]),
    ("tools[]", &["type", "function", "cache_control"]),
    (
        "tools[].function",
        &["name", "description", "parameters", "strict"],
    ),
];

/// A body for `POST /v1/messages`.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    pub body: Value,
    /// Fields that have no counterpart and change no meaning, in order of their names.
    pub dropped: Vec<String>,
}

/// Translates a chat completion request. `max_tokens` is used when the request names no cap.
///
/// # Errors
/// `InvalidJson`, `InvalidField` or `Unsupported`, with the field's name.
pub fn to_messages(body: &[u8], model: &str, max_tokens: u64) -> Result<Translated, ApiError> {
    let request: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
    let mut out = Map::new();
    let mut dropped = Vec::new();
    out.insert("model".to_owned(), json!(model));
    out.insert(
        "max_tokens".to_owned(),
        fields::cap(&request).unwrap_or_else(|| json!(max_tokens)),
    );
    leftovers(&request, &KNOWN, &mut dropped);
    let alone = request.get("parallel_tool_calls") == Some(&json!(false));
    let choice = request
        .get("tool_choice")
        .filter(|choice| !choice.is_null());
    let has_tools = request
        .get("tools")
        .is_some_and(|tools| *tools != json!([]));
    if let Some(choice) = tools::choice(choice, alone)?.filter(|_| has_tools) {
        out.insert("tool_choice".to_owned(), choice);
    }
    for (field, value) in request.into_iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "model"
            | "stream_options"
            | "max_tokens"
            | "max_completion_tokens"
            | "tool_choice"
            | "parallel_tool_calls" => {}
            "messages" => messages(&mut out, &value)?,
            "tools" if !has_tools => {}
            "tools" => {
                out.insert(field, Value::Array(tools::tools(&value)?));
            }
            "response_format" => {
                if let Some(config) = tools::output_config(&value)? {
                    out.insert("output_config".to_owned(), config);
                }
            }
            "stream" | "top_p" | "top_k" => {
                out.insert(field, value);
            }
            "temperature" => {
                out.insert(field, temperature(value)?);
            }
            "stop" => {
                out.insert("stop_sequences".to_owned(), stop(value)?);
            }
            "user" => {
                out.insert("metadata".to_owned(), json!({ "user_id": value }));
            }
            _ if fields::is_dropped(&field, &value)? => dropped.push(field),
            _ => {}
        }
    }
    dropped.sort();
    Ok(Translated {
        body: Value::Object(out),
        dropped,
    })
}

fn messages(out: &mut Map<String, Value>, value: &Value) -> Result<(), ApiError> {
    let Conversation { system, messages } = Conversation::read(value)?;
    if !system.is_empty() {
        out.insert("system".to_owned(), Value::Array(system));
    }
    out.insert("messages".to_owned(), Value::Array(messages));
    Ok(())
}

fn temperature(value: Value) -> Result<Value, ApiError> {
    match value.as_f64() {
        Some(number) if (0.0..=1.0).contains(&number) => Ok(value),
        Some(_) => Err(ApiError::unsupported(
            "temperature",
            "this model takes 0 to 1",
        )),
        None => Err(ApiError::field("temperature", "must be a number")),
    }
}

fn stop(value: Value) -> Result<Value, ApiError> {
    match value {
        Value::String(text) => Ok(json!([text])),
        Value::Array(items) if items.iter().all(Value::is_string) => Ok(Value::Array(items)),
        _ => Err(ApiError::field("stop", "must be a text or a list of texts")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::to_messages;

    fn translate(body: &Value) -> Result<super::Translated, crate::ApiError> {
        to_messages(body.to_string().as_bytes(), "claude", 512)
    }

    #[test]
    fn a_chat_request_becomes_a_messages_request() {
        let translated = translate(&json!({
            "model": "auto",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind.",
                    "cache_control": {"type": "ephemeral"}}]},
                {"role": "user", "content": "Write."},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": [{"type": "text", "text": "A line."}]},
            ],
            "stop": "\n", "temperature": 0.5, "top_p": 0.9, "user": "u1", "stream": true,
            "stream_options": {"include_usage": true}, "n": 1, "seed": 7, "mystery": [1],
            "presence_penalty": 0, "tools": [], "logit_bias": null,
        }))
        .unwrap();
        assert_eq!(translated.dropped, ["mystery", "seed"]);
        assert_eq!(
            translated.body,
            json!({
                "model": "claude",
                "max_tokens": 512,
                "system": [
                    {"type": "text", "text": "Be brief."},
                    {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
                ],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Write."}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
                    {"role": "user", "content": [{"type": "text", "text": "A line."}]},
                ],
                "stop_sequences": ["\n"], "temperature": 0.5, "top_p": 0.9,
                "metadata": {"user_id": "u1"}, "stream": true,
            })
        );
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let translated = translate(&json!({"messages": [
            {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "y"},
        ]}));
        let said = |text| json!({"role": "user", "content": [{"type": "text", "text": text}]});
        let messages = &translated.unwrap().body["messages"];
        assert_eq!(*messages, json!([said("x"), said("y")]));
    }

    #[rstest]
    #[case::older(json!({"max_tokens": 7}), 7)]
    #[case::newer(json!({"max_completion_tokens": 8}), 8)]
    #[case::both(json!({"max_tokens": 7, "max_completion_tokens": 8}), 8)]
    #[case::none(json!({}), 512)]
    fn the_cap_is_always_there(#[case] fields: Value, #[case] expected: u64) {
        let mut body = fields;
        body["messages"] = json!([{"role": "user", "content": "x"}]);
        assert_eq!(translate(&body).unwrap().body["max_tokens"], expected);
    }

    #[rstest]
    #[case("tools", json!([{"type": "web_search"}]), "tools[0].type")]
    #[case("tools", json!([{"type": "function", "function": {}}]), "tools[0].function.name")]
    #[case("tools", json!({}), "tools")]
    #[case("tool_choice", json!("some"), "tool_choice")]
    #[case("functions", json!([{}]), "functions")]
    #[case("n", json!(2), "n")]
    #[case("logprobs", json!(true), "logprobs")]
    #[case("response_format", json!({"type": "json_object"}), "response_format")]
    #[case("presence_penalty", json!(0.5), "presence_penalty")]
    #[case("temperature", json!(1.5), "temperature")]
    #[case("temperature", json!("hot"), "temperature")]
    #[case("stop", json!(3), "stop")]
    #[case("store", json!(true), "store")]
    #[case("response_format", json!({"type": "json_schema"}), "response_format.json_schema.schema")]
    #[case("messages", json!([{"role": "function", "content": "x"}]), "messages[0].role")]
    #[case("messages", json!([{"role": "tool", "content": "x"}]), "messages[0].tool_call_id")]
    #[case("messages", json!([{"role": "system", "content": "x"}]), "messages")]
    #[case("messages", json!([{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]), "messages[1].role")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "input_audio"}]}]), "messages[0].content[0].type")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "image_url"}]}]), "messages[0].content[0].image_url.url")]
    #[case("messages", json!([{"role": "assistant", "content": null, "tool_calls": [{"id": "t", "function": {"name": "n", "arguments": "?"}}]}]), "messages[0].tool_calls[0].function.arguments")]
    #[case("messages", json!([{"role": "user", "content": 3}]), "messages[0].content")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text")]
    #[case("messages", json!([{"role": "assistant", "content": "x", "tool_calls": [{}]}]), "messages[0].tool_calls[0].id")]
    fn what_cannot_be_translated_is_refused_by_name(
        #[case] field: &str,
        #[case] value: Value,
        #[case] named: &str,
    ) {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        let error = translate(&body).unwrap_err();
        assert_eq!(error.body()["error"]["param"], named);
        assert_eq!(error.status(), 400);
    }
}
