//! The simulators, and what is asked of an entrant in a round.

use std::{path::Path, time::Duration};

use aios_e2e::testing::{Running, control_plane::free_port};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::{
    RATES, Round, STREAMS, cores,
    entrant::{CHAT, Entrant, Gateway, Start, loopback},
    features::{Cost, PLAIN, STREAMED, WHOLE_TEXT},
    growth::Growth,
    load::{Load, Pace},
    ours::Which,
    turn::{Watched, alone, of, turn},
    wire::{NUMBER, Request},
};
use crate::measure::Process;

/// About 1.1 kB of a request, and 0.5 kB of its answer.
pub const PROMPT: usize = 900;
pub const ANSWER: usize = 40;
/// Tokens of a stream, and milliseconds between them.
const STREAM: usize = 128;
const GAP_MS: &str = "2";
const LARGE: usize = 120_000;
/// Names that entrants ask the model by.
const MODELS: [&str; 3] = ["writer", "writer-v1", "translator"];
/// A gateway that settles: threads, pools, first health checks.
const REST: Duration = Duration::from_secs(1);
const P99_US: f64 = 10_000.0;
/// Where the search for the highest rate begins.
const LOWEST: f64 = 100.0;
/// Halvings between the highest rate that held and the lowest that did not.
const HALVINGS: usize = 3;
const SEARCH: Duration = Duration::from_secs(2);

/// Everything but the gateway.
pub struct Rig {
    /// Answers at once, in one piece.
    plain: Running,
    /// Streams at the pace of a fast model.
    streaming: Running,
    _folder: TempDir,
}

impl Rig {
    pub async fn start(simulator: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let start = async |name: &str, tokens: usize, gap: &str| {
            let port = free_port()?;
            let mut command = cores::pinned(cores::RIG, simulator);
            command.args(["--listen", &format!("127.0.0.1:{port}")]);
            command.args(["--first-token-ms", gap, "--token-ms", gap]);
            command.args(["--keep-calls", "8", "--context-tokens", "1000000"]);
            // Some entrants ask which models there are, and serve no other.
            for model in MODELS {
                command.args(["--model", model]);
            }
            command.args(["--say", &said(tokens)]);
            Running::start(command, &folder.path().join(name), port).await
        };
        Ok(Self {
            plain: start("plain.log", ANSWER, "0").await?,
            streaming: start("streaming.log", STREAM, GAP_MS).await?,
            _folder: folder,
        })
    }

    pub fn plain_port(&self) -> u16 {
        self.plain.listens()
    }

    pub fn streaming_port(&self) -> u16 {
        self.streaming.listens()
    }

    /// Whole answers at every rate, and memory around them.
    pub async fn plain(
        &self,
        start: &Start<'_>,
        entrant: Entrant,
        window: Duration,
        round: &mut Round,
    ) -> Result<()> {
        let gateway = start.start(entrant).await?;
        let through = ready(&gateway, PROMPT, false).await?;
        let direct = load(&Direct(self.plain_port()), PROMPT, false);
        tokio::time::sleep(REST).await;
        round.idle_kb = pss(&gateway)?;
        let watched = self.watched(&gateway)?;
        through.run(pace(100.0, REST)).await?;
        for rate in RATES {
            let turn = turn(&direct, &through, pace(rate, window), &watched).await?;
            let is_saturated = turn.is_saturated;
            round.plain.push(turn);
            if is_saturated {
                break;
            }
        }
        round.loaded_kb = pss(&gateway)?;
        let large = load(&Through(&gateway), LARGE, false);
        large.run(pace(20.0, Duration::from_secs(2))).await?;
        round.large_kb = pss(&gateway)?;
        gateway.stop().await
    }

    /// Streams, at the highest rate that it holds.
    pub async fn streaming(
        &self,
        start: &Start<'_>,
        entrant: Entrant,
        window: Duration,
        round: &mut Round,
    ) -> Result<()> {
        let gateway = start.start(entrant).await?;
        let through = ready(&gateway, PROMPT, true).await?;
        let direct = load(&Direct(self.streaming_port()), PROMPT, true);
        tokio::time::sleep(REST).await;
        let watched = self.watched(&gateway)?;
        for rate in STREAMS {
            let turn = turn(&direct, &through, pace(rate, window), &watched).await?;
            let turn = turn.of_streams(STREAM);
            let is_held = turn.void.is_none();
            round.streams.push(turn);
            if is_held {
                break;
            }
        }
        gateway.stop().await
    }

