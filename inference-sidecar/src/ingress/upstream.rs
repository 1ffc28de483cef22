//! One call to the upstream in its dialect. Never retries: the egress does, which knows the routes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aios_proto::config::Dialect;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::{admission::Permit, infer::Infer, key::KeyFile, learnt::Learnt, refusal, sleep::Awake};
use crate::{
    client,
    dialect::{
        Unwanted, anthropic,
        openai::{self, Operation, Request, Rewrite},
        text::Speech,
        unheeded,
    },
    error::ApiError,
    face::{self, DROPPED, Face},
    limits,
    meter::{Account, Meter},
    outcome::Outcome,
    relay::{Relay, Source, Upstream},
    snapshot::Model,
    sse::Splitter,
    voice::Voice,
};

const MAX_ERROR: usize = 64 << 10;

/// What goes to the upstream.
pub(super) struct Outgoing {
    pub url: String,
    pub body: Bytes,
    pub auth: Option<(HeaderName, &'static str)>,
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// Fields that were dropped in translation.
    pub dropped: Vec<String>,
}

impl Outgoing {
    /// Whether it was there.
    ///
    /// # Errors
    /// `Unsupported` for what cannot be left out.
    fn leave_out(&mut self, unwanted: Unwanted, asked: &Request) -> Result<bool, ApiError> {
        if unwanted == Unwanted::Beginning {
            // As the caller numbers his messages.
            unwanted.left_out(&asked.body)?;
        }
        let left = unwanted.left_out(&self.body)?;
        let Some((body, name)) = left else {
            return Ok(false);
        };
        self.body = body.into();
        self.dropped.push(name.to_owned());
        Ok(true)
    }
}

/// A call that was admitted.
pub struct Admitted<'a> {
    pub http: reqwest::Client,
    pub key: Option<&'a KeyFile>,
    pub learnt: &'a Learnt,
    pub infer: &'a Infer,
    pub caller: &'a HeaderMap,
    /// What the model's server is told of the trace.
    pub trace: HeaderMap,
    pub model: Arc<Model>,
    pub request: Request,
    pub meter: Meter,
    /// Let go with the last byte.
    pub held: (Permit, Option<Awake>),
}

