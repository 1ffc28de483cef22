use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::answer::answer;
use super::calls::{Calls, Guard, Status};
use super::control;
use super::dialect::{Dialect, Meta};
use super::faults::{Fault, Faults};
use super::generate::{Generation, half};
use super::openai::{embeddings_request, moderations_request};
use super::pace::Pace;
use super::problem::Problem;
use super::request::Request;
use super::script::{Script, ScriptRule};
use super::settings::Settings;
use super::vllm::{self, Bed};
use crate::SimulatorError;

const BODY_LIMIT: usize = 32 << 20;
/// What `/v1/models` lists if every name is answered.
const ANY_MODEL: &str = "simulator";

/// All state of one simulator.
pub struct Simulator {
    settings: Settings,
    pub script: RwLock<Arc<Script>>,
    pub faults: Mutex<Faults>,
    pub calls: Arc<Calls>,
    pub bed: Bed,
}

/// Fails if script or faults cannot be read.
pub fn router(settings: Settings) -> Result<Router, SimulatorError> {
    let mut rules = match &settings.script {
        Some(path) => Script::from_json(&read(path)?)?.rules(),
        None => Vec::new(),
    };
    rules.extend(settings.say.as_deref().map(ScriptRule::always));
    let script = Script::new(rules)?;
    let faults = match &settings.faults {
        Some(path) => Faults::from_json(&read(path)?)?,
        None => Faults::default(),
    };
    let simulator = Arc::new(Simulator {
        script: RwLock::new(Arc::new(script)),
        faults: Mutex::new(faults),
        calls: Calls::new(settings.keep_calls),
        bed: Bed::default(),
        settings,
    });
    let own = if simulator.settings.vllm {
        vllm::routes()
    } else {
        Router::new()
    };
    Ok(Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/moderations", post(moderations))
        .route("/v1/models", get(models))
        .route("/v1/messages", post(messages))
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .merge(control::routes())
        .merge(own)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(simulator))
}

async fn chat(State(sim): State<Arc<Simulator>>, headers: HeaderMap, body: Bytes) -> Response {
    sim.complete(Dialect::OpenAi, "/v1/chat/completions", &headers, &body)
        .await
}

async fn messages(State(sim): State<Arc<Simulator>>, headers: HeaderMap, body: Bytes) -> Response {
    sim.complete(Dialect::Anthropic, "/v1/messages", &headers, &body)
        .await
}

async fn embeddings(
    State(sim): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let dimensions = sim.settings.dimensions;
    sim.at_once("/v1/embeddings", &headers, &body, |body, _| {
        let checked = embeddings_request(body, dimensions)?;
        let answer = checked.response();
        Ok((checked.request, answer))
    })
    .await
}

async fn moderations(
    State(sim): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = sim.script();
    sim.at_once("/v1/moderations", &headers, &body, |body, id| {
        let checked = moderations_request(body)?;
        let answer = checked.response(id, &script);
        Ok((checked.request, answer))
    })
    .await
}

async fn models(State(sim): State<Arc<Simulator>>, headers: HeaderMap) -> Response {
    if let Err(problem) = Dialect::OpenAi.authorize(sim.settings.api_key.as_deref(), &headers) {
        return problem.respond(Dialect::OpenAi);
    }
    let any = [ANY_MODEL.to_owned()];
    let names = if sim.settings.models.is_empty() {
        &any[..]
    } else {
        &sim.settings.models
    };
    let data: Vec<_> = names
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "aios-simulator"}))
        .collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

impl Simulator {
    /// Name of the first model that is offered.
    pub fn first_model(&self) -> &str {
        self.settings
            .models
            .first()
            .map_or(ANY_MODEL, String::as_str)
    }

