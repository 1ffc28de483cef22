//! A model's server that answers by script and remembers what it saw.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A connection that breaks drops what was not sent yet: so long the server takes to send it.
pub const FLUSH: Duration = Duration::from_millis(50);

/// One scripted answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, headers, body.
    Plain(u16, Vec<(&'static str, String)>, String),
    /// Event-stream pieces, then the end.
    Stream(Vec<String>, End),
    /// No answer at all.
    Hang,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Close,
    /// The connection breaks.
    Cut,
    /// Nothing more comes.
    Hang,
    /// The pieces come again and again.
    Never,
}

/// What the server saw of one call.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone)]
pub struct Fake {
    pub address: String,
    state: Arc<Log>,
}

#[derive(Default)]
struct Log {
    script: Mutex<VecDeque<Answer>>,
    last: Mutex<Option<Answer>>,
    seen: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
    cancelled: AtomicUsize,
}

/// Notices when the caller goes away before the answer's end.
struct UnderWay(Arc<Log>, bool);

impl Fake {
    /// Answers in order; the last answer repeats.
    pub async fn start(script: Vec<Answer>) -> Self {
        let state = Arc::new(Log::default());
        *state.last.lock().unwrap() = script.last().cloned();
        state.script.lock().unwrap().extend(script);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { address, state };
        let app = fake.app();
        tokio::spawn(async move { axum_serve(listener, app).await });
        fake
    }

    /// What answers, to be served elsewhere, too.
    pub fn app(&self) -> Router {
        Router::new()
            .fallback(answer)
            .with_state(self.state.clone())
    }

    pub fn calls(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    pub fn seen(&self, index: usize) -> Seen {
        self.state.seen.lock().unwrap()[index].clone()
    }

    pub fn body(&self, index: usize) -> Value {
        serde_json::from_slice(&self.seen(index).body).unwrap()
    }

    pub fn cancelled(&self) -> usize {
        self.state.cancelled.load(SeqCst)
    }

    pub fn under_way(&self) -> usize {
        self.state.under_way.load(SeqCst)
    }
}

async fn axum_serve(listener: TcpListener, app: Router) {
    let never = tokio_util::sync::CancellationToken::new();
    aios_runtime::serve::serve(listener, app, None, never)
        .await
        .unwrap();
}

async fn answer(State(log): State<Arc<Log>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path().to_owned();
    log.seen.lock().unwrap().push(Seen {
        path,
        headers: parts.headers,
        body,
    });
    log.under_way.fetch_add(1, SeqCst);
    let mut under_way = UnderWay(log.clone(), false);
    let next = log.script.lock().unwrap().pop_front();
    let next = next.or_else(|| log.last.lock().unwrap().clone()).unwrap();
    match next {
        Answer::Plain(status, headers, body) => {
            under_way.answered();
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Hang => std::future::pending().await,
        Answer::Stream(pieces, end) => {
            let pieces = futures::stream::iter(pieces.into_iter().map(Bytes::from));
            let pieces = match end {
                End::Never => pieces.cycle().boxed(),
                _ => pieces.boxed(),
            };
            let pieces = pieces.map(Ok);
            let tail = futures::stream::once(async move {
                // Held until the end, so that a dropped body is noticed.
                match end {
                    End::Close => {
                        under_way.answered();
                        Ok(Bytes::new())
                    }
                    End::Cut => {
                        under_way.answered();
                        tokio::time::sleep(FLUSH).await;
                        Err(std::io::Error::other("cut"))
                    }
                    End::Hang | End::Never => {
                        let _held = &mut under_way;
                        std::future::pending().await
                    }
                }
            });
            Response::builder()
                .header("content-type", "text/event-stream; charset=utf-8")
                .body(Body::from_stream(pieces.chain(tail)))
                .unwrap()
        }
    }
}

impl UnderWay {
    fn answered(&mut self) {
        self.1 = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
        if !self.1 {
            self.0.cancelled.fetch_add(1, SeqCst);
        }
    }
}

/// A chat completion.
pub fn completion(text: &str, usage: Option<(u64, u64)>) -> Answer {
    let usage = usage.map(|(input, output)| {
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    });
    let body = json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
            "finish_reason": "stop"}],
        "usage": usage, "system_fingerprint": "kept",
    });
    json_answer(200, &body)
}

pub fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer::Plain(status, headers, body.to_string())
}

pub fn error(status: u16, code: &str) -> Answer {
    json_answer(
        status,
        &json!({"error": {"message": "m", "type": "t", "code": code}}),
    )
}

/// A chunk with text.
pub fn token(text: &str) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

pub fn role() -> String {
    let delta = json!({"role": "assistant", "content": ""});
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": delta}]})
    )
}

pub fn stop() -> String {
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    format!("data: {}\n\n", json!({ "choices": [choice] }))
}

pub fn usage_chunk(input: u64, output: u64) -> String {
    let usage = json!({"prompt_tokens": input, "completion_tokens": output});
    format!("data: {}\n\n", json!({"choices": [], "usage": usage}))
}

pub const DONE: &str = "data: [DONE]\n\n";

/// A whole stream of the given tokens.
pub fn stream(tokens: &[&str]) -> Answer {
    let mut pieces = vec![role()];
    pieces.extend(tokens.iter().map(|text| token(text)));
    pieces.extend([stop(), usage_chunk(9, 3), DONE.to_owned()]);
    Answer::Stream(pieces, End::Close)
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Fake {
    /// From now on model calls are answered so, and `/health` only with plain answers.
    pub fn say(&self, answer: Answer) {
        self.state.script.lock().unwrap().clear();
        *self.state.last.lock().unwrap() = Some(answer);
    }
}
