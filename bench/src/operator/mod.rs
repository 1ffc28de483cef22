//! The operator beside a bare client and a Go twin, against one real etcd and API server.
//!
//! Each round gives each contender a fresh control plane: the same objects are applied, an observer
//! of its own decides when all children exist and all is observed. Then, populated, the operator
//! and the twin are measured at rest, under changes, and when they have to list anew.

mod calls;
mod contender;
mod floor;
mod observer;
mod recording;
mod results;
mod steady;
mod streams;
mod world;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aios_e2e::{
    files,
    progress::step,
    testing::{ControlPlane, Programs, Running},
};
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde::Serialize;

use calls::Calls;
use contender::{CONCURRENCY, Contender};
use floor::Way;
use observer::Observer;
use recording::Recording;
use steady::{Steady, Subject};
use streams::Streams;
use world::Size;

use crate::{
    measure::{Memory, Process},
    report,
};

const DEADLINE: Duration = Duration::from_mins(30);
/// Requests at once of the client that applies the objects.
const APPLYING: usize = 32;
/// Requests at once of a bare client: as many as three reconcilers have at the operator's default.
const FLOOR: usize = 3 * CONCURRENCY;

#[derive(clap::Args)]
pub struct Options {
    /// The full sizes: 1,000 of each kind in 100 namespaces, then 10,000 objects
    #[arg(long)]
    full: bool,
    /// Objects of each kind
    #[arg(long)]
    each: Option<usize>,
    #[arg(long)]
    namespaces: Option<usize>,
    /// Objects of each kind while changes, rest and relist are measured
    #[arg(long)]
    populated: Option<usize>,
    /// Rounds of the first measurement
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Idle seconds
    #[arg(long)]
    idle: Option<u64>,
    /// Data planes that attach to the operator
    #[arg(long)]
    streams: Option<usize>,
    /// Leave the Go twin out
    #[arg(long)]
    without_twin: bool,
    /// The operator's program
    #[arg(long, default_value = "target/small/operator")]
    operator: PathBuf,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

impl Options {
    fn size(&self) -> Size {
        let (each, namespaces) = if self.full { (1000, 100) } else { (200, 20) };
        Size {
            each: self.each.unwrap_or(each),
            namespaces: self.namespaces.unwrap_or(namespaces),
            concurrency: APPLYING,
        }
    }

    fn populated(&self) -> Size {
        let size = self.size();
        let each = if self.full { 5000 } else { size.each };
        Size {
            each: self.populated.unwrap_or(each),
            ..size
        }
    }

    fn idle(&self) -> Duration {
        let seconds = if self.full { 300 } else { 60 };
        Duration::from_secs(self.idle.unwrap_or(seconds))
    }

    fn contenders(&self) -> Vec<Contender> {
        let wanted = |contender: &Contender| !(self.without_twin && *contender == Contender::Twin);
        Contender::ALL.into_iter().filter(wanted).collect()
    }
}

/// One contender's turn.
#[derive(Debug, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are those of the results file"
)]
pub struct Round {
    pub round: usize,
    pub contender: Contender,
    pub objects: usize,
    pub children: BTreeMap<String, usize>,
    pub seconds: f64,
    pub requests: usize,
    pub calls: Calls,
    pub cpu_seconds: Option<f64>,
    pub memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Streams>,
    /// Why what followed was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, requests) = (self.seconds, self.requests);
        write!(
            f,
            "{seconds:.1} s until all is observed, {requests} requests"
        )?;
        if let Some(cpu) = self.cpu_seconds {
            write!(f, ", {cpu:.1} s of processor")?;
        }
        if let Some(memory) = self.memory {
            write!(f, ", {} MB", memory.rss_kb / 1000)?;
        }
        if let Some(failure) = &self.failure {
            write!(f, "; then {failure}")?;
        }
        Ok(())
    }
}

struct Bench {
    programs: Programs,
    operator: PathBuf,
    twin: Option<PathBuf>,
    idle: Duration,
    streams: usize,
    recording: Option<Recording>,
    folder: tempfile::TempDir,
}

pub async fn run(options: Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let twin = if options.without_twin {
        None
    } else {
        Some(step("build the twin", contender::build_twin(folder.path())).await?)
    };
    let mut bench = Bench {
        programs: Programs::ensure().await?,
        operator: files::repository().join(&options.operator),
        twin,
        idle: options.idle(),
        streams: options
            .streams
            .unwrap_or(if options.full { 2000 } else { 200 }),
        recording: None,
        folder,
    };
    ensure!(
        bench.operator.is_file(),
        "{} is missing: cargo build --release -p aios-operator",
        bench.operator.display()
    );
    let turns = (1..=options.rounds)
        .flat_map(|round| {
            options
                .contenders()
                .into_iter()
                .map(move |who| (round, who))
        })
        .chain(
            [Contender::Operator, Contender::Twin]
                .into_iter()
                .filter(|contender| options.contenders().contains(contender))
                .map(|contender| (0, contender)),
        );
    let mut rounds = Vec::new();
    for (round, contender) in turns {
        let (size, what) = if round == 0 {
            let size = options.populated();
            (size, format!("{} objects", size.parents()))
        } else {
            (options.size(), format!("round {round}"))
        };
        let what = format!("{what}: {}", contender.words());
        let turn = step(&what, bench.turn(round, contender, size)).await?;
        eprintln!("    {turn}");
        rounds.push(turn);
        // An hour's measurements do not depend on the next turn.
        written(&options, &rounds).await?;
    }
    let results = results(&options, &rounds).await;
    println!("{}", report::table(&results.targets));
    println!(
        "Every round: {}",
        written(&options, &rounds).await?.display()
    );
    let failed = rounds
        .iter()
        .filter(|round| round.failure.is_some())
        .count();
    ensure!(
        failed == 0,
        "{failed} turns did not end: see their `failure`"
    );
    Ok(())
}

