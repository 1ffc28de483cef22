//! Messages to chat completions.

use serde_json::{Map, Value, json};

use super::content;
use crate::{
    dialect::{
        Chat,
        leftover::{Known, leftovers},
    },
    error::ApiError,
};

/// What is known inside of fields.
const KNOWN: [Known; 7] = [
    ("system[]", TEXT),
    ("messages[]", &["role", "content"]),
    (
        "messages[].content[]",
        &[
            "type",
            "text",
            "citations",
            "cache_control",
            "source",
            "id",
            "name",
            "input",
            "tool_use_id",
            "content",
            "is_error",
            "thinking",
            "signature",
            "data",
        ],
    ),
    ("messages[].content[].content[]", TEXT),
    (
        "tools[]",
        &[
            "type",
            "name",
            "description",
            "input_schema",
            "strict",
            "cache_control",
        ],
    ),
    (
        "tool_choice",
        &["type", "name", "disable_parallel_tool_use"],
    ),
    ("metadata", &["user_id"]),
];
const TEXT: &[&str] = &["type", "text", "citations", "cache_control"];

/// What would change the meaning if it were left out.
const REFUSED: [&str; 3] = ["container", "mcp_servers", "inference_geo"];

/// Names of what was dropped.
#[derive(Debug, Default)]
pub struct Dropped(Vec<String>);

impl Dropped {
    pub fn add(&mut self, name: &str) {
        if !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }

    pub fn cache_control(&mut self, block: &Value) {
        if block.get("cache_control").is_some_and(|c| !c.is_null()) {
            self.add("cache_control");
        }
    }
}

/// Translates a request of the Messages API.
///
/// # Errors
/// `InvalidJson`, `InvalidField` or `Unsupported`, with the field's name.
pub fn to_chat(body: &[u8]) -> Result<Chat, ApiError> {
    let request: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
    let (mut out, mut dropped, mut cap) = (Map::new(), Dropped::default(), None);
    leftovers(&request, &KNOWN, &mut dropped.0);
    let mut conversation = Vec::new();
    if let Some(system) = request.get("system").filter(|system| !system.is_null()) {
        let content = content::system(system, &mut dropped)?;
        conversation.push(json!({"role": "system", "content": content}));
    }
    for (field, value) in request.into_iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "system" => {}
            "messages" => content::messages(&mut conversation, &value, &mut dropped)?,
            "model" | "stream" | "temperature" | "top_p" | "top_k" => {
                out.insert(field, value);
            }
            "max_tokens" => cap = Some(whole_number(&value)?),
            "stop_sequences" => {
                out.insert("stop".to_owned(), value);
            }
            "metadata" => {
                if let Some(user) = value.get("user_id").filter(|user| !user.is_null()) {
                    out.insert("user".to_owned(), user.clone());
                }
            }
            "tools" => tools(&mut out, &value, &mut dropped)?,
            "tool_choice" => tool_choice(&mut out, &value)?,
            "output_format" => format(&mut out, &value, "output_format")?,
            "output_config" => output_config(&mut out, &value, &mut dropped)?,
            "thinking" => {
                if value.get("type").and_then(Value::as_str) != Some("disabled") {
                    dropped.add("thinking");
                }
            }
            refused if REFUSED.contains(&refused) => {
                let remedy = "leave it out, or route to a model of the Anthropic dialect";
                return Err(ApiError::unsupported(field, remedy));
            }
            other => dropped.add(other),
        }
    }
    out.insert("messages".to_owned(), Value::Array(conversation));
    dropped.0.sort();
    Ok(Chat {
        body: Value::Object(out),
        cap,
        dropped: dropped.0,
    })
}

fn whole_number(value: &Value) -> Result<u64, ApiError> {
    let number = value.as_u64().filter(|number| *number > 0);
    number.ok_or_else(|| ApiError::field("max_tokens", "must be a whole number of 1 or more"))
}

fn tools(
    out: &mut Map<String, Value>,
    value: &Value,
    dropped: &mut Dropped,
) -> Result<(), ApiError> {
    let list = value.as_array();
    let list = list.ok_or_else(|| ApiError::field("tools", "must be a list of tools"))?;
    let mut tools = Vec::new();
    for (index, tool) in list.iter().enumerate() {
        if !matches!(
            tool.get("type").and_then(Value::as_str),
            None | Some("custom")
        ) {
            let remedy = "send tools of your own, or route to a model of the Anthropic dialect";
            return Err(ApiError::unsupported(
                format!("tools[{index}].type"),
                remedy,
            ));
        }
        dropped.cache_control(tool);
        let name = tool.get("name").and_then(Value::as_str);
        let missing = || ApiError::field(format!("tools[{index}].name"), "is missing or no text");
        let mut function = Map::new();
        function.insert("name".to_owned(), json!(name.ok_or_else(missing)?));
        for (from, to) in [
            ("description", "description"),
            ("input_schema", "parameters"),
            ("strict", "strict"),
        ] {
            if let Some(value) = tool.get(from).filter(|value| !value.is_null()) {
                function.insert(to.to_owned(), value.clone());
            }
        }
        tools.push(json!({"type": "function", "function": function}));
    }
    // OpenAI refuses an empty list.
    if !tools.is_empty() {
        out.insert("tools".to_owned(), Value::Array(tools));
    }
    Ok(())
}

