//! Seeded trials through the sidecar and the gateways of others: the same callers, and the same model that fails by
//! the same scripts. What is counted is what no caller can mend: an answer that is broken, cut short and said to be
//! whole, told twice or to another, that never ends, and a call at the model that nobody waits for any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use aios_e2e::{files, progress::step};
use aios_simulator::trial::{Face, Heard, Model, Offence, Script, judge, play};
use anyhow::{Result, ensure};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::entrant::{Entrant, Gateway, Start};
use crate::report::{Bound, Machine, Results, Target, aligned, table};

/// Calls at once.
const AT_ONCE: usize = 16;
/// Who has no answer by then never gets one: longer than the sidecar's first-token timeout in the committed files.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a call at the model may outlive its caller.
const GRACE: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub struct Options {
    /// Scripts for each entrant
    #[arg(long, default_value_t = 100)]
    scripts: usize,
    /// Who takes part
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Entrant::ALL)]
    entrants: Vec<Entrant>,
    /// The sidecar's program
    #[arg(long, default_value = "target/release/inference-sidecar")]
    sidecar: PathBuf,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// What became of an entrant's trials.
#[derive(Debug, Default, Serialize)]
struct Tally {
    entrant: Option<Entrant>,
    whole: usize,
    /// Failures that the caller's SDK understands.
    failed: usize,
    left: usize,
    broken: usize,
    unfinished: usize,
    repeated: usize,
    leaked: usize,
    endless: usize,
    orphaned: usize,
    /// The first of each, by the number of its script.
    examples: BTreeMap<&'static str, u64>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// Runs them all, prints a table and writes the results file.
///
/// # Errors
/// When the rig itself fails.
pub async fn run(options: Options) -> Result<()> {
    let sidecar = files::repository().join(&options.sidecar);
    ensure!(
        sidecar.is_file(),
        "{} is missing: cargo build --release -p aios-inference-sidecar",
        sidecar.display()
    );
    // What others do not speak would say nothing about them.
    let scripts: Vec<_> = (0..)
        .map(Script::of)
        .filter(|script| script.face == Face::Chat)
        .take(options.scripts)
        .collect();
    let mut tallies = Vec::new();
    let mut versions = BTreeMap::new();
    for entrant in &options.entrants {
        let played = step(entrant.words(), async {
            let installed = entrant.install().await?;
            let installed = installed.map(|installed| (*entrant, installed));
            let installed: BTreeMap<_, _> = installed.into_iter().collect();
            versions.extend(
                installed
                    .values()
                    .map(|one| (entrant.words(), one.version.clone())),
            );
            trials(&scripts, *entrant, &sidecar, &installed).await
        });
        let tally = played.await.unwrap_or_else(|error| Tally {
            failure: Some(format!("{error:#}")),
            ..Tally::default()
        });
        tallies.push(Tally {
            entrant: Some(*entrant),
            ..tally
        });
    }
    println!("{}", Tally::rows(&tallies));
    let targets = targets(&tallies);
    println!("{}", table(&targets));
    let results = Results {
        benchmark: "trials",
        at: Timestamp::now().to_string(),
        machine: Machine::this(),
        versions: json!({"aios": env!("CARGO_PKG_VERSION"), "peers": versions}),
        settings: json!({"scripts": options.scripts, "atOnce": AT_ONCE,
            "patienceSeconds": PATIENCE.as_secs(), "graceSeconds": GRACE.as_secs()}),
        rounds: tallies,
        targets,
    };
    let path = results.write(&files::repository().join(&options.results))?;
    println!("Every trial's outcome: {}", path.display());
    Ok(())
}

async fn trials(
    scripts: &[Script],
    entrant: Entrant,
    sidecar: &std::path::Path,
    installed: &BTreeMap<Entrant, super::install::Installed>,
) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let model = Model::start(0).await?;
    let start = Start {
        sidecar,
        installed,
        folder: folder.path(),
        model: model.address.port(),
    };
    let gateway = start.start(entrant).await?;
    // Some look at their models before they take calls.
    sleep(GRACE).await;
    let asked = asked(&gateway);
    let played: Vec<_> = stream::iter(scripts)
        .map(|script| {
            let asked = &asked;
            async move { (script, timeout(PATIENCE, play(script, asked)).await) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut tally = Tally::default();
    for (script, heard) in played {
        match heard {
            Ok(Ok(Heard::Left)) => tally.left += 1,
            Ok(Ok(Heard::Answer(answer))) => match judge(script, &answer) {
                Ok(got) if got.is_whole => tally.whole += 1,
                Ok(_) => tally.failed += 1,
                Err(offence) => tally.add(script.seed, &offence),
            },
            Ok(Err(error)) => tally.add(script.seed, &Offence::Unclean(error.to_string())),
            Err(_) => {
                tally.endless += 1;
                tally.examples.entry("endless").or_insert(script.seed);
            }
        }
    }
    let ended = Instant::now();
    while model.under_way() > 0 && ended.elapsed() < GRACE {
        sleep(Duration::from_millis(20)).await;
    }
    tally.orphaned = model.under_way();
    let reached: BTreeSet<_> = model
        .attempts()
        .iter()
        .map(|attempt| attempt.seed)
        .collect();
    ensure!(!reached.is_empty(), "no call reached the model");
    gateway.stop().await?;
    Ok(tally)
}

fn asked(gateway: &Gateway) -> aios_simulator::trial::Gateway {
    aios_simulator::trial::Gateway {
        address: gateway.address,
        model: gateway.model.clone(),
        headers: gateway.headers.clone(),
    }
}

fn targets(tallies: &[Tally]) -> Vec<Target> {
    let ours =
        |tally: &&Tally| tally.entrant.is_some_and(Entrant::is_ours) && tally.failure.is_none();
    let target = |tally: &Tally| {
        let who = tally.entrant.map_or("", Entrant::words);
        let offences = tally.offences();
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let offences = offences as f64;
        Target::new(
            &format!("offences of {who}"),
            offences,
            "none",
            0.0,
            Bound::AtMost(0.0),
        )
    };
    tallies.iter().filter(ours).map(target).collect()
}

impl Tally {
    fn add(&mut self, seed: u64, offence: &Offence) {
        let (count, name) = match offence {
            Offence::Unclean(_) => (&mut self.broken, "broken"),
            Offence::Unfinished(_) => (&mut self.unfinished, "unfinished"),
            Offence::Repeated(_) => (&mut self.repeated, "repeated"),
            Offence::Leaked(_) => (&mut self.leaked, "leaked"),
        };
        *count += 1;
        self.examples.entry(name).or_insert(seed);
    }

    const fn offences(&self) -> usize {
        self.broken + self.unfinished + self.repeated + self.leaked + self.endless + self.orphaned
    }

    fn rows(tallies: &[Self]) -> String {
        let head = [
            "entrant",
            "whole",
            "failed cleanly",
            "caller left",
            "broken",
            "false success",
            "repeated",
            "leaked",
            "never ended",
            "orphaned",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(tallies.iter().map(|tally| {
            let who = tally.entrant.map_or("", Entrant::words);
            if let Some(why) = &tally.failure {
                let mut row = [const { String::new() }; 10];
                row[0] = format!("{who}: {why:.60}");
                return row;
            }
            let counts = [
                tally.whole,
                tally.failed,
                tally.left,
                tally.broken,
                tally.unfinished,
                tally.repeated,
                tally.leaked,
                tally.endless,
                tally.orphaned,
            ];
            let mut row = [const { String::new() }; 10];
            who.clone_into(&mut row[0]);
            for (cell, count) in row.iter_mut().skip(1).zip(counts) {
                *cell = count.to_string();
            }
            row
        }));
        aligned(&rows)
    }
}
