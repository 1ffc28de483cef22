//! A request as far as the sidecar must know it: parsed once, forwarded as the bytes that came.

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use super::{prompt, splice, tally::Counted};
use crate::{dialect::Chat, error::ApiError};

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    Embeddings,
    Moderations,
    /// A chat in Anthropic's dialect.
    Messages,
}

/// Name of the field that caps the answer. OpenAI's newer models refuse the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapField {
    MaxTokens,
    MaxCompletionTokens,
}

/// A request whose touched fields are known to be right.
#[derive(Clone, Debug)]
pub struct Request {
    pub operation: Operation,
    /// As the caller wrote it.
    pub model: String,
    /// Whether events are asked for.
    pub stream: bool,
    /// Whether the caller wants the usage chunk of a stream.
    pub usage_asked: bool,
    /// Cap of the answer, if the caller names one.
    pub max_output: Option<u64>,
    /// Answers asked for (`n`).
    pub choices: u64,
    /// Tokens of the prompt, by estimate.
    pub prompt_tokens: u64,
    /// The bytes that came.
    pub body: Bytes,
    stream_options: Map<String, Value>,
    caps: Caps,
}

/// Caps of the answer that stand in the body.
#[derive(Clone, Copy, Debug, Default)]
struct Caps {
    older: Option<u64>,
    newer: Option<u64>,
}

/// What is changed before a request goes on.
#[derive(Clone, Debug, Default)]
pub struct Rewrite<'a> {
    pub model: &'a str,
    /// Caps the answer where the caller does not. His own cap goes under this name, too, and under no other: a
    /// server may heed the name that it knows alone.
    pub cap: Option<(CapField, u64)>,
    /// Asks for the usage chunk of a stream.
    pub include_usage: bool,
}

/// The touched fields, still unchecked. `null` counts as missing, as at OpenAI.
#[derive(Deserialize)]
struct Touched<M> {
    model: Option<Value>,
    stream: Option<Value>,
    stream_options: Option<Value>,
    max_tokens: Option<Value>,
    max_completion_tokens: Option<Value>,
    n: Option<Value>,
    messages: Option<M>,
    system: Option<Value>,
    tools: Option<Value>,
    input: Option<Value>,
}

// === impl Operation ===

impl Operation {
    /// Value of `gen_ai.operation.name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "chat",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
        }
    }

    /// Whether text is written, whose length is capped.
    pub fn writes(self) -> bool {
        matches!(self, Self::Chat | Self::Messages)
    }

    /// Path of an ingress.
    pub fn route(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Moderations => "/v1/moderations",
            Self::Messages => "/v1/messages",
        }
    }

    /// Path under the API's version.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Messages => "messages",
        }
    }
}

// === impl CapField ===

impl CapField {
    fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::MaxTokens => Self::MaxCompletionTokens,
            Self::MaxCompletionTokens => Self::MaxTokens,
        }
    }
}

// === impl Caps ===

impl Caps {
    /// Who names two wants neither exceeded.
    fn least(self) -> Option<u64> {
        self.older.into_iter().chain(self.newer).min()
    }

    fn under(self, field: CapField) -> Option<u64> {
        match field {
            CapField::MaxTokens => self.older,
            CapField::MaxCompletionTokens => self.newer,
        }
    }
}

