//! What a chat completion, or a chunk of a stream, says: as far as other dialects can tell it.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A whole answer.
#[derive(Debug, Deserialize)]
pub struct Completion {
    pub id: String,
    #[serde(default)]
    pub created: u64,
    #[serde(default)]
    pub model: String,
    pub choices: Vec<Choice>,
}

/// An event of a stream.
#[derive(Debug, Deserialize)]
pub struct Chunk {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub choices: Vec<Choice>,
    #[serde(default, deserialize_with = "counted")]
    pub usage: Option<Tokens>,
}

/// One answer of those asked for.
#[derive(Debug, Deserialize)]
pub struct Choice {
    #[serde(default)]
    pub index: u64,
    #[serde(alias = "delta", default)]
    pub message: Said,
    pub finish_reason: Option<String>,
    /// Which sequence stopped it, from servers that tell: vLLM does.
    #[serde(default)]
    pub stop_reason: Value,
}

/// What is said.
#[derive(Debug, Default, Deserialize)]
pub struct Said {
    pub content: Option<String>,
    pub refusal: Option<String>,
    /// Thoughts under the name that `DeepSeek` gave them.
    #[serde(default)]
    reasoning_content: Value,
    /// The same of other servers; some send both.
    #[serde(default)]
    reasoning: Value,
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// A call of a tool, or a piece of one.
#[derive(Debug, Deserialize)]
pub struct ToolCall {
    #[serde(default)]
    pub index: u64,
    pub id: Option<String>,
    pub function: Option<Function>,
}

/// Which tool, and with what: JSON in a text.
#[derive(Debug, Default, Deserialize)]
pub struct Function {
    pub name: Option<String>,
    pub arguments: Option<String>,
}

/// Token counts. Those from a cache count inside the prompt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Tokens {
    #[serde(rename = "prompt_tokens")]
    pub prompt: u64,
    #[serde(rename = "completion_tokens", default)]
    pub completion: u64,
    #[serde(rename = "prompt_tokens_details", default)]
    prompt_details: Option<PromptDetails>,
    #[serde(rename = "completion_tokens_details", default)]
    completion_details: Option<CompletionDetails>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

/// Counts that cannot be read are none: the answer counts more.
fn counted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tokens>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

// === impl Chunk ===

impl Chunk {
    /// Reads the data of an event.
    ///
    /// # Errors
    /// What is wrong with its shape.
    pub fn read(data: &str) -> Result<Self, String> {
        serde_json::from_str(data).map_err(|error| error.to_string())
    }

    /// What it says of the first answer; other dialects have no more than one.
    pub fn first(&self) -> impl Iterator<Item = &Choice> {
        self.choices.iter().filter(|choice| choice.index == 0)
    }
}

// === impl Completion ===

impl Completion {
    /// Reads the body of a chat completion, and its token counts if it has any.
    ///
    /// # Errors
    /// What is wrong with its shape.
    pub fn read(body: &[u8]) -> Result<(Self, Option<Tokens>), String> {
        #[derive(Deserialize)]
        struct Whole {
            #[serde(flatten)]
            completion: Completion,
            #[serde(default, deserialize_with = "counted")]
            usage: Option<Tokens>,
        }
        let whole: Whole = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Ok((whole.completion, whole.usage))
    }

    /// The first answer: other dialects ask for one.
    ///
    /// # Errors
    /// When there is none.
    pub fn first(&self) -> Result<&Choice, String> {
        let first = self.choices.first();
        first.ok_or_else(|| "`choices` is empty".to_owned())
    }
}

// === impl Said ===

impl Said {
    /// What was thought, if it was told.
    pub fn thoughts(&self) -> Option<&str> {
        let names = [&self.reasoning_content, &self.reasoning];
        let mut told = names.into_iter().filter_map(Value::as_str);
        told.find(|text| !text.is_empty())
    }
}

// === impl Choice ===

impl Choice {
    /// The sequence that stopped it, if its server says which.
    pub fn stopped_by(&self) -> Option<&str> {
        self.stop_reason.as_str()
    }
}

// === impl ToolCall ===

impl ToolCall {
    pub fn name(&self) -> &str {
        let function = self.function.as_ref();
        function.and_then(|f| f.name.as_deref()).unwrap_or_default()
    }

    pub fn arguments(&self) -> &str {
        let function = self.function.as_ref();
        function
            .and_then(|f| f.arguments.as_deref())
            .unwrap_or_default()
    }
}

// === impl Tokens ===

impl Tokens {
    /// Counts that were estimated here.
    pub fn estimated(prompt: u64, completion: u64) -> Self {
        Self {
            prompt,
            completion,
            prompt_details: None,
            completion_details: None,
        }
    }

    pub fn cached(self) -> u64 {
        let details = self.prompt_details;
        let cached = details.and_then(|details| details.cached_tokens);
        cached.unwrap_or(0).min(self.prompt)
    }

    pub fn reasoning(self) -> u64 {
        let details = self.completion_details;
        let reasoning = details.and_then(|details| details.reasoning_tokens);
        reasoning.unwrap_or(0).min(self.completion)
    }
}
