//! A chat completion request as one text.

use aios_crds::text_engine::CallSetting;
use serde_json::{Map, Value, json};

use super::messages;
use crate::{
    dialect::{
        fields,
        leftover::{Known, leftovers},
    },
    error::ApiError,
};

/// What is known inside of fields.
const KNOWN: [Known; 2] = [
    ("messages[]", &["role", "content", "refusal"]),
    ("messages[].content[]", &["type", "text"]),
];

/// What a server of texts can be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub prompt: String,
    /// Settings that it is told, by their names at OpenAI.
    pub settings: Map<String, Value>,
    /// Fields that it is not told, in order of their names.
    pub dropped: Vec<String>,
}

impl Asked {
    pub(super) fn read(
        body: &[u8],
        told: &[CallSetting],
        max_tokens: u64,
    ) -> Result<Self, ApiError> {
        let request: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| ApiError::InvalidJson(error.to_string()))?;
        let mut settings = Map::new();
        if told.contains(&CallSetting::MaxTokens) {
            let cap = fields::cap(&request).unwrap_or_else(|| json!(max_tokens));
            settings.insert(CallSetting::MaxTokens.name().to_owned(), cap);
        }
        let (mut prompt, mut dropped) = (String::new(), Vec::new());
        leftovers(&request, &KNOWN, &mut dropped);
        for (field, value) in request.into_iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "model" | "stream" | "stream_options" => {}
                "messages" => prompt = joined(&value)?,
                "max_tokens" | "max_completion_tokens"
                    if told.contains(&CallSetting::MaxTokens) => {}
                "stop" if value.as_array().is_some_and(Vec::is_empty) => {}
                "stop" => {
                    let remedy = "leave it out, or route to a model of the OpenAI dialect";
                    return Err(ApiError::unsupported("stop", remedy));
                }
                known if told.iter().any(|setting| setting.name() == known) => {
                    if !value.is_number() {
                        return Err(ApiError::field(field, "must be a number"));
                    }
                    settings.insert(field, value);
                }
                _ if fields::is_dropped(&field, &value)? => dropped.push(field),
                _ => {}
            }
        }
        dropped.sort();
        Ok(Self {
            prompt,
            settings,
            dropped,
        })
    }
}

/// One text of all messages. A server of texts puts its own marks of a chat around it, if it has any.
fn joined(value: &Value) -> Result<String, ApiError> {
    let messages = messages::read(value)?;
    let texts: Vec<String> = messages
        .iter()
        .map(|message| {
            message
                .parts
                .iter()
                .map(|part| part.text.as_str())
                .collect()
        })
        .filter(|text: &String| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return Err(ApiError::field("messages", "hold no text: add one"));
    }
    Ok(texts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use aios_crds::text_engine::CallSetting;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::Asked;
    use crate::ApiError;

    fn read(body: &Value, told: &[CallSetting]) -> Result<Asked, ApiError> {
        Asked::read(body.to_string().as_bytes(), told, 64)
    }

    #[test]
    fn messages_become_one_text_without_roles() {
        let asked = read(
            &json!({"model": "m", "stream": true, "n": 1, "tools": [], "stop": [], "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Write "},
                    {"type": "text", "text": "a line."}]},
                {"role": "assistant", "content": ""},
                {"role": "assistant", "content": "A line."},
                {"role": "user", "content": "Another."},
            ]}),
            &[],
        )
        .unwrap();
        assert_eq!(
            asked.prompt,
            "Be brief.\n\nWrite a line.\n\nA line.\n\nAnother."
        );
        assert!(
            asked.settings.is_empty() && asked.dropped.is_empty(),
            "{asked:?}"
        );
    }

    #[test]
    fn settings_go_along_where_the_engine_is_told_them_and_are_named_otherwise() {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "temperature": 0.4,
            "seed": 7, "max_completion_tokens": 9, "max_tokens": 8, "user": "u",
            "presence_penalty": 0, "frequency_penalty": 0.5});
        let told = [
            CallSetting::MaxTokens,
            CallSetting::Temperature,
            CallSetting::FrequencyPenalty,
        ];
        let asked = read(&body, &told).unwrap();
        let settings = json!({"max_tokens": 9, "temperature": 0.4, "frequency_penalty": 0.5});
        assert_eq!(Value::Object(asked.settings), settings);
        assert_eq!(asked.dropped, ["seed", "user"]);

        let uncapped = json!({"messages": [{"role": "user", "content": "x"}], "seed": 7});
        let asked = read(&uncapped, &[CallSetting::MaxTokens]).unwrap();
        assert_eq!(Value::Object(asked.settings), json!({"max_tokens": 64}));
        let capped = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 8});
        assert_eq!(read(&capped, &[]).unwrap().dropped, ["max_tokens"]);
    }

    #[rstest]
    #[case("tools", json!([{"type": "function"}]), "tools")]
    #[case("response_format", json!({"type": "json_object"}), "response_format")]
    #[case("n", json!(2), "n")]
    #[case("stop", json!("\n"), "stop")]
    #[case("presence_penalty", json!(0.5), "presence_penalty")]
    #[case("temperature", json!("hot"), "temperature")]
    #[case("messages", json!([{"role": "tool", "content": "x"}]), "messages[0].role")]
    #[case("messages", json!([{"role": "user", "content": [{"type": "image_url"}]}]), "messages[0].content[0].type")]
    #[case("messages", json!([{"role": "user", "content": ""}]), "messages")]
    #[case("messages", json!([{"role": "system", "content": "x"}]), "messages")]
    fn what_one_text_cannot_carry_is_refused_by_name(
        #[case] field: &str,
        #[case] value: Value,
        #[case] named: &str,
    ) {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        let error = read(&body, &[CallSetting::Temperature]).unwrap_err();
        assert_eq!(error.body()["error"]["param"], named);
        assert_eq!(error.status(), 400);
    }
}
