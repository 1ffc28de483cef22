//! What some models refuse that others of their dialect take: read out of a refusal, and left out of a request.
//!
//! Claude from 4.7 on takes no sampling settings and no number of tokens to think for, from 4.6 on no beginning of its
//! answer, from 4.1 on one sampler, and before 4.6 none but such a number; OpenAI's models that reason take no
//! temperature. No list of names would know the next one, nor what an address of one's own stands for; refusals say it,
//! and cost nothing.

use serde::Deserialize;
use serde_json::Value;

use super::openai::splice;
use crate::error::ApiError;

/// Something that a model refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unwanted {
    /// A field that shapes how an answer is found, and not what is asked for.
    Setting(&'static str),
    /// `top_p` beside `temperature`.
    SecondSampler,
    /// A model's thoughts among the messages of a chat.
    Thoughts,
    /// A beginning of the answer.
    Beginning,
    /// A number of tokens to think for, where the model decides by itself. Before what would then be left out.
    ThinkingBudget,
    /// To decide by itself, where the model takes a number of tokens alone.
    ThinkingByItself,
    /// How much it is to take pains.
    Effort,
}

/// What was left out, by name.
pub type Left = (Vec<u8>, &'static str);

const SETTINGS: [&str; 4] = ["temperature", "top_p", "top_k", "seed"];
/// How servers say that a model does not know a field, in small letters. Not that its value is wrong.
const UNKNOWN: [&str; 7] = [
    "deprecated",
    "not supported",
    "unsupported",
    "does not support",
    "unrecognized",
    "unknown parameter",
    "not permitted",
];

/// What else such words may be about, in small letters.
const PHRASES: [(&str, Unwanted); 4] = [
    ("reasoning_content", Unwanted::Thoughts),
    (
        "\"thinking.type.enabled\" is not supported",
        Unwanted::ThinkingBudget,
    ),
    (
        "adaptive thinking is not supported",
        Unwanted::ThinkingByItself,
    ),
    ("not support the effort parameter", Unwanted::Effort),
];

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    messages: Vec<Role<'a>>,
}

#[derive(Deserialize)]
struct Role<'a> {
    #[serde(borrow)]
    role: Option<std::borrow::Cow<'a, str>>,
}

impl Unwanted {
    /// What a model's server says it refuses.
    pub fn told(error: &ApiError) -> Option<Self> {
        let ApiError::UpstreamRejected { message, param, .. } = error else {
            return None;
        };
        let message = message.to_ascii_lowercase();
        if message.contains("prefill") {
            return Some(Self::Beginning);
        }
        if message.contains("`temperature` and `top_p` cannot both") {
            return Some(Self::SecondSampler);
        }
        if !UNKNOWN.iter().any(|phrase| message.contains(phrase)) {
            return None;
        }
        let phrase = PHRASES.iter().find(|(phrase, _)| message.contains(phrase));
        if let Some((_, unwanted)) = phrase {
            return Some(*unwanted);
        }
        let named = |field: &&str| match param {
            Some(param) => param == *field,
            None => words(&message).any(|word| word == *field),
        };
        SETTINGS.into_iter().find(named).map(Self::Setting)
    }

    /// The body without it, and its name; none where it is not there.
    ///
    /// # Errors
    /// `Unsupported` for what cannot be left out: it is what was asked for.
    pub fn left_out(self, body: &[u8]) -> Result<Option<Left>, ApiError> {
        let without = |name: &'static str| Some((splice::without(body, name)?, name));
        Ok(match self {
            Self::Setting(name) => without(name),
            Self::SecondSampler => {
                splice::without(body, "temperature").and_then(|_| without("top_p"))
            }
            Self::Thoughts => without_thoughts(body),
            Self::ThinkingBudget => without_budget(body),
            Self::ThinkingByItself => {
                let thinks = thinking(body).is_some_and(|kind| kind["type"] == "adaptive");
                thinks.then(|| without("thinking")).flatten()
            }
            Self::Effort => without_effort(body),
            Self::Beginning => {
                return begins_answer(body).map_or(Ok(None), |index| Err(of_beginning(index)));
            }
        })
    }
}

