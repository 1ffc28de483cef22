//! The face towards egresses of the same namespace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aios_runtime::serve::Peer;
use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue};

use super::{
    admission::Admission, infer::Infer, key::KeyFile, learnt::Learnt, sleep::Bed,
    upstream::Admitted,
};
use crate::{
    client::Client,
    config::Live,
    dialect::openai::{Operation, Request},
    error::ApiError,
    face::{self, DIGEST},
    meter::Meter,
    metrics::{Metrics, Side},
    trace::{Context, Span, Tracer, Value},
};

/// What every call needs.
pub struct Ingress {
    /// Callers must be of this namespace.
    pub namespace: String,
    /// Name of the ModelDeployment.
    pub model: String,
    pub live: Live,
    pub client: Client,
    pub key: Option<KeyFile>,
    /// Where the engine sleeps while nobody needs it; none where it does not.
    pub bed: Option<Arc<Bed>>,
    pub admission: Arc<Admission>,
    pub admission_wait: Duration,
    pub learnt: Learnt,
    pub infer: Infer,
    pub metrics: Arc<Metrics>,
    /// Who is told of its calls; none where nobody keeps them.
    pub tracer: Option<Arc<Tracer>>,
}

/// The routes of the face.
pub fn router(ingress: Arc<Ingress>) -> Router {
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/moderations", post(moderations))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models));
    face::with_fallbacks(router)
        .layer(from_fn_with_state(ingress.clone(), own_namespace_only))
        .with_state(ingress)
}

/// The client certificate was verified in the handshake; here its name decides.
async fn own_namespace_only(
    State(ingress): State<Arc<Ingress>>,
    peer: Option<Extension<Peer>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let own = format!("spiffe://aios/ns/{}", ingress.namespace);
    if peer.is_some_and(|Extension(peer)| peer.uris.contains(&own)) {
        return next.run(request).await;
    }
    ApiError::CallerNotAllowed(ingress.namespace.clone()).into_response()
}

async fn chat(state: State<Arc<Ingress>>, headers: HeaderMap, body: Body) -> Response {
    let answer = state.answer(Operation::Chat, &headers, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn embeddings(state: State<Arc<Ingress>>, headers: HeaderMap, body: Body) -> Response {
    let answer = state.answer(Operation::Embeddings, &headers, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn moderations(state: State<Arc<Ingress>>, headers: HeaderMap, body: Body) -> Response {
    let answer = state.answer(Operation::Moderations, &headers, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// For models of the Anthropic dialect. Refusals are told to the egress, which shapes them for callers.
async fn messages(state: State<Arc<Ingress>>, headers: HeaderMap, body: Body) -> Response {
    let answer = state.answer(Operation::Messages, &headers, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn count_tokens(state: State<Arc<Ingress>>, headers: HeaderMap, body: Body) -> Response {
    let counted = async { state.count(&headers, face::read(body).await?).await };
    let counted: Result<Response, ApiError> = counted.await;
    counted.unwrap_or_else(IntoResponse::into_response)
}

async fn models(State(ingress): State<Arc<Ingress>>, headers: HeaderMap) -> Response {
    face::models(&headers, ingress.live.load().models.keys())
}

impl Ingress {
    async fn answer(
        &self,
        operation: Operation,
        caller: &HeaderMap,
        body: Body,
    ) -> Result<Response, ApiError> {
        let tracer = self.tracer.as_ref();
        let mut span = tracer.and_then(|tracer| {
            let name = format!("{} {}", operation.as_str(), self.model);
            let mut span = tracer.taken(Context::of(caller), name)?;
            let operation = Value::Fixed(operation.as_str());
            span.note("gen_ai.operation.name", operation);
            span.text("aios.model", &self.model);
            Some(span)
        });
        let answer = self.answer_or_refuse(operation, caller, body, &mut span);
        let answer = answer.await;
        if let (Some(span), Err(error)) = (&mut span, &answer) {
            span.failed(Some(error.code()));
        }
        answer
    }

    /// Takes the span once it goes on to the model.
    async fn answer_or_refuse(
        &self,
        operation: Operation,
        caller: &HeaderMap,
        body: Body,
        span: &mut Option<Span>,
    ) -> Result<Response, ApiError> {
        let body = face::read(body).await?;
        let started = Instant::now();
        let config = self.live.load();
        let model = config
            .models
            .get(&self.model)
            .ok_or(ApiError::NotConfigured)?
            .clone();
        let request = Request::parse(operation, body)?;
        if request.model != model.name && request.model != model.upstream_model {
            return Err(ApiError::ModelUnknown(request.model));
        }
        let parsed = started.elapsed();
        let permit = self
            .admission
            .admit(model.max_in_flight, self.admission_wait)
            .await?;
        let awake = match &self.bed {
            Some(bed) => Some(bed.awake(model.timeout).await?),
            None => None,
        };
        let admitted = Instant::now();
        let digest = model.digest.clone();
        let mut trace = HeaderMap::new();
        // Whoever serves it elsewhere is told nothing of what its caller does.
        if model.hosted.is_none() {
            let within = span.as_ref().map(|span| span.place().context());
            Context::pass_on(within, caller, &mut trace);
        }
        let mut meter = Meter::start(
            self.metrics.clone(),
            Side::Server,
            operation,
            model.clone(),
            request.prompt_tokens,
        );
        meter.traced(span.take().map(|mut span| {
            span.text("gen_ai.request.model", &model.upstream_model);
            span.note(
                "gen_ai.provider.name",
                Value::Fixed(model.labels.provider()),
            );
            span
        }));
        let call = Admitted {
            http: self.client.get(),
            key: self.key.as_ref(),
            learnt: &self.learnt,
            infer: &self.infer,
            caller,
            trace,
            meter,
            model,
            request,
            held: (permit, awake),
        };
        let (mut response, waited) = call.call().await?;
        let digest = digest.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(digest)) = digest {
            response.headers_mut().insert(DIGEST, digest);
        }
        let own = parsed + admitted.elapsed().saturating_sub(waited);
        self.metrics.own_time(Side::Server, own);
        Ok(response)
    }
}
