//! A gateway with everything around it, on loopback.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_audit::{CallBatch, CallToken, Scribe};
use aios_crds::{
    data_bounds::DataBounds,
    policy_set::{Action, Quotas, Review, ReviewWhen, Rule},
    reference::{KeyRef, SecretSource},
    writing_pipeline::{
        ContentKind, ContextSource, Execution, Label, Models, RetrievalQuery, Route, Slot, Step,
        UploadSource, Writer,
    },
};
use aios_proto::{
    config::{
        Owner, PartConfig, PipelineConfig, PolicyConfig, PolicyPin, PolicyScope, PublisherConfig,
        RetrievalConfig, RunConfig, SkeletonConfig, SourceConfig, pack,
    },
    control::{Item, ItemAck, ItemKind, Snapshot},
};
use aios_runtime::{control::Enforce, serve::Peer};
use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    response::IntoResponse,
    routing::{get, post},
};
use prost::Message;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    draft::Egress,
    enforced::Enforced,
    fault::Faults,
    publish::{Connector, FixedSecrets},
    serve::{
        AuthError, Authorizer, Gateway, GatewayParts, User, Verb, router, runner, runs,
        work_service,
    },
    store::{
        Store,
        calls_tests::record,
        testing::{Kind, TestPlace},
    },
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DEADLINE: Duration = Duration::from_secs(20);

/// What is different from the usual town.
#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a difference of its own"
)]
pub struct TownOptions {
    /// A person sees every document.
    pub always_review: bool,
    /// Of what passes, a person sees that many of a hundred.
    pub sample_percent: Option<i32>,
    pub dry_run: bool,
    /// Documents a day.
    pub quota: Option<i32>,
    /// Time to decide.
    pub review_due: Option<&'static str>,
    /// The target cannot be read back.
    pub blind_target: bool,
    /// The model is not there at first.
    pub model_down: bool,
    /// Judges texts, at `/v1/moderations`.
    pub judge: Option<Router>,
    /// Of policy `house`, beside its own.
    pub more_rules: Vec<Rule>,
}

/// The gateway, its model and its target.
pub struct Town {
    pub gateway: Gateway,
    pub base: String,
    pub work: String,
    pub model: Arc<Model>,
    pub receiver: String,
    pub shutdown: CancellationToken,
    http: reqwest::Client,
    place: Arc<TestPlace>,
    options: TownOptions,
    tasks: Vec<JoinHandle<()>>,
    model_uri: String,
    /// A failed test ends its tasks, too.
    _ends: DropGuard,
}

impl Town {
    pub async fn start(options: TownOptions) -> Self {
        let place = TestPlace::new(Kind::Sqlite).await.unwrap();
        Self::start_in(options, Arc::new(place)).await
    }

    async fn start_in(options: TownOptions, place: Arc<TestPlace>) -> Self {
        let model = Arc::new(Model::default());
        if options.model_down {
            model.down();
        }
        let model_app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/records", get(records))
            .with_state(model.clone());
        let model_app = match &options.judge {
            Some(judge) => model_app.fallback_service(judge.clone()),
            None => model_app,
        };
        let (model_uri, _) = serve(model_app, CancellationToken::new()).await;
        let settings = aios_simulator::webhook::Settings {
            secrets: vec![SECRET.parse().unwrap()],
            ..Default::default()
        };
        let receiver = aios_simulator::webhook::router(&settings).unwrap();
        let (receiver, _) = serve(receiver, CancellationToken::new()).await;
        let town = Self::open(options, place, model, model_uri, receiver).await;
        let acks = town.enforce(1, &[], vec![]);
        assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
        town
    }

    /// Two gateways on one PostgreSQL, with one model and one target; none where no PostgreSQL is
    /// installed.
    pub async fn pair(options: TownOptions) -> Option<(Self, Self)> {
        let place = Arc::new(TestPlace::new(Kind::Postgres).await?);
        let first = Self::start_in(options, place).await;
        let second = first.beside().await;
        Some((first, second))
    }

