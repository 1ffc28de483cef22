//! Judges what a caller heard. Pure.

use serde_json::Value;

use super::{
    http::Message,
    script::{Face, MODELS, Script},
    words::{self, Saying},
};

/// Requests of one trial at one model, of which a caller may hear.
const MOST: usize = 16;

/// What the caller got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// The text of each choice.
    pub texts: Vec<String>,
    /// Whether it says that it is whole; else it says that it failed.
    pub is_whole: bool,
}

/// What may not happen, and how it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Neither whole nor a failure that the caller's SDK would understand.
    Unclean(String),
    /// Text that is no beginning of any one answer: told twice, mixed or made up.
    Repeated(String),
    /// It says that it is whole, and is not.
    Unfinished(String),
    /// Text of another trial.
    Leaked(String),
    /// What no caller may hear, past a policy: no offence of who has none.
    Bypassed(String),
}

/// What a caller got.
///
/// # Errors
/// What may not happen.
pub fn judge(script: &Script, answer: &Message) -> Result<Got, Offence> {
    let got = read(script, answer).map_err(Offence::Unclean)?;
    let (own, mut found) = (words::mark(script.seed), got.texts.join("\n"));
    found = found.replace(&own, "");
    if found.contains("<t") {
        return Err(Offence::Leaked(found));
    }
    let tokens = words::tokens(script.cap);
    let sayings = (0..MODELS).flat_map(|model| (0..MOST).map(move |nth| (model, nth)));
    let matches = |said: &dyn Fn(&str, String) -> bool| {
        sayings.clone().any(|(model, nth)| {
            got.texts.iter().zip(0..).all(|(text, choice)| {
                let saying = Saying {
                    seed: script.seed,
                    model,
                    nth,
                    choice,
                    slips: script.slips,
                };
                said(text, saying.whole(tokens))
            })
        })
    };
    if !matches(&|text, whole| whole.starts_with(text)) {
        return Err(Offence::Repeated(got.texts.join("\n")));
    }
    if got.is_whole && !matches(&|text, whole| whole == text) {
        return Err(Offence::Unfinished(got.texts.join("\n")));
    }
    if got.texts.iter().any(|text| text.contains(words::FORBIDDEN)) {
        return Err(Offence::Bypassed(got.texts.join("\n")));
    }
    Ok(got)
}

fn read(script: &Script, answer: &Message) -> Result<Got, String> {
    let text = String::from_utf8_lossy(&answer.body);
    if !answer.is_whole {
        return Err(format!(
            "the connection broke after {:?} {text}",
            answer.start
        ));
    }
    if answer.status() != 200 {
        return refusal(script, &text).map(|()| Got::default());
    }
    if script.stream {
        stream(script, answer, &text)
    } else {
        whole(script, &text)
    }
}

fn refusal(script: &Script, text: &str) -> Result<(), String> {
    let body = json(text)?;
    let is_shaped = match script.face {
        Face::Messages => body["type"] == "error" && body["error"]["type"].is_string(),
        Face::Chat | Face::Responses => body["error"].is_object(),
    };
    if is_shaped && body["error"]["message"].is_string() {
        Ok(())
    } else {
        Err(format!("no refusal in the caller's dialect: {text}"))
    }
}

fn whole(script: &Script, text: &str) -> Result<Got, String> {
    let body = json(text)?;
    let texts: Vec<_> = (0..script.choices)
        .map(|choice| match script.face {
            Face::Chat => body["choices"]
                .as_array()
                .and_then(|choices| choices.iter().find(|said| said["index"] == choice))
                .map_or(Value::Null, |said| said["message"]["content"].clone()),
            Face::Messages => body["content"][0]["text"].clone(),
            Face::Responses => body["output"][0]["content"][0]["text"].clone(),
        })
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect();
    Ok(Got {
        texts,
        is_whole: true,
    })
}

fn stream(script: &Script, answer: &Message, text: &str) -> Result<Got, String> {
    if !answer
        .header("content-type")
        .starts_with("text/event-stream")
    {
        return Err(format!("no stream: {text}"));
    }
    let choices = usize::try_from(script.choices).unwrap_or(1);
    let mut got = Got {
        texts: vec![String::new(); choices],
        is_whole: false,
    };
    let (mut ended, mut failed) = (false, false);
    for data in events(text) {
        if ended || failed {
            return Err(format!("{data} after the end"));
        }
        if data == "[DONE]" {
            ended = script.face == Face::Chat;
            continue;
        }
        let data = json(&data)?;
        let (at, said) = match data["type"].as_str() {
            Some("content_block_delta") => (0, &data["delta"]["text"]),
            Some("response.output_text.delta") => (0, &data["delta"]),
            _ => {
                let choice = &data["choices"][0];
                (
                    choice["index"].as_u64().unwrap_or(0),
                    &choice["delta"]["content"],
                )
            }
        };
        let at = usize::try_from(at)
            .ok()
            .and_then(|at| got.texts.get_mut(at));
        if let (Some(text), Some(said)) = (at, said.as_str()) {
            text.push_str(said);
        }
        let kind = data["type"].as_str().unwrap_or_default();
        ended |= matches!(
            kind,
            "message_stop" | "response.completed" | "response.incomplete"
        );
        failed |= kind == "response.failed" || kind == "error" || data["error"].is_object();
    }
    match (ended, failed) {
        (true, false) => {
            got.is_whole = true;
            Ok(got)
        }
        (false, true) => Ok(got),
        _ => Err(format!("no end: {text}")),
    }
}

/// The data of each event, as official SDKs read it: an event without any is passed over, an empty one is not.
fn events(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let blocks = text.split("\n\n").map(|block| {
        let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
        lines
            .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
            .collect::<Vec<_>>()
    });
    blocks
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n"))
        .collect()
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::{Got, Offence, judge};
    use crate::trial::{
        Face, Script,
        http::answer,
        words::{Saying, mark},
    };

    fn script() -> Script {
        Script {
            face: Face::Chat,
            stream: true,
            choices: 1,
            cap: Some(3),
            slips: Some(1),
            ..Script::of(5)
        }
    }

    fn saying() -> Saying {
        Saying {
            seed: 5,
            model: 0,
            nth: 1,
            choice: 0,
            slips: Some(1),
        }
    }

    fn judged(texts: &[&str], end: &str) -> Result<Got, Offence> {
        let events = texts.iter().map(|text| {
            let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]});
            format!("data: {chunk}\n\n")
        });
        let body = events.collect::<String>() + end;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        let all = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        judge(&script(), &answer(all.as_bytes()))
    }

    #[test]
    fn what_may_not_happen_is_seen() {
        let [one, two, three] = [0, 1, 2].map(|number| saying().token(number));
        let done = "data: [DONE]\n\n";
        let failed = "event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n";
        assert!(matches!(
            judged(&[&one, &two, &three], done),
            Err(Offence::Bypassed(_))
        ));
        assert!(!judged(&[&one, &two], failed).unwrap().is_whole);
        assert!(!judged(&[&one], failed).unwrap().is_whole);
        assert!(matches!(judged(&[&one], done), Err(Offence::Unfinished(_))));
        assert!(matches!(
            judged(&[&one, &one], failed),
            Err(Offence::Repeated(_))
        ));
        assert!(matches!(judged(&[&one], ""), Err(Offence::Unclean(_))));
        assert!(matches!(
            judged(&[&one], "data: {\n\n"),
            Err(Offence::Unclean(_))
        ));
        let others = mark(6);
        assert!(matches!(
            judged(&[&others], failed),
            Err(Offence::Leaked(_))
        ));
    }
}
