//! One question to one revision.

use std::time::Duration;

use aios_crds::rollout::EvaluationInput;
use aios_runtime::{chain, tls::ClientTls};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::options::Options;

/// How long a revision whose pods are ready may take to be reached: nodes learn of a Service late.
const REACH: Duration = Duration::from_mins(1);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// Tries of one question, for a revision that is busy or away for a moment.
const TRIES: u32 = 4;
/// Equal at every asking, so that one asking can be compared with another.
const SEED: u64 = 7;

/// Why a revision cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{0} does not answer: {1}")]
    Unreachable(String, String),
}

/// A revision.
pub(super) struct Asked {
    client: reqwest::Client,
    address: String,
    model: String,
}

/// Why a question has no answer, and whether another try may have one.
struct NoAnswer {
    why: String,
    passes: bool,
}

impl Asked {
    pub fn new(
        options: &Options,
        tls: Option<&ClientTls>,
        address: &str,
    ) -> Result<Self, AskError> {
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_millis(options.timeout_ms))
            .redirect(reqwest::redirect::Policy::none());
        builder = match tls {
            Some(tls) => {
                let mut config = (*tls.config()).clone();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                builder.tls_backend_preconfigured(config)
            }
            None => builder.tls_certs_only([]),
        };
        Ok(Self {
            client: builder.build()?,
            address: address.trim_end_matches('/').to_owned(),
            model: options.model.clone(),
        })
    }

    /// Waits until it answers at all.
    pub async fn reach(&self) -> Result<(), AskError> {
        let deadline = Instant::now() + REACH;
        let url = format!("{}/v1/models", self.address);
        loop {
            let why = match self.client.get(&url).send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => response.status().to_string(),
                Err(error) => chain(&error.without_url()),
            };
            if Instant::now() > deadline {
                return Err(AskError::Unreachable(self.address.clone(), why));
            }
            sleep(PAUSE).await;
        }
    }

    /// The answer's text, or why there is none.
    pub async fn ask(&self, input: &EvaluationInput) -> Result<String, String> {
        let mut tries = 1;
        loop {
            match self.once(input).await {
                Ok(text) => return Ok(text),
                Err(none) if none.passes && tries < TRIES => sleep(PAUSE * tries).await,
                Err(none) => return Err(none.why),
            }
            tries += 1;
        }
    }

    async fn once(&self, input: &EvaluationInput) -> Result<String, NoAnswer> {
        let broken = |error: reqwest::Error| NoAnswer {
            passes: !error.is_timeout(),
            why: "gave no answer".to_owned(),
        };
        let url = format!("{}/v1/chat/completions", self.address);
        let sent = self.client.post(url).json(&question(&self.model, input));
        let response = sent.send().await.map_err(broken)?;
        let status = response.status();
        let body = response.bytes().await.map_err(broken)?;
        if !status.is_success() {
            return Err(NoAnswer {
                passes: status.is_server_error() || status.as_u16() == 429,
                why: format!("gave no answer but status {}", status.as_u16()),
            });
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = body.pointer("/choices/0/message/content");
        text.and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| NoAnswer {
                passes: false,
                why: "gave no chat completion".to_owned(),
            })
    }
}

fn question(model: &str, input: &EvaluationInput) -> Value {
    let system = input.system.as_ref();
    let system = system.map(|text| json!({"role": "system", "content": text}));
    let user = json!({"role": "user", "content": input.prompt});
    json!({
        "model": model,
        "messages": system.into_iter().chain([user]).collect::<Vec<_>>(),
        "max_tokens": input.max_tokens,
        "temperature": 0,
        "seed": SEED,
    })
}
