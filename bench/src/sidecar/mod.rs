//! The sidecar beside a bare proxy and the gateways of others, on two cores: the gateway has one to itself, the
//! simulator and an open-loop load have the other, all on loopback.
//!
//! Each round gives each entrant a fresh process. At each rate the load goes to the model itself, through the
//! gateway, and to the model again; a turn with a failed request does not count. Then the sidecar alone: what each of
//! its features costs, whether its memory grows, and what sending late calls twice is worth.

mod cores;
mod entrant;
mod features;
mod growth;
mod install;
mod load;
mod metrics;
mod namespace;
mod ours;
mod records;
mod rescue;
mod results;
mod rig;
pub mod trials;
mod turn;
mod wire;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aios_e2e::{
    files,
    progress::{seconds, step},
};
use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use self::{
    entrant::{Entrant, Start},
    features::Cost,
    growth::Growth,
    install::Installed,
    rescue::Rescue,
    rig::Rig,
    turn::Turn,
};
use crate::report::{Machine, Results, Target};

/// Requests a second of whole answers.
const RATES: [f64; 3] = [50.0, 200.0, 1000.0];
/// Streams a second: what is not held is tried at the next.
const STREAMS: [f64; 3] = [40.0, 10.0, 2.0];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Every entrant, in rounds
    Entrants,
    /// What each feature of the sidecar costs, in as many rounds
    Features,
    /// Whether its memory grows
    Growth,
    /// Late calls, sent twice or not
    Rescue,
}

#[derive(clap::Args)]
pub struct Options {
    /// Nine rounds with windows of ten seconds, the highest rate in each, ten minutes of memory: about three hours and a half
    #[arg(long)]
    full: bool,
    /// What is measured
    #[arg(long, value_enum, value_delimiter = ',',
        default_values_t = [Part::Entrants, Part::Features, Part::Growth, Part::Rescue])]
    parts: Vec<Part>,
    /// Rounds
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of a window
    #[arg(long)]
    seconds: Option<f64>,
    /// Who takes part
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Entrant::ALL)]
    entrants: Vec<Entrant>,
    /// Leave the highest rate out
    #[arg(long)]
    without_highest: bool,
    /// The sidecar's program
    #[arg(long, default_value = "target/release/inference-sidecar")]
    sidecar: PathBuf,
    /// Stay in this network namespace
    #[arg(long)]
    same_network: bool,
    /// The simulator's program
    #[arg(long, default_value = "target/release/model-simulator")]
    simulator: PathBuf,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// One entrant's turns in one round. Memory is in kB, as PSS.
#[derive(Debug, Default, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are those of the results file"
)]
pub struct Round {
    pub round: usize,
    pub entrant: Option<Entrant>,
    pub idle_kb: u64,
    /// After the last rate.
    pub loaded_kb: u64,
    /// After bodies of 120 kB.
    pub large_kb: u64,
    pub plain: Vec<Turn>,
    pub streams: Vec<Turn>,
    /// The highest rate, a second, whose p99 stays under 10 ms.
    pub highest: Option<f64>,
    /// Why the rest was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The whole benchmark under way.
struct Bench {
    options: Options,
    machine: Machine,
    installed: BTreeMap<Entrant, Installed>,
    /// Entrants that cannot be had here, and why.
    missing: BTreeMap<Entrant, String>,
    /// The highest rate of the rig itself.
    ceiling: Option<f64>,
    rounds: Vec<Round>,
    features: Vec<Cost>,
    growth: Option<Growth>,
    rescues: Vec<Rescue>,
}

/// The programs that are built here.
#[derive(Clone, Copy)]
struct Built<'a> {
    sidecar: &'a Path,
    simulator: &'a Path,
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.full { 9 } else { 3 })
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// How long memory is watched.
    fn growth(&self) -> Duration {
        Duration::from_secs(if self.full { 600 } else { 30 })
    }

    /// How long calls are sent of which some are slow.
    fn rescue(&self) -> Duration {
        Duration::from_secs(if self.full { 120 } else { 20 })
    }

    fn window(&self) -> Duration {
        let seconds = if self.full { 10.0 } else { 2.0 };
        Duration::from_secs_f64(self.seconds.unwrap_or(seconds))
    }
}

