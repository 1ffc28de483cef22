//! Counts what the egress allocates for a call, with everything off and with everything on, and the ingress: unlike
//! time, that is the same on any machine. Each has a thread of its own, on which alone is counted; its caller and
//! its model are plain sockets on others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use aios_inference_sidecar::{
    client::Client,
    config::Live,
    egress::{self, Egress},
    ingress::{self, Admission, Infer, Ingress, Learnt},
    metrics::Metrics,
    money::Lessor,
    snapshot::Scope,
};
use aios_proto::{
    config::{Owner, pack},
    control::{ItemKind, Snapshot},
};
use aios_runtime::serve::{Peer, serve};
use allocation_counter::measure;
use axum::Extension;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{runtime, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// Before the count, so that connections and metrics are there.
const WARM: usize = 20;
const COUNTED: usize = 100;
const TOKENS: usize = 100;
/// A few calls in a hundred find a read or a write cut in two.
const SLACK: f64 = 2.0;

const LETTER: &str =
    "Dear reader, saving well is easier than it seems: a little each month is enough.";

const NUMBER: &str = "No. 00000000";

/// Allocations of a call. Raise one only with a reason that callers profit from.
const OFF: f64 = 61.0;
const ON: f64 = 220.0;
/// Allocations of one token of a stream, with everything on: most are the policy on its text.
const TOKEN: f64 = 13.0;
/// The same with everything off.
const BARE_TOKEN: f64 = 3.0;
/// Allocations of the ingress for a call, and for a token of a stream.
const HOP: f64 = 106.0;
const HOP_TOKEN: f64 = 3.0;

#[test]
fn a_call_with_everything_off_allocates_no_more_than_it_did() {
    let counted = allocations(Hop::Egress("off"), &json!({}), whole());
    assert_few("everything off", counted, OFF);
}

#[test]
fn a_call_with_everything_on_allocates_no_more_than_it_did() {
    let counted = allocations(Hop::Egress("on"), &json!({}), whole());
    assert_few("everything on", counted, ON);
}

#[test]
fn a_token_of_a_stream_allocates_no_more_than_it_did() {
    assert_few("a token", of_a_token(Hop::Egress("on")), TOKEN);
}

#[test]
fn a_token_of_a_stream_with_everything_off_allocates_no_more_than_it_did() {
    let counted = of_a_token(Hop::Egress("off"));
    assert_few("a token, everything off", counted, BARE_TOKEN);
}

#[test]
fn a_call_through_an_ingress_allocates_no_more_than_it_did() {
    let counted = allocations(Hop::Ingress, &json!({}), whole());
    assert_few("an ingress", counted, HOP);
}

#[test]
fn a_token_through_an_ingress_allocates_no_more_than_it_did() {
    assert_few("an ingress's token", of_a_token(Hop::Ingress), HOP_TOKEN);
}

/// Whose allocations are counted.
#[derive(Clone, Copy)]
enum Hop {
    /// With one of the benchmark's files.
    Egress(&'static str),
    Ingress,
}

fn of_a_token(hop: Hop) -> f64 {
    let stream = json!({"stream": true, "stream_options": {"include_usage": true}});
    let [short, long] = [0, TOKENS].map(|tokens| allocations(hop, &stream, streamed(tokens)));
    (long - short) / TOKENS as f64
}

fn assert_few(what: &str, counted: f64, most: f64) {
    println!("{what}: {counted:.1} allocations");
    assert!(
        counted <= most + SLACK,
        "{what}: {counted:.1} allocations, at most {most} are wanted"
    );
    assert!(
        counted >= most - 2.0 * SLACK,
        "{what}: {counted:.1} allocations are fewer than {most}: let the gate follow"
    );
}

/// Allocations of a call, on average.
fn allocations(hop: Hop, extra: &Value, answer: String) -> f64 {
    aios_runtime::init("test");
    let which = match hop {
        Hop::Egress(which) => which,
        Hop::Ingress => "off",
    };
    let everything = everything(which, model(answer));
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.block_on(async {
        let app = match hop {
            Hop::Egress(_) => egress::router(Arc::new(egress(&everything))),
            Hop::Ingress => ingress(&everything),
        };
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(serve(listener, app, None, CancellationToken::new()));
    });
    let request = request(&everything, extra);
    let (warm, is_warm) = oneshot::channel();
    let (done, is_done) = oneshot::channel();
    let (go, may_go) = mpsc::channel();
    let caller = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        for number in 0..WARM {
            ask(&mut stream, &numbered(&request, number));
        }
        warm.send(()).unwrap();
        may_go.recv().unwrap();
        for number in WARM..WARM + COUNTED {
            ask(&mut stream, &numbered(&request, number));
        }
        done.send(()).unwrap();
    });
    runtime.block_on(is_warm).unwrap();
    go.send(()).unwrap();
    let counted = measure(|| runtime.block_on(is_done).unwrap());
    caller.join().unwrap();
    counted.count_total as f64 / COUNTED as f64
}

