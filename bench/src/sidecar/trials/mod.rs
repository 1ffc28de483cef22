//! Seeded trials through the sidecar and the gateways of others: the same callers, and models that fail by the same
//! scripts. What is counted is what no caller can mend: an answer that is broken, cut short and said to be whole, told
//! twice or to another, that never ends, and a call at the model that nobody waits for any more; of the sidecar also
//! what went past its policy, and what its budgets were charged.

mod stage;
mod tally;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aios_e2e::{files, progress::step};
use aios_simulator::trial::{
    Attempt, Face, Gateway, Heard, Model, Script, charged, misspent, play, tenant,
};
use anyhow::{Result, ensure};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{sleep, timeout};

use self::{
    stage::Stage,
    tally::{Money, Tally},
};
use super::{
    entrant::{Entrant, Start},
    install::Installed,
    metrics,
};
use crate::report::{Machine, Results, table};

/// Calls at once.
const AT_ONCE: usize = 16;
/// Entrants at once.
const SIDE_BY_SIDE: usize = 3;
/// Who has no answer by then never gets one: longer than every timeout that a script runs into.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a call at the model may outlive its caller.
const GRACE: Duration = Duration::from_secs(3);
/// `off` has no budget, no policy and no second model to be tried.
const ENTRANTS: [Entrant; 9] = {
    let [_, rest @ ..] = Entrant::ALL;
    rest
};

#[derive(clap::Args)]
pub struct Options {
    /// Ten times the scripts
    #[arg(long)]
    full: bool,
    /// Scripts for ours
    #[arg(long, default_value_t = 1000)]
    scripts: usize,
    /// Scripts for each other
    #[arg(long, default_value_t = 100)]
    peer_scripts: usize,
    /// Who takes part
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = ENTRANTS)]
    entrants: Vec<Entrant>,
    /// The sidecar's program
    #[arg(long, default_value = "target/release/inference-sidecar")]
    sidecar: PathBuf,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Runs them all, prints a table and writes the results file.
///
/// # Errors
/// When the rig itself fails.
pub async fn run(mut options: Options) -> Result<()> {
    if options.full {
        options.scripts *= 10;
        options.peer_scripts *= 10;
    }
    let sidecar = files::repository().join(&options.sidecar);
    ensure!(
        sidecar.is_file(),
        "{} is missing: cargo build --release -p aios-inference-sidecar",
        sidecar.display()
    );
    let mut tallies = Vec::new();
    let mut versions = BTreeMap::new();
    // Most of it is waiting for what never comes.
    let mut playing = stream::iter(options.entrants.clone())
        .map(|entrant| {
            let tally = tally_of(&options, &sidecar, entrant);
            async move { step(entrant.words(), tally).await }
        })
        .buffered(SIDE_BY_SIDE);
    while let Some(tally) = playing.next().await.transpose()? {
        versions.extend(tally.entrant.map(Entrant::words).zip(tally.version.clone()));
        tallies.push(tally);
    }
    drop(playing);
    println!("{}", tally::rows(&tallies));
    let targets = tally::targets(&tallies);
    println!("{}", table(&targets));
    let results = Results {
        benchmark: "trials",
        at: Timestamp::now().to_string(),
        machine: Machine::this(),
        versions: json!({"aios": env!("CARGO_PKG_VERSION"), "peers": versions}),
        settings: json!({"scripts": options.scripts, "peerScripts": options.peer_scripts,
            "atOnce": AT_ONCE, "patienceSeconds": PATIENCE.as_secs(), "graceSeconds": GRACE.as_secs()}),
        rounds: tallies,
        targets,
    };
    let path = results.write(&files::repository().join(&options.results))?;
    println!("Every trial's outcome: {}", path.display());
    Ok(())
}

/// What became of an entrant's trials, or why there are none.
async fn tally_of(options: &Options, sidecar: &Path, entrant: Entrant) -> Result<Tally> {
    let mut version = None;
    let played = async {
        let installed = entrant.install().await?;
        version = installed.as_ref().map(|one| one.version.clone());
        let installed = installed.map(|installed| (entrant, installed));
        played(options, sidecar, entrant, installed.into_iter().collect()).await
    };
    let mut tally = played.await.unwrap_or_else(|error| Tally::none(&error));
    tally.entrant = Some(entrant);
    tally.version = version;
    Ok(tally)
}