// === impl Request ===

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// `InvalidJson`, or `InvalidField` with the field's name.
    pub fn parse(operation: Operation, body: Bytes) -> Result<Self, ApiError> {
        match operation {
            Operation::Chat => Self::read(operation, body, |touched: &mut Touched<_>| {
                let messages = chat_messages(touched.messages.take())?;
                Ok(prompt::of_chat(messages, touched.tools.as_ref()))
            }),
            Operation::Messages => Self::read(operation, body, |touched: &mut Touched<Value>| {
                let (system, tools) = (touched.system.as_ref(), touched.tools.as_ref());
                let messages = messages(touched.messages.take())?;
                Ok(prompt::of_messages(&messages, system, tools))
            }),
            Operation::Embeddings | Operation::Moderations => {
                Self::read(operation, body, |touched: &mut Touched<IgnoredAny>| {
                    Ok(prompt::of_input(&input(touched.input.take())?))
                })
            }
        }
    }

    fn read<M: DeserializeOwned>(
        operation: Operation,
        body: Bytes,
        prompt_tokens: impl FnOnce(&mut Touched<M>) -> Result<u64, ApiError>,
    ) -> Result<Self, ApiError> {
        let mut touched: Touched<M> = serde_json::from_slice(&body)
            .map_err(|error| ApiError::InvalidJson(error.to_string()))?;
        let writes = operation.writes();
        let stream = writes && boolean("stream", touched.stream.as_ref())?.unwrap_or(false);
        let stream_options = object("stream_options", touched.stream_options.take())?;
        let usage_asked = boolean(
            "stream_options.include_usage",
            stream_options.get("include_usage"),
        )?
        .unwrap_or(false);
        let prompt_tokens = prompt_tokens(&mut touched)?;
        let newer = touched.max_completion_tokens.as_ref();
        let caps = Caps {
            older: positive("max_tokens", touched.max_tokens.as_ref())?,
            newer: positive("max_completion_tokens", newer)?,
        };
        Ok(Self {
            operation,
            model: model(touched.model)?,
            stream,
            // Events of the Messages API always tell it.
            usage_asked: usage_asked || operation == Operation::Messages,
            max_output: caps.least().filter(|_| writes),
            caps,
            choices: positive("n", touched.n.as_ref())?.unwrap_or(1),
            prompt_tokens,
            body,
            stream_options,
        })
    }

    /// A request that was translated.
    ///
    /// # Errors
    /// `InvalidField`, named as the translation names it.
    pub fn of_chat(chat: &Chat) -> Result<Self, ApiError> {
        let request = Self::parse(Operation::Chat, chat.body.to_string().into())?;
        Ok(Self {
            max_output: chat.cap,
            ..request
        })
    }

    /// The body for the next hop: the bytes that came, with nothing but the rewrites changed.
    ///
    /// # Errors
    /// `InvalidJson` when the body is not an object, which parsing excludes.
    pub fn rewritten(&self, rewrite: &Rewrite<'_>) -> Result<Bytes, ApiError> {
        let mut changes = vec![("model", Value::from(rewrite.model).to_string())];
        let mut twice = None;
        if let Some((field, cap)) = rewrite.cap {
            let cap = self.max_output.unwrap_or(cap);
            if self.caps.under(field) != Some(cap) {
                changes.push((field.as_str(), cap.to_string()));
            }
            let other = field.other();
            twice = self.caps.under(other).map(|_| other.as_str());
        }
        if rewrite.include_usage && self.stream && !self.usage_asked {
            let mut options = self.stream_options.clone();
            options.insert("include_usage".to_owned(), Value::Bool(true));
            changes.push(("stream_options", Value::Object(options).to_string()));
        }
        let mut body = splice::set(&self.body, &changes)
            .ok_or_else(|| ApiError::InvalidJson("expected an object".to_owned()))?;
        if let Some(without) = twice.and_then(|name| splice::without(&body, name)) {
            body = without;
        }
        Ok(body.into())
    }
}

fn model(value: Option<Value>) -> Result<String, ApiError> {
    match value {
        Some(Value::String(name)) if !name.is_empty() && name.len() <= 256 => Ok(name),
        Some(_) => Err(ApiError::field(
            "model",
            "must be a name of at most 256 characters",
        )),
        None => Err(ApiError::field(
            "model",
            "is missing: name a ModelDeployment, or `auto`",
        )),
    }
}

fn chat_messages(value: Option<Counted<prompt::Messages>>) -> Result<prompt::Messages, ApiError> {
    let Counted(messages) = value.ok_or_else(no_messages)?;
    match (messages.is_list, messages.count, messages.without_role) {
        (false, ..) => Err(no_list()),
        (true, 0, _) => Err(empty_list()),
        (true, _, Some(index)) => Err(no_role(index)),
        (true, _, None) => Ok(messages),
    }
}