fn tool_choice(out: &mut Map<String, Value>, value: &Value) -> Result<(), ApiError> {
    let choice = match value.get("type").and_then(Value::as_str) {
        Some("auto") => json!("auto"),
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => {
            let name = value.get("name").and_then(Value::as_str);
            let missing = || ApiError::field("tool_choice.name", "is missing or no text");
            json!({"type": "function", "function": {"name": name.ok_or_else(missing)?}})
        }
        _ => {
            let problem = "must be auto, any, tool or none";
            return Err(ApiError::field("tool_choice.type", problem));
        }
    };
    out.insert("tool_choice".to_owned(), choice);
    let alone = value.get("disable_parallel_tool_use");
    if alone.and_then(Value::as_bool) == Some(true) {
        out.insert("parallel_tool_calls".to_owned(), json!(false));
    }
    Ok(())
}

fn output_config(
    out: &mut Map<String, Value>,
    value: &Value,
    dropped: &mut Dropped,
) -> Result<(), ApiError> {
    let fields = value.as_object();
    let fields = fields.ok_or_else(|| ApiError::field("output_config", "must be an object"))?;
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "format" => format(out, value, "output_config.format")?,
            "effort" => {
                let effort = match value.as_str() {
                    Some(effort @ ("low" | "medium" | "high")) => effort,
                    Some("xhigh" | "max") => "high",
                    _ => {
                        let problem = "must be low, medium, high, xhigh or max";
                        return Err(ApiError::field("output_config.effort", problem));
                    }
                };
                out.insert("reasoning_effort".to_owned(), json!(effort));
            }
            other => dropped.add(&format!("output_config.{other}")),
        }
    }
    Ok(())
}

fn format(out: &mut Map<String, Value>, value: &Value, at: &str) -> Result<(), ApiError> {
    let schema = value.get("schema").filter(|schema| schema.is_object());
    let is_schema = value.get("type").and_then(Value::as_str) == Some("json_schema");
    let Some(schema) = schema.filter(|_| is_schema) else {
        let problem = "must be of type json_schema, with a schema";
        return Err(ApiError::field(at, problem));
    };
    let named = json!({"name": "answer", "schema": schema, "strict": true});
    out.insert(
        "response_format".to_owned(),
        json!({"type": "json_schema", "json_schema": named}),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case("messages", json!([]), "messages")]
    #[case("messages", json!("x"), "messages")]
    #[case("messages", json!([{"role": "system", "content": "x"}]), "messages[0].role")]
    #[case("messages", json!([{"role": "user"}]), "messages[0].content")]
    #[case("messages", json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "Dear"}]), "messages[1].role")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "document"}]}]), "messages[0].content[0].type")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]), "messages[0].content[0].source.type")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "tool_result"}]}]), "messages[0].content[0].tool_use_id")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}]}]), "messages[0].content[0].content[0].type")]
    #[case("messages", json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": "x"}]}, {"role": "user", "content": "x"}]), "messages[0].content[0].input")]
    #[case("messages", json!([{"role": "assistant", "content": [{"type": "server_tool_use"}]}, {"role": "user", "content": "x"}]), "messages[0].content[0].type")]
    #[case("system", json!([{"type": "image"}]), "system[0].type")]
    #[case("max_tokens", json!(0), "max_tokens")]
    #[case("tools", json!({}), "tools")]
    #[case("tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), "tools[0].type")]
    #[case("tools", json!([{"input_schema": {}}]), "tools[0].name")]
    #[case("tool_choice", json!({"type": "some"}), "tool_choice.type")]
    #[case("tool_choice", json!({"type": "tool"}), "tool_choice.name")]
    #[case("output_config", json!({"effort": 3}), "output_config.effort")]
    #[case("output_config", json!({"format": {"type": "xml"}}), "output_config.format")]
    #[case("container", json!("c"), "container")]
    #[case("mcp_servers", json!([{}]), "mcp_servers")]
    #[case("inference_geo", json!("us"), "inference_geo")]
    fn what_a_chat_cannot_carry_is_refused_by_name(
        #[case] field: &str,
        #[case] value: Value,
        #[case] named: &str,
    ) {
        let mut body = json!({"model": "m", "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        let error = super::to_chat(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.body()["error"]["param"], named);
        assert_eq!(error.status(), 400);
    }
}
