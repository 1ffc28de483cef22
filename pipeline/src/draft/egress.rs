//! The calls to the pod's own egress, which picks the model and holds keys and money.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use aios_audit::{CallBatch, CallHead};
use axum::body::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::prompt::Message;
use crate::machine::{RunItem, Step, Usage};

/// Longer than a call may be held for a sleeping model (15 minutes a route) and then take with its
/// retries: the egress gives up by itself.
const TIMEOUT: Duration = Duration::from_hours(1);

/// The pod's egress.
#[derive(Clone, Debug)]
pub struct Egress {
    client: reqwest::Client,
    base: String,
}

/// One question to a model.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub pipeline: &'a str,
    /// Of a document of a run.
    pub run: Option<&'a RunItem>,
    pub step: Step,
    pub document: &'a str,
    pub language: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub messages: Vec<Message>,
    pub max_tokens: u32,
    /// Equal questions with another seed may get another answer.
    pub seed: u64,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// Name of the ModelDeployment.
    pub deployment: String,
    /// Digest of the weights, or the deployment's name for hosted models.
    pub digest: String,
    pub usage: Usage,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Every route failed, or none can ever answer this question.
    #[error("no route answers: {0}")]
    Exhausted(String),
    /// Policy refuses the question, or its answer.
    #[error("policy refuses the call: {0}")]
    Blocked(String),
    /// Worth another try later.
    #[error("the egress is not available: {0}")]
    Unavailable(String),
    /// What it recorded of calls is not what it signed.
    #[error(transparent)]
    Calls(#[from] aios_audit::CallsError),
    /// The client cannot be built at all.
    #[error("no HTTP client: {0}")]
    Client(String),
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: Option<String>,
}

impl Egress {
    /// `base` as in `http://127.0.0.1:4000`. Plaintext never leaves the pod.
    pub fn new(base: &str) -> Result<Self, EgressError> {
        let client = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| EgressError::Client(error.to_string()))?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Batches of what it recorded of calls, behind the last that is in the log: heads and JSON, in order.
    /// The egress waits for more while there are few, for as long as `wait`.
    pub async fn records(
        &self,
        last: Option<&CallHead>,
        wait: Duration,
    ) -> Result<Vec<(CallHead, Vec<u8>)>, EgressError> {
        let mut asked = vec![("wait", wait.as_millis().to_string())];
        if let Some(head) = last {
            asked.push(("process", head.process.clone()));
            asked.push(("after", head.sequence.to_string()));
        }
        let response = self
            .client
            .get(format!("{}/v1/records", self.base))
            .query(&asked)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(unavailable)?;
        let lines = response.bytes().await.map_err(unavailable)?;
        let lines = lines.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| Ok((CallBatch::verify(line)?.head, line.to_vec())))
            .collect()
    }

    /// Asks, and waits for the whole answer.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, EgressError> {
        let started = Instant::now();
        let mut labels = ask.labels.clone();
        labels.insert("language".to_owned(), ask.language.to_owned());
        let labels = serde_json::to_string(&labels)
            .map_err(|error| EgressError::Exhausted(error.to_string()))?;
        let body = json!({
            "model": "auto",
            "messages": ask.messages,
            "max_tokens": ask.max_tokens,
            "temperature": 0.4,
            "seed": ask.seed,
        });
        let request = self
            .post("/v1/chat/completions")
            .header("aios-pipeline", ask.pipeline)
            .header("aios-step", ask.step.as_str())
            .header("aios-document", ask.document)
            .header("aios-labels", ascii(&labels))
            .json(&body);
        let (headers, bytes) = answered(paid(request, ask.run)).await?;
        let completion: Completion = serde_json::from_slice(&bytes)
            .map_err(|_| EgressError::Exhausted("the answer is no chat completion".to_owned()))?;
        let text = completion
            .choices
            .into_iter()
            .next()
            .and_then(|choice| choice.message.content);
        let deployment = text_of(&headers, "aios-model").unwrap_or_else(|| "unknown".to_owned());
        let digest = text_of(&headers, "aios-model-digest").unwrap_or_else(|| deployment.clone());
        Ok(Answer {
            text: text.unwrap_or_default(),
            deployment,
            digest,
            usage: usage(&headers, started),
        })
    }

    pub(super) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }
}