/// Refuses a conversation whose last message is the model's.
pub fn of_beginning(index: usize) -> ApiError {
    let remedy = "end with a user message: this model takes no beginning of its answer";
    ApiError::unsupported(format!("messages[{index}].role"), remedy)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

fn begins_answer(body: &[u8]) -> Option<usize> {
    let Messages { messages } = serde_json::from_slice(body).ok()?;
    let last = messages.last()?.role.as_deref();
    (last == Some("assistant")).then(|| messages.len() - 1)
}

fn without_thoughts(body: &[u8]) -> Option<Left> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let mut found = false;
    for message in request.get_mut("messages")?.as_array_mut()? {
        let fields = message.as_object_mut();
        found |= fields.is_some_and(|fields| fields.remove("reasoning_content").is_some());
    }
    found.then(|| {
        (
            request.to_string().into_bytes(),
            "messages.reasoning_content",
        )
    })
}

/// How a model is to think.
pub(super) fn thinking(body: &[u8]) -> Option<Value> {
    #[derive(Deserialize)]
    struct Thinking {
        thinking: Value,
    }
    let Thinking { thinking } = serde_json::from_slice(body).ok()?;
    Some(thinking)
}

/// It thinks all the same, and its thoughts are told as they were: models that decide by themselves keep them
/// back unless they are asked for.
fn without_budget(body: &[u8]) -> Option<Left> {
    let mut thinking = thinking(body).filter(|kind| kind["type"] == "enabled")?;
    let fields = thinking.as_object_mut()?;
    fields.insert("type".to_owned(), "adaptive".into());
    fields.remove("budget_tokens");
    fields.entry("display").or_insert("summarized".into());
    let changed = splice::set(body, &[("thinking", thinking.to_string())])?;
    Some((changed, "thinking.budget_tokens"))
}