    async fn open(
        options: TownOptions,
        place: Arc<TestPlace>,
        model: Arc<Model>,
        model_uri: String,
        receiver: String,
    ) -> Self {
        let store = place.open().await;
        let secrets = FixedSecrets(BTreeMap::from([(
            ("signing".to_owned(), "key".to_owned()),
            SECRET.as_bytes().to_vec(),
        )]));
        let gateway = Gateway::new(GatewayParts {
            namespace: "bank".into(),
            store,
            enforced: Arc::new(Enforced::default()),
            egress: Egress::new(&model_uri).unwrap(),
            connector: Connector::new(Arc::new(secrets), None, Faults::default()).unwrap(),
            authorizer: Arc::new(Tokens),
            faults: Faults::default(),
        });
        if let Some(bytes) = gateway.store.snapshot().await.unwrap() {
            gateway
                .enforced
                .enforce(Snapshot::decode(bytes.as_slice()).unwrap());
        }
        let shutdown = CancellationToken::new();
        let (base, rest) = serve(router(gateway.clone()), shutdown.clone()).await;
        let own = async |mut request: axum::extract::Request| {
            let addr = ([127, 0, 0, 1], 1).into();
            let uris = vec!["spiffe://aios/ns/bank".to_owned()];
            request.extensions_mut().insert(Peer { addr, uris });
            request
        };
        let work = tonic::service::Routes::new(work_service(gateway.clone()))
            .prepare()
            .into_axum_router()
            .layer(axum::middleware::map_request(own));
        let (work, leases) = serve(work, shutdown.clone()).await;
        let running = tokio::spawn(runner::run(gateway.clone(), shutdown.clone()));
        let tasks = vec![rest, leases, running];
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let ends = shutdown.clone().drop_guard();
        Self {
            gateway,
            base,
            work,
            model,
            receiver,
            shutdown,
            http,
            place,
            options,
            tasks,
            model_uri,
            _ends: ends,
        }
    }

    /// Ends the gateway and opens its store again.
    pub async fn restart(self) -> Self {
        let Self {
            gateway,
            model,
            receiver,
            shutdown,
            place,
            options,
            tasks,
            model_uri,
            ..
        } = self;
        keep_snapshot(&gateway).await;
        shutdown.cancel();
        for task in tasks {
            task.await.unwrap();
        }
        drop(gateway);
        // The last connection's task may hold the store for a moment longer.
        let opened = until(|| async { Store::open(place.config(7)).await.ok().map(drop) });
        opened.await;
        Self::open(options, place, model, model_uri, receiver).await
    }

    /// Another gateway of the same place, while this one stays open.
    pub async fn beside(&self) -> Self {
        let town = Self::open(
            self.options.clone(),
            self.place.clone(),
            self.model.clone(),
            self.model_uri.clone(),
            self.receiver.clone(),
        )
        .await;
        town.enforce(1, &[], vec![]);
        town
    }

    /// Ends the gateway's loops and servers; its store stays open.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }

    /// Keeps what is in force, as the gateway's process does.
    pub async fn keep_snapshot(&self) {
        keep_snapshot(&self.gateway).await;
    }

    /// Puts the usual configuration in force, or others.
    pub fn enforce(
        &self,
        sequence: u64,
        runs: &[RunConfig],
        pipelines: Vec<PipelineConfig>,
    ) -> Vec<ItemAck> {
        let policy = item(ItemKind::Policy, "house", &policy(&self.options));
        let pipelines = if pipelines.is_empty() {
            vec![pipeline(&self.receiver)]
        } else {
            pipelines
        };
        let mut items = Vec::new();
        for mut config in pipelines {
            let pin = PolicyPin {
                scope: PolicyScope::Namespace,
                name: "house".into(),
                digest: policy.digest.clone(),
            };
            config.policies.push(pin);
            config.publish[0].read_back = !self.options.blind_target;
            let name = config.name.clone();
            items.push(item(ItemKind::Pipeline, &name, &config));
        }
        items.extend(runs.iter().map(|run| item(ItemKind::Run, &run.name, run)));
        items.push(policy);
        self.gateway.enforced.enforce(Snapshot { sequence, items })
    }

    /// Accepts the runs that are in force.
    pub async fn accept_runs(&self) {
        runs::reconcile(&self.gateway).await.unwrap();
    }

    pub async fn upload_customers(&self) {
        let lines = [
            json!({"id": 17, "name": "Zoë", "language": "en", "segment": "savings", "consent": true}),
            json!({"id": 18, "name": "Jörg", "language": "de", "segment": "savings", "consent": true}),
            json!({"id": 19, "name": "Łukasz", "language": "en", "segment": "loans"}),
        ];
        let body = lines.map(|line| line.to_string()).join("\n");
        let (status, answer) = self
            .put("alice", "/v1/pipelines/mail/context/customer", body)
            .await;
        assert_eq!(
            (status, answer["records"].as_u64()),
            (200, Some(3)),
            "{answer}"
        );
    }

