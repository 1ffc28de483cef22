//! Calls of a pipeline with a budget.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use aios_budget::{Allowance, Ask, Book, Period, Refusal};
use aios_crds::budget::Unit;
use aios_inference_sidecar::money::Lessor;
use aios_proto::control::{
    Down, ItemKind, LeaseRefusal, LeaseRequest, LeaseResponse, ReviewTokenRequest,
    ReviewTokenResponse, Role, Snapshot, Up, WitnessRequest, WitnessResponse,
    control_server::{Control, ControlServer},
};
use aios_runtime::control::{AttachConfig, Operator};
use futures::{Stream, StreamExt, future::join_all};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    fake::{Answer, End, Fake, completion, json_answer, role, stream, token, until},
    world::{World, chat, header, init, item, model, pipeline, serve, snapshot, with},
};

/// A thousand millionths for each token of an answer, of which there are 64 at most.
fn priced(name: &str, fake: &Fake) -> Value {
    let pricing = json!({"inputPerMillion": "0", "outputPerMillion": "1000", "currency": "EUR"});
    with(model(name, &fake.address), "pricing", pricing)
}

fn budgeted(models: Vec<Value>, amount: &str) -> Snapshot {
    let routes: Value = models
        .iter()
        .map(|model| json!({"model": model["name"]}))
        .collect();
    let mut pipeline = pipeline(routes);
    pipeline["budget"] = json!({"amount": amount, "currency": "EUR", "period": "Month"});
    let mut items: Vec<_> = models
        .iter()
        .map(|model| item(ItemKind::Model, model["name"].as_str().unwrap(), model))
        .collect();
    items.push(item(ItemKind::Pipeline, "p", &pipeline));
    Snapshot { sequence: 1, items }
}

async fn world(models: Vec<Value>, amount: &str, lessor: Lessor) -> World {
    let world = World::leased(lessor).await;
    let acks = world.live.apply(&budgeted(models, amount));
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    world
}

async fn called(world: &World, extra: Value) -> reqwest::Response {
    world.call(&chat(extra)).send().await.unwrap()
}

#[tokio::test]
async fn a_call_that_no_longer_fits_is_refused_and_a_smaller_one_is_not() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 40)))]).await;
    let world = world(vec![priced("m", &fake)], "0.1", Lessor::own()).await;
    let first = called(&world, json!({})).await;
    assert_eq!(
        (first.status(), header(&first, "aios-cost")),
        (200.try_into().unwrap(), "0.04 EUR")
    );

    let refused = called(&world, json!({})).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-should-retry"), "false");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "budget_exhausted");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("0.1 EUR a month") && message.contains("0.064 EUR"),
        "{message}"
    );
    assert!(message.contains("spec.budget.amount"), "{message}");
    assert_eq!(fake.calls(), 1);

    let smaller = called(&world, json!({"max_tokens": 20})).await;
    assert_eq!(smaller.status(), 200);
    assert!(world.metric(&["aios_sidecar_budget_spent_total", "\"exact\"} 80000"]));
    assert!(world.metric(&["aios_sidecar_budget_refused_total", "\"exhausted\"} 1"]));
}

#[tokio::test]
async fn a_cap_under_a_name_that_the_server_may_not_know_is_sent_under_the_one_it_knows() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 10)))]).await;
    let world = world(vec![priced("m", &fake)], "0.1", Lessor::own()).await;
    let both = json!({"max_completion_tokens": 10, "max_tokens": 4096});
    for caps in [json!({"max_completion_tokens": 10}), both] {
        assert_eq!(called(&world, caps).await.status(), 200);
    }
    for call in 0..2 {
        let sent = fake.body(call);
        assert_eq!(sent["max_tokens"], 10);
        assert_eq!(sent.get("max_completion_tokens"), None);
    }
}

