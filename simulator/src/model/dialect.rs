use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::answer::Finish;
use super::problem::Problem;
use super::request::Request;
use super::{anthropic, openai};

/// Whose wire is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

/// What every frame of one answer repeats.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The call's number.
    pub id: u64,
    pub model: String,
    pub prompt_tokens: u64,
    /// Name of the tool that the answer calls.
    pub tool: Option<String>,
    pub include_usage: bool,
    /// Seconds since 1970.
    pub created: u64,
}

impl Dialect {
    /// Checks the key, where the dialect wants it.
    pub fn authorize(self, key: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let sent = match self {
            Self::OpenAi => text("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            Self::Anthropic => text("x-api-key"),
        };
        if key.is_some_and(|key| sent != Some(key)) {
            return Err(Problem::Key);
        }
        if self == Self::Anthropic && text("anthropic-version").is_none() {
            return Err(Problem::invalid("anthropic-version", "header is required"));
        }
        Ok(())
    }

    pub fn request(self, body: &Value) -> Result<Request, Problem> {
        match self {
            Self::OpenAi => openai::chat_request(body),
            Self::Anthropic => anthropic::request(body),
        }
    }

    /// The answer in one piece.
    pub fn whole(self, meta: &Meta, text: &str, finish: &Finish, tokens: u64) -> Value {
        match self {
            Self::OpenAi => openai::whole(meta, text, finish, tokens),
            Self::Anthropic => anthropic::whole(meta, text, finish, tokens),
        }
    }

    /// What a stream begins with, before the first token.
    pub fn start(self, meta: &Meta) -> Bytes {
        match self {
            Self::OpenAi => openai::start(meta),
            Self::Anthropic => anthropic::start(meta),
        }
    }

    pub fn token(self, meta: &Meta, piece: &str) -> Bytes {
        match self {
            Self::OpenAi => openai::token(meta, piece),
            Self::Anthropic => anthropic::token(meta, piece),
        }
    }

    /// What a stream ends with, usage included.
    pub fn end(self, meta: &Meta, finish: &Finish, tokens: u64) -> Bytes {
        match self {
            Self::OpenAi => openai::end(meta, finish, tokens),
            Self::Anthropic => anthropic::end(finish, tokens),
        }
    }
}