impl Admitted<'_> {
    /// Calls the upstream; gives the answer in OpenAI's shape, and how long it was waited for.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn call(self) -> Result<(Response, Duration), ApiError> {
        let model = self.model.clone();
        let id = format!("chatcmpl-{:016x}", rand::random::<u64>());
        if let Some(speech) = Speech::of(&model.dialect, &id) {
            return self.text(speech).await;
        }
        let mut outgoing = outgoing(&model, &self.request, self.caller)?;
        let unheeded = if model.is_deepseeks {
            unheeded::by_deepseek(&model.upstream_model, &outgoing.body)
        } else {
            &[]
        };
        let refused = self.learnt.of(&model.upstream_model);
        for unwanted in unheeded.iter().copied().chain(refused) {
            outgoing.leave_out(unwanted, &self.request)?;
        }
        let sent = Instant::now();
        let deadline = (sent + self.model.timeout, self.model.timeout);
        let upstream = match self.ask(&mut outgoing, deadline).await {
            Ok(upstream) => upstream,
            Err(error) => {
                self.meter.settle(error.outcome());
                return Err(error);
            }
        };
        let dropped = face::dropped("", outgoing.dropped.iter().map(String::as_str));
        let said_with = upstream.headers().clone();
        let mut response = if self.request.stream {
            self.stream(upstream, deadline)?
        } else {
            self.whole(upstream, deadline).await?
        };
        let headers = response.headers_mut();
        forward_ids(&said_with, headers);
        if let Some(dropped) = dropped {
            headers.insert(DROPPED, dropped);
        }
        Ok((response, sent.elapsed()))
    }

    /// What the model refuses that can be left out is left out, and it is asked again: a refusal costs nothing.
    async fn ask(
        &self,
        outgoing: &mut Outgoing,
        deadline: (Instant, Duration),
    ) -> Result<reqwest::Response, ApiError> {
        loop {
            let answer = within(deadline, self.send(outgoing)).await?;
            if answer.status() == StatusCode::OK {
                return Ok(answer);
            }
            let error = refused(&self.model.dialect, self.key, answer, deadline).await;
            let Some(unwanted) = Unwanted::told(&error) else {
                return Err(error);
            };
            let left = outgoing.leave_out(unwanted, &self.request);
            // What is not there was not what it refused.
            if left == Ok(false) {
                return Err(error);
            }
            self.learnt.note(&self.model.upstream_model, unwanted);
            left?;
        }
    }

    pub(super) async fn send(&self, outgoing: &Outgoing) -> Result<reqwest::Response, ApiError> {
        let mut request = self
            .http
            .post(&outgoing.url)
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )
            .headers(self.trace.clone())
            .body(outgoing.body.clone());
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        if let (Some(key), Some((name, prefix))) = (self.key, &outgoing.auth) {
            request = request.header(name, key.header(prefix)?);
        }
        request.send().await.map_err(client::failed)
    }

    fn stream(
        self,
        upstream: reqwest::Response,
        deadline: (Instant, Duration),
    ) -> Result<Response, ApiError> {
        if !has_type(upstream.headers(), "text/event-stream") {
            self.meter.settle(Outcome::Malformed);
            let problem = "a stream was asked for and none came".to_owned();
            return Err(ApiError::UpstreamMalformed(problem));
        }
        let bytes = upstream
            .bytes_stream()
            .map(|part| part.map_err(|_| ApiError::StreamCut));
        let chunks = match self.model.dialect {
            Dialect::Anthropic if self.request.operation == Operation::Chat => {
                translated(bytes.boxed(), self.request.usage_asked)
            }
            _ => bytes.boxed(),
        };
        Ok(self.relayed(chunks, deadline))
    }

    pub(super) fn relayed(self, chunks: Upstream, deadline: (Instant, Duration)) -> Response {
        let relay = Relay {
            source: Source::new(chunks, self.request.operation).of_choices(self.request.choices),
            account: self.meter,
            deadline,
            gap: self.model.token_gap_timeout,
            voice: Voice::Same(match self.request.operation {
                Operation::Messages => Face::Messages,
                Operation::Chat | Operation::Embeddings | Operation::Moderations => Face::Chat,
            }),
            shield: None,
            strip_usage: false,
            trailers: None,
            secret: self.key.cloned(),
            guard: Some(Box::new(self.held)),
        };
        let mut response = Response::new(relay.into_body());
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    async fn whole(
        mut self,
        upstream: reqwest::Response,
        deadline: (Instant, Duration),
    ) -> Result<Response, ApiError> {
        let read = within(deadline, async {
            let body = reqwest::Body::from(upstream);
            let mut body = limits::whole(body, self.request.operation).await?;
            if let (Dialect::Anthropic, Operation::Chat) =
                (&self.model.dialect, self.request.operation)
            {
                body = anthropic::to_completion(&body, now())
                    .map_err(ApiError::UpstreamMalformed)?
                    .to_string()
                    .into();
            }
            let answer = match self.request.operation {
                Operation::Messages => anthropic::read(&body),
                Operation::Chat | Operation::Embeddings | Operation::Moderations => {
                    openai::read(&body)
                }
            };
            Ok((body, answer.map_err(ApiError::UpstreamMalformed)?))
        })
        .await;
        match read {
            Ok((body, answer)) => {
                self.meter.note(answer.usage, answer.text_bytes);
                self.meter.settle(Outcome::Ok);
                let mut response = Response::new(Body::from(body));
                let kind = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Ok(response)
            }
            Err(error) => {
                self.meter.settle(error.outcome());
                Err(error)
            }
        }
    }
}

/// The provider's name of the call goes on.
pub(super) fn forward_ids(from: &HeaderMap, to: &mut HeaderMap) {
    for name in ["x-request-id", "request-id"] {
        if let Some(id) = from.get(name) {
            to.insert(name, id.clone());
        }
    }
}

