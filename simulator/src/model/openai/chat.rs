use serde_json::{Value, json};

use crate::model::fields::{Fields, content};
use crate::model::problem::Problem;
use crate::model::request::{Request, Tool, pick};
use crate::model::tokens;

const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];

/// Reads and checks `POST /v1/chat/completions`.
pub fn chat_request(body: &Value) -> Result<Request, Problem> {
    let fields = Fields::new(body)?;
    let model = fields.text("model")?.to_owned();
    let mut request = Request {
        model,
        system: String::new(),
        last_user: String::new(),
        prompt: String::new(),
        prompt_tokens: 0,
        max_tokens: limit(fields)?,
        stop: fields.strings("stop")?,
        stream: fields.flag("stream")?,
        include_usage: false,
        schema: schema(fields)?,
        tool: tool(fields)?,
    };
    if request.stop.len() > 4 {
        return Err(Problem::invalid("stop", "at most 4 sequences are allowed"));
    }
    fields.within("temperature", 0.0, 2.0)?;
    fields.within("top_p", 0.0, 1.0)?;
    if fields.positive("n")?.is_some_and(|n| n > 1) {
        return Err(Problem::invalid(
            "n",
            "this simulator gives one choice only",
        ));
    }
    if let Some(options) = fields.get("stream_options") {
        if !request.stream {
            let why = "only allowed when 'stream' is enabled";
            return Err(Problem::invalid("stream_options", why));
        }
        request.include_usage = Fields::new(options)?.flag("include_usage")?;
    }
    for (index, message) in fields.list("messages")?.iter().enumerate() {
        add_message(&mut request, index, message)?;
    }
    request.prompt_tokens = tokens::count(&request.prompt);
    Ok(request)
}

fn limit(fields: Fields<'_>) -> Result<Option<u64>, Problem> {
    match (
        fields.positive("max_tokens")?,
        fields.positive("max_completion_tokens")?,
    ) {
        (Some(_), Some(_)) => Err(Problem::invalid(
            "max_tokens",
            "give max_completion_tokens or max_tokens, not both",
        )),
        (old, new) => Ok(new.or(old)),
    }
}

fn schema(fields: Fields<'_>) -> Result<Option<Value>, Problem> {
    let Some(format) = fields.get("response_format") else {
        return Ok(None);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        // Self-hosted engines take the schema here too.
        Some("json_object") => Ok(Some(format.get("schema").cloned().unwrap_or(json!({})))),
        Some("json_schema") => {
            let schema = format
                .pointer("/json_schema/schema")
                .filter(|s| s.is_object());
            let param = "response_format.json_schema.schema";
            schema
                .cloned()
                .map(Some)
                .ok_or_else(|| Problem::Missing(param.into()))
        }
        _ => Err(Problem::invalid(
            "response_format.type",
            "text, json_object or json_schema is expected",
        )),
    }
}

fn tool(fields: Fields<'_>) -> Result<Option<Tool>, Problem> {
    let Some(tools) = fields.get("tools") else {
        return Ok(None);
    };
    let tools = tools.as_array().into_iter().flatten().enumerate();
    let tools = tools.map(|(index, tool)| {
        let name = tool.pointer("/function/name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Problem::Missing(format!("tools[{index}].function.name")))?;
        Ok(Tool {
            name: name.to_owned(),
            schema: tool
                .pointer("/function/parameters")
                .cloned()
                .unwrap_or_default(),
        })
    });
    let tools = tools.collect::<Result<Vec<_>, Problem>>()?;
    let choice = fields.get("tool_choice").unwrap_or(&Value::Null);
    let has_result = fields
        .last_message()
        .is_some_and(|message| message["role"] == "tool");
    if has_result || *choice == "none" {
        return Ok(None);
    }
    let chosen = choice.pointer("/function/name").and_then(Value::as_str);
    Ok(pick(tools, chosen))
}

fn add_message(request: &mut Request, index: usize, message: &Value) -> Result<(), Problem> {
    let param = |name: &str| format!("messages[{index}].{name}");
    let role = message.get("role").and_then(Value::as_str);
    let Some(role) = role.filter(|role| ROLES.contains(role)) else {
        return Err(Problem::invalid(
            &param("role"),
            format!("one of {ROLES:?} is expected"),
        ));
    };
    let text = match message.get("content") {
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None | Some(Value::Null) => return Err(Problem::Missing(param("content"))),
        Some(value) => content(value, &param("content"))?,
    };
    request.say(role, &text);
    match role {
        "system" | "developer" => {
            request.system.push_str(&text);
            request.system.push('\n');
        }
        "user" => request.last_user = text,
        _ => {}
    }
    Ok(())
}