async fn played(
    options: &Options,
    sidecar: &Path,
    entrant: Entrant,
    installed: BTreeMap<Entrant, Installed>,
) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let start = Start {
        sidecar,
        installed: &installed,
        folder: folder.path(),
        model: 0,
    };
    let all = (0..).map(Script::of);
    let hops = match entrant {
        Entrant::AiosOn => Some(1),
        Entrant::AiosOnTwoHops => Some(2),
        _ => None,
    };
    if let Some(hops) = hops {
        let scripts: Vec<_> = all.take(options.scripts).collect();
        let stage = Stage::of_sidecar(start, &scripts, hops).await?;
        return trials(stage, &scripts).await;
    }
    // What others do not speak, or have no rule against, would say nothing about them.
    let scripts = all.filter(|script| script.face == Face::Chat && script.slips.is_none());
    let scripts: Vec<_> = scripts.take(options.peer_scripts).collect();
    let stage = Stage::of_peer(start, entrant).await?;
    // Some look at their models before they take calls.
    sleep(GRACE).await;
    trials(stage, &scripts).await
}

async fn trials(stage: Stage, scripts: &[Script]) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut playing = stream::iter(scripts)
        .map(|script| {
            let asked = stage.asked(script);
            let models = &stage.models;
            async move {
                let heard = heard(script, &asked).await;
                let outlived = match heard {
                    Some(Ok(Heard::Left)) => outlived(script, models).await,
                    _ => Duration::ZERO,
                };
                (script, heard, outlived)
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((script, heard, outlived)) = playing.next().await {
        tally.note(script, heard);
        tally.outlived(outlived);
    }
    drop(playing);
    tally.orphaned = orphaned(&stage.models).await;
    let attempts = attempts(&stage.models);
    ensure!(!attempts.is_empty(), "no call reached the model");
    if stage.has_budgets {
        tally.money = Some(money(&stage, scripts, &attempts).await?);
    }
    stage.gateway.stop().await?;
    Ok(tally)
}

/// None where nothing ends.
async fn heard(script: &Script, asked: &Gateway) -> Option<std::io::Result<Heard>> {
    timeout(PATIENCE, play(script, asked)).await.ok()
}

/// How long models went on for a caller who has just left.
async fn outlived(script: &Script, models: &[Model]) -> Duration {
    let left = Instant::now();
    while models.iter().any(|model| model.answers(script.seed)) && left.elapsed() < GRACE {
        sleep(Duration::from_millis(1)).await;
    }
    left.elapsed()
}

/// Calls that are still answered, though nobody waits.
async fn orphaned(models: &[Model]) -> usize {
    let under_way = || models.iter().map(Model::under_way).sum::<usize>();
    let ended = Instant::now();
    while under_way() > 0 && ended.elapsed() < GRACE {
        sleep(Duration::from_millis(20)).await;
    }
    under_way()
}

/// Requests that reached models, by trial.
fn attempts(models: &[Model]) -> BTreeMap<u64, Vec<Attempt>> {
    let mut by_trial = BTreeMap::<_, Vec<_>>::new();
    for attempt in models.iter().flat_map(Model::attempts) {
        by_trial.entry(attempt.seed).or_default().push(attempt);
    }
    by_trial
}

/// What is wrong with what each trial was charged.
async fn money(
    stage: &Stage,
    scripts: &[Script],
    attempts: &BTreeMap<u64, Vec<Attempt>>,
) -> Result<Money> {
    let spent = charged(&metrics::read(&stage.gateway.admin).await?);
    let mut money = Money::default();
    let mut certain = BTreeSet::new();
    for script in scripts {
        let came = attempts.get(&script.seed).map_or(&[][..], Vec::as_slice);
        let charged = spent.get(&tenant(script)).copied().unwrap_or_default();
        if script.is_certain() {
            certain.insert(script.seed);
        }
        if let Some(wrong) = misspent(script, came, charged) {
            money.note(script, &wrong);
        }
    }
    money.certain = certain.len();
    Ok(money)
}