/// Names the run whose budget pays, if it has one.
pub(super) fn paid(
    request: reqwest::RequestBuilder,
    run: Option<&RunItem>,
) -> reqwest::RequestBuilder {
    let budget = run.and_then(|run| Some((run, run.budget.as_deref()?)));
    match budget {
        None => request,
        Some((run, unit)) => request
            .header("aios-run", &run.name)
            .header("aios-run-budget", unit),
    }
}

/// Sends, and gives answers with status 200 alone.
pub(super) async fn answered(
    request: reqwest::RequestBuilder,
) -> Result<(HeaderMap, Bytes), EgressError> {
    let response = request.send().await.map_err(unavailable)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.map_err(unavailable)?;
    if status != 200 {
        return Err(refusal(status, &bytes));
    }
    Ok((headers, bytes))
}

fn unavailable(error: reqwest::Error) -> EgressError {
    EgressError::Unavailable(error.without_url().to_string())
}

fn usage(headers: &HeaderMap, started: Instant) -> Usage {
    let number = |name| text_of(headers, name).and_then(|text| text.parse().ok());
    Usage {
        call: text_of(headers, "aios-call"),
        variant: text_of(headers, "aios-variant"),
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        input_tokens: number("aios-input-tokens").unwrap_or_default(),
        output_tokens: number("aios-output-tokens").unwrap_or_default(),
        cost: text_of(headers, "aios-cost"),
        exact: text_of(headers, "aios-usage").as_deref() == Some("exact"),
        attempts: number("aios-attempts")
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1),
        reused: matches!(
            text_of(headers, "aios-cache").as_deref(),
            Some("hit" | "shared")
        ),
    }
}

/// What can never work is told from what may work later: a prompt that is too long stays too long.
fn refusal(status: u16, body: &[u8]) -> EgressError {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body
        .pointer("/error/code")
        .and_then(|code| code.as_str())
        .unwrap_or_default();
    let said = format!("{status} {code}");
    match status {
        400 if matches!(code, "prompt_blocked" | "answer_blocked") => EgressError::Blocked(said),
        503 if code == "routes_exhausted" => EgressError::Exhausted(said),
        400 | 413 | 422 | 502 | 504 => EgressError::Exhausted(said),
        _ => EgressError::Unavailable(said),
    }
}

pub(super) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// JSON with every other character as `\uXXXX`, for a header.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                use std::fmt::Write;
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::HeaderMap;

    use super::{EgressError, ascii, refusal, usage};

    #[test]
    fn the_record_says_whose_answer_it_was() {
        let mut headers = HeaderMap::new();
        for (cache, reused) in [("hit", true), ("shared", true), ("miss", false)] {
            headers.insert("aios-cache", cache.parse().unwrap());
            let record = serde_json::to_value(usage(&headers, Instant::now())).unwrap();
            assert_eq!(record.get("reused").is_some(), reused, "{cache}");
        }
    }

    #[test]
    fn labels_of_any_script_fit_into_a_header() {
        assert_eq!(ascii(r#"{"a":"é😀"}"#), r#"{"a":"\u00e9\ud83d\ude00"}"#);
    }

    #[test]
    fn only_what_may_work_later_is_tried_again() {
        let exhausted = br#"{"error":{"code":"routes_exhausted"}}"#;
        assert!(matches!(refusal(503, exhausted), EgressError::Exhausted(_)));
        let blocked = br#"{"error":{"code":"answer_blocked"}}"#;
        assert!(matches!(refusal(400, blocked), EgressError::Blocked(_)));
        assert!(matches!(refusal(503, b"{}"), EgressError::Unavailable(_)));
        assert!(matches!(refusal(400, b"{}"), EgressError::Exhausted(_)));
        assert!(matches!(refusal(404, b"{}"), EgressError::Unavailable(_)));
    }
}
