//! Tail rescue: one call in a hundred is twenty times slower, and the egress sends late calls a second time, or not.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use aios_e2e::testing::{Running, control_plane::free_port};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use super::{
    Built, cores,
    entrant::Start,
    load::Pace,
    metrics,
    ours::Which,
    rig,
    turn::{Quantiles, of},
};
use crate::report::{Bound, Target, aligned, number};

/// Calls a second.
const RATE: f64 = 50.0;
/// A usual call takes so long, and a slow one this much longer.
const USUAL_MS: u64 = 40;
const SLOW_MS: u64 = 760;
const ONE_IN: u64 = 100;
/// So many calls teach the egress how long they take.
const WARM: Duration = Duration::from_secs(2);

/// What became of the calls, in microseconds.
#[derive(Debug, Serialize)]
pub struct Rescue {
    pub part: &'static str,
    pub is_hedged: bool,
    pub calls: usize,
    pub times: Quantiles,
    /// Requests that the model got, a call.
    pub requests_per_call: f64,
    /// Millionths of the currency, a call.
    pub cost_per_call: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// Both ways, one after the other.
pub async fn rescue(built: Built<'_>, window: Duration) -> Result<[Rescue; 2]> {
    Ok([
        once(built, window, false).await?,
        once(built, window, true).await?,
    ])
}

async fn once(built: Built<'_>, window: Duration, is_hedged: bool) -> Result<Rescue> {
    let folder = tempfile::tempdir()?;
    let model = slow(built.simulator, folder.path()).await?;
    let start = Start {
        sidecar: built.sidecar,
        installed: &BTreeMap::new(),
        folder: folder.path(),
        model: model.listens(),
    };
    let gateway = start.egress(&Which::Rescue { is_hedged }).await?;
    let load = rig::ready(&gateway, rig::PROMPT, false).await?;
    let pace = |lasts| Pace { rate: RATE, lasts };
    load.run(pace(WARM)).await?;
    let seen = async || {
        let requests = received(model.listens()).await?;
        let text = metrics::read(&gateway.admin).await?;
        anyhow::Ok((requests, metrics::sum(&text, "aios_sidecar_cost_total")))
    };
    let before = seen().await?;
    let run = load.run(pace(window)).await?;
    let after = seen().await?;
    gateway.stop().await?;
    let calls = run.done.max(1) as f64;
    Ok(Rescue {
        part: "rescue",
        is_hedged,
        calls: run.done,
        times: of(&run),
        requests_per_call: (after.0 - before.0) / calls,
        cost_per_call: (after.1 - before.1) / calls,
        void: run.failure,
    })
}

async fn slow(simulator: &Path, folder: &Path) -> Result<Running> {
    let faults = folder.join("faults.json");
    let fault = json!([{"every": ONE_IN, "fault": {"kind": "Delay", "ms": SLOW_MS}}]);
    fs::write(&faults, fault.to_string())?;
    let port = free_port()?;
    let mut command = cores::pinned(cores::RIG, simulator);
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--token-ms", "0"]);
    command.args(["--first-token-ms", &USUAL_MS.to_string()]);
    command.args(["--jitter-percent", "20", "--keep-calls", "8"]);
    command.args(["--say", rig::said(rig::ANSWER).as_str()]);
    command.arg("--faults").arg(faults);
    Running::start(command, &folder.join("slow.log"), port).await
}

async fn received(model: u16) -> Result<f64> {
    let url = format!("http://127.0.0.1:{model}/simulator/calls?last=0");
    let log: serde_json::Value = reqwest::get(url).await?.json().await?;
    log["counts"]["received"]
        .as_f64()
        .context("the simulator does not say how many calls it got")
}

pub fn table(rescues: &[Rescue]) -> String {
    let head = [
        "one call in 100 is slower",
        "p50 µs",
        "p99",
        "p99.5",
        "requests a call",
        "cost a call, millionths",
        "void",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(rescues.iter().map(|rescue| {
        [
            (if rescue.is_hedged {
                "hedged"
            } else {
                "not hedged"
            })
            .to_owned(),
            number(rescue.times.p50),
            number(rescue.times.p99),
            number(rescue.times.p995),
            number(rescue.requests_per_call),
            number(rescue.cost_per_call),
            rescue.void.clone().unwrap_or_default(),
        ]
    }));
    aligned(&rows)
}

/// Hedged beside not hedged.
pub fn targets(rescues: &[Rescue]) -> Vec<Target> {
    let of = |is_hedged| {
        let mut counting = rescues.iter().filter(|rescue| rescue.void.is_none());
        counting.find(|rescue| rescue.is_hedged == is_hedged)
    };
    let (Some(hedged), Some(plain)) = (of(true), of(false)) else {
        return Vec::new();
    };
    let target = |what, measure: fn(&Rescue) -> f64| {
        let (ours, theirs) = (measure(hedged), measure(plain));
        Target::new(what, ours, "not hedged", theirs, Bound::Shown)
    };
    vec![
        target("p99 µs with slow calls, hedged", |of| of.times.p99),
        target("p99.5 µs with slow calls, hedged", |of| of.times.p995),
        target("cost a call with slow calls, hedged", |of| of.cost_per_call),
    ]
}