pub async fn run(options: Options) -> Result<()> {
    let begun = Instant::now();
    let program = |path: &PathBuf| files::repository().join(path);
    let (sidecar, simulator) = (program(&options.sidecar), program(&options.simulator));
    for program in [&sidecar, &simulator] {
        ensure!(
            program.is_file(),
            "{} is missing: cargo build --release -p aios-inference-sidecar -p aios-simulator",
            program.display()
        );
    }
    let mut bench = Bench {
        options,
        machine: Machine::this(),
        installed: BTreeMap::new(),
        missing: BTreeMap::new(),
        ceiling: None,
        rounds: Vec::new(),
        features: Vec::new(),
        growth: None,
        rescues: Vec::new(),
    };
    if bench.options.has(Part::Entrants) {
        bench.install().await;
    }
    if !bench.options.same_network {
        if let Some(alone) = namespace::alone().await {
            return alone.again("--same-network").await;
        }
        eprintln!("No network namespace can be made here: whatever else is on loopback is, too.");
    }
    cores::take_rig().await?;
    let rig = Rig::start(&simulator).await?;
    let built = Built {
        sidecar: &sidecar,
        simulator: &simulator,
    };
    if bench.options.has(Part::Entrants) {
        bench.entrants(&rig, built).await?;
    }
    bench.alone(&rig, built).await?;
    bench.print();
    println!("Every round: {}", bench.write()?.display());
    eprintln!("It took {}.", seconds(begun.elapsed()));
    Ok(())
}

impl Bench {
    /// Every entrant in every round.
    async fn entrants(&mut self, rig: &Rig, built: Built<'_>) -> Result<()> {
        if !self.options.without_highest {
            let ceiling = step("the highest rate of the rig itself", rig.ceiling()).await?;
            self.ceiling = Some(ceiling);
        }
        let turns: Vec<_> = (1..=self.options.rounds())
            .flat_map(|round| {
                let entrants = self.options.entrants.clone();
                entrants.into_iter().map(move |who| (round, who))
            })
            .filter(|(_, entrant)| !self.missing.contains_key(entrant))
            .collect();
        for (index, (round, entrant)) in turns.iter().enumerate() {
            let words = entrant.words();
            let what = format!("{words}, round {round} ({} of {})", index + 1, turns.len());
            let turn = step(&what, self.round(rig, built.sidecar, *round, *entrant)).await?;
            eprintln!("    {}", results::line(&turn));
            self.rounds.push(turn);
            self.write()?;
        }
        Ok(())
    }

    /// What only the sidecar is asked.
    async fn alone(&mut self, rig: &Rig, built: Built<'_>) -> Result<()> {
        let nobody = BTreeMap::new();
        let folder = tempfile::tempdir()?;
        let start = |model| Start {
            sidecar: built.sidecar,
            installed: &nobody,
            folder: folder.path(),
            model,
        };
        if self.options.has(Part::Features) {
            for round in 1..=self.options.rounds() {
                let costs = rig.features(start, self.options.window(), round);
                let what = format!("what each feature costs, round {round}");
                self.features.extend(step(&what, costs).await?);
                self.write()?;
            }
        }
        if self.options.has(Part::Growth) {
            let start = start(rig.plain_port());
            let growth = rig.growth(&start, Entrant::AiosOn, self.options.growth());
            self.growth = Some(step("whether memory grows", growth).await?);
            self.write()?;
        }
        if self.options.has(Part::Rescue) {
            let rescues = rescue::rescue(built, self.options.rescue());
            let rescues = step("late calls, sent twice or not", rescues).await?;
            self.rescues.extend(rescues);
        }
        Ok(())
    }