async fn results<'a>(options: &Options, rounds: &'a [Round]) -> report::Results<&'a Round> {
    results::of(rounds, options.size(), options.populated(), options.rounds).await
}

async fn written(options: &Options, rounds: &[Round]) -> Result<PathBuf> {
    let folder = files::repository().join(&options.results);
    results(options, rounds).await.write(&folder)
}

impl Bench {
    async fn turn(&mut self, round: usize, contender: Contender, size: Size) -> Result<Round> {
        let populated = round == 0;
        let accounts = Contender::ALL.map(Contender::account);
        let mut plane = ControlPlane::start(&self.programs, &accounts).await?;
        let client = plane.client().await?;
        world::namespaces(&client, size).await?;
        let mut running = self.start(&plane, contender).await?;
        let observer = Observer::start(&client);
        observer.quiet(Duration::from_secs(2), DEADLINE).await?;

        let mark = plane.audit().mark()?;
        let objects = Mutex::new(Vec::with_capacity(size.parents()));
        let cpu = running
            .as_ref()
            .map(|running| Process(running.id()?).cpu_seconds())
            .transpose()?;
        let begun = Instant::now();
        let way = match contender {
            Contender::Floor => Some(Way::Create),
            Contender::FloorApply => Some(Way::Apply),
            Contender::Operator | Contender::Twin => None,
        };
        if let Some(way) = way {
            let recording = self.recording.as_ref().context("nothing is recorded yet")?;
            let kubeconfig = plane.kubeconfig_of(contender.account()).await?;
            let writing = aios_e2e::testing::client_of(&kubeconfig).await?;
            floor::replay(&client, &writing, recording, size, (way, FLOOR)).await?;
        } else {
            let created = |object: DynamicObject| {
                let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                objects.push(Arc::new(object));
            };
            world::create(&client, size.objects(), size.concurrency, created).await?;
        }
        let done = tokio::select! {
            done = observer.done(size.parents(), DEADLINE) => done?,
            ended = ended(running.as_mut()) => return Err(ended),
        };
        let calls = calls::since(&plane.audit(), mark, contender)?;
        let process = running.as_ref().map(Running::id).transpose()?.map(Process);
        let spent = process.map(Process::cpu_seconds).transpose()?;
        let mut result = Round {
            round,
            contender,
            objects: size.parents(),
            children: observer.children(),
            seconds: done.saturating_duration_since(begun).as_secs_f64(),
            requests: calls::total(&calls),
            calls,
            cpu_seconds: spent.zip(cpu).map(|(after, before)| after - before),
            memory: process.map(Process::memory).transpose()?,
            steady: None,
            streams: None,
            failure: None,
        };
        match &self.recording {
            None => self.recording = Some(Recording::of(&client).await?),
            Some(recording) if !populated => ensure!(
                result.children == recording.counts(),
                "{} made other children: {:?} instead of {:?}",
                contender.words(),
                result.children,
                recording.counts()
            ),
            Some(_) => {}
        }
        if let (true, Some(process)) = (populated, running.take()) {
            let objects = objects.into_inner().unwrap_or_else(PoisonError::into_inner);
            let subject = Subject {
                contender,
                running: &process,
                observer: &observer,
                objects: &objects,
                idle: self.idle,
            };
            result.steady = Some(steady::measure(&mut plane, &subject).await?);
            running = Some(process);
            if contender == Contender::Operator && self.streams > 0 {
                let process = running.take().context("the operator is gone")?;
                match self.attached(&mut plane, &objects, process).await {
                    Ok(attached) => result.streams = Some(attached),
                    Err(error) => result.failure = Some(format!("{error:#}")),
                }
            }
        }
        if let Some(running) = running {
            running.stop().await?;
        }
        Ok(result)
    }

    async fn attached(
        &self,
        plane: &mut ControlPlane,
        objects: &[Arc<DynamicObject>],
        operator: Running,
    ) -> Result<Streams> {
        let crowd = streams::gather(plane, objects, self.streams).await?;
        crowd.measure(plane, &self.operator, operator).await
    }

    async fn start(&self, plane: &ControlPlane, contender: Contender) -> Result<Option<Running>> {
        match contender {
            Contender::Operator => contender::operator(plane, &self.operator).await.map(Some),
            Contender::Twin => {
                let recording = self.recording.as_ref().context("nothing is recorded yet")?;
                let templates = self.folder.path().join("templates.json");
                std::fs::write(&templates, recording.templates()?.to_string())?;
                let program = self.twin.as_ref().context("the twin is not built")?;
                contender::twin(plane, program, &templates).await.map(Some)
            }
            Contender::Floor | Contender::FloorApply => Ok(None),
        }
    }
}

/// Waits for the end of a process that is measured: nothing is done without it.
async fn ended(running: Option<&mut Running>) -> anyhow::Error {
    match running {
        Some(running) => running.ended().await,
        None => std::future::pending().await,
    }
}