    pub async fn create(&self, who: &str, key: &str, pointer: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/v1/pipelines/mail/documents", self.base))
            .bearer_auth(who)
            .header("idempotency-key", key)
            .json(&json!({"pointer": pointer}));
        answer(request).await
    }

    /// Creates as alice and gives the id.
    pub async fn created(&self, key: &str, pointer: Value) -> String {
        let (status, document) = self.create("alice", key, pointer).await;
        assert_eq!(status, 201, "{document}");
        document["id"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, who: &str, path: &str) -> (u16, Value) {
        answer(
            self.http
                .get(format!("{}{path}", self.base))
                .bearer_auth(who),
        )
        .await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(who)
            .json(&body);
        answer(request).await
    }

    /// With headers of its own, and the very bytes of a body.
    pub async fn post_with(
        &self,
        who: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(who)
            .body(body);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        answer(request).await
    }

    pub async fn put(&self, who: &str, path: &str, body: String) -> (u16, Value) {
        answer(
            self.http
                .put(format!("{}{path}", self.base))
                .bearer_auth(who)
                .body(body),
        )
        .await
    }

    pub async fn delete(&self, who: &str, path: &str) -> (u16, Value) {
        answer(
            self.http
                .delete(format!("{}{path}", self.base))
                .bearer_auth(who),
        )
        .await
    }

    /// A decision about a document's present version.
    pub async fn decide(&self, who: &str, id: &str, verb: &str, body: Value) -> (u16, Value) {
        self.post(
            who,
            &format!("/v1/pipelines/mail/documents/{id}/{verb}"),
            body,
        )
        .await
    }

    pub async fn text(&self, who: &str, path: &str) -> String {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(who);
        request.send().await.unwrap().text().await.unwrap()
    }

    pub async fn read(&self, id: &str) -> Value {
        self.get("alice", &format!("/v1/pipelines/mail/documents/{id}"))
            .await
            .1
    }

    pub async fn wait_for(&self, id: &str, status: &str) -> Value {
        let seen = Mutex::new(Value::Null);
        let found = tokio::time::timeout(DEADLINE, async {
            loop {
                let document = self.read(id).await;
                if document["status"] == status {
                    return document;
                }
                *seen.lock().unwrap() = document;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("not {status}: {:#}", seen.lock().unwrap()))
    }

    #[allow(clippy::needless_pass_by_value)]
    pub async fn fault(&self, fault: Value) {
        let request = self
            .http
            .post(format!("{}/faults", self.receiver))
            .json(&fault);
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    pub async fn receiver_counts(&self) -> Value {
        answer(self.http.get(format!("{}/counts", self.receiver)))
            .await
            .1
    }

    /// What the receiver has, as JSON.
    pub async fn received(&self) -> String {
        let url = format!("{}/deliveries", self.receiver);
        answer(self.http.get(url)).await.1.to_string()
    }

    /// The log of the simulator that judges texts.
    pub async fn judge_log(&self) -> Value {
        let url = format!("{}/simulator/calls", self.model_uri);
        answer(self.http.get(url)).await.1
    }

    pub fn folder(&self) -> &Path {
        self.place.folder().unwrap()
    }

    pub fn model_uri(&self) -> &str {
        &self.model_uri
    }
}

async fn keep_snapshot(gateway: &Gateway) {
    let kept = gateway.enforced.snapshot().encode_to_vec();
    let sequence = gateway.enforced.load().sequence;
    gateway.store.put_snapshot(sequence, kept).await.unwrap();
}

/// Awaits a condition with a deadline.
pub async fn until<T, F: Future<Output = Option<T>>>(condition: impl Fn() -> F) -> T {
    let poll = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll)
        .await
        .expect("the condition held in time")
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

async fn serve(app: Router, shutdown: CancellationToken) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        aios_runtime::serve::serve(listener, app, None, shutdown)
            .await
            .unwrap();
    });
    (base, task)
}

/// A token is the caller's name; `carol` may nothing, `dave` may only read.
struct Tokens;

#[async_trait]
impl Authorizer for Tokens {
    async fn authenticate(&self, token: &str) -> Result<User, AuthError> {
        if token == "forged" {
            return Err(AuthError::BadToken);
        }
        Ok(User {
            name: token.to_owned(),
            uid: String::new(),
            groups: Vec::new(),
        })
    }