fn messages(value: Option<Value>) -> Result<Vec<Value>, ApiError> {
    let Value::Array(list) = value.ok_or_else(no_messages)? else {
        return Err(no_list());
    };
    let has_role = |message: &Value| message.get("role").is_some_and(Value::is_string);
    match list.iter().position(|message| !has_role(message)) {
        _ if list.is_empty() => Err(empty_list()),
        Some(index) => Err(no_role(index as u64)),
        None => Ok(list),
    }
}

fn no_list() -> ApiError {
    ApiError::field("messages", "must be a list of messages")
}

fn empty_list() -> ApiError {
    ApiError::field("messages", "is empty: add a message")
}

fn no_messages() -> ApiError {
    ApiError::field("messages", "is missing: add a list of messages")
}

fn no_role(index: u64) -> ApiError {
    let problem = "is missing or no text: write system, user or assistant";
    ApiError::field(format!("messages[{index}].role"), problem)
}

fn input(value: Option<Value>) -> Result<Value, ApiError> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(Value::String(text)),
        Some(Value::Array(items)) if !items.is_empty() => Ok(Value::Array(items)),
        Some(_) => Err(ApiError::field(
            "input",
            "must be a text or a list that is not empty",
        )),
        None => Err(ApiError::field(
            "input",
            "is missing: add a text or a list of texts",
        )),
    }
}

fn boolean(field: &str, value: Option<&Value>) -> Result<Option<bool>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(ApiError::field(field, "must be true or false")),
    }
}

fn positive(field: &str, value: Option<&Value>) -> Result<Option<u64>, ApiError> {
    match value {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if (1..=u64::from(u32::MAX)).contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::field(
                field,
                "must be a whole number of 1 or more",
            )),
        },
    }
}

