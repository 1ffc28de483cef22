//! From the death of an engine to the next served token, on the local cluster with a real model: with
//! a loaded standby, the operator there and away, beside the same model that has none.

mod asking;
mod stage;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use aios_e2e::{Cluster, eventually, files, progress::step};
use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::{
    asking::Asking,
    stage::{MODEL, Stage},
};
use crate::{
    measure::{Percentiles, milliseconds},
    report::{self, Bound, Machine, Results, Target},
};

const DEADLINE: Duration = Duration::from_mins(2);
/// Asked for by the promise that a loaded standby makes.
const P95_MS: f64 = 1000.0;

#[derive(clap::Args)]
pub struct Options {
    /// Engines that are killed of each contender
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Takes no other sizes: there is one
    #[arg(long, hide = true)]
    full: bool,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Contender {
    Standby,
    StandbyWithoutOperator,
    /// Groups of two pods, one with a part of the model: that one dies.
    Shard,
    /// The same engine, started again by the kubelet.
    Cold,
}

impl Contender {
    const fn words(self) -> &'static str {
        match self {
            Self::Standby => "a loaded standby",
            Self::StandbyWithoutOperator => "a loaded standby, operator away",
            Self::Shard => "a loaded standby, a shard dies",
            Self::Cold => "the same model without a standby",
        }
    }
}

/// One engine's death.
#[derive(Debug, Serialize)]
struct Round {
    contender: Contender,
    kill: usize,
    /// From the signal to the next token of an answer that had none yet.
    next_token_ms: f64,
    /// Requests that the egress sent to models for that answer.
    attempts: u32,
    /// Calls that failed before their first token.
    failed: usize,
}

pub async fn run(options: Options) -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut rounds = Vec::new();
    let stage = step("a model with a standby", Stage::set(&cluster, 1, 1)).await?;
    let turn = kills(&stage, Contender::Standby, options.kills);
    rounds.extend(step(Contender::Standby.words(), turn).await?);
    stage.operators(0).await?;
    let away = Contender::StandbyWithoutOperator;
    let turn = step(away.words(), kills(&stage, away, options.kills)).await;
    stage.operators(1).await?;
    rounds.extend(turn?);
    drop(stage);
    let stage = step("a model of two shards", Stage::set(&cluster, 2, 1)).await?;
    let turn = kills(&stage, Contender::Shard, options.kills);
    rounds.extend(step(Contender::Shard.words(), turn).await?);
    drop(stage);
    let stage = step("the model without a standby", Stage::set(&cluster, 1, 0)).await?;
    let turn = kills(&stage, Contender::Cold, options.kills);
    rounds.extend(step(Contender::Cold.words(), turn).await?);

    let results = Results {
        benchmark: "failover",
        at: Timestamp::now().to_string(),
        machine: Machine::this(),
        versions: json!({"aios": env!("CARGO_PKG_VERSION"), "model": "SmolLM2-135M-Instruct Q4_1"}),
        settings: json!({"kills": options.kills}),
        targets: targets(&rounds),
        rounds,
    };
    println!("{}", report::table(&results.targets));
    let path = results.write(&files::repository().join(&options.results))?;
    println!("Every round: {}", path.display());
    Ok(())
}

async fn kills(stage: &Stage, contender: Contender, count: usize) -> Result<Vec<Round>> {
    let egress = stage.egress().await?;
    let asking = Asking::start(&format!("http://{}", egress.address()), MODEL);
    let mut rounds = Vec::new();
    for kill in 1..=count {
        if contender == Contender::StandbyWithoutOperator {
            stage.is_whole().await?;
        } else {
            stage.is_as_specified().await?;
        }
        let pod = stage.active().await?;
        stage.answers(&pod).await?;
        let victim = stage.victim(&pod).await?;
        stage.namespace.kill_container(&victim, "engine").await?;
        let died = Instant::now();
        let served = eventually("the next token", DEADLINE, async || {
            Ok(asking.served_after(died))
        });
        let (served, attempts) = served.await?;
        let round = Round {
            contender,
            kill,
            next_token_ms: milliseconds(served.saturating_duration_since(died)),
            attempts,
            failed: asking.failed_since(died),
        };
        eprintln!("    {round:?}");
        rounds.push(round);
        stage.replace(&victim).await?;
    }
    Ok(rounds)
}

fn targets(rounds: &[Round]) -> Vec<Target> {
    let of = |contender| {
        rounds
            .iter()
            .filter(move |round| round.contender == contender)
    };
    let times = |contender| {
        let of = of(contender).map(|round| Duration::from_secs_f64(round.next_token_ms / 1000.0));
        Percentiles::of(of.collect())
    };
    let failed = |contender| of(contender).map(|round| round.failed).sum::<usize>() as f64;
    let cold = Contender::Cold;
    let mut targets = Vec::new();
    for contender in [
        Contender::Standby,
        Contender::StandbyWithoutOperator,
        Contender::Shard,
    ] {
        let (ours, peer) = (times(contender), times(cold));
        let words = contender.words();
        let mut add = |measure: &str, ours, theirs, bound| {
            let measure = format!("{measure}: {words}");
            targets.push(Target::new(&measure, ours, cold.words(), theirs, bound));
        };
        add(
            "next token after a death, ms p50",
            ours.p50,
            peer.p50,
            Bound::Shown,
        );
        add(
            "next token after a death, ms p95",
            ours.p95,
            peer.p95,
            Bound::AtMost(P95_MS),
        );
        add(
            "next token after a death, ms max",
            ours.max,
            peer.max,
            Bound::Shown,
        );
        add(
            "calls that failed before their first token",
            failed(contender),
            failed(cold),
            Bound::AtMost(0.0),
        );
    }
    targets
}