    async fn allowed(&self, user: &User, verb: Verb, _: &str) -> Result<bool, AuthError> {
        Ok(match user.name.as_str() {
            "carol" => false,
            "dave" => matches!(verb, Verb::Get | Verb::List),
            _ => true,
        })
    }
}

/// A scripted model behind an egress.
#[derive(Default)]
pub struct Model {
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    down: bool,
    answer: Option<(u16, Value)>,
    once: VecDeque<String>,
    text: Option<String>,
    requests: Vec<Value>,
    /// Of each request, the run whose budget was named.
    runs: Vec<Option<(String, String)>>,
    scribe: Option<Scribe>,
    batches: Vec<CallBatch>,
}

impl Model {
    pub fn say(&self, text: &str) {
        self.script.lock().unwrap().text = Some(text.to_owned());
    }

    /// Said once, before everything else.
    pub fn say_once(&self, text: &str) {
        self.script.lock().unwrap().once.push_back(text.to_owned());
    }

    pub fn answer(&self, status: u16, body: Value) {
        self.script.lock().unwrap().answer = Some((status, body));
    }

    pub fn down(&self) {
        self.script.lock().unwrap().down = true;
    }

    pub fn up(&self) {
        self.script.lock().unwrap().down = false;
    }

    pub fn calls(&self) -> usize {
        self.script.lock().unwrap().requests.len()
    }

    /// Of each request, the run whose budget was named, and what it counts.
    pub fn runs(&self) -> Vec<Option<(String, String)>> {
        self.script.lock().unwrap().runs.clone()
    }

