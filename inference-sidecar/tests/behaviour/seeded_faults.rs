//! Many calls in every dialect before two simulators that fail by seeded scripts. Whatever happens: an answer
//! is whole or says that it is not, no text comes twice, what was counted is counted once, and no call is left
//! behind at a model.

use aios_inference_sidecar::sse::Splitter;
use aios_simulator::{
    Listen, Served,
    model::{Settings, router},
    start,
};
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::{World, model, with};

const SEEDS: u64 = 300;
const AT_ONCE: usize = 24;
/// Twelve of the simulator's tokens.
const TEXT: &str = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11";
const TOKENS: u64 = 12;

#[derive(Clone, Copy, Debug)]
enum Face {
    Chat,
    Messages,
    Responses,
}

/// What one seed asks, and what befalls it at each model.
#[derive(Debug)]
struct Script {
    seed: u64,
    face: Face,
    stream: bool,
    faults: [Option<Value>; 2],
}

/// What the caller got.
#[derive(Debug, Default)]
struct Got {
    text: String,
    whole: bool,
    failed: bool,
}

impl Script {
    fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let face = [Face::Chat, Face::Messages, Face::Responses][rng.random_range(0..3)];
        let stream = rng.random_bool(0.7);
        let faults = [0.9, 0.4].map(|often| rng.random_bool(often).then(|| fault(&mut rng)));
        Self {
            seed,
            face,
            stream,
            faults,
        }
    }

    /// Occurs in the prompt of this seed alone.
    fn mark(&self) -> String {
        format!("<{}>", self.seed)
    }

    fn request(&self) -> (&'static str, Value) {
        let said = json!([{"role": "user", "content": self.mark()}]);
        let (path, mut body) = match self.face {
            Face::Chat => ("chat/completions", json!({ "messages": said })),
            Face::Messages => ("messages", json!({"messages": said, "max_tokens": 50})),
            Face::Responses => ("responses", json!({ "input": said })),
        };
        body["model"] = json!("auto");
        body["stream"] = json!(self.stream);
        (path, body)
    }

    async fn run(&self, world: &World) -> Got {
        let (path, body) = self.request();
        let request = world.http.post(format!("{}/v1/{path}", world.base));
        let request = request
            .header("aios-pipeline", "p")
            .header("anthropic-version", "2023-06-01")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let ok = response.status() == 200;
        let body = response.bytes().await.unwrap();
        if !ok {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert!(body["error"]["code"].is_string(), "{self:?}: {body}");
            return Got {
                failed: true,
                ..Got::default()
            };
        }
        if self.stream {
            self.streamed(&body)
        } else {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let text = match self.face {
                Face::Chat => &body["choices"][0]["message"]["content"],
                Face::Messages => &body["content"][0]["text"],
                Face::Responses => &body["output"][0]["content"][0]["text"],
            };
            Got {
                text: text.as_str().unwrap().to_owned(),
                whole: true,
                failed: false,
            }
        }
    }

    fn streamed(&self, body: &[u8]) -> Got {
        let mut got = Got::default();
        for event in Splitter::default().push(body).unwrap() {
            let data = event.data.unwrap_or_default();
            assert!(!got.whole && !got.failed, "{self:?}: {data} after the end");
            if data == "[DONE]" {
                got.whole = true;
                continue;
            }
            let data: Value = serde_json::from_str(&data).unwrap();
            let text = match data["type"].as_str() {
                Some("content_block_delta") => &data["delta"]["text"],
                Some("response.output_text.delta") => &data["delta"],
                _ => &data["choices"][0]["delta"]["content"],
            };
            got.text.push_str(text.as_str().unwrap_or_default());
            got.whole |= data["type"] == "message_stop" || data["type"] == "response.completed";
            got.failed |= data["type"] == "response.failed" || data["error"].is_object();
        }
        got
    }
}

fn fault(rng: &mut StdRng) -> Value {
    let after = rng.random_range(0..=TOKENS);
    match rng.random_range(0..6) {
        0 => json!({"kind": "RateLimit", "retryAfterSeconds": 0}),
        1 => json!({"kind": "ServerError"}),
        2 => json!({"kind": "Overloaded"}),
        3 => json!({"kind": "Stall", "afterTokens": after}),
        4 => json!({"kind": "Cut", "afterTokens": after}),
        _ => json!({"kind": "Delay", "ms": 20}),
    }
}

async fn simulator(faults: Vec<Value>) -> Served {
    let settings = Settings {
        say: Some(TEXT.to_owned()),
        ..Settings::default()
    };
    let app = router(settings).unwrap();
    let served = start(app, &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap();
    let url = format!("{}/simulator/faults", served.url());
    let set = reqwest::Client::new().post(url).json(&faults).send().await;
    assert!(set.unwrap().status().is_success());
    served
}

async fn counts(simulator: &Served) -> Value {
    let url = format!("{}/simulator/calls?last=0", simulator.url());
    let log: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    log["counts"].clone()
}

/// Tokens that models said they wrote, by the metric.
fn exact_output(world: &World) -> u64 {
    let metrics = world.metrics();
    let sums = metrics.lines().filter(|line| {
        line.starts_with("gen_ai_client_token_usage_sum")
            && line.contains("\"output\"")
            && line.contains("\"exact\"")
    });
    let whole = |line: &str| {
        line.rsplit(' ')
            .next()?
            .split('.')
            .next()?
            .parse::<u64>()
            .ok()
    };
    sums.map(|line| whole(line).unwrap()).sum()
}

#[tokio::test]
async fn seeded_faults_repeat_no_text_and_leave_nothing_behind() {
    crate::world::init();
    let scripts: Vec<_> = (0..SEEDS).map(Script::of).collect();
    let rules = |which: usize| -> Vec<Value> {
        let faulty = scripts.iter().filter_map(|script| {
            let fault = script.faults[which].as_ref()?;
            let times = (script.seed % 3 == 0).then_some(1);
            Some(json!({"match": script.mark(), "times": times, "fault": fault}))
        });
        faulty.collect()
    };
    let simulators = [simulator(rules(0)).await, simulator(rules(1)).await];
    let models = ["a", "b"].into_iter().zip(&simulators);
    let models = models.map(|(name, simulator)| {
        let body = model(name, &simulator.url());
        let body = with(
            body,
            "resilience",
            json!({"timeout": "20s", "firstTokenTimeout": "500ms",
            "tokenGapTimeout": "500ms", "retries": 1}),
        );
        // One of the two speaks the other dialect.
        let dialect = if name == "b" { "Anthropic" } else { "OpenAI" };
        with(body, "upstream.dialect", json!(dialect))
    });
    let world = World::start(models.collect(), json!([{"model": "a"}, {"model": "b"}])).await;

    let world = &world;
    let got: Vec<_> = stream::iter(&scripts)
        .map(|script| async move { (script, script.run(world).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;

    for (script, got) in &got {
        assert!(got.whole != got.failed, "{script:?} {got:?}");
        assert!(TEXT.starts_with(&got.text), "{script:?} {got:?}");
        assert!(!got.whole || got.text == TEXT, "{script:?} {got:?}");
    }
    let whole = got.iter().filter(|(_, got)| got.whole).count() as u64;
    assert!(whole > 0 && whole < SEEDS, "{whole} of {SEEDS} came whole");
    assert_eq!(exact_output(world), whole * TOKENS);
    for simulator in &simulators {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while counts(simulator).await["active"] != 0 {
            assert!(
                std::time::Instant::now() < deadline,
                "a call was left behind"
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
