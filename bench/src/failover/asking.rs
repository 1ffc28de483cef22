//! Clients that keep asking a pod's egress for streamed answers, and note when each token came.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;

/// Streams at once: one is under way when another ends.
const CLIENTS: usize = 2;
const TOKENS: u32 = 8;
/// After a call that failed.
const PAUSE: Duration = Duration::from_millis(20);

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub begun: Instant,
    /// None as long as no byte of the answer came.
    pub first_token: Option<Instant>,
    pub ended: Option<Instant>,
    pub failed: bool,
    /// Requests that the egress sent to models for it; 0 as long as it has not said.
    pub attempts: u32,
}

/// Runs until it is dropped.
pub struct Asking {
    calls: Arc<Mutex<Vec<Call>>>,
    _clients: JoinSet<()>,
}

impl Asking {
    pub fn start(egress: &str, model: &str) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask(egress.to_owned(), model.to_owned(), calls.clone()));
        }
        Self {
            calls,
            _clients: clients,
        }
    }

    /// The first token, after `moment`, of an answer that had none then, and how often models were asked for it.
    /// One that who died then had sent already does not count.
    pub fn served_after(&self, moment: Instant) -> Option<(Instant, u32)> {
        let calls = lock(&self.calls);
        let tokens = calls.iter().filter_map(|call| {
            let token = call.first_token.filter(|token| *token > moment)?;
            (call.begun > moment || call.attempts > 1).then_some((token, call.attempts))
        });
        tokens.min()
    }

    /// Calls that failed before their first token since `moment`; those cut later are the model's loss.
    pub fn failed_since(&self, moment: Instant) -> usize {
        let calls = lock(&self.calls);
        let since = calls
            .iter()
            .filter(|call| call.ended.is_some_and(|ended| ended > moment));
        since
            .filter(|call| call.failed && call.first_token.is_none())
            .count()
    }
}

async fn ask(egress: String, model: String, calls: Arc<Mutex<Vec<Call>>>) {
    let http = reqwest::Client::new();
    loop {
        let index = {
            let mut calls = lock(&calls);
            calls.push(Call {
                begun: Instant::now(),
                first_token: None,
                ended: None,
                failed: false,
                attempts: 0,
            });
            calls.len() - 1
        };
        let note = |change: &dyn Fn(&mut Call)| {
            if let Some(call) = lock(&calls).get_mut(index) {
                change(call);
            }
        };
        let outcome = stream(&http, &egress, &model, |attempts| {
            let now = Instant::now();
            note(&|call| {
                call.first_token.get_or_insert(now);
                call.attempts = attempts;
            });
        })
        .await;
        note(&|call| {
            call.ended = Some(Instant::now());
            call.failed = outcome.is_err();
        });
        if outcome.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn stream(
    http: &reqwest::Client,
    egress: &str,
    model: &str,
    mut token: impl FnMut(u32),
) -> Result<()> {
    let body = json!({
        "model": model, "stream": true, "max_tokens": TOKENS,
        "messages": [{"role": "user", "content": "Write one sentence about the sea."}],
    });
    let answer = http
        .post(format!("{egress}/v1/chat/completions"))
        .json(&body)
        .send()
        .await?;
    let mut answer = answer.error_for_status()?;
    let attempts = answer.headers().get("aios-attempts");
    let attempts = attempts.and_then(|value| value.to_str().ok()?.parse().ok());
    let (mut whole, mut came) = (Vec::new(), false);
    while let Some(part) = answer.chunk().await? {
        whole.extend_from_slice(&part);
        if !came && contains(&whole, b"\"content\":\"") {
            came = true;
            token(attempts.unwrap_or_default());
        }
    }
    contains(&whole, b"[DONE]")
        .then_some(())
        .context("the stream was cut")
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
