//! Spans of calls, as a collector takes them that forgives nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aios_inference_sidecar::trace::Collector;
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, End, Fake, completion, error, role, stream, token, until},
    processes::{Hop, healthy, hop_with},
    world::{chat, serve, snapshot, with},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A span that a collector took.
#[derive(Clone, Debug)]
struct Taken {
    service: String,
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    kind: u64,
    attributes: BTreeMap<String, String>,
    failed: bool,
}

/// What was taken, and what was wrong with the rest.
#[derive(Default)]
struct Desk {
    taken: Mutex<Vec<Taken>>,
    wrong: Mutex<Vec<String>>,
}

async fn collector() -> (Collector, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let app = Router::new().route("/v1/traces", post(take));
    let address = serve(app.with_state(desk.clone())).await;
    let collector = Collector {
        otlp_endpoint: Some(address.parse().unwrap()),
    };
    (collector, desk)
}

async fn take(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 4 << 20).await.unwrap();
    let read = (parts.headers.get("content-type"))
        .filter(|kind| *kind == "application/json")
        .ok_or("the content type".to_owned())
        .and_then(|_| serde_json::from_slice(&body).map_err(|error| error.to_string()))
        .and_then(|body: Value| read(&body));
    match read {
        Ok(spans) => {
            desk.taken.lock().unwrap().extend(spans);
            axum::Json(json!({})).into_response()
        }
        Err(wrong) => {
            desk.wrong.lock().unwrap().push(wrong);
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

/// Every field is known, and is as it must be.
fn read(body: &Value) -> Result<Vec<Taken>, String> {
    let mut spans = Vec::new();
    for of_resource in list(only(body, &["resourceSpans"])?, "resourceSpans")? {
        let of_resource = only(of_resource, &["resource", "scopeSpans"])?;
        let resource = attributes(only(&of_resource["resource"], &["attributes"])?)?;
        let service = resource.get("service.name").ok_or("no service")?;
        for of_scope in list(of_resource, "scopeSpans")? {
            let of_scope = only(of_scope, &["scope", "spans"])?;
            text(only(&of_scope["scope"], &["name", "version"])?, "name")?;
            for span in list(of_scope, "spans")? {
                spans.push(self::span(span, service)?);
            }
        }
    }
    Ok(spans)
}

fn span(span: &Value, service: &str) -> Result<Taken, String> {
    const FIELDS: [&str; 9] = [
        "traceId",
        "spanId",
        "parentSpanId",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "status",
    ];
    let span = only(span, &FIELDS)?;
    let hex = |field: &str, length: usize| {
        let text = text(span, field)?;
        let is_hex = text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_some = text.bytes().any(|byte| byte != b'0');
        (is_hex && is_some)
            .then(|| text.to_owned())
            .ok_or(format!("{field} {text}"))
    };
    let nanos = |field: &str| {
        let text = text(span, field)?;
        text.parse::<u64>().map_err(|_| format!("{field} {text}"))
    };
    let (began, ended) = (nanos("startTimeUnixNano")?, nanos("endTimeUnixNano")?);
    // After 2020.
    if began < 1_577_836_800_000_000_000 || ended < began {
        return Err(format!("times {began} {ended}"));
    }
    let attributes = attributes(span)?;
    let failed = !span["status"].is_null();
    if failed && (span["status"] != json!({"code": 2}) || !attributes.contains_key("error.type")) {
        return Err(format!("status {}", span["status"]));
    }
    Ok(Taken {
        service: service.to_owned(),
        trace: hex("traceId", 32)?,
        id: hex("spanId", 16)?,
        parent: match span["parentSpanId"] {
            Value::Null => None,
            _ => Some(hex("parentSpanId", 16)?),
        },
        name: text(span, "name")?.to_owned(),
        kind: span["kind"]
            .as_u64()
            .filter(|kind| (1..=5).contains(kind))
            .ok_or("kind")?,
        attributes,
        failed,
    })
}

/// Keys are given once, and each has one value.
fn attributes(of: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for attribute in list(of, "attributes")? {
        let attribute = only(attribute, &["key", "value"])?;
        let value = only(&attribute["value"], &["stringValue", "intValue"])?;
        let value = match (value["stringValue"].as_str(), value["intValue"].as_str()) {
            (Some(text), None) => text.to_owned(),
            (None, Some(number)) => {
                let number = number.parse::<i64>();
                number.map_err(|error| error.to_string())?.to_string()
            }
            _ => return Err(format!("value {value}")),
        };
        let key = text(attribute, "key")?.to_owned();
        if attributes.insert(key.clone(), value).is_some() {
            return Err(format!("{key} twice"));
        }
    }
    Ok(attributes)
}

fn only<'a>(value: &'a Value, fields: &[&str]) -> Result<&'a Value, String> {
    let object = value.as_object().ok_or(format!("no object: {value}"))?;
    let unknown = object.keys().find(|key| !fields.contains(&key.as_str()));
    unknown.map_or(Ok(value), |key| Err(format!("unknown field {key}")))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, String> {
    value[field].as_array().ok_or(format!("no list {field}"))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value[field].as_str().ok_or(format!("no text {field}"))
}

impl Desk {
    /// So many spans, once they are there, in the order in which they ended at each service.
    async fn spans(&self, count: usize) -> Vec<Taken> {
        let none_wrong = || self.wrong.lock().unwrap().clone();
        until("the spans", || {
            assert_eq!(none_wrong(), Vec::<String>::new());
            self.taken.lock().unwrap().len() >= count
        })
        .await;
        let taken = self.taken.lock().unwrap().clone();
        assert_eq!(taken.len(), count, "{taken:#?}");
        taken
    }
}

impl Taken {
    fn has(&self, attributes: &[(&str, &str)]) {
        for (key, value) in attributes {
            let known = self.attributes.get(*key).map(String::as_str);
            assert_eq!(known, Some(*value), "{key} of {self:#?}");
        }
    }
}

fn of<'a>(spans: &'a [Taken], service: &str, kind: u64) -> Vec<&'a Taken> {
    let of = |span: &&Taken| span.service == service && span.kind == kind;
    spans.iter().filter(of).collect()
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// Both roles before a fake, with two tries of a call.
async fn hop() -> (Fake, Hop, Arc<Desk>) {
    let (collector, desk) = collector().await;
    let (fake, hop) = hop_to(&json!(null), collector).await;
    (fake, hop, desk)
}

