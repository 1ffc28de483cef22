//! Texts as JSON fields of a BentoML route.
//! <https://docs.bentoml.com/en/latest/build-with-bentoml/services.html>

use aios_proto::config::TextShape;
use serde_json::{Map, Value};

use super::Asked;

pub fn request(asked: &Asked, shape: &TextShape) -> Value {
    let mut fields: Map<String, Value> = asked.settings.clone();
    fields.insert(shape.input.clone(), Value::from(asked.prompt.as_str()));
    Value::Object(fields)
}

/// A route that gives a text answers in plain text, one that gives a model in JSON.
pub fn text(content_type: &str, body: &[u8], shape: &TextShape) -> Result<String, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match (&shape.output, kind) {
        (_, "text/event-stream") => {
            Err("it is a stream: set engine.bentoml.route to one that gives a text".to_owned())
        }
        (None, "text/plain") => {
            String::from_utf8(body.to_vec()).map_err(|_| "its text is not UTF-8".to_owned())
        }
        (None, _) => match json(body)? {
            Value::String(text) => Ok(text),
            other => Err(format!(
                "it is {} and not a text: set engine.bentoml.output to the text's field",
                found(&other)
            )),
        },
        (Some(field), _) => field_of(&json(body)?, field),
    }
}

fn field_of(body: &Value, field: &str) -> Result<String, String> {
    match body.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("its field `{field}` is no text")),
        None => Err(format!(
            "it is {} without `{field}`: set engine.bentoml.output to the text's field",
            found(body)
        )),
    }
}

fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn found(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().map(|name| format!("`{name}`")).collect();
            format!("an object of {}", names.join(", "))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "a text".to_owned(),
        _ => "a number or nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aios_proto::config::TextShape;
    use rstest::rstest;
    use serde_json::{Map, json};

    use super::{request, text};
    use crate::dialect::text::Asked;

    const JSON: &str = "application/json";
    const PLAIN: &str = "text/plain; charset=utf-8";

    fn shape(output: Option<&str>) -> TextShape {
        TextShape {
            input: "prompt".into(),
            output: output.map(str::to_owned),
            settings: Vec::new(),
        }
    }

    #[test]
    fn a_prompt_is_a_field_beside_the_settings() {
        let asked = Asked {
            prompt: "Zoë".into(),
            settings: Map::from_iter([("seed".to_owned(), json!(7))]),
            dropped: Vec::new(),
        };
        assert_eq!(
            request(&asked, &shape(None)),
            json!({"prompt": "Zoë", "seed": 7})
        );
    }

    #[rstest]
    #[case(None, PLAIN, "\"hi\"", "\"hi\"")]
    #[case(None, JSON, "\"hi\"", "hi")]
    #[case(Some("text"), JSON, r#"{"text": "hi", "tokens": 3}"#, "hi")]
    fn a_text_is_the_answer_or_a_field_of_it(
        #[case] output: Option<&str>,
        #[case] content_type: &str,
        #[case] body: &str,
        #[case] expected: &str,
    ) {
        let found = text(content_type, body.as_bytes(), &shape(output)).unwrap();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case(None, JSON, r#"{"text": "hi"}"#, "an object of `text`")]
    #[case(None, JSON, "[1]", "a list and not a text")]
    #[case(None, PLAIN, "\u{fffd}", "")]
    #[case(None, "text/event-stream", "data: hi\n\n", "a stream")]
    #[case(Some("answer"), JSON, r#"{"text": "hi"}"#, "without `answer`")]
    #[case(Some("text"), JSON, r#"{"text": ["hi"]}"#, "no text")]
    #[case(Some("text"), PLAIN, "hi", "expected value")]
    fn an_answer_of_another_shape_is_an_error_that_names_it(
        #[case] output: Option<&str>,
        #[case] content_type: &str,
        #[case] body: &str,
        #[case] says: &str,
    ) {
        let latin = body == "\u{fffd}";
        let body = if latin {
            b"\xe9".as_slice()
        } else {
            body.as_bytes()
        };
        let error = text(content_type, body, &shape(output)).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