#[tokio::test]
async fn a_refusal_speaks_the_callers_dialect() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 40)))]).await;
    let world = world(vec![priced("m", &fake)], "0.01", Lessor::own()).await;
    let body = json!({"model": "auto", "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}]});
    let request = world.http.post(format!("{}/v1/messages", world.base));
    let request = request.header("aios-pipeline", "p").body(body.to_string());
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-should-retry"), "false");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["type"], "error");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("budget")
    );
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn calls_at_the_same_time_spend_all_of_the_budget_and_no_more() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let world = world(vec![priced("m", &fake)], "1", Lessor::own()).await;
    let calls = (0..40).map(|_| called(&world, json!({})));
    let answers = join_all(calls).await;
    let answered = answers
        .iter()
        .filter(|answer| answer.status() == 200)
        .count();
    assert_eq!((answered, fake.calls()), (15, 15));
    let refused = answers
        .iter()
        .filter(|answer| answer.status() == 429)
        .count();
    assert_eq!(refused, 25);
}

#[tokio::test]
async fn what_cannot_be_priced_is_refused_by_name_unless_another_route_can() {
    let (free, fake) = (
        Fake::start(vec![completion("Hello.", Some((1, 1)))]).await,
        Fake::start(vec![completion("Hello.", Some((1, 1)))]).await,
    );
    let unpriced = with(model("free", &free.address), "pricing", Value::Null);
    let alone = world(vec![unpriced.clone()], "1", Lessor::own()).await;
    let refused = called(&alone, json!({})).await;
    assert_eq!(
        (refused.status(), header(&refused, "x-should-retry")),
        (503.try_into().unwrap(), "false")
    );
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_unpriced");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`free` has no price in EUR")
    );

    // A price in dollars says nothing of euros.
    let dollars = model("dollars", &free.address);
    let both = world(
        vec![unpriced, dollars, priced("m", &fake)],
        "1",
        Lessor::own(),
    )
    .await;
    let answer = called(&both, json!({})).await;
    assert_eq!(header(&answer, "aios-model"), "m");
    assert_eq!(free.calls(), 0);
    assert!(both.metric(&["aios_sidecar_budget_refused_total", "\"unpriced\"} 2"]));
}

#[tokio::test]
async fn what_a_provider_bills_by_itself_is_refused_by_name_where_a_budget_bounds_it() {
    let fake = Fake::start(vec![completion("Hello.", Some((1, 1)))]).await;
    let budgeted = world(vec![priced("m", &fake)], "1", Lessor::own()).await;
    for (extra, field) in [
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0]"),
    ] {
        let refused = called(&budgeted, extra).await;
        assert_eq!(
            (refused.status(), header(&refused, "x-should-retry")),
            (400.try_into().unwrap(), "false")
        );
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["code"], "call_unbounded");
        assert_eq!(body["error"]["param"], field);
    }
    assert_eq!(fake.calls(), 0);
    assert!(budgeted.metric(&["aios_sidecar_budget_refused_total", "\"unbounded\"} 2"]));

    let free = World::start(vec![priced("m", &fake)], json!([{"model": "m"}])).await;
    let asked = json!({"web_search_options": {}});
    assert_eq!(called(&free, asked).await.status(), 200);
}