    fn script(&self) -> Arc<Script> {
        let script = self.script.read();
        script.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers what is said in one piece: `answer` checks the body of the call of that number.
    async fn at_once(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        answer: impl FnOnce(&Value, u64) -> Result<(Request, Value), Problem>,
    ) -> Response {
        let mut call = self.calls.begin(path, body);
        let id = call.id();
        let answered = self
            .parse(Dialect::OpenAi, headers, body)
            .and_then(|body| answer(&body, id))
            .and_then(|answered| self.offers(&answered.0.model).map(|()| answered));
        let (request, answer) = match answered {
            Ok(answered) => answered,
            Err(problem) => return refuse(&mut call, &problem, Dialect::OpenAi),
        };
        let fault = match self.fault(&mut call, &request, None) {
            Ok(fault) => fault,
            Err(problem) => return problem.respond(Dialect::OpenAi),
        };
        match fault {
            Some(Fault::Stall { .. }) => std::future::pending::<()>().await,
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            _ => {}
        }
        if let Some(Fault::Cut { .. }) = fault {
            call.settle(Status::Failed);
            return half(&answer.to_string());
        }
        call.settle(Status::Completed);
        Json(answer).into_response()
    }

    async fn complete(
        &self,
        dialect: Dialect,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        let mut call = self.calls.begin(path, body);
        let (request, room) = match self.check(dialect, headers, body) {
            Ok(checked) => checked,
            Err(problem) => return refuse(&mut call, &problem, dialect),
        };
        let script = self.script();
        let answer = answer(self.settings.seed, &script, &request, room);
        let fault = match self.fault(&mut call, &request, answer.rule) {
            Ok(fault) => fault,
            Err(problem) => return problem.respond(dialect),
        };
        let delay = match fault {
            Some(Fault::Delay { ms }) => Duration::from_millis(ms),
            _ => Duration::ZERO,
        };
        let meta = Meta {
            id: call.id(),
            model: request.model.clone(),
            prompt_tokens: request.prompt_tokens,
            tool: answer.tool.clone(),
            include_usage: request.include_usage,
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        };
        let pace = Pace::new(&self.settings, &request, delay);
        let generation = Generation {
            call,
            dialect,
            meta,
            answer,
            pace,
            fault,
        };
        if request.stream {
            generation.stream().await
        } else {
            generation.whole().await
        }
    }

    /// The request, and the room that the context leaves for its answer.
    fn check(
        &self,
        dialect: Dialect,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Request, u64), Problem> {
        let request = dialect.request(&self.parse(dialect, headers, body)?)?;
        self.offers(&request.model)?;
        let limit = self.settings.context_tokens;
        let wanted = request
            .prompt_tokens
            .saturating_add(request.max_tokens.unwrap_or(1));
        if wanted > limit {
            return Err(Problem::Context { limit, wanted });
        }
        let room = limit - request.prompt_tokens;
        Ok((request, room))
    }

    fn parse(&self, dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
        dialect.authorize(self.settings.api_key.as_deref(), headers)?;
        if self.bed.is_asleep() {
            return Err(Problem::Asleep);
        }
        serde_json::from_slice(body).map_err(|error| Problem::Json(error.to_string()))
    }

    fn offers(&self, model: &str) -> Result<(), Problem> {
        let models = &self.settings.models;
        if models.is_empty() || models.iter().any(|offered| offered == model) {
            return Ok(());
        }
        Err(Problem::UnknownModel(model.to_owned()))
    }

    /// Picks the call's fault and notes it; one that replaces the answer settles the call.
    fn fault(
        &self,
        call: &mut Guard,
        request: &Request,
        rule: Option<usize>,
    ) -> Result<Option<Fault>, Problem> {
        let fault = self
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(request);
        call.accepted(request, rule, fault.map(Fault::name));
        match fault.and_then(Problem::of) {
            Some(problem) => {
                call.settle(Status::Failed);
                Err(problem)
            }
            None => Ok(fault),
        }
    }
}

fn refuse(call: &mut Guard, problem: &Problem, dialect: Dialect) -> Response {
    call.settle(Status::Rejected);
    problem.respond(dialect)
}

fn read(path: &Path) -> Result<Vec<u8>, SimulatorError> {
    fs::read(path).map_err(|error| SimulatorError::File {
        path: path.to_owned(),
        error,
    })
}
