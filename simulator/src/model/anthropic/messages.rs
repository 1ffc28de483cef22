use serde_json::Value;

use crate::model::fields::{Fields, content};
use crate::model::problem::Problem;
use crate::model::request::Request;
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