#[tokio::test]
async fn what_a_providers_cache_gave_and_took_is_charged_at_its_own_price() {
    let answer = json!({"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30}}});
    let fake = Fake::start(vec![json_answer(200, &answer)]).await;
    let hosted = json!({"region": "eu"});
    let own = Value::Null;
    for (hosted, (read, written), (costs, millionths), basis) in [
        (
            &hosted,
            (Some("100"), Some("1250")),
            ("0.0545 EUR", 54_500),
            "exact",
        ),
        (&hosted, (None, None), ("0.131 EUR", 131_000), "estimated"),
        (&own, (None, None), ("0.101 EUR", 101_000), "exact"),
    ] {
        let pricing = json!({"inputPerMillion": "1000", "outputPerMillion": "1000",
            "cacheReadPerMillion": read, "cacheWritePerMillion": written, "currency": "EUR"});
        let model = with(model("m", &fake.address), "pricing", pricing);
        let model = with(model, "hosted", hosted.clone());
        let world = world(vec![model], "100", Lessor::own()).await;
        let answer = called(&world, json!({})).await;
        assert_eq!(
            (header(&answer, "aios-cost"), header(&answer, "aios-usage")),
            (costs, basis)
        );
        let spent = format!("\"{basis}\"}} {millionths}");
        assert!(world.metric(&["aios_sidecar_budget_spent_total", &spent]));
        assert!(world.metric(&["gen_ai_client_token_usage_sum", "\"exact\"", " 100"]));
    }
}

#[tokio::test]
async fn a_stream_is_charged_as_a_plain_call() {
    let fake = Fake::start(vec![stream(&["Hel", "lo"])]).await;
    let world = world(vec![priced("m", &fake)], "1", Lessor::own()).await;
    let response = called(&world, json!({"stream": true})).await;
    response.text().await.unwrap();
    assert!(world.metric(&["aios_sidecar_budget_spent_total", "\"exact\"} 3000"]));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_charged_for_what_was_seen_and_marked() {
    let cancelled = Answer::Stream(vec![role(), token("Hello")], End::Hang);
    let fake = Fake::start(vec![cancelled]).await;
    let world = world(vec![priced("m", &fake)], "1", Lessor::own()).await;
    let mut chunks = called(&world, json!({"stream": true})).await.bytes_stream();
    chunks.next().await.unwrap().unwrap();
    drop(chunks);
    until("the charge", || {
        world.metric(&["aios_sidecar_budget_spent_total", "\"estimated\"} 5000"])
    })
    .await;
}

#[tokio::test]
async fn what_was_streamed_before_an_error_event_is_counted_as_it_is_charged() {
    let failure = "data: {\"error\":{\"message\":\"broke\",\"code\":\"internal\"}}\n\n";
    let pieces = vec![role(), token("Hello"), failure.to_owned()];
    let fake = Fake::start(vec![Answer::Stream(pieces, End::Close)]).await;
    let world = world(vec![priced("m", &fake)], "1", Lessor::own()).await;
    let response = called(&world, json!({"stream": true})).await;
    response.text().await.unwrap();
    assert!(world.metric(&["aios_sidecar_budget_spent_total", "\"estimated\"} 5000"]));
    assert!(world.metric(&["token_usage_sum", "\"output\"", "\"estimated\"", " 2"]));
    assert!(world.metric(&["aios_sidecar_cost_total", "\"estimated\"} 2000"]));
}

#[tokio::test]
async fn an_answer_that_nobody_saw_is_charged_for_all_that_it_may_have_been() {
    let fake = Fake::start(vec![Answer::Hang]).await;
    let slow = with(priced("m", &fake), "resilience.timeout", json!("200ms"));
    let world = world(vec![slow], "1", Lessor::own()).await;
    assert_eq!(called(&world, json!({})).await.status(), 503);
    assert!(world.metric(&["aios_sidecar_budget_spent_total", "\"estimated\"} 64000"]));
}

#[tokio::test]
async fn an_attempt_that_failed_costs_nothing() {
    let (busy, fake) = (
        Fake::start(vec![crate::fake::error(429, "")]).await,
        Fake::start(vec![completion("Hello.", Some((10, 40)))]).await,
    );
    let models = vec![priced("busy", &busy), priced("m", &fake)];
    let world = world(models, "0.07", Lessor::own()).await;
    assert_eq!(header(&called(&world, json!({})).await, "aios-model"), "m");
    assert!(world.metric(&["aios_sidecar_budget_spent_total", "\"exact\"} 40000"]));
}

/// Keeps a book of each budget, and may be away. Run `gone` is gone.
struct Keeper {
    limit: u64,
    books: Mutex<BTreeMap<(i32, String), Book>>,
    away: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Control for Keeper {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<Down, Status>> + Send>>;

    async fn attach(
        &self,
        _: Request<Streaming<Up>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn review_token(
        &self,
        _: Request<ReviewTokenRequest>,
    ) -> Result<Response<ReviewTokenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn witness(
        &self,
        _: Request<WitnessRequest>,
    ) -> Result<Response<WitnessResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lease(
        &self,
        request: Request<LeaseRequest>,
    ) -> Result<Response<LeaseResponse>, Status> {
        if self.away.load(SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let asked = request.into_inner();
        if asked.name == "gone" {
            return Ok(Response::new(LeaseResponse {
                refusal: LeaseRefusal::Gone.into(),
                ..LeaseResponse::default()
            }));
        }
        let key = (asked.scope, asked.name);
        let ask = Ask {
            holder: asked.holder,
            sequence: asked.sequence,
            unit: asked.unit.parse().ok(),
            period: asked.period,
            spent: asked.spent,
            keeps: asked.keeps,
            needs: asked.needs,
            wishes: asked.wishes,
            closes: asked.closes,
        };
        let allowance = Allowance {
            unit: Unit::Money("EUR".into()),
            limit: self.limit,
            period: Period {
                name: "2026-11".into(),
                ends_ms: i64::MAX,
            },
        };
        let mut books = self.books.lock().unwrap();
        let book = books.entry(key).or_default();
        let (after, grant) = match book.ask(&allowance, &ask, 0) {
            Ok(answer) => answer,
            Err(Refusal::OtherUnit) => {
                return Ok(Response::new(LeaseResponse {
                    refusal: LeaseRefusal::OtherUnit.into(),
                    ..LeaseResponse::default()
                }));
            }
            Err(refusal) => panic!("{refusal}"),
        };
        *book = after;
        Ok(Response::new(LeaseResponse {
            period: grant.period,
            ends_in_ms: grant.ends_in_ms,
            granted: grant.granted,
            refusal: 0,
        }))
    }
}

/// Its address, and whether it is away.
pub async fn keeper(limit: u64) -> (String, Arc<AtomicBool>) {
    init();
    let away = Arc::new(AtomicBool::new(false));
    let keeper = Keeper {
        limit,
        books: Mutex::default(),
        away: away.clone(),
    };
    let routes = tonic::service::Routes::new(ControlServer::new(keeper))
        .prepare()
        .into_axum_router();
    (serve(routes).await, away)
}

pub fn of(keeper: &str) -> Lessor {
    let config = AttachConfig {
        operator_uri: keeper.to_owned(),
        tls: None,
        token_file: None,
        certificates: Vec::new(),
        role: Role::Egress,
        model: String::new(),
    };
    Lessor::Operator(Box::new(Operator::new(&config).unwrap()))
}

#[tokio::test]
async fn sidecars_share_a_budget_by_leases() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let (keeper, _) = keeper(1_000_000).await;
    let models = || vec![priced("m", &fake)];
    let (one, two) = (
        world(models(), "1", of(&keeper)).await,
        world(models(), "1", of(&keeper)).await,
    );
    let mut answered = 0;
    for _ in 0..20 {
        let both = [called(&one, json!({})), called(&two, json!({}))];
        let answers = join_all(both).await;
        answered += answers
            .iter()
            .filter(|answer| answer.status() == 200)
            .count();
    }
    assert_eq!(answered, fake.calls());
    // Each may sit on less than a call's worth.
    assert!((13..=15).contains(&answered), "{answered}");
}

#[tokio::test]
async fn while_the_operator_is_away_a_lease_is_used_up_and_no_more() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let (keeper, away) = keeper(1_000_000).await;
    let world = world(vec![priced("m", &fake)], "1", of(&keeper)).await;
    // A quarter of the budget: three calls.
    assert_eq!(called(&world, json!({})).await.status(), 200);
    away.store(true, SeqCst);
    for _ in 0..2 {
        assert_eq!(called(&world, json!({})).await.status(), 200);
    }
    let refused = called(&world, json!({})).await;
    assert_eq!(
        (refused.status(), header(&refused, "x-should-retry")),
        (503.try_into().unwrap(), "true")
    );
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "budget_unreachable");
    assert_eq!(fake.calls(), 3);
    away.store(false, SeqCst);
    let back = async {
        while called(&world, json!({})).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), back)
        .await
        .unwrap();
}

/// What `fake` serves for a thousand millionths a token, with a budget of the model, the pipeline and the
/// platform.
async fn bounded(fake: &Fake, model: &str, pipeline: &str, platform: &str) -> World {
    let budget = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    let mut priced = priced("m", fake);
    priced["budget"] = budget(model);
    let mut snapshot = budgeted(vec![priced], pipeline);
    let policy = json!({
        "name": "house", "scope": "Cluster", "review": {},
        "rules": [{"name": "r", "action": "Warn", "terms": {"list": ["nothing of the kind"]}}],
        "quotas": {"budget": budget(platform)},
    });
    let policy = item(ItemKind::ClusterPolicy, "house", &policy);
    let mut pinned: Value = serde_json::from_slice(&snapshot.items[1].body).unwrap();
    pinned["policies"] = json!([{"scope": "Cluster", "name": "house", "digest": policy.digest}]);
    snapshot.items[1] = item(ItemKind::Pipeline, "p", &pinned);
    snapshot.items.push(policy);
    let world = World::leased(Lessor::own()).await;
    let acks = world.live.apply(&snapshot);
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    world
}

#[rstest::rstest]
#[case::of_the_model(["0.64", "1", "2"], "model `m`")]
#[case::of_the_pipeline(["1", "0.64", "2"], "pipeline `p`")]
#[case::of_the_platform(["2", "1", "0.64"], "cluster policy `house`")]
#[tokio::test]
async fn calls_at_the_same_time_fit_the_least_of_several_budgets_and_each_is_charged_once(
    #[case] amounts: [&str; 3],
    #[case] least: &str,
) {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let [model, pipeline, platform] = amounts;
    let world = bounded(&fake, model, pipeline, platform).await;
    let calls = (0..40).map(|_| called(&world, json!({})));
    let (answered, refused): (Vec<_>, Vec<_>) = join_all(calls)
        .await
        .into_iter()
        .partition(|answer| answer.status() == 200);
    assert_eq!((answered.len(), fake.calls()), (10, 10));
    assert!(refused.iter().all(|answer| answer.status() == 429));
    for scope in ["model", "pipeline", "cluster policy"] {
        let scope = format!("scope=\"{scope}\"");
        assert!(world.metric(&[
            "aios_sidecar_budget_spent_total",
            &scope,
            "\"exact\"} 640000"
        ]));
    }
    let refused: Value = called(&world, json!({})).await.json().await.unwrap();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains(least), "{message}");
}

#[tokio::test]
async fn a_platforms_budget_pays_for_calls_that_name_no_pipeline() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let world = bounded(&fake, "1", "1", "0.1").await;
    let named = async || {
        let request = world
            .http
            .post(format!("{}/v1/chat/completions", world.base));
        let body = with(chat(json!({})), "model", json!("m"));
        request.body(body.to_string()).send().await.unwrap()
    };
    assert_eq!(named().await.status(), 200);
    let refused = named().await;
    assert_eq!(header(&refused, "x-should-retry"), "false");
    let body: Value = refused.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("spec.quotas.budget.amount"), "{message}");
}

