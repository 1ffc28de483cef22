//! Chat completions to messages.

use serde_json::{Map, Value, json};

use crate::dialect::{
    anthropic::UNSIGNED,
    openai::{Choice, Completion, Tokens},
};

/// Translates a chat completion. `estimated` counts where its server did not.
///
/// # Errors
/// What is wrong with it.
pub fn to_message(body: &[u8], estimated: Tokens) -> Result<Value, String> {
    let (completion, tokens) = Completion::read(body)?;
    let choice = completion.first()?;
    Ok(json!({
        "id": completion.id,
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": blocks(choice)?,
        "stop_reason": stop_reason(choice),
        "stop_sequence": choice.stopped_by(),
        "usage": usage(tokens.unwrap_or(estimated)),
    }))
}

fn blocks(choice: &Choice) -> Result<Vec<Value>, String> {
    let said = &choice.message;
    let mut blocks = Vec::new();
    if let Some(thoughts) = said.thoughts() {
        blocks.push(json!({"type": "thinking", "thinking": thoughts, "signature": UNSIGNED}));
    }
    for text in [&said.content, &said.refusal].into_iter().flatten() {
        if !text.is_empty() {
            blocks.push(json!({"type": "text", "text": text}));
        }
    }
    let is_cut = matches!(
        choice.finish_reason.as_deref(),
        Some("length" | "content_filter")
    );
    for call in said.tool_calls.iter().flatten() {
        let input = match input(call.arguments()) {
            // `stop_reason` says why they say nothing.
            Err(_) if is_cut => Map::new(),
            input => input?,
        };
        blocks.push(json!({
            "type": "tool_use",
            "id": call.id,
            "name": call.name(),
            "input": input,
        }));
    }
    Ok(blocks)
}

fn input(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(arguments)
        .map_err(|error| format!("arguments of a tool call are no object: {error}"))
}

/// `stop_reason` of an answer.
pub fn stop_reason(choice: &Choice) -> Option<&'static str> {
    let said = &choice.message;
    Some(match choice.finish_reason.as_deref()? {
        "length" => "max_tokens",
        "content_filter" => "refusal",
        "tool_calls" | "function_call" => "tool_use",
        _ if said.refusal.is_some() => "refusal",
        _ if choice.stopped_by().is_some() => "stop_sequence",
        _ => "end_turn",
    })
}

/// Cached tokens stand outside `input_tokens` at Anthropic and inside `prompt_tokens` at OpenAI.
pub fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.prompt - tokens.cached(),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached(),
        "output_tokens": tokens.completion,
    })
}
