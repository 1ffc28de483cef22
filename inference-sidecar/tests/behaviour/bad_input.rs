//! Whatever comes in wrong has a named outcome: what callers send, what models answer, what the operator configures.

use aios_proto::control::{Item, ItemKind, Snapshot};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fake::{Answer, DONE, End, Fake, json_answer, role, token, until},
    world::{World, chat, header, ingress, item, model, nowhere, pipeline, snapshot, with},
};

/// Method, path, headers, body; then status, code and parameter of the refusal.
type Call<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    Value,
    (u16, &'a str, &'a str),
);

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";
const OF_PIPELINE: &[(&str, &str)] = &[("aios-pipeline", "p")];
const BAD: u16 = 400;

/// A chat completion of model `m` with one field as given.
fn of_m(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi."}]});
    body[field] = value;
    body
}

fn message(field: &str, value: Value) -> Value {
    with(of_m("max_tokens", json!(9)), field, value)
}

fn response(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "input": "Hi."});
    body[field] = value;
    body
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn calls() -> Vec<Call<'static>> {
    let field = |name| (BAD, "invalid_field", name);
    let raw = |text: &str| json!(text);
    let post = |path, body, outcome| ("POST", path, &[][..], body, outcome);
    let text = json!([{"role": "user", "content": "Hi."}]);
    let long = json!([{"role": "user", "content": "x".repeat(40_000)}]);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let labels = |value| [("aios-pipeline", "p"), ("aios-labels", value)];
    let step = |value| [("aios-pipeline", "p"), ("aios-step", value)];
    let (no_json, listed, nested) = (labels("x"), labels("[]"), labels(r#"{"a":{}}"#));
    let (unknown, absent) = (step("x"), step("final"));
    // The tables outlive the call: they are few and small.
    let kept = |headers: [(&'static str, &'static str); 2]| &*Box::leak(Box::new(headers));
    vec![
        // Addresses
        ("GET", "/v2/x", &[], raw(""), (404, "path_not_found", "")),
        ("GET", "/", &[], raw(""), (404, "path_not_found", "")),
        (
            "GET",
            "/v1/models/x",
            &[],
            raw(""),
            (404, "model_not_found", "model"),
        ),
        ("GET", CHAT, &[], raw(""), (405, "method_not_allowed", "")),
        (
            "DELETE",
            "/v1/models",
            &[],
            raw(""),
            (405, "method_not_allowed", ""),
        ),
        // Bodies
        post(CHAT, raw(""), (BAD, "invalid_json", "")),
        post(CHAT, raw("\u{0}\u{1}"), (BAD, "invalid_json", "")),
        post(CHAT, raw("[]"), (BAD, "invalid_json", "")),
        post(
            CHAT,
            raw(r#"{"model":"m","messages":[{"role""#),
            (BAD, "invalid_json", ""),
        ),
        post(
            CHAT,
            raw(r#"{"model":"m","messages":[{"role":"user","content":"\ud800"}]}"#),
            (BAD, "invalid_json", ""),
        ),
        post(
            CHAT,
            raw(&format!(r#"{{"model":"m","messages":{deep}}}"#)),
            field("messages[0].role"),
        ),
        post(CHAT, json!({"messages": text}), field("model")),
        post(CHAT, of_m("model", json!(7)), field("model")),
        post(CHAT, of_m("model", json!("x".repeat(300))), field("model")),
        post(
            CHAT,
            of_m("model", json!("x")),
            (404, "model_not_found", "model"),
        ),
        post(
            CHAT,
            of_m("model", json!("auto")),
            (404, "model_not_found", "model"),
        ),
        post(CHAT, json!({"model": "m"}), field("messages")),
        post(CHAT, of_m("messages", json!("Hi.")), field("messages")),
        post(CHAT, of_m("messages", json!([])), field("messages")),
        post(
            CHAT,
            of_m("messages", json!([{"content": "Hi."}])),
            field("messages[0].role"),
        ),
        post(
            CHAT,
            of_m("messages", long),
            (BAD, "context_length_exceeded", "messages"),
        ),
        post(
            CHAT,
            of_m("max_tokens", json!(5000)),
            (BAD, "context_length_exceeded", "messages"),
        ),
        post(CHAT, of_m("stream", json!("yes")), field("stream")),
        post(
            CHAT,
            of_m("stream_options", json!(true)),
            field("stream_options"),
        ),
        post(
            CHAT,
            of_m("stream_options", json!({"include_usage": 1})),
            field("stream_options.include_usage"),
        ),
        post(CHAT, of_m("max_tokens", json!(0)), field("max_tokens")),
        post(CHAT, of_m("max_tokens", json!(-1)), field("max_tokens")),
        post(
            CHAT,
            of_m("max_completion_tokens", json!("9")),
            field("max_completion_tokens"),
        ),
        post(CHAT, of_m("n", json!(1.5)), field("n")),
        post("/v1/moderations", json!({"model": "m"}), field("input")),
        post("/v1/embeddings", json!({"model": "m"}), field("input")),
        post(
            "/v1/embeddings",
            json!({"model": "m", "input": []}),
            field("input"),
        ),
        post(
            "/v1/embeddings",
            json!({"model": "m", "input": 7}),
            field("input"),
        ),
        post(
            MESSAGES,
            json!({"model": "m", "max_tokens": 9}),
            field("messages"),
        ),
        post(
            MESSAGES,
            message("mcp_servers", json!([{}])),
            (BAD, "unsupported_by_model", "mcp_servers"),
        ),
        post(
            MESSAGES,
            message(
                "tools",
                json!([{"type": "web_search_20250305", "name": "web_search"}]),
            ),
            (BAD, "unsupported_by_model", "tools[0].type"),
        ),
        post(
            RESPONSES,
            response("store", json!(true)),
            (BAD, "unsupported_by_model", "store"),
        ),
        post(
            RESPONSES,
            response("background", json!(true)),
            (BAD, "unsupported_by_model", "background"),
        ),
        post(
            RESPONSES,
            response("conversation", json!("c")),
            (BAD, "unsupported_by_model", "conversation"),
        ),
        post(
            RESPONSES,
            response("previous_response_id", json!("r")),
            (BAD, "unsupported_by_model", "previous_response_id"),
        ),
        post(
            RESPONSES,
            response("tools", json!([{"type": "web_search"}])),
            (BAD, "unsupported_by_model", "tools[0].type"),
        ),
        // Headers
        (
            "POST",
            CHAT,
            OF_PIPELINE,
            of_m("model", json!("m")),
            field("model"),
        ),
        (
            "POST",
            CHAT,
            &[("aios-pipeline", "x")],
            chat(json!({})),
            (404, "pipeline_not_found", ""),
        ),
        (
            "POST",
            CHAT,
            &[("aios-pipeline", "")],
            chat(json!({})),
            (BAD, "invalid_header", "aios-pipeline"),
        ),
        (
            "POST",
            CHAT,
            kept(unknown),
            chat(json!({})),
            (BAD, "invalid_header", "aios-step"),
        ),
        (
            "POST",
            CHAT,
            kept(absent),
            chat(json!({})),
            (404, "step_not_found", ""),
        ),
        (
            "POST",
            CHAT,
            kept(no_json),
            chat(json!({})),
            (BAD, "invalid_header", "aios-labels"),
        ),
        (
            "POST",
            CHAT,
            kept(listed),
            chat(json!({})),
            (BAD, "invalid_header", "aios-labels"),
        ),
        (
            "POST",
            CHAT,
            kept(nested),
            chat(json!({})),
            (BAD, "invalid_header", "aios-labels"),
        ),
    ]
}

/// What the caller of model `m` is told.
async fn told(world: &World, (method, path, headers, body, _): &Call<'_>) -> (u16, String, String) {
    let body = match body {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let url = format!("{}{path}", world.base);
    let mut request = world.http.request(method.parse().unwrap(), url).body(body);
    for (name, value) in *headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "x-should-retry"), "false");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    let text = |field: &str| body["error"][field].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("param"))
}

#[tokio::test]
async fn a_bad_call_is_refused_by_name() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let mut wrong = Vec::new();
    for call in calls() {
        let (status, code, param) = call.4;
        let told = told(&world, &call).await;
        if told != (status, code.to_owned(), param.to_owned()) {
            wrong.push(format!(
                "{:?} {:.200} became {told:?}, not {:?}",
                call.1,
                call.3.to_string(),
                call.4
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let url = format!("{}/v1/chat/completions", world.base);
    let response = world
        .http
        .post(url)
        .body(vec![b' '; (10 << 20) + 1])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "body_too_large");
}

/// What HTTP itself does not allow never reaches a handler.
#[tokio::test]
async fn what_is_no_http_is_refused() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let address = world.base.strip_prefix("http://").unwrap();
    let long = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let bad = [
        ("nonsense\r\n\r\n", "400"),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n",
            "400",
        ),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
            "400",
        ),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "400",
        ),
        (long.as_str(), "431"),
    ];
    for (bytes, status) in bad {
        let mut socket = TcpStream::connect(address).await.unwrap();
        // The answer may come before all was sent.
        let _ = socket.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes:.60}: {answer}"
        );
    }
}