#[tokio::test]
async fn a_budget_of_tokens_counts_prompts_and_answers_and_needs_no_price() {
    let fake = Fake::start(vec![completion("Hello.", Some((40, 64)))]).await;
    let free = with(model("m", &fake.address), "pricing", Value::Null);
    let mut snapshot = budgeted(vec![free], "1");
    let mut counted: Value = serde_json::from_slice(&snapshot.items[1].body).unwrap();
    counted["budget"] = json!({"tokens": 1250});
    snapshot.items[1] = item(ItemKind::Pipeline, "p", &counted);
    let world = World::leased(Lessor::own()).await;
    world.live.apply(&snapshot);
    assert_eq!(called(&world, json!({})).await.status(), 200);
    assert!(world.metric(&[
        "aios_sidecar_budget_spent_total",
        "unit=\"tokens\"",
        "\"exact\"} 104"
    ]));
    let refused = called(&world, json!({})).await;
    assert_eq!(refused.status(), 429);
    let body: Value = refused.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("1250 tokens a month") && message.contains("spec.budget.tokens"),
        "{message}"
    );
}

#[tokio::test]
async fn a_lease_of_one_unit_pays_nothing_in_another() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 40)))]).await;
    let world = world(vec![priced("m", &fake)], "10", Lessor::own()).await;
    assert_eq!(called(&world, json!({})).await.status(), 200);
    let counts = |sequence, budget: Value| {
        let mut snapshot = budgeted(vec![priced("m", &fake)], "10");
        snapshot.sequence = sequence;
        let last = snapshot.items.last_mut().unwrap();
        let mut pipeline: Value = serde_json::from_slice(&last.body).unwrap();
        pipeline["budget"] = budget;
        *last = item(ItemKind::Pipeline, "p", &pipeline);
        let acks = world.live.apply(&snapshot);
        assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    };
    // What is lent in euros would be two and a half million tokens.
    counts(2, json!({"tokens": 1000}));
    let refused = called(&world, json!({})).await;
    assert_eq!(refused.status(), 429);
    let body: Value = refused.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("1000 tokens a month"), "{message}");
    counts(3, json!({"amount": "10", "currency": "EUR"}));
    assert_eq!(called(&world, json!({})).await.status(), 200);
}

