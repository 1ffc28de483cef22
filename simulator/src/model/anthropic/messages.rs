use serde_json::Value;

use crate::model::fields::{Fields, content};
use crate::model::problem::Problem;
use crate::model::request::{Request, Tool, pick};
use crate::model::tokens;

/// Reads and checks `POST /v1/messages`.
pub fn request(body: &Value) -> Result<Request, Problem> {
    let fields = Fields::new(body)?;
    let mut request = Request {
        model: fields.text("model")?.to_owned(),
        system: String::new(),
        last_user: String::new(),
        prompt: String::new(),
        prompt_tokens: 0,
        max_tokens: fields.positive("max_tokens")?,
        stop: fields.strings("stop_sequences")?,
        stream: fields.flag("stream")?,
        include_usage: true,
        schema: schema(body)?,
        tool: tool(fields)?,
    };
    if request.max_tokens.is_none() {
        return Err(Problem::Missing("max_tokens".into()));
    }
    fields.within("temperature", 0.0, 1.0)?;
    fields.within("top_p", 0.0, 1.0)?;
    if let Some(system) = fields.get("system") {
        request.system = content(system, "system")?;
        let system = request.system.clone();
        request.say("system", &system);
    }
    for (index, message) in fields.list("messages")?.iter().enumerate() {
        add_message(&mut request, index, message)?;
    }
    request.prompt_tokens = tokens::count(&request.prompt);
    Ok(request)
}

fn schema(body: &Value) -> Result<Option<Value>, Problem> {
    let format = body
        .pointer("/output_config/format")
        .or_else(|| body.get("output_format"));
    let Some(format) = format.filter(|format| !format.is_null()) else {
        return Ok(None);
    };
    let schema = format.get("schema").filter(|schema| schema.is_object());
    let missing = || Problem::Missing("output_config.format.schema".into());
    schema.cloned().map(Some).ok_or_else(missing)
}

fn tool(fields: Fields<'_>) -> Result<Option<Tool>, Problem> {
    let Some(tools) = fields.get("tools") else {
        return Ok(None);
    };
    let tools = tools.as_array().into_iter().flatten().enumerate();
    let tools = tools.map(|(index, tool)| {
        let name = tool.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Problem::Missing(format!("tools.{index}.name")))?;
        let schema = tool.get("input_schema").filter(|schema| schema.is_object());
        let missing = || Problem::Missing(format!("tools.{index}.input_schema"));
        Ok(Tool {
            name: name.to_owned(),
            schema: schema.cloned().ok_or_else(missing)?,
        })
    });
    let tools = tools.collect::<Result<Vec<_>, Problem>>()?;
    let choice = fields.get("tool_choice").unwrap_or(&Value::Null);
    let blocks = fields
        .last_message()
        .and_then(|message| message["content"].as_array());
    let is_result = |block: &Value| block["type"] == "tool_result";
    if blocks.is_some_and(|blocks| blocks.iter().any(is_result)) || choice["type"] == "none" {
        return Ok(None);
    }
    Ok(pick(tools, choice["name"].as_str()))
}

fn add_message(request: &mut Request, index: usize, message: &Value) -> Result<(), Problem> {
    let param = |name: &str| format!("messages.{index}.{name}");
    let role = message.get("role").and_then(Value::as_str);
    let Some(role @ ("user" | "assistant")) = role else {
        let why = "user or assistant is expected; instructions go to `system`";
        return Err(Problem::invalid(&param("role"), why));
    };
    if index == 0 && role != "user" {
        return Err(Problem::invalid(
            "messages",
            "the first message must use the user role",
        ));
    }
    let value = message.get("content").filter(|value| !value.is_null());
    let value = value.ok_or_else(|| Problem::Missing(param("content")))?;
    let text = content(value, &param("content"))?;
    request.say(role, &text);
    if role == "user" {
        request.last_user = text;
    }
    Ok(())
}
