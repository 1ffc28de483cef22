//! The OpenAI face towards the pod's own processes, and the headers that tell them what happened.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use super::{
    call::Call,
    demand::Demand,
    exchange::{Answered, Exchange, Reply, Unanswered},
    hold::{BOUNDS, Holds},
    route,
};
use crate::{
    client::Client,
    config::Live,
    dialect::openai::{Operation, Request},
    error::ApiError,
    face::{self, DIGEST},
    meter::Receipt,
    metrics::{Metrics, Side},
    outcome::Outcome,
    relay::Relay,
};

/// What every call needs.
pub struct Egress {
    pub live: Live,
    pub client: Arc<Client>,
    pub metrics: Arc<Metrics>,
    /// What the operator is to hear.
    pub(super) demand: Arc<Demand>,
    holds: Holds,
}

/// Headers, or trailers of a stream, that say what a call came to.
const RECEIPT: &str = "aios-usage, aios-input-tokens, aios-output-tokens, aios-cost";
/// Headers of an upstream's answer that callers may need.
const PASSED: [&str; 3] = ["x-request-id", "aios-dropped", DIGEST];

/// The routes of the face.
pub fn router(egress: Arc<Egress>) -> Router {
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models));
    face::with_fallbacks(router).with_state(egress)
}

async fn chat(State(egress): State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    egress
        .answer(Operation::Chat, &headers, body)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn embeddings(State(egress): State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    let answer = egress.answer(Operation::Embeddings, &headers, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn models(State(egress): State<Arc<Egress>>) -> Response {
    face::models(egress.live.load().models.keys())
}

impl Egress {
    pub fn new(live: Live, client: Client, metrics: Arc<Metrics>) -> Self {
        let client = Arc::new(client);
        Self {
            live,
            holds: Holds::new(client.clone(), metrics.clone(), BOUNDS),
            client,
            metrics,
            demand: Arc::default(),
        }
    }

    async fn answer(
        &self,
        operation: Operation,
        caller: &HeaderMap,
        body: Body,
    ) -> Result<Response, ApiError> {
        let body = face::read(body).await?;
        let started = Instant::now();
        let config = self.live.load();
        if config.sequence == 0 {
            return Err(ApiError::NotConfigured);
        }
        let request = Request::parse(operation, body)?;
        let call = Call::from_headers(caller)?;
        let plan = route::plan(&config, &call, &request)?;
        let mut exchange = Exchange {
            client: &self.client,
            metrics: &self.metrics,
            holds: &self.holds,
            demand: &self.demand,
            owner: call.owner(),
            request: &request,
            caller,
            stand: stand(caller),
            attempts: 0,
            waited: Duration::ZERO,
        };
        let answered = exchange.run(plan).await;
        let (attempts, waited) = (exchange.attempts, exchange.waited);
        let mut response = match answered {
            Ok(answered) => reply(answered, &request),
            Err(Unanswered::Refused(error)) => error.into_response(),
            Err(Unanswered::Rejected(rejection)) => rejection.into_response(),
        };
        set(
            response.headers_mut(),
            "aios-attempts",
            &attempts.to_string(),
        );
        self.metrics
            .own_time(Side::Client, started.elapsed().saturating_sub(waited));
        Ok(response)
    }
}

/// Where a call stands among a hundred: those of one document stand together, wherever they come from, so
/// that a document is of one revision.
fn stand(caller: &HeaderMap) -> u32 {
    let Some(document) = caller.get("aios-document") else {
        return rand::random_range(0..100);
    };
    let digest = Sha256::digest(document.as_bytes());
    digest
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100)
}

fn reply(answered: Answered, request: &Request) -> Response {
    let Answered {
        reply,
        candidate,
        meter,
        under_way,
    } = answered;
    let (mut response, upstream) = match reply {
        Reply::Whole(whole) => {
            let receipt = meter.settle(Outcome::Ok);
            let mut response = Response::new(Body::from(whole.body));
            response.headers_mut().extend(receipt_headers(&receipt));
            set(
                response.headers_mut(),
                header::CONTENT_TYPE,
                "application/json",
            );
            (response, whole.headers)
        }
        Reply::Started(started) => {
            let relay = Relay {
                source: started.source,
                meter,
                deadline: started.deadline,
                strip_usage: !request.usage_asked,
                trailers: Some(receipt_headers),
                guard: Some(Box::new(under_way)),
            };
            let mut response = Response::new(relay.into_body());
            set(
                response.headers_mut(),
                header::CONTENT_TYPE,
                "text/event-stream",
            );
            set(response.headers_mut(), header::CACHE_CONTROL, "no-cache");
            set(response.headers_mut(), header::TRAILER, RECEIPT);
            (response, started.headers)
        }
    };
    let headers = response.headers_mut();
    for name in PASSED {
        if let Some(value) = upstream.get(name) {
            headers.insert(name, value.clone());
        }
    }
    set(headers, "aios-model", &candidate.model.name);
    // Who answered knows better, for it may be of another revision than what is configured.
    if let (Some(digest), false) = (&candidate.model.digest, headers.contains_key(DIGEST)) {
        set(headers, DIGEST, digest);
    }
    if let Some(route) = candidate.route {
        set(headers, "aios-route", &route.to_string());
    }
    response
}

fn receipt_headers(receipt: &Receipt) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, "aios-usage", receipt.usage.basis.as_str());
    set(
        &mut headers,
        "aios-input-tokens",
        &receipt.usage.input.to_string(),
    );
    set(
        &mut headers,
        "aios-output-tokens",
        &receipt.usage.output.to_string(),
    );
    if let Some(cost) = &receipt.cost {
        set(&mut headers, "aios-cost", &cost.to_string());
    }
    headers
}

/// Sets a header whose value is known to be visible ASCII; anything else is left out.
fn set<N>(headers: &mut HeaderMap, name: N, value: &str)
where
    N: TryInto<HeaderName>,
{
    if let (Ok(name), Ok(value)) = (name.try_into(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}