/// A call of a run whose budget counts so.
async fn called_by(world: &World, run: &str, unit: &str) -> reqwest::Response {
    let call = world.call(&chat(json!({}))).header("aios-run", run);
    call.header("aios-run-budget", unit).send().await.unwrap()
}

#[tokio::test]
async fn a_call_that_is_wrong_about_what_its_runs_budget_counts_takes_nothing_of_it() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let (keeper, _) = keeper(100_000).await;
    let world = World::leased(of(&keeper)).await;
    let models = vec![priced("m", &fake)];
    world
        .live
        .apply(&snapshot(1, models, json!([{"model": "m"}])));
    let counted = |unit: &'static str| called_by(&world, "batch", unit);
    let wrong = counted("tokens").await;
    assert_eq!(wrong.status(), 503);
    let body: Value = wrong.json().await.unwrap();
    assert_eq!(body["error"]["code"], "budget_unreachable");
    assert_eq!(counted("EUR").await.status(), 200);
    assert_eq!(counted("tokens").await.status(), 503);
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_runs_budget_pays_where_its_workers_name_it_and_until_the_run_is_gone() {
    let fake = Fake::start(vec![completion("Hello.", Some((10, 64)))]).await;
    let (keeper, _) = keeper(100_000).await;
    let world = World::leased(of(&keeper)).await;
    let models = vec![priced("m", &fake)];
    world
        .live
        .apply(&snapshot(1, models, json!([{"model": "m"}])));
    let of_run = |run: &'static str| called_by(&world, run, "EUR");
    assert_eq!(of_run("batch").await.status(), 200);
    let refused = of_run("batch").await;
    assert_eq!(
        (refused.status(), header(&refused, "x-should-retry")),
        (429.try_into().unwrap(), "false")
    );
    let body: Value = refused.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("run `batch`"), "{message}");
    // Others, also of the same pipeline, are not held to it.
    assert_eq!(of_run("other").await.status(), 200);
    assert_eq!(called(&world, json!({})).await.status(), 200);
    for _ in 0..3 {
        assert_eq!(of_run("gone").await.status(), 200);
    }
}