fn without_effort(body: &[u8]) -> Option<Left> {
    #[derive(Deserialize)]
    struct Output {
        output_config: serde_json::Map<String, Value>,
    }
    let Output { mut output_config } = serde_json::from_slice(body).ok()?;
    output_config.remove("effort")?;
    let left = if output_config.is_empty() {
        splice::without(body, "output_config")?
    } else {
        let left = Value::from(output_config).to_string();
        splice::set(body, &[("output_config", left)])?
    };
    Some((left, "output_config.effort"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::Unwanted;
    use crate::error::ApiError;

    fn rejected(message: &str, param: Option<&str>) -> ApiError {
        ApiError::UpstreamRejected {
            status: 400,
            message: message.to_owned(),
            param: param.map(str::to_owned),
            code: None,
        }
    }

    #[rstest]
    #[case(
        "`temperature` is deprecated for this model.",
        None,
        Some(Unwanted::Setting("temperature"))
    )]
    #[case(
        "top_k is deprecated for this model.",
        None,
        Some(Unwanted::Setting("top_k"))
    )]
    #[case(
        "Unsupported value: 'temperature' does not support 0.4 with this model. Only the default (1) value is supported.",
        Some("temperature"),
        Some(Unwanted::Setting("temperature"))
    )]
    #[case(
        "Unsupported parameter: 'top_p' is not supported with this model.",
        Some("top_p"),
        Some(Unwanted::Setting("top_p"))
    )]
    #[case(
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        None,
        Some(Unwanted::SecondSampler)
    )]
    #[case(
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        None,
        Some(Unwanted::Beginning)
    )]
    #[case(
        "Unknown parameter: 'messages[1].reasoning_content'.",
        Some("messages[1].reasoning_content"),
        Some(Unwanted::Thoughts)
    )]
    #[case(
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        None,
        None
    )]
    #[case(
        "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
        None,
        Some(Unwanted::ThinkingBudget)
    )]
    #[case(
        "adaptive thinking is not supported on this model",
        None,
        Some(Unwanted::ThinkingByItself)
    )]
    #[case(
        "This model does not support the effort parameter.",
        None,
        Some(Unwanted::Effort)
    )]
    #[case(
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        None,
        None
    )]
    #[case("temperature: range: 0..1", None, None)]
    #[case(
        "Unsupported parameter: 'tools' is not supported with temperature.",
        Some("tools"),
        None
    )]
    #[case("max_tokens is not supported", None, None)]
    fn a_refusal_says_what_the_model_does_not_take(
        #[case] message: &str,
        #[case] param: Option<&str>,
        #[case] unwanted: Option<Unwanted>,
    ) {
        assert_eq!(Unwanted::told(&rejected(message, param)), unwanted);
        assert_eq!(Unwanted::told(&ApiError::CredentialsRefused), None);
    }

    #[rstest]
    #[case(Unwanted::Setting("temperature"), r#"{"model":"m", "temperature": 0.4 , "x":1}"#,
        Some((r#"{"model":"m","x":1}"#, "temperature")))]
    #[case(Unwanted::Setting("temperature"), r#"{"model":"m"}"#, None)]
    #[case(Unwanted::SecondSampler, r#"{"top_p":1,"temperature":1}"#, Some((r#"{"temperature":1}"#, "top_p")))]
    #[case(Unwanted::SecondSampler, r#"{"top_p":1}"#, None)]
    #[case(Unwanted::Thoughts, r#"{"messages":[{"role":"assistant","reasoning_content":"hm"}]}"#,
        Some((r#"{"messages":[{"role":"assistant"}]}"#, "messages.reasoning_content")))]
    #[case(Unwanted::Thoughts, r#"{"messages":[{"role":"assistant"}]}"#, None)]
    #[case(Unwanted::Beginning, r#"{"messages":[{"role":"user"}]}"#, None)]
    #[case(Unwanted::ThinkingBudget, r#"{"thinking":{"type":"enabled","budget_tokens":1024},"x":1.0}"#,
        Some((r#"{"thinking":{"display":"summarized","type":"adaptive"},"x":1.0}"#, "thinking.budget_tokens")))]
    #[case(Unwanted::ThinkingBudget, r#"{"thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"}}"#,
        Some((r#"{"thinking":{"display":"omitted","type":"adaptive"}}"#, "thinking.budget_tokens")))]
    #[case(Unwanted::ThinkingBudget, r#"{"thinking":{"type":"adaptive"}}"#, None)]
    #[case(Unwanted::ThinkingBudget, r#"{"x":1}"#, None)]
    #[case(Unwanted::ThinkingByItself, r#"{"x":1,"thinking":{"type":"adaptive"}}"#, Some((r#"{"x":1}"#, "thinking")))]
    #[case(
        Unwanted::ThinkingByItself,
        r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#,
        None
    )]
    #[case(Unwanted::Effort, r#"{"x":1,"output_config":{"effort":"low"}}"#, Some((r#"{"x":1}"#, "output_config.effort")))]
    #[case(Unwanted::Effort, r#"{"output_config":{"effort":"low","format":{}}}"#,
        Some((r#"{"output_config":{"format":{}}}"#, "output_config.effort")))]
    #[case(Unwanted::Effort, r#"{"output_config":{"format":{}}}"#, None)]
    fn it_is_left_out_by_name_where_it_stands(
        #[case] unwanted: Unwanted,
        #[case] body: &str,
        #[case] left: Option<(&str, &str)>,
    ) {
        let found = unwanted.left_out(body.as_bytes()).unwrap();
        let expected = left.map(|(body, name)| (body.as_bytes().to_vec(), name));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_beginning_of_the_answer_is_refused_by_name() {
        let body = json!({"messages": [{"role": "user"}, {"role": "assistant"}]}).to_string();
        let error = Unwanted::Beginning.left_out(body.as_bytes()).unwrap_err();
        assert_eq!(error.body()["error"]["param"], "messages[1].role");
    }
}
