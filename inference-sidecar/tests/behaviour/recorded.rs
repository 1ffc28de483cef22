//! Records of calls: what the log is told, and what the caller can prove.

use aios_audit::{CallBatch, CallRecord, CallToken};
use aios_proto::control::{ItemKind, Snapshot};
use serde_json::json;

use crate::{
    fake::{Answer, DONE, End, Fake, completion, role, stop, stream, token},
    world::{World, chat, header, item, model, nowhere, pipeline},
};

async fn recorded(answer: Answer) -> (World, Fake) {
    let fake = Fake::start(vec![answer]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    (world, fake)
}

/// What the pod's own process is given; `query` names the last batch in the log.
async fn taken(world: &World, query: &str) -> Vec<CallBatch> {
    let url = format!("{}/v1/records{query}", world.base);
    let response = world.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let lines = text.lines();
    lines
        .map(|line| CallBatch::verify(line.as_bytes()).unwrap())
        .collect()
}

async fn only_record(world: &World) -> CallRecord<'static> {
    let mut batches = taken(world, "").await;
    assert_eq!(batches.len(), 1);
    let mut records = batches.remove(0).records;
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The record of a call that ends without an answer to its caller.
async fn awaited(world: &World) -> CallRecord<'static> {
    loop {
        if let Some(batch) = taken(world, "").await.first_mut() {
            return batch.records.remove(0);
        }
    }
}

fn call(response: &reqwest::Response) -> CallToken {
    header(response, "aios-call").parse().unwrap()
}

#[tokio::test]
async fn an_answer_is_recorded_without_its_text_and_its_caller_can_prove_it() {
    let (world, _fake) = recorded(completion("Hello.", Some((100, 60)))).await;
    let body = chat(json!({}));
    let response = world.call(&body).send().await.unwrap();
    let token = call(&response);
    let policies = header(&response, "aios-policy-digest").to_owned();
    assert!(policies.starts_with("sha256:"), "{policies}");
    let answer = response.bytes().await.unwrap();
    let record = only_record(&world).await;
    let expected = CallRecord {
        call: token.call(),
        time_ms: record.time_ms,
        pipeline: "p".into(),
        step: "draft".into(),
        document: Some("d1".into()),
        model: Some("m".into()),
        model_digest: Some("sha256:aa".into()),
        route: Some(0),
        variant: None,
        policies: policies.into(),
        judged: None,
        cache: None,
        outcome: "ok".into(),
        input_tokens: 100,
        output_tokens: 60,
        exact: true,
        cost: Some("0.000051 USD".into()),
        request: token.commit(body.to_string().as_bytes()),
        answer: token.commit(&answer),
    };
    assert_eq!(record, expected);
}