#[tokio::test]
async fn runs_share_answers_that_are_kept_and_none_under_way_for_another_runs_money() {
    let fake = Fake::start(vec![Answer::Hang]).await;
    let (keeper, _) = keeper(100_000).await;
    let world = World::leased(of(&keeper)).await;
    let mut snapshot = snapshot(1, vec![priced("m", &fake)], json!([{"model": "m"}]));
    let mut keeping: Value = serde_json::from_slice(&snapshot.items[1].body).unwrap();
    keeping["models"]["draft"]["cache"] = json!({"ttl": "1h", "calls": "All"});
    snapshot.items[1] = item(ItemKind::Pipeline, "p", &keeping);
    world.live.apply(&snapshot);
    let of_run = |run: &str, extra: Value| {
        let call = world.call(&chat(extra)).header("aios-run", run);
        tokio::spawn(call.header("aios-run-budget", "EUR").send())
    };
    let rich = of_run("rich", json!({}));
    until("its call", || fake.calls() == 1).await;
    fake.say(completion("Hello.", Some((10, 64))));
    let spends = of_run("poor", json!({"seed": 1})).await.unwrap().unwrap();
    assert_eq!(spends.status(), 200);
    let poor = of_run("poor", json!({})).await.unwrap().unwrap();
    assert_eq!(poor.status(), 429);
    let other = of_run("other", json!({})).await.unwrap().unwrap();
    assert_eq!(
        (header(&other, "aios-cache"), header(&other, "aios-cost")),
        ("miss", "0.064 EUR")
    );
    let poor = of_run("poor", json!({})).await.unwrap().unwrap();
    assert_eq!(
        (poor.status(), header(&poor, "aios-cache")),
        (200.try_into().unwrap(), "hit")
    );
    rich.abort();
}