fn object(field: &str, value: Option<Value>) -> Result<Map<String, Value>, ApiError> {
    match value {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(ApiError::field(field, "must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{CapField, Operation, Request, Rewrite};

    fn parse(body: &str) -> Request {
        Request::parse(Operation::Chat, body.to_owned().into()).unwrap()
    }

    #[test]
    fn unknown_fields_and_their_bytes_are_kept() {
        let request = parse(
            r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"top_k": 4.0,"x":{"y":[ 1 ]}}"#,
        );
        let rewrite = Rewrite {
            model: "m",
            cap: Some((CapField::MaxTokens, 9)),
            include_usage: true,
        };
        assert_eq!(
            request.rewritten(&rewrite).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"top_k": 4.0,"x":{"y":[ 1 ]},"max_tokens":9}"#
        );
    }

    #[rstest]
    #[case::as_it_stands(r#""max_tokens": 3"#, CapField::MaxTokens, 3, r#""max_tokens": 3"#)]
    #[case::of_the_older_name(
        r#""max_completion_tokens":3"#,
        CapField::MaxTokens,
        3,
        r#""max_tokens":3"#
    )]
    #[case::of_the_newer_name(
        r#""max_tokens":3"#,
        CapField::MaxCompletionTokens,
        3,
        r#""max_completion_tokens":3"#
    )]
    #[case::the_least_of_two(
        r#""max_completion_tokens":1,"max_tokens":4096"#,
        CapField::MaxTokens,
        1,
        r#""max_tokens":1"#
    )]
    #[case::the_least_of_two_for_the_newer(
        r#""max_completion_tokens":4096,"max_tokens":2"#,
        CapField::MaxCompletionTokens,
        2,
        r#""max_completion_tokens":2"#
    )]
    fn the_callers_cap_goes_under_the_name_that_the_server_knows_and_no_other(
        #[case] written: &str,
        #[case] field: CapField,
        #[case] cap: u64,
        #[case] sent: &str,
    ) {
        let body = |caps: &str| {
            format!(r#"{{"model":"a","messages":[{{"role":"user"}}],"x": 1.0,{caps}}}"#)
        };
        let request = parse(&body(written));
        let rewrite = Rewrite {
            model: "a",
            cap: Some((field, 9)),
            include_usage: false,
        };
        assert_eq!(request.max_output, Some(cap));
        assert_eq!(request.rewritten(&rewrite).unwrap(), body(sent));
    }

    #[test]
    fn usage_is_asked_of_streams_and_other_options_stay() {
        let request = parse(
            r#"{"model":"a","messages":[{"role":"user"}],"stream":true,"stream_options":{"x":1}}"#,
        );
        let rewrite = Rewrite {
            model: "a",
            cap: None,
            include_usage: true,
        };
        let body: serde_json::Value =
            serde_json::from_slice(&request.rewritten(&rewrite).unwrap()).unwrap();
        assert_eq!(
            body["stream_options"],
            serde_json::json!({"x": 1, "include_usage": true})
        );
    }

    #[rstest]
    #[case::not_json("nonsense", "invalid_json", "")]
    #[case::not_an_object("[1]", "invalid_json", "")]
    #[case::cut(r#"{"model":"#, "invalid_json", "")]
    #[case::doubled(r#"{"model":"a","model":"b","messages":[]}"#, "invalid_json", "")]
    #[case::too_deep(&format!(r#"{{"x":{}}}"#, "[".repeat(1000)), "invalid_json", "")]
    #[case::no_model(r#"{"messages":[{"role":"user"}]}"#, "invalid_field", "model")]
    #[case::empty_model(
        r#"{"model":"","messages":[{"role":"user"}]}"#,
        "invalid_field",
        "model"
    )]
    #[case::model_number(
        r#"{"model":1,"messages":[{"role":"user"}]}"#,
        "invalid_field",
        "model"
    )]
    #[case::no_messages(r#"{"model":"a"}"#, "invalid_field", "messages")]
    #[case::empty_messages(r#"{"model":"a","messages":[]}"#, "invalid_field", "messages")]
    #[case::messages_text(r#"{"model":"a","messages":"hi"}"#, "invalid_field", "messages")]
    #[case::no_role(
        r#"{"model":"a","messages":[{"content":"x"}]}"#,
        "invalid_field",
        "messages[0].role"
    )]
    #[case::message_text(
        r#"{"model":"a","messages":["x"]}"#,
        "invalid_field",
        "messages[0].role"
    )]
    #[case::stream_text(
        r#"{"model":"a","messages":[{"role":"user"}],"stream":"yes"}"#,
        "invalid_field",
        "stream"
    )]
    #[case::zero_cap(
        r#"{"model":"a","messages":[{"role":"user"}],"max_tokens":0}"#,
        "invalid_field",
        "max_tokens"
    )]
    #[case::negative_cap(
        r#"{"model":"a","messages":[{"role":"user"}],"max_tokens":-4}"#,
        "invalid_field",
        "max_tokens"
    )]
    #[case::fraction(
        r#"{"model":"a","messages":[{"role":"user"}],"max_completion_tokens":1.5}"#,
        "invalid_field",
        "max_completion_tokens"
    )]
    #[case::huge_cap(
        r#"{"model":"a","messages":[{"role":"user"}],"max_tokens":99999999999}"#,
        "invalid_field",
        "max_tokens"
    )]
    #[case::no_choices(
        r#"{"model":"a","messages":[{"role":"user"}],"n":0}"#,
        "invalid_field",
        "n"
    )]
    #[case::options(
        r#"{"model":"a","messages":[{"role":"user"}],"stream_options":true}"#,
        "invalid_field",
        "stream_options"
    )]
    #[case::usage(
        r#"{"model":"a","messages":[{"role":"user"}],"stream_options":{"include_usage":1}}"#,
        "invalid_field",
        "stream_options.include_usage"
    )]
    fn a_wrong_body_is_refused_by_field(
        #[case] body: &str,
        #[case] code: &str,
        #[case] param: &str,
    ) {
        let error = Request::parse(Operation::Chat, body.to_owned().into()).unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(
            error.body()["error"]["param"].as_str().unwrap_or_default(),
            param
        );
    }

    #[rstest]
    #[case::missing(r#"{"model":"a"}"#)]
    #[case::empty(r#"{"model":"a","input":[]}"#)]
    #[case::object(r#"{"model":"a","input":{}}"#)]
    fn a_wrong_input_is_refused_by_name(#[case] body: &str) {
        let error = Request::parse(Operation::Embeddings, body.to_owned().into()).unwrap_err();
        assert_eq!(error.body()["error"]["param"], "input");
    }
}