/// The same, of a model that is served elsewhere, or in this cluster.
async fn hop_to(hosted: &Value, collector: Collector) -> (Fake, Hop) {
    let fake = Fake::start(vec![healthy()]).await;
    let retrying = |model| {
        let model = with(model, "resilience.retries", json!(1));
        let model = with(model, "hosted", hosted.clone());
        snapshot(3, vec![model], json!([{"model": "m"}]))
    };
    let hop = hop_with(&fake, "acme", retrying, collector).await;
    (fake, hop)
}

/// What the model's server was told of the trace with the last call.
fn told(fake: &Fake) -> [Option<String>; 2] {
    let mut seen = (0..fake.calls()).rev().map(|index| fake.seen(index));
    let call = seen.find(|seen| seen.path == "/v1/chat/completions");
    let headers = call.unwrap().headers;
    ["traceparent", "tracestate"].map(|name| {
        let said = headers.get(name)?;
        Some(said.to_str().unwrap().to_owned())
    })
}

fn call(hop: &Hop, flags: &str, extra: Value) -> reqwest::RequestBuilder {
    let call = reqwest::Client::new().post(format!("{}/v1/chat/completions", hop.base));
    call.header("aios-pipeline", "p")
        .header("aios-document", "secret-document")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .header("tracestate", "vendor=1")
        .body(chat(extra).to_string())
}

