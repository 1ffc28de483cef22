//! One attempt: one request to one address of one model, bounded in time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body_util::BodyDataStream;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use crate::{
    client,
    connections::{self, Connections},
    cost::Usage,
    dialect::{
        anthropic,
        openai::{self, Answer, Operation},
    },
    error::ApiError,
    limits,
    relay::Source,
    trace::Context,
};

/// Headers of a caller that go on with the call: what Anthropic's callers ask for.
const FORWARDED: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];
/// Longest error body that is read.
const MAX_ERROR: usize = 64 << 10;

/// What is sent.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub connections: &'a Arc<Connections>,
    pub operation: Operation,
    /// Answers that are asked for.
    pub choices: u64,
    /// Whether the caller wants the usage chunk.
    pub usage_asked: bool,
    pub body: &'a Bytes,
    pub caller: &'a HeaderMap,
    /// Of this attempt's span, instead of what the caller said.
    pub trace: Option<Context>,
    /// For the whole answer.
    pub timeout: Duration,
    /// For the first token of a stream.
    pub first_token_timeout: Duration,
}

/// An answer that is whole.
#[derive(Clone, Debug)]
pub struct Whole {
    pub body: Bytes,
    pub answer: Answer,
    pub headers: HeaderMap,
    /// What it came to for the call that asked for it, if that was another.
    pub counted: Option<Usage>,
}

/// A stream that has its first token.
pub struct Started {
    pub source: Source,
    pub deadline: (Instant, Duration),
    pub headers: HeaderMap,
    /// Whether the caller wants the usage chunk.
    pub usage_asked: bool,
}

impl Attempt<'_> {
    /// Waits for a whole answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn whole(self) -> Result<Whole, Failure> {
        let deadline = Instant::now() + self.timeout;
        let response = within(deadline, self.timeout, self.send()).await?;
        let (head, body) = response.into_parts();
        let body = within(deadline, self.timeout, async {
            let whole = limits::whole(body, self.operation).await;
            whole.map_err(|error| Failure::of(&error))
        })
        .await?;
        let answer = match self.operation {
            Operation::Messages => anthropic::read(&body),
            Operation::Chat | Operation::Embeddings | Operation::Moderations => openai::read(&body),
        };
        let malformed = |error| Failure::of(&ApiError::UpstreamMalformed(error));
        let answer = answer.map_err(malformed)?;
        Ok(Whole {
            body,
            answer,
            headers: head.headers,
            counted: None,
        })
    }

    /// Waits for the first token of a stream.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn stream(self) -> Result<Started, Failure> {
        let start = Instant::now();
        let first = self.first_token_timeout.min(self.timeout);
        let choices = self.choices;
        within(start + first, first, async {
            let (head, body) = self.send().await?.into_parts();
            let headers = head.headers;
            if !is_event_stream(&headers) {
                let error = "a stream was asked for and none came".to_owned();
                return Err(Failure::of(&ApiError::UpstreamMalformed(error)));
            }
            let bytes = BodyDataStream::new(body);
            let mut source = Source::new(
                bytes
                    .map(|part| part.map_err(|_| ApiError::StreamCut))
                    .boxed(),
                self.operation,
            )
            .of_choices(choices);
            source
                .first_token()
                .await
                .map_err(|error| Failure::of(&error).of_begun())?;
            Ok(Started {
                source,
                deadline: (start + self.timeout, self.timeout),
                headers,
                usage_asked: self.usage_asked,
            })
        })
        .await
    }

    /// Sends, and gives answers with status 200 alone.
    async fn send(self) -> Result<Response<connections::Body>, Failure> {
        let forwarded = FORWARDED.into_iter().filter_map(|name| {
            let value = self.caller.get(&name)?.clone();
            Some((name, value))
        });
        let mut headers: HeaderMap = forwarded.collect();
        Context::pass_on(self.trace, self.caller, &mut headers);
        let (path, body) = (self.operation.route(), self.body.clone());
        let response = self.connections.post(path, headers, body);
        let response = response.await.map_err(|error| Failure::of(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let over_kept = body.over_kept;
        let body = client::start_of(body, MAX_ERROR).await;
        Err(Failure {
            over_kept,
            ..Failure::from_answer(head.status, &head.headers, body)
        })
    }
}

async fn within<T>(
    deadline: Instant,
    span: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::of(&ApiError::UpstreamTimeout(span))),
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"))
}