    /// Each feature alone at the highest of the rates, and first tokens under policy.
    pub async fn features<'a>(
        &self,
        start: impl Fn(u16) -> Start<'a>,
        window: Duration,
        round: usize,
    ) -> Result<Vec<Cost>> {
        let cost = |case, turn| Cost {
            part: "features",
            round,
            case,
            turn,
        };
        let rate = RATES.last().copied().unwrap_or_default();
        let mut costs = Vec::new();
        for case in PLAIN {
            let which = Which::Only(case.features);
            let gateway = start(self.plain_port()).egress(&which).await?;
            let through = ready(&gateway, PROMPT, false).await?;
            let watched = self.watched(&gateway)?;
            through.run(pace(rate, REST)).await?;
            let turn = alone(&through, pace(rate, window), &watched).await?;
            costs.push(cost(case.name, turn));
            gateway.stop().await?;
        }
        let [_, windowed] = STREAMED;
        let streamed = STREAMED.map(|case| (case.name, Which::Only(case.features)));
        let whole = (WHOLE_TEXT, Which::WholeText(windowed.features));
        for (name, which) in streamed.into_iter().chain([whole]) {
            let gateway = start(self.streaming_port()).egress(&which).await?;
            let through = ready(&gateway, PROMPT, true).await?;
            let direct = load(&Direct(self.streaming_port()), PROMPT, true);
            let watched = self.watched(&gateway)?;
            let rate = STREAMS.first().copied().unwrap_or_default();
            let turn = turn(&direct, &through, pace(rate, window), &watched).await?;
            costs.push(cost(name, turn.of_streams(STREAM)));
            gateway.stop().await?;
        }
        Ok(costs)
    }

    /// Memory while calls go on and on, once it settled.
    pub async fn growth(
        &self,
        start: &Start<'_>,
        entrant: Entrant,
        lasts: Duration,
    ) -> Result<Growth> {
        let gateway = start.start(entrant).await?;
        let through = ready(&gateway, PROMPT, false).await?;
        through.run(pace(Growth::RATE, Growth::SETTLES)).await?;
        let mut growth = Growth::new(entrant, lasts);
        growth.kb.push(pss(&gateway)?);
        for _ in 0..Growth::LOOKS {
            let slice = lasts / Growth::LOOKS;
            let window = through.run(pace(Growth::RATE, slice)).await?;
            growth.void = growth.void.or(window.failure);
            growth.kb.push(pss(&gateway)?);
        }
        gateway.stop().await?;
        Ok(growth)
    }

    /// The highest rate of an entrant.
    pub async fn highest(&self, start: &Start<'_>, entrant: Entrant) -> Result<f64> {
        let gateway = start.start(entrant).await?;
        let through = ready(&gateway, PROMPT, false).await?;
        through.run(pace(100.0, REST)).await?;
        let highest = search(&through).await?;
        gateway.stop().await?;
        Ok(highest)
    }

    /// The highest rate of the rig itself.
    pub async fn ceiling(&self) -> Result<f64> {
        search(&load(&Direct(self.plain_port()), PROMPT, false)).await
    }

    fn watched(&self, gateway: &Gateway) -> Result<Watched> {
        let me = std::process::id();
        Ok(Watched {
            gateway: gateway.ids()?,
            rig: vec![self.plain.id()?, self.streaming.id()?, me],
            admin: gateway.admin.clone(),
        })
    }
}

/// Doubles until a rate is not held twice, then halves the step between.
async fn search(load: &Load) -> Result<f64> {
    let holds = async |rate| {
        for _ in 0..2 {
            let window = load.run(pace(rate, SEARCH)).await?;
            if window.failure.is_none() && of(&window).p99 < P99_US {
                return anyhow::Ok(true);
            }
        }
        Ok(false)
    };
    let (mut held, mut missed) = (0.0, LOWEST);
    while holds(missed).await? {
        (held, missed) = (missed, missed * 2.0);
    }
    for _ in 0..HALVINGS {
        let rate = f64::midpoint(held, missed);
        if holds(rate).await? {
            held = rate;
        } else {
            missed = rate;
        }
    }
    Ok(held)
}

/// A load on a gateway that has answered.
pub async fn ready(gateway: &Gateway, prompt: usize, stream: bool) -> Result<Load> {
    const TRIES: usize = 80;
    let load = load(&Through(gateway), prompt, stream);
    let mut last = None;
    for _ in 0..TRIES {
        let window = load.run(pace(2.0, Duration::from_millis(500))).await?;
        if window.failure.is_none() {
            return Ok(load);
        }
        last = window.failure;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    ensure!(
        last.is_none(),
        "it never answers: {}",
        last.unwrap_or_default()
    );
    Ok(load)
}

/// An answer of so many words.
pub fn said(words: usize) -> String {
    "word ".repeat(words).trim_end().to_owned()
}

fn pace(rate: f64, lasts: Duration) -> Pace {
    Pace { rate, lasts }
}

/// Who is asked.
enum Asked<'a> {
    Gateway(&'a Gateway),
    Model(u16),
}

use Asked::{Gateway as Through, Model as Direct};

fn load(asked: &Asked<'_>, prompt: usize, stream: bool) -> Load {
    let nothing = Vec::new();
    let (at, headers, model) = match asked {
        Asked::Gateway(gateway) => {
            let at = (gateway.address, gateway.path);
            (at, &gateway.headers, gateway.model.as_str())
        }
        Asked::Model(port) => ((loopback(*port), CHAT), &nothing, "writer"),
    };
    let text = "Write a letter about saving. ";
    let prompt: String = text.chars().cycle().take(prompt).collect();
    let mut body = json!({
        "model": model, "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "You write short, friendly letters."},
            {"role": "user", "content": format!("{NUMBER} {prompt}")},
        ],
    });
    if stream {
        body["stream"] = json!(true);
    }
    Load::new(Request::chat(at, headers, &body.to_string()))
}

fn pss(gateway: &Gateway) -> Result<u64> {
    let ids = gateway.ids()?;
    let ids = ids.into_iter().flat_map(cores::descent);
    let memory: Result<u64> = ids.map(|id| Ok(Process(id).memory()?.pss_kb)).sum();
    memory.context("the gateway ended")
}