#[tokio::test]
async fn a_call_and_its_attempts_at_both_roles_are_one_trace() {
    let (fake, hop, desk) = hop().await;
    fake.say(completion("Hello.", Some((100, 60))));
    let answer = call(&hop, "01", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let spans = desk.spans(3).await;
    let [call] = of(&spans, "aios-egress", SERVER)[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!((call.name.as_str(), call.failed), ("chat auto", false));
    assert_eq!(call.parent.as_deref(), Some(CALLER));
    call.has(&[
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.usage.input_tokens", "100"),
        ("gen_ai.usage.output_tokens", "60"),
        ("aios.usage", "exact"),
        ("aios.pipeline", "p"),
        ("aios.step", "draft"),
        ("aios.model", "m"),
        ("aios.route", "0"),
        ("aios.attempts", "1"),
    ]);
    let [attempt] = of(&spans, "aios-egress", CLIENT)[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(attempt.name, "chat up");
    assert_eq!(attempt.parent.as_ref(), Some(&call.id));
    attempt.has(&[
        ("server.address", "127.0.0.1"),
        ("gen_ai.request.model", "up"),
    ]);
    let [before] = of(&spans, "aios-ingress", SERVER)[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(before.parent.as_ref(), Some(&attempt.id));
    let within = format!("00-{TRACE}-{}-01", before.id);
    assert_eq!(told(&fake), [Some(within), Some("vendor=1".to_owned())]);
    assert!(spans.iter().all(|span| span.trace == TRACE));
    assert!(!format!("{spans:?}").contains("secret-document"));
}

#[tokio::test]
async fn an_engine_is_told_the_trace_that_begins_before_it() {
    let (fake, hop, desk) = hop().await;
    fake.say(completion("Hello.", Some((100, 60))));
    let answer = call(&hop, "zz", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let spans = desk.spans(3).await;
    let before = of(&spans, "aios-ingress", SERVER)[0];
    let within = format!("00-{}-{}-01", before.trace, before.id);
    assert_eq!(told(&fake), [Some(within), None]);
}

#[tokio::test]
async fn an_engine_is_told_what_the_caller_said_where_nobody_collects_spans() {
    let (fake, hop) = hop_to(&json!(null), Collector::default()).await;
    fake.say(completion("Hello.", Some((100, 60))));
    let answer = call(&hop, "00", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let said = format!("00-{TRACE}-{CALLER}-00");
    assert_eq!(told(&fake), [Some(said), Some("vendor=1".to_owned())]);
}

#[tokio::test]
async fn a_provider_is_told_of_no_trace() {
    let (collector, desk) = collector().await;
    let (fake, hop) = hop_to(&json!({"region": "eu"}), collector).await;
    fake.say(completion("Hello.", Some((100, 60))));
    let answer = call(&hop, "01", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(desk.spans(3).await.len(), 3);
    assert_eq!(told(&fake), [None, None]);
}

#[tokio::test]
async fn each_try_has_a_span_and_a_stream_that_is_left_is_cancelled() {
    let (fake, hop, desk) = hop().await;
    fake.say(error(503, "busy"));
    let refused = call(&hop, "01", json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let spans = desk.spans(5).await;
    let calls = of(&spans, "aios-egress", SERVER);
    calls[0].has(&[("error.type", "routes_exhausted")]);
    let tries = of(&spans, "aios-egress", CLIENT);
    assert_eq!(tries.len(), 2);
    assert!(
        tries
            .iter()
            .all(|one| one.failed && one.parent.as_ref() == Some(&calls[0].id))
    );
    fake.say(Answer::Stream(vec![role(), token("A")], End::Hang));
    let left = call(&hop, "01", json!({"stream": true})).send().await;
    let mut left = left.unwrap();
    assert!(left.chunk().await.unwrap().is_some());
    drop(left);
    let spans = desk.spans(8).await;
    for span in &spans[5..] {
        span.has(&[("error.type", "cancelled")]);
    }
}

#[tokio::test]
async fn a_trace_that_its_beginner_does_not_keep_passes_by() {
    let (fake, hop, desk) = hop().await;
    fake.say(stream(&["Hello"]));
    let unkept = call(&hop, "00", json!({"stream": true})).send().await;
    unkept.unwrap().text().await.unwrap();
    let kept = call(&hop, "01", json!({"stream": true})).send().await;
    kept.unwrap().text().await.unwrap();
    // One that is wrong is as none: a trace begins.
    let begun = call(&hop, "zz", json!({"stream": true}))
        .send()
        .await
        .unwrap();
    begun.text().await.unwrap();
    hop.shutdown.cancel();
    hop.ended.await.unwrap().unwrap();
    let calls = of(&desk.spans(6).await, "aios-egress", SERVER)
        .into_iter()
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].trace, TRACE);
    assert_ne!(calls[1].trace, TRACE);
    assert_eq!(calls[1].parent, None);
}