    pub fn last_request(&self) -> Value {
        self.script.lock().unwrap().requests.last().unwrap().clone()
    }
}

async fn complete(
    State(model): State<Arc<Model>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> axum::response::Response {
    for name in ["aios-pipeline", "aios-step", "aios-document", "aios-labels"] {
        assert!(headers.contains_key(name), "{name}");
    }
    let mut script = model.script.lock().unwrap();
    if script.down {
        return (axum::http::StatusCode::SERVICE_UNAVAILABLE, "{}").into_response();
    }
    script.requests.push(body);
    let named = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    script
        .runs
        .push(named("aios-run").zip(named("aios-run-budget")));
    if let Some((status, body)) = &script.answer {
        let status = axum::http::StatusCode::from_u16(*status).unwrap();
        return (status, Json(body.clone())).into_response();
    }
    let usual = "\"Join our webinar today.\" It is".to_owned();
    let text = script
        .once
        .pop_front()
        .or(script.text.clone())
        .unwrap_or(usual);
    let mut random = [0; 16];
    random[..8].copy_from_slice(&script.requests.len().to_be_bytes());
    let token = CallToken::new(random);
    let scribe = script
        .scribe
        .get_or_insert_with(|| Scribe::new(&[5; 32]).unwrap());
    let batch = scribe.sign(vec![record(token)], 1).unwrap();
    script.batches.push(batch);
    let token = token.to_string();
    let headers = [
        ("aios-call", token.as_str()),
        ("aios-variant", "tone/bold"),
        ("aios-model", "tiny"),
        (
            "aios-model-digest",
            "sha256:00000000000000000000000000000000000000000000000000000000000000aa",
        ),
        ("aios-usage", "exact"),
        ("aios-input-tokens", "20"),
        ("aios-output-tokens", "8"),
        ("aios-cost", "0.00012 USD"),
        ("aios-attempts", "1"),
    ];
    let body = json!({"choices": [{"message": {"role": "assistant", "content": text}}]});
    (headers, Json(body)).into_response()
}

pub fn item<T: serde::Serialize>(kind: ItemKind, name: &str, body: &T) -> Item {
    let owner = Owner {
        name: name.into(),
        uid: format!("uid-{name}"),
        generation: 1,
    };
    pack(kind, owner, body).unwrap()
}

fn terms(name: &str, term: &str, action: Action, message: &str) -> Rule {
    rule(json!({"name": name, "action": action, "message": message,
        "terms": {"list": [term]}}))
}

pub fn rule(rule: Value) -> Rule {
    serde_json::from_value(rule).unwrap()
}

fn policy(options: &TownOptions) -> PolicyConfig {
    PolicyConfig {
        name: "house".into(),
        scope: PolicyScope::Namespace,
        data: DataBounds::default(),
        rules: [
            terms(
                "no-competitors",
                "Acme",
                Action::Revise,
                "Name no competitor",
            ),
            terms(
                "no-guarantee",
                "guaranteed",
                Action::Block,
                "Promise nothing",
            ),
            terms("no-doubt", "maybe", Action::Review, "Say it or leave it"),
            terms("no-phone", "555", Action::Redact, "No numbers to call"),
            rule(json!({"name": "no-orders", "action": "Review", "injection": {}})),
        ]
        .into_iter()
        .chain(options.more_rules.iter().cloned())
        .collect(),
        review: Review {
            when: if options.always_review {
                ReviewWhen::Always
            } else {
                ReviewWhen::Flagged
            },
            due: options.review_due.map(|due| due.parse().unwrap()),
            sample_percent: options.sample_percent,
        },
        quotas: options.quota.map(|documents_per_day| Quotas {
            documents_per_day: Some(documents_per_day),
            budget: None,
        }),
        dry_run: options.dry_run,
    }
}

fn skeleton(language: &str, writer: Writer) -> SkeletonConfig {
    let part = |name: &str, template: &str| PartConfig {
        name: name.into(),
        template: template.into(),
    };
    SkeletonConfig {
        language: language.into(),
        writer,
        parts: vec![
            part("subject", "A webinar for {{ customer.name }}"),
            part("text", "Dear {{ customer.name }},\n\n{{ slots.opening }}\n"),
            part("html", "<p>{{ slots.opening }}</p>"),
        ],
        slots: vec![Slot {
            name: "opening".into(),
            prompt: "Invite {{ customer.name }} to the webinar. {{ passages | join(' ') }}".into(),
            safe: "Safe words for {{ customer.name }}.".into(),
            max_tokens: 60,
            max_sentences: Some(1),
        }],
    }
}

/// The usual pipeline.
pub fn pipeline(receiver: &str) -> PipelineConfig {
    PipelineConfig {
        name: "mail".into(),
        kind: ContentKind::Email,
        variables: Some(json!({
            "type": "object",
            "properties": {"customer": {
                "type": "object",
                "required": ["name", "language"],
                "properties": {"consent": {"const": true}},
                "dependentRequired": {}
            }},
            "required": ["customer"],
            "allOf": [{"properties": {"customer": {"required": ["consent"]}}}]
        })),
        language_variable: Some("customer.language".into()),
        subject_variable: Some("customer.id".into()),
        labels: vec![Label {
            name: "segment".into(),
            variable: "customer.segment".into(),
        }],
        skeletons: vec![
            skeleton("en", Writer::Model),
            skeleton("de", Writer::SafeTemplate),
        ],
        context: vec![ContextSource {
            name: "customer".into(),
            upload: UploadSource {
                pointer: "customerId".into(),
                key: "id".into(),
            },
        }],
        retrieval: Some(RetrievalConfig {
            sources: vec![SourceConfig {
                name: "rules".into(),
                texts: BTreeMap::from([(
                    "rules.md".to_owned(),
                    "Savings webinars are free.\n\nLoans cost interest.".to_owned(),
                )]),
            }],
            query: RetrievalQuery {
                text: "{{ customer.segment }} webinar".into(),
                top_k: 1,
            },
        }),
        models: Models {
            draft: Step {
                routes: vec![Route {
                    model: "tiny".into(),
                    when: None,
                    weight: None,
                }],
                experiment: None,
                cache: None,
            },
            finish: None,
        },
        policies: Vec::new(),
        publish: vec![PublisherConfig {
            name: "outbox".into(),
            url: format!("{receiver}/deliveries"),
            signing_secret: Some(SecretSource {
                secret_key_ref: KeyRef {
                    name: "signing".into(),
                    key: "key".into(),
                },
            }),
            read_back: true,
        }],
        reporters: Vec::new(),
        execution: Execution {
            parallelism: 1,
            concurrency: 4,
            revisions: 2,
            queue_name: None,
        },
        budget: None,
    }
}

/// What a scripted egress recorded: a batch a call.
async fn records(State(model): State<Arc<Model>>) -> String {
    let script = model.script.lock().unwrap();
    let lines = script
        .batches
        .iter()
        .map(|batch| serde_json::to_string(batch).unwrap());
    lines.map(|line| line + "\n").collect()
}