/// One of the benchmark's files, with its models at an address.
fn everything(which: &str, model: SocketAddr) -> Value {
    let path = format!("../bench/sidecar/everything-{which}.json");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let address = format!("http://{model}");
    let text = text.replace("ENDPOINT", &address);
    serde_json::from_str(&text.replace("UPSTREAM", &address)).unwrap()
}

fn egress(everything: &Value) -> Egress {
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let live = live(Scope::Egress, everything, metrics.clone());
    let client = Client::new(None, Duration::from_secs(2)).unwrap();
    Egress::new(live, client, metrics, Lessor::own())
}

/// Before the one model, without TLS.
fn ingress(everything: &Value) -> axum::Router {
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let model = everything["model"].as_str().unwrap();
    let scope = Scope::Ingress {
        model: model.to_owned(),
        engine: None,
    };
    let ingress = Ingress {
        namespace: "acme".to_owned(),
        model: model.to_owned(),
        live: live(scope, everything, metrics.clone()),
        client: Client::new(None, Duration::from_secs(2)).unwrap(),
        key: None,
        bed: None,
        admission: Admission::new(metrics.clone()),
        admission_wait: Duration::from_secs(1),
        learnt: Learnt::default(),
        infer: Infer::default(),
        metrics,
        tracer: None,
    };
    let peer = Peer {
        addr: ([127, 0, 0, 1], 0).into(),
        uris: vec!["spiffe://aios/ns/acme".to_owned()],
    };
    ingress::router(Arc::new(ingress)).layer(Extension(peer))
}

fn live(scope: Scope, everything: &Value, metrics: Arc<Metrics>) -> Live {
    let live = Live::new(scope, None, metrics);
    let items = [
        ("models", ItemKind::Model),
        ("policies", ItemKind::ClusterPolicy),
        ("pipelines", ItemKind::Pipeline),
    ];
    let items = items.into_iter().flat_map(|(list, kind)| {
        let bodies = everything[list].as_array().into_iter().flatten();
        bodies.map(move |body| {
            let owner = Owner {
                name: body["name"].as_str().unwrap().into(),
                uid: "u".into(),
                generation: 1,
            };
            pack(kind, owner, body).unwrap()
        })
    });
    let items = items.collect();
    let acks = live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    live
}

fn request(everything: &Value, extra: &Value) -> Vec<u8> {
    let mut body = json!({
        "model": everything["model"], "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "You write short, friendly letters."},
            {"role": "user", "content": format!("{NUMBER} {}", LETTER.repeat(10))},
        ],
    });
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    let mut head = "POST /v1/chat/completions HTTP/1.1\r\nhost: egress\r\n".to_owned();
    for (name, value) in everything["headers"].as_object().unwrap() {
        head.extend([name.as_str(), ": ", value.as_str().unwrap(), "\r\n"]);
    }
    let body = body.to_string();
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// No two ask the same: what is kept answers none of them.
fn numbered(request: &[u8], number: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    text.replace(NUMBER, &format!("No. {number:08}"))
        .into_bytes()
}

fn whole() -> String {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": LETTER.repeat(3)},
        "finish_reason": "stop"});
    let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [choice], "usage": {"prompt_tokens": 200, "completion_tokens": 60}});
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn streamed(tokens: usize) -> String {
    let event = |choices: Value, usage: Value| {
        let event = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": choices, "usage": usage});
        format!("data: {event}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        let choice = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        event(choice, Value::Null)
    };
    let mut events = vec![delta(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    events.extend((0..=tokens).map(|_| delta(json!({"content": "word "}), Value::Null)));
    events.push(delta(json!({}), json!("stop")));
    let usage = json!({"prompt_tokens": 200, "completion_tokens": tokens});
    events.push(event(json!([]), usage));
    events.push("data: [DONE]\n\n".to_owned());
    let mut answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_owned();
    for event in events {
        let length = format!("{:x}", event.len());
        answer.extend([length.as_str(), "\r\n", event.as_str(), "\r\n"]);
    }
    answer + "0\r\n\r\n"
}

/// A model that answers every request so.
fn model(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                while message(&mut stream).is_some() {
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

fn ask(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).unwrap();
    let answer = message(stream).unwrap();
    let shown = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{shown}");
}

/// Reads one message of HTTP; none at the connection's end.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let mut part = vec![0; 64 << 10];
    let mut more = |read: &mut Vec<u8>| {
        let count = stream.read(&mut part).unwrap();
        read.extend_from_slice(&part[..count]);
        (count > 0).then_some(())
    };
    let body_at = loop {
        let head_end = read.windows(4).position(|at| at == b"\r\n\r\n");
        match head_end {
            Some(at) => break at + 4,
            None => more(&mut read)?,
        }
    };
    let head = String::from_utf8_lossy(&read[..body_at]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.map(|rest| rest.lines().next().unwrap().parse::<usize>().unwrap());
    let is_whole = |read: &[u8]| match length {
        Some(length) => read.len() >= body_at + length,
        None => read.ends_with(b"\r\n0\r\n\r\n"),
    };
    while !is_whole(&read) {
        more(&mut read)?;
    }
    Some(read)
}
