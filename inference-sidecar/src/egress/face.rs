//! The faces towards the pod's own processes: OpenAI's and Anthropic's APIs, whatever the model speaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    asked::Asked,
    cache::{self, Cache},
    call::{self, Call},
    demand::Demand,
    exchange::{Exchange, Question},
    hedge::Hedges,
    hold::{BOUNDS, Holds},
    hundred,
    records::{self, Ledger, Recording, now_ms},
    reply::{CALL, reply, set},
    retries::Retries,
    route, traces,
};
use crate::{
    breaker::Breakers,
    client::Client,
    config::Live,
    error::ApiError,
    face::{self, Face},
    metrics::{Metrics, Side},
    money::{Funds, Lessor, Money},
    shield::Shield,
    snapshot::Config,
    speeds::Part,
    trace::{Context, Span, Tracer},
};

/// How long a fetch of records may wait: shorter than what open requests have when the process ends.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

const ATTEMPTS: HeaderName = HeaderName::from_static("aios-attempts");

/// What every call needs.
pub struct Egress {
    pub live: Live,
    pub client: Arc<Client>,
    pub metrics: Arc<Metrics>,
    /// What the operator is to hear.
    pub(super) demand: Arc<Demand>,
    pub(super) money: Arc<Money>,
    holds: Arc<Holds>,
    breakers: Arc<Breakers>,
    retries: Arc<Retries>,
    hedges: Arc<Hedges>,
    cache: Arc<Cache>,
    records: Arc<Ledger>,
    tracer: Option<Arc<Tracer>>,
}

/// The routes of the face.
pub fn router(egress: Arc<Egress>) -> Router {
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/moderations", post(moderations))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/responses", post(responses))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}", get(model))
        .route("/v1/records", get(records));
    face::with_fallbacks(router).with_state(egress)
}

async fn chat(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    state.answer(Face::Chat, headers, body).await
}

async fn embeddings(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    state.answer(Face::Embeddings, headers, body).await
}

async fn moderations(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    state.answer(Face::Moderations, headers, body).await
}

async fn messages(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    state.answer(Face::Messages, headers, body).await
}

async fn responses(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    state.answer(Face::Responses, headers, body).await
}

async fn count_tokens(state: State<Arc<Egress>>, headers: HeaderMap, body: Body) -> Response {
    let counted = async { state.count(&headers, face::read(body).await?).await };
    let counted: Result<Response, ApiError> = counted.await;
    counted.unwrap_or_else(|error| Face::Messages.refusal(error))
}

async fn models(State(egress): State<Arc<Egress>>, headers: HeaderMap) -> Response {
    face::models(&headers, egress.live.load().models.keys())
}

async fn model(
    State(egress): State<Arc<Egress>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let is_known = egress.live.load().models.contains_key(&name);
    face::model(&headers, name, is_known)
}

/// What was asked for of the records.
#[derive(serde::Deserialize)]
struct Records {
    /// Of the last batch that is in the log.
    process: Option<String>,
    after: Option<u64>,
    /// So many milliseconds little may wait for more.
    #[serde(default)]
    wait: u64,
}

/// Batches of records for the log, each a line of JSON; those that are in it are forgotten.
async fn records(State(egress): State<Arc<Egress>>, Query(asked): Query<Records>) -> Response {
    if let (Some(process), Some(after)) = (&asked.process, asked.after) {
        egress.records.forget(process, after);
    }
    let wait = Duration::from_millis(asked.wait).min(LONGEST_WAIT);
    // What there is then is given, much or little.
    let _ = timeout(wait, egress.records.urgent()).await;
    // Calls go on while records are signed.
    let records = egress.records.clone();
    match spawn_blocking(move || records.take(now_ms())).await {
        Ok(Ok(batches)) => {
            let lines = batches
                .iter()
                .flat_map(|batch| [&**batch, b"\n".as_slice()]);
            let lines: Vec<&[u8]> = lines.collect();
            let kind = (http::header::CONTENT_TYPE, "application/x-ndjson");
            ([kind], lines.concat()).into_response()
        }
        Ok(Err(error)) => unsigned(&error),
        Err(error) => unsigned(&error),
    }
}

fn unsigned(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "records of calls");
    http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

impl Egress {
    /// Budgets are granted by `lessor`.
    pub fn new(live: Live, client: Client, metrics: Arc<Metrics>, lessor: Lessor) -> Self {
        let client = Arc::new(client);
        Self {
            live,
            holds: Arc::new(Holds::new(client.clone(), metrics.clone(), BOUNDS)),
            breakers: Breakers::new(metrics.clone()),
            retries: Arc::default(),
            hedges: Arc::default(),
            cache: Cache::new(metrics.clone()),
            records: Ledger::new(metrics.clone()),
            money: Arc::new(Money::new(lessor, metrics.clone(), process())),
            client,
            metrics,
            demand: Arc::default(),
            tracer: None,
        }
    }

    /// Spans of its calls are told there.
    pub fn traced(self, tracer: Option<Arc<Tracer>>) -> Self {
        Self { tracer, ..self }
    }