#[tokio::test]
async fn a_prompt_that_a_policy_changed_is_recorded_as_its_caller_sent_it() {
    let fake = Fake::start(vec![completion("Hello.", Some((9, 3)))]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": ["line"]}, "action": "Redact", "calls": ["Prompt"]}]);
    let world = crate::shield::world(model("m", &fake.address), rules).await;
    let body = chat(json!({}));
    let response = world.call(&body).send().await.unwrap();
    let token = call(&response);
    assert!(fake.body(0).to_string().contains("[removed]"));
    let record = only_record(&world).await;
    assert_eq!(record.request, token.commit(body.to_string().as_bytes()));
}

/// A world whose model answers so, and where a word blocks prompts and answers.
async fn ruled(answer: Answer) -> (World, Fake) {
    let fake = Fake::start(vec![answer]).await;
    let rules = json!([{"name": "no-rival", "terms": {"list": ["Acme"]}, "action": "Block",
        "calls": ["Prompt", "Answer"]}]);
    let world = crate::shield::world(model("m", &fake.address), rules).await;
    (world, fake)
}

fn scanned(record: &CallRecord<'_>) -> Vec<(String, u64)> {
    let judged = record.judged.as_ref().unwrap();
    let scanned = judged.scanned.iter();
    scanned
        .map(|(channel, bytes)| (channel.to_string(), *bytes))
        .collect()
}

#[tokio::test]
async fn a_record_says_what_rules_read_and_what_they_said() {
    let (world, _fake) = ruled(completion("Hello.", Some((9, 3)))).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    let judged = header(&response, "aios-policy-judged").to_owned();
    let said = header(&response, "aios-policy-scanned").to_owned();
    let record = only_record(&world).await;
    let scanned = scanned(&record);
    assert_eq!(scanned.len(), 2, "prompt and content");
    for (channel, bytes) in scanned {
        assert!(said.contains(&format!("{channel}={bytes}")), "{said}");
    }
    let found = record.judged.unwrap();
    assert_eq!((&*found.policies, &*found.action), (&*judged, "Pass"));
    assert!(found.rules.is_empty());
}

#[tokio::test]
async fn a_refused_prompt_is_recorded_though_no_model_was_asked() {
    let (world, fake) = ruled(completion("Hello.", Some((9, 3)))).await;
    let body = chat(json!({"messages": [{"role": "user", "content": "Praise Acme."}]}));
    let response = world.call(&body).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let token = call(&response);
    assert_eq!(
        header(&response, "aios-policy-verdict"),
        "Block house/no-rival"
    );
    let record = only_record(&world).await;
    assert_eq!(fake.calls(), 0);
    assert_eq!((record.call, record.model.as_deref()), (token.call(), None));
    assert_eq!(record.outcome, "refused");
    assert_eq!(record.request, token.commit(body.to_string().as_bytes()));
    assert_eq!((record.input_tokens, record.cost.as_deref()), (0, None));
    let judged = record.judged.unwrap();
    assert!(judged.scanned["prompt"] >= 12);
    assert_eq!(judged.rules, ["house/no-rival"]);
}

#[tokio::test]
async fn a_blocked_answer_is_recorded_as_refused_whole_or_streamed() {
    let whole = completion("We beat Acme.", Some((9, 3)));
    for (answer, streamed) in [(whole, false), (stream(&["We beat ", "Acme."]), true)] {
        let (world, _fake) = ruled(answer).await;
        let body = chat(json!({"stream": streamed}));
        let response = world.call(&body).send().await.unwrap();
        response.text().await.unwrap();
        let record = only_record(&world).await;
        assert_eq!(record.outcome, "refused", "streamed: {streamed}");
        assert_eq!(record.model.as_deref(), Some("m"));
        let judged = record.judged.as_ref().unwrap();
        assert_eq!((&*judged.action, judged.scanned["content"]), ("Block", 13));
    }
}

#[tokio::test]
async fn a_stream_is_recorded_at_its_end_as_its_caller_heard_it() {
    let (world, _fake) = recorded(stream(&["Hel", "lo"])).await;
    let body = chat(json!({"stream": true}));
    let response = world.call(&body).send().await.unwrap();
    let token_of_call = call(&response);
    let heard = response.text().await.unwrap();
    let expected = [role(), token("Hel"), token("lo"), stop(), DONE.to_owned()].concat();
    assert_eq!(heard, expected, "without the usage that it did not ask for");
    let record = only_record(&world).await;
    assert_eq!(record.answer, token_of_call.commit(heard.as_bytes()));
    assert_eq!((record.output_tokens, record.exact), (3, true));
    assert_eq!(record.outcome, "ok");
}

#[tokio::test]
async fn a_stream_whose_caller_went_away_is_recorded_as_far_as_it_was_told() {
    let (world, _fake) = recorded(Answer::Stream(vec![token("Hello, you")], End::Hang)).await;
    let body = chat(json!({"stream": true}));
    let mut response = world.call(&body).send().await.unwrap();
    let token_of_call = call(&response);
    let heard = response.chunk().await.unwrap().unwrap();
    drop(response);
    let record = awaited(&world).await;
    assert_eq!(record.outcome, "cancelled");
    assert_eq!((record.output_tokens, record.exact), (3, false));
    assert_eq!(record.answer, token_of_call.commit(&heard));
}

#[tokio::test]
async fn what_was_scanned_of_a_stream_is_recorded_though_its_caller_went_away() {
    let (world, _fake) = ruled(Answer::Stream(vec![token("Hello, you. ")], End::Hang)).await;
    let body = chat(json!({"stream": true}));
    let mut response = world.call(&body).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    let record = awaited(&world).await;
    assert_eq!(record.outcome, "cancelled");
    assert_eq!(record.judged.as_ref().unwrap().scanned["content"], 12);
}

#[tokio::test]
async fn an_answer_in_another_dialect_is_recorded_as_it_was_asked_and_told() {
    let (world, _fake) = recorded(completion("Hello.", Some((9, 3)))).await;
    for (path, body) in [
        (
            "messages",
            json!({"model": "auto", "max_tokens": 9,
                "messages": [{"role": "user", "content": "Hi"}]}),
        ),
        (
            "responses",
            json!({"model": "auto", "input": "Hi", "store": false}),
        ),
    ] {
        let text = body.to_string();
        let request = world.http.post(format!("{}/v1/{path}", world.base));
        let request = request.header("aios-pipeline", "p").body(text.clone());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let token = call(&response);
        let answer = response.bytes().await.unwrap();
        let batches = taken(&world, "").await;
        let record = batches.last().unwrap().records.last().unwrap();
        assert_eq!(record.request, token.commit(text.as_bytes()), "{path}");
        assert_eq!(record.answer, token.commit(&answer), "{path}");
        assert_eq!(record.document, None, "{path}");
    }
}

#[tokio::test]
async fn answers_that_are_used_again_are_recorded_for_each_call_and_paid_once() {
    let fake = Fake::start(vec![completion("Hello.", Some((100, 60)))]).await;
    let world = World::unconfigured().await;
    let mut body = pipeline(json!([{"model": "m"}]));
    body["models"]["draft"]["cache"] = json!({"ttl": "1h", "calls": "All"});
    let items = vec![
        item(ItemKind::Model, "m", &model("m", &fake.address)),
        item(ItemKind::Pipeline, "p", &body),
    ];
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    let mut calls = Vec::new();
    for _ in 0..2 {
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        calls.push(call(&response).call());
    }
    let batches = taken(&world, "").await;
    let records = &batches[0].records;
    let said: Vec<_> = records
        .iter()
        .map(|record| (record.cache.as_deref(), record.cost.as_deref()))
        .collect();
    let expected = [("miss", "0.000051 USD"), ("hit", "0 USD")];
    assert_eq!(
        said,
        expected.map(|(cache, cost)| (Some(cache), Some(cost)))
    );
    let recorded: Vec<_> = records.iter().map(|record| record.call).collect();
    assert_eq!(recorded, calls, "each has a name of its own");
}

#[tokio::test]
async fn a_variant_is_named_in_headers_and_in_the_record() {
    let usual = Fake::start(vec![completion("Usual.", Some((1, 1)))]).await;
    let bold = Fake::start(vec![completion("Bold.", Some((1, 1)))]).await;
    let world = World::unconfigured().await;
    let mut body = pipeline(json!([{"model": "usual"}]));
    let put = |sequence, body: &serde_json::Value| {
        let items = vec![
            item(ItemKind::Model, "usual", &model("usual", &usual.address)),
            item(ItemKind::Model, "bold", &model("bold", &bold.address)),
            item(ItemKind::Pipeline, "p", body),
        ];
        let acks = world.live.apply(&Snapshot { sequence, items });
        assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    };
    for (sequence, name, percent, answered) in [(1, "bold", 100, "bold"), (2, "calm", 1, "usual")] {
        body["models"]["draft"]["experiment"] = json!({"name": "tone",
            "variants": [{"name": name, "model": "bold", "percent": percent}]});
        put(sequence, &body);
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        let variant = header(&response, "aios-variant").to_owned();
        let expected = if percent == 100 {
            "tone/bold"
        } else {
            "tone/control"
        };
        assert_eq!(variant, expected);
        assert_eq!(header(&response, "aios-model"), answered);
        let batches = taken(&world, "").await;
        let record = batches.last().unwrap().records.last().unwrap();
        assert_eq!(record.variant.as_deref(), Some(expected));
        assert_eq!(record.model.as_deref(), Some(answered));
    }
}

#[tokio::test]
async fn a_variant_whose_model_does_not_answer_gives_way_to_the_routes() {
    let usual = Fake::start(vec![completion("Usual.", Some((1, 1)))]).await;
    let world = World::unconfigured().await;
    let mut body = pipeline(json!([{"model": "usual"}]));
    body["models"]["draft"]["experiment"] = json!({"name": "tone",
        "variants": [{"name": "bold", "model": "bold", "percent": 100}]});
    let items = vec![
        item(ItemKind::Model, "usual", &model("usual", &usual.address)),
        item(ItemKind::Model, "bold", &model("bold", &nowhere().await)),
        item(ItemKind::Pipeline, "p", &body),
    ];
    world.live.apply(&Snapshot { sequence: 1, items });
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-variant"), "tone/bold");
    assert_eq!(header(&response, "aios-model"), "usual");
}

#[tokio::test]
async fn a_call_of_no_pipeline_is_of_no_log() {
    let (world, _fake) = recorded(completion("Hello.", Some((1, 1)))).await;
    let body = chat(json!({"model": "m"})).to_string();
    let request = world
        .http
        .post(format!("{}/v1/chat/completions", world.base));
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    for name in ["aios-call", "aios-policy-digest"] {
        assert!(response.headers().get(name).is_none(), "{name}");
    }
    assert_eq!(taken(&world, "").await, []);
}

#[tokio::test]
async fn batches_are_given_until_they_are_in_the_log() {
    let (world, _fake) = recorded(completion("Hello.", Some((1, 1)))).await;
    let ask = || async {
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(response.status(), 200);
    };
    ask().await;
    let first = taken(&world, "").await;
    ask().await;
    let both = taken(&world, "").await;
    assert_eq!(both[0], first[0], "as it was signed");
    assert_eq!(both.len(), 2);
    let process = &first[0].head.process;
    let behind = taken(&world, &format!("?process={process}&after=0")).await;
    assert_eq!(behind, both[1..]);
    let of_another = taken(&world, "?process=another&after=7").await;
    assert_eq!(of_another, both[1..], "whose sequences are its own");
    assert_eq!(
        taken(&world, &format!("?process={process}&after=1")).await,
        []
    );
}
