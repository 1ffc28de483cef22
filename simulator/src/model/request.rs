//! What both dialects ask for, once a request has been checked.

use serde_json::Value;

use crate::model::tokens;

/// A completion request.
#[derive(Debug, Clone)]
pub struct Request {
    pub model: String,
    /// System and developer messages.
    pub system: String,
    pub last_user: String,
    /// All messages; decides about the default answer.
    pub prompt: String,
    pub prompt_tokens: u64,
    /// `None` is bounded by the context alone.
    pub max_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// The answer must be JSON of this schema.
    pub schema: Option<Value>,
    /// The answer is a call of this tool: the chosen or the first one, unless its result has just come.
    pub tool: Option<Tool>,
}

/// A tool that may be called.
#[derive(Debug, Clone)]
pub struct Tool {
    pub name: String,
    pub schema: Value,
}

/// The chosen tool, or the first.
pub fn pick(tools: Vec<Tool>, chosen: Option<&str>) -> Option<Tool> {
    let mut tools = tools.into_iter();
    match chosen {
        Some(name) => tools.find(|tool| tool.name == name),
        None => tools.next(),
    }
}

impl Request {
    /// Texts that are read, and to which nothing is said.
    pub fn of_texts(model: String, texts: &[String]) -> Self {
        let prompt = texts.join("\n");
        Self {
            model,
            system: String::new(),
            last_user: prompt.clone(),
            prompt_tokens: texts.iter().map(|text| tokens::count(text)).sum(),
            prompt,
            max_tokens: None,
            stop: Vec::new(),
            stream: false,
            include_usage: false,
            schema: None,
            tool: None,
        }
    }

    /// Adds a message to the prompt.
    pub fn say(&mut self, role: &str, text: &str) {
        for part in [role, ": ", text, "\n"] {
            self.prompt.push_str(part);
        }
    }
}