    /// What judges a call; none where no rule does.
    pub(super) fn shield(&self, config: &Config, call: &Call) -> Option<Shield> {
        let guard = config.guard_of(call.owner())?;
        Some(Shield::new(guard, self.metrics.clone()))
    }

    async fn answer(&self, face: Face, caller: HeaderMap, body: Body) -> Response {
        let tracer = self.tracer.as_ref();
        let mut span = tracer.and_then(|tracer| {
            let name = face.as_str().to_owned();
            tracer.taken(Context::of(&caller), name)
        });
        match self.answer_or_refuse(face, caller, body, &mut span).await {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(span) = &mut span {
                    span.failed(Some(error.code()));
                }
                face.refusal(error)
            }
        }
    }

    async fn answer_or_refuse(
        &self,
        face: Face,
        caller: HeaderMap,
        body: Body,
        span: &mut Option<Span>,
    ) -> Result<Response, ApiError> {
        let body = face::read(body).await?;
        let started = Instant::now();
        let config = self.live.load();
        if config.sequence == 0 {
            return Err(ApiError::NotConfigured);
        }
        let call = Call::from_headers(&caller)?;
        let mut shield = self.shield(&config, &call);
        let asked = match &mut shield {
            None => Asked::read(face, body)?,
            Some(shield) => match shield.prompt(body.clone()) {
                Ok(told) => Asked::read(face, told)?.sent_as(body),
                Err(error) => {
                    if let Some(span) = span {
                        span.failed(Some(error.code()));
                    }
                    return Ok(self.withheld(
                        (face, error),
                        &config,
                        &call,
                        (&caller, &body),
                        shield,
                    ));
                }
            },
        };
        if let Some(span) = span {
            traces::describe(span, &call, asked.own());
        }
        let mut plan = route::plan(&config, &call, asked.own())?;
        let document = caller.get("aios-document");
        plan.weigh(&config, &call, document, rand::random);
        let variant = plan.assign(&config, &call, document, asked.own());
        let pipeline = config.pipelines.get(call.owner());
        let funds = Funds {
            run: call::run(&caller)?,
            shared: config.funds_of(call.owner()).clone(),
        };
        let question = Arc::new(Question {
            sharing: cache::Terms::of(&config, &call, asked.own()),
            stand: stand(&caller),
            within: span.as_ref().map(|span| span.place().clone()),
            call,
            asked,
            caller,
        });
        let recording = Recording::of(&self.records, pipeline, &question, variant);
        let mut exchange = Exchange {
            live: self.live.clone(),
            client: self.client.clone(),
            metrics: self.metrics.clone(),
            holds: self.holds.clone(),
            breakers: self.breakers.clone(),
            retries: self.retries.clone(),
            hedges: self.hedges.clone(),
            demand: self.demand.clone(),
            cache: self.cache.clone(),
            money: self.money.clone(),
            funds,
            question: question.clone(),
            attempts: 0,
            waited: Duration::ZERO,
            rewritten: None,
        };
        let answered = exchange.run(plan).await;
        let (attempts, waited) = (exchange.attempts, exchange.waited);
        let model = answered.as_ref().ok();
        let model = model.map(|answered| answered.candidate.model.clone());
        let mut response = match answered {
            Ok(answered) => {
                let mut span = span.take();
                if let Some(span) = &mut span {
                    traces::answered(span, &answered, attempts);
                }
                reply(answered, &question.asked, (recording, shield), span)
            }
            Err(unanswered) => {
                if let Some(span) = span {
                    span.failed(Some(unanswered.code()));
                }
                unanswered.judged(shield.as_mut()).into_answer(face)
            }
        };
        let headers = response.headers_mut();
        headers.insert(ATTEMPTS, HeaderValue::from(attempts));
        let own = started.elapsed().saturating_sub(waited);
        self.metrics.own_time(Side::Client, own);
        if let Some(model) = model {
            self.metrics.speeds.took(&model.name, Part::Own, own);
        }
        Ok(response)
    }

    /// The refusal of a prompt by policy, which is recorded as an answer is.
    fn withheld(
        &self,
        (face, error): (Face, ApiError),
        config: &Config,
        call: &Call,
        (caller, body): (&HeaderMap, &[u8]),
        shield: &Shield,
    ) -> Response {
        let mut response = face.refusal(error);
        let headers = response.headers_mut();
        shield.write(headers);
        let pipeline = config.pipelines.get(call.owner());
        if let (Call::Routed { step, .. }, Some(pipeline)) = (call, pipeline) {
            let document = caller.get("aios-document");
            let of = (pipeline, *step);
            let token = records::refused(&self.records, of, document, body, shield.judged());
            set(headers, CALL, &token.to_string());
        }
        response
    }
}

/// A name that no other process has.
fn process() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}

/// Where a call stands among a hundred: those of one document stand together, wherever they come from, so
/// that a document is of one revision.
fn stand(caller: &HeaderMap) -> u32 {
    let Some(document) = caller.get("aios-document") else {
        return rand::random_range(0..100);
    };
    hundred::place(&Sha256::digest(document.as_bytes()))
}