#[tokio::test]
async fn headers_too_long_for_http2_are_refused_by_status() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let http = reqwest::Client::builder().http2_prior_knowledge();
    let call = http
        .build()
        .unwrap()
        .post(format!("{}/v1/messages", world.base));
    let call = call.header("x", "x".repeat(32 << 10)).body("{}");
    assert_eq!(call.send().await.unwrap().status(), 431);
}

/// Whether a stream is asked for, what the model's server answers, and the outcome that callers read.
fn answers() -> Vec<(bool, Answer, &'static str)> {
    let plain = |status: u16, kind: &str, body: &str| {
        Answer::Plain(
            status,
            vec![("content-type", kind.to_owned())],
            body.to_owned(),
        )
    };
    let page = |status| plain(status, "text/html", "<html>");
    let json = |status| json_answer(status, &json!({"error": {"message": "no", "code": "c"}}));
    let events = |pieces: &[&str], end| {
        Answer::Stream(
            pieces.iter().map(|piece| (*piece).to_owned()).collect(),
            end,
        )
    };
    let begun = role();
    let endless = format!("data: {}", "x".repeat(2 << 20));
    let chatter = format!(": {}\n\n", "x".repeat(1 << 19));
    vec![
        (false, page(200), "malformed"),
        (false, plain(200, "application/json", ""), "malformed"),
        (false, plain(200, "application/json", "{}"), "malformed"),
        (false, plain(200, "application/json", "[]"), "malformed"),
        (
            false,
            plain(200, "application/json", r#"{"choices":3}"#),
            "malformed",
        ),
        (
            false,
            plain(200, "application/json", r#"{"choices":[{"#),
            "malformed",
        ),
        (
            false,
            json_answer(200, &json!({"error": {"message": "no"}})),
            "malformed",
        ),
        (false, page(204), "malformed"),
        (false, page(302), "malformed"),
        (false, page(401), "refused"),
        (false, json(403), "refused"),
        (false, json(404), "refused"),
        (false, json(408), "failed"),
        (false, json(429), "rate_limited"),
        (false, page(500), "failed"),
        (false, json(529), "failed"),
        (
            true,
            plain(200, "application/json", r#"{"choices":[]}"#),
            "malformed",
        ),
        (true, events(&[], End::Close), "cut"),
        (true, events(&[DONE], End::Close), "ok"),
        (true, events(&[&begun], End::Close), "cut"),
        (true, events(&[&begun], End::Cut), "cut"),
        (true, events(&["data: {\n\n"], End::Hang), "malformed"),
        (true, events(&["data: 7\n\n"], End::Hang), "malformed"),
        (
            true,
            events(&["data: {\"choices\":7}\n\n"], End::Hang),
            "malformed",
        ),
        (true, events(&[&endless], End::Hang), "malformed"),
        (false, events(&[&endless], End::Never), "malformed"),
        (true, events(&[&chatter], End::Never), "malformed"),
        (
            true,
            events(
                &["data: {\"error\":{\"message\":\"no\",\"code\":\"c\"}}\n\n"],
                End::Hang,
            ),
            "cut",
        ),
        (
            true,
            events(
                &["data: {\"error\":{\"code\":\"rate_limit_error\"}}\n\n"],
                End::Hang,
            ),
            "rate_limited",
        ),
        (
            true,
            events(&["data: {\"error\":\"no\"}\n\n"], End::Hang),
            "cut",
        ),
    ]
}

#[tokio::test]
async fn a_bad_answer_is_named_by_its_outcome() {
    let mut wrong = Vec::new();
    for (stream, answer, outcome) in answers() {
        let name = format!("{answer:.100?}");
        let fake = Fake::start(vec![answer]).await;
        let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
        let response = world
            .call(&chat(json!({"stream": stream})))
            .send()
            .await
            .unwrap();
        let found = if response.status() == 200 {
            "ok".to_owned()
        } else {
            assert_eq!(header(&response, "x-should-retry"), "false", "{name}");
            let body: Value = response.json().await.unwrap();
            assert_eq!(body["error"]["code"], "routes_exhausted", "{name}");
            body["error"]["attempts"][0]["outcome"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        if found != outcome {
            wrong.push(format!("{name} became {found}, not {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rstest]
#[case::chat("chat/completions", json!({"messages": [{"role": "user", "content": "Hi."}]}), 32)]
#[case::messages("messages", json!({"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 9}), 32)]
#[case::vectors("embeddings", json!({"input": "Hi."}), 64)]
#[tokio::test]
async fn an_answer_without_end_is_left_at_the_limit_of_each_hop(
    #[case] path: &str,
    #[case] body: Value,
    #[case] mebibytes: u32,
) {
    let endless = Answer::Stream(vec!["x".repeat(1 << 20)], End::Never);
    let fake = Fake::start(vec![endless]).await;
    let mut model = with(
        model("m", &fake.address),
        "resilience.timeout",
        json!("10m"),
    );
    if path == "messages" {
        model["upstream"]["dialect"] = json!("Anthropic");
    }
    let ingress = ingress(&model).await;
    let at_ingress = World::start(
        vec![with(model.clone(), "endpoint", json!(ingress))],
        json!([{"model": "m"}]),
    );
    let at_egress = World::start(vec![model], json!([{"model": "m"}]));
    for (calls, world) in [(1, at_egress.await), (2, at_ingress.await)] {
        let post = world.http.post(format!("{}/v1/{path}", world.base));
        let response = post.body(with(body.clone(), "model", json!("m")).to_string());
        let response = response.send().await.unwrap();
        let text = response.text().await.unwrap();
        let limit = format!("cannot be read: it is longer than {} KiB", mebibytes << 10);
        assert!(text.contains(&limit), "{text}");
        until("the end of the connection", || fake.cancelled() == calls).await;
    }
}

/// Once text was told, no other route can answer: the stream says what is wrong.
#[tokio::test]
async fn a_bad_event_ends_a_stream_by_name() {
    let endless = format!("data: {}", "x".repeat(2 << 20));
    let bad = [
        ("data: {\"choices\":[{\"delta\":\n\n", "upstream_malformed"),
        ("data: <html>\n\n", "upstream_malformed"),
        ("data: []\n\n", "upstream_malformed"),
        (endless.as_str(), "upstream_malformed"),
    ];
    for (event, code) in bad {
        let pieces = vec![token("A"), event.to_owned(), token("B")];
        let fake = Fake::start(vec![Answer::Stream(pieces, End::Hang)]).await;
        let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
        let response = world
            .call(&chat(json!({"stream": true})))
            .send()
            .await
            .unwrap();
        let text = response.text().await.unwrap();
        let error = text.strip_prefix(&token("A")).unwrap();
        let data = error.strip_prefix("event: error\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data.trim_end()).unwrap();
        assert_eq!(data["error"]["code"], code, "{event:.60}");
    }
}

#[tokio::test]
async fn events_without_data_are_not_passed_on() {
    let pieces = ["data:\n\n", "data: \n\n", ": alive\n\n"].map(str::to_owned);
    let pieces = [
        vec![token("A")],
        pieces.to_vec(),
        vec![crate::fake::stop(), DONE.to_owned()],
    ]
    .concat();
    let fake = Fake::start(vec![Answer::Stream(pieces, End::Close)]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    let response = world
        .call(&chat(json!({"stream": true})))
        .send()
        .await
        .unwrap();
    let expected = [
        token("A"),
        ": alive\n\n".to_owned(),
        crate::fake::stop(),
        DONE.to_owned(),
    ];
    assert_eq!(response.text().await.unwrap(), expected.concat());
}

/// Items, and what the acknowledgement says of each.
fn configurations() -> Vec<(Item, &'static str)> {
    let good = || model("m", "http://127.0.0.1:1");
    let of_model =
        |field: &str, value: Value| item(ItemKind::Model, "m", &with(good(), field, value));
    let of_pipeline = |field: &str, value: Value| {
        let body = with(pipeline(json!([{"model": "m"}])), field, value);
        item(ItemKind::Pipeline, "p", &body)
    };
    let route = |when: &str| json!([{"model": "m", "when": when}]);
    let limits =
        |context: u64| json!({"contextTokens": context, "maxOutputTokens": 64, "maxInFlight": 4});
    let hedge = |percentile: u64| {
        json!({"timeout": "5s", "firstTokenTimeout": "2s", "retries": 0,
            "hedge": {"afterPercentile": percentile, "maxPercent": 5}})
    };
    let altered = |change: fn(&mut Item)| {
        let mut item = item(ItemKind::Model, "m", &good());
        change(&mut item);
        item
    };
    vec![
        (of_model("endpoint", json!("nonsense")), "endpoint"),
        (of_model("endpoint", json!("ftp://x")), "endpoint"),
        (of_model("standbyEndpoint", json!("x")), "standbyEndpoint"),
        (of_model("upstream.baseUrl", json!("")), "upstream.baseUrl"),
        (
            of_model("upstream.dialect", json!("Esperanto")),
            "Esperanto",
        ),
        (of_model("limits", limits(0)), "limits"),
        (of_model("resilience.timeout", json!("0s")), "0s"),
        (of_model("resilience.timeout", json!("soon")), "soon"),
        (of_model("resilience", hedge(10)), "afterPercentile"),
        (of_model("pricing.inputPerMillion", json!("cheap")), "cheap"),
        (of_model("name", json!("other")), "other"),
        (of_pipeline("name", json!("q")), "q"),
        (
            of_pipeline("models", json!({"draft": {"routes": []}})),
            "models.draft.routes",
        ),
        (
            of_pipeline("models", json!({"draft": {"routes": route("language ==")}})),
            "models.draft.routes[0].when",
        ),
        (
            of_pipeline("models", json!({"draft": {"routes": route("vars.x == 1")}})),
            "vars",
        ),
        (
            of_pipeline(
                "models",
                json!({"draft": {"routes": [{"model": "m"}], "cache": {"ttl": "9h", "calls": "All"}}}),
            ),
            "cache.ttl",
        ),
        (altered(|item| item.format = 99), "format"),
        (altered(|item| item.digest = "sha256:00".into()), "digest"),
        (item(ItemKind::Run, "x", &good()), "not enforced here"),
        (item(ItemKind::Policy, "x", &good()), "cannot be read"),
    ]
}

#[tokio::test]
async fn a_bad_configuration_is_refused_by_name_and_the_last_good_one_stays() {
    let fake = Fake::start(vec![crate::fake::completion("Hello.", None)]).await;
    let world = World::unconfigured().await;
    let (mut wrong, mut sequence) = (Vec::new(), 1);
    let good = || snapshot(1, vec![model("m", &fake.address)], json!([{"model": "m"}]));
    world.live.apply(&good());
    for (bad, names) in configurations() {
        sequence += 2;
        let mut items = good().items;
        items.retain(|item| item.name != bad.name);
        items.push(bad.clone());
        let acks = world.live.apply(&Snapshot { sequence, items });
        let ack = acks.last().unwrap();
        if ack.accepted || !ack.message.contains(names) {
            wrong.push(format!(
                "{} said {:?}, not {names:?}",
                String::from_utf8_lossy(&bad.body),
                ack.message
            ));
        }
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        if response.status() != 200 {
            wrong.push(format!("{names:?} left nothing in force"));
        }
        world.live.apply(&Snapshot {
            sequence: sequence + 1,
            ..good()
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn before_the_first_snapshot_callers_are_asked_to_wait() {
    let world = World::unconfigured().await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-should-retry"), "true");
    assert_eq!(header(&response, "retry-after"), "1");
}

/// Bodies and headers, answers, and configurations: what each becomes is tried above.
#[test]
fn more_than_fifty_kinds_of_bad_input_have_a_named_outcome() {
    let kinds = [calls().len(), answers().len(), configurations().len()];
    assert!(kinds.iter().sum::<usize>() > 50, "{kinds:?}");
}

/// Codes that stand in the source, in the one function that classes refusals.
fn codes() -> std::collections::BTreeSet<String> {
    let source = include_str!("../../src/error.rs");
    let class = source.split_once("fn class(").unwrap().1;
    let class = class.split_once("\n    }\n").unwrap().0;
    class
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.ends_with("_error"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_refusal_is_documented() {
    let page = include_str!("../../../docs/model-calls.md");
    let codes = codes();
    assert!(codes.len() > 20, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !page.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