fn outgoing(model: &Model, request: &Request, caller: &HeaderMap) -> Result<Outgoing, ApiError> {
    let version = HeaderValue::from_static(anthropic::VERSION);
    let rewrite = Rewrite {
        model: &model.upstream_model,
        ..Rewrite::default()
    };
    match (&model.dialect, request.operation) {
        (Dialect::Anthropic, Operation::Chat) => {
            let upstream = &model.upstream_model;
            let cap = model.max_output_tokens;
            let translated = anthropic::to_messages(&request.body, upstream, cap)?;
            Ok(Outgoing {
                url: format!("{}/messages", model.base_url),
                body: translated.body.to_string().into(),
                auth: Some((HeaderName::from_static("x-api-key"), "")),
                headers: vec![("anthropic-version", version)],
                dropped: translated.dropped,
            })
        }
        (Dialect::Anthropic, Operation::Messages) => {
            let asked = caller.get("anthropic-version").cloned();
            let mut headers = vec![("anthropic-version", asked.unwrap_or(version))];
            let beta = caller.get("anthropic-beta").cloned();
            headers.extend(beta.map(|beta| ("anthropic-beta", beta)));
            let body = request.rewritten(&rewrite)?;
            // Thoughts of a model that answered before, on another route.
            let (body, dropped) = match anthropic::signed_only(&body) {
                Some(signed) => (signed.into(), vec!["thinking".to_owned()]),
                None => (body, Vec::new()),
            };
            Ok(Outgoing {
                url: format!("{}/messages", model.base_url),
                body,
                auth: Some((HeaderName::from_static("x-api-key"), "")),
                headers,
                dropped,
            })
        }
        (_, Operation::Messages) => {
            let remedy = "it speaks another dialect: send chat completions";
            Err(ApiError::unsupported("model", remedy))
        }
        (Dialect::Anthropic, Operation::Embeddings | Operation::Moderations) => {
            let remedy = "Anthropic has no such call: use a model of the OpenAI dialect";
            Err(ApiError::unsupported("model", remedy))
        }
        (_, operation) => Ok(Outgoing {
            url: format!("{}/{}", model.base_url, operation.path()),
            body: request.rewritten(&rewrite)?,
            auth: Some((header::AUTHORIZATION, "Bearer ")),
            headers: Vec::new(),
            dropped: Vec::new(),
        }),
    }
}

pub(super) async fn refused(
    dialect: &Dialect,
    key: Option<&KeyFile>,
    response: reqwest::Response,
    deadline: (Instant, Duration),
) -> ApiError {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = within(deadline, async {
        Ok(client::read_at_most(response, MAX_ERROR).await)
    })
    .await;
    match body {
        Ok(body) => {
            let body = KeyFile::hidden_in(key, body);
            refusal::classify(dialect, status, &headers, &body)
        }
        Err(error) => error,
    }
}

/// Events of a message as chunks.
fn translated(upstream: Upstream, usage_asked: bool) -> Upstream {
    let translator = anthropic::Translator::new(now(), usage_asked);
    let state = (upstream, Splitter::default(), translator);
    let chunks = stream::unfold(Some(state), |state| async move {
        let (mut upstream, mut splitter, mut translator) = state?;
        let part = match upstream.next().await? {
            Ok(part) => part,
            Err(error) => return Some((Err(error), None)),
        };
        let mut out = Vec::new();
        let events = splitter
            .push(&part)
            .map_err(|e| ApiError::UpstreamMalformed(e.to_string()));
        let pushed = events.and_then(|events| {
            events.iter().try_for_each(|event| {
                out.extend_from_slice(&translator.push(event)?);
                Ok(())
            })
        });
        match pushed {
            Ok(()) => Some((
                Ok(vec![Ok(Bytes::from(out))]),
                Some((upstream, splitter, translator)),
            )),
            // What came before the error is still the caller's.
            Err(error) => Some((Ok(vec![Ok(Bytes::from(out)), Err(error)]), None)),
        }
    });
    chunks
        .map(|parts| stream::iter(parts.unwrap_or_else(|error| vec![Err(error)])))
        .flatten()
        .boxed()
}

pub(super) async fn within<T>(
    (deadline, span): (Instant, Duration),
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    timeout_at(deadline, work)
        .await
        .unwrap_or(Err(ApiError::UpstreamTimeout(span)))
}

fn has_type(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.starts_with(kind))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