    fn print(&self) {
        if !self.rounds.is_empty() {
            println!("{}", results::tables(&self.rounds, &self.missing));
            for (entrant, installed) in &self.installed {
                println!("{} {}", entrant.words(), installed.version);
            }
            println!();
        }
        if !self.features.is_empty() {
            println!("{}", features::table(&self.features));
        }
        if !self.rescues.is_empty() {
            println!("{}", rescue::table(&self.rescues));
        }
        println!("{}", crate::report::table(&self.targets()));
    }

    async fn install(&mut self) {
        for entrant in self.options.entrants.clone() {
            if entrant.is_ours() {
                continue;
            }
            match step(entrant.words(), entrant.install()).await {
                Ok(installed) => self
                    .installed
                    .extend(installed.map(|installed| (entrant, installed))),
                Err(error) => {
                    eprintln!("    it takes no part: {error:#}");
                    self.missing.insert(entrant, format!("{error:#}"));
                }
            }
        }
    }

    /// A failure of the entrant is its own, and written down; the rig's ends the benchmark.
    async fn round(
        &self,
        rig: &Rig,
        sidecar: &Path,
        number: usize,
        entrant: Entrant,
    ) -> Result<Round> {
        let folder = tempfile::tempdir()?;
        let mut round = Round {
            round: number,
            entrant: Some(entrant),
            ..Round::default()
        };
        let start = |model| Start {
            sidecar,
            installed: &self.installed,
            folder: folder.path(),
            model,
        };
        let highest = !self.options.without_highest && (number == 1 || self.options.full);
        let window = self.options.window();
        let measured = async {
            let plain = start(rig.plain_port());
            rig.plain(&plain, entrant, window, &mut round).await?;
            let streaming = start(rig.streaming_port());
            rig.streaming(&streaming, entrant, window, &mut round)
                .await?;
            if highest {
                round.highest = Some(rig.highest(&plain, entrant).await?);
            }
            anyhow::Ok(())
        };
        if let Err(error) = measured.await {
            round.failure = Some(format!("{error:#}"));
        }
        Ok(round)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = results::targets(&self.rounds, self.ceiling);
        targets.extend(features::targets(&self.features));
        targets.extend(self.growth.iter().map(Growth::target));
        targets.extend(rescue::targets(&self.rescues));
        targets
    }

    /// All that was measured, part by part.
    fn measured(&self) -> Result<Vec<Value>> {
        let rounds = self.rounds.iter().map(serde_json::to_value);
        let features = self.features.iter().map(serde_json::to_value);
        let growth = self.growth.iter().map(serde_json::to_value);
        let rescues = self.rescues.iter().map(serde_json::to_value);
        let all = rounds.chain(features).chain(growth).chain(rescues);
        Ok(all.collect::<Result<_, _>>()?)
    }

    fn write(&self) -> Result<PathBuf> {
        let versions: BTreeMap<_, _> = self
            .installed
            .iter()
            .map(|(entrant, installed)| (entrant.words(), &installed.version))
            .collect();
        let missing: BTreeMap<_, _> = self
            .missing
            .iter()
            .map(|(entrant, why)| (entrant.words(), why))
            .collect();
        let results = Results {
            benchmark: "sidecar",
            at: Timestamp::now().to_string(),
            machine: self.machine.clone(),
            versions: json!({
                "aios": env!("CARGO_PKG_VERSION"), "peers": versions, "missing": missing,
            }),
            settings: json!({
                "rounds": self.options.rounds(),
                "windowSeconds": self.options.window().as_secs_f64(),
                "ratesPerSecond": RATES, "streamsPerSecond": STREAMS,
                "growthSeconds": self.options.growth().as_secs(),
                "highestOfTheRigItself": self.ceiling,
                "networkNamespace": namespace::kind(),
            }),
            rounds: self.measured()?,
            targets: self.targets(),
        };
        results.write(&files::repository().join(&self.options.results))
    }
}
