//! What a populated control plane costs: a change, an idle minute, a relist.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use aios_e2e::testing::{ControlPlane, Running};
use anyhow::Result;
use kube::{Client, api::DynamicObject};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    calls::{self, Calls},
    contender::Contender,
    observer::Observer,
    world::{self, Id, MODEL},
};
use crate::measure::{Memory, Percentiles, Process};

/// Changes a second.
const RATE: u32 = 20;
const CHANGING: Duration = Duration::from_secs(30);
/// Objects may still arrive for 15 s after a pipeline was made: its status says so until then.
const SETTLING: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(3);
/// What data planes start with is written up to 30 s after the last change of its namespace.
const OFFERED: Duration = Duration::from_secs(35);
/// What listing anew took is given back by then.
const RELEASING: Duration = Duration::from_mins(1);
const DEADLINE: Duration = Duration::from_mins(5);
/// Changes of one sort that requests are counted over.
const COUNTED: usize = 10;

#[derive(Debug, Serialize)]
pub struct Steady {
    pub memory: Memory,
    pub idle_seconds: u64,
    pub idle_cpu_seconds: f64,
    /// Requests of the idle window, leases apart.
    pub idle_requests: Calls,
    /// From the write of a spec to its observed generation.
    pub latency: Percentiles,
    pub latency_cpu_seconds: f64,
    pub changes: usize,
    /// Requests a change, by the kind that changed.
    pub calls_per_change: BTreeMap<String, BTreeMap<String, f64>>,
    pub relist: Memory,
    /// A minute later.
    pub relist_after: Memory,
    /// Requests that followed a relist in which nothing had changed.
    pub relist_requests: Calls,
}

pub struct Subject<'a> {
    pub contender: Contender,
    pub running: &'a Running,
    pub observer: &'a Observer,
    pub objects: &'a [Arc<DynamicObject>],
    pub idle: Duration,
}

pub async fn measure(plane: &mut ControlPlane, subject: &Subject<'_>) -> Result<Steady> {
    let client = plane.client().await?;
    let process = Process(subject.running.id()?);
    tokio::time::sleep(SETTLING).await;
    subject.observer.quiet(OFFERED, DEADLINE).await?;

    let memory = process.memory()?;
    let (mark, cpu) = (plane.audit().mark()?, process.cpu_seconds()?);
    tokio::time::sleep(subject.idle).await;
    let idle_cpu_seconds = process.cpu_seconds()? - cpu;
    let idle_requests = calls::since(&plane.audit(), mark, subject.contender)?;

    let mut calls_per_change = BTreeMap::new();
    for kind in world::PARENTS {
        let changed = one_by_one(&client, plane, subject, kind).await?;
        calls_per_change.insert(kind.to_owned(), changed);
    }

    let cpu = process.cpu_seconds()?;
    let changed = change(&client, subject.objects).await?;
    subject.observer.quiet(QUIET, DEADLINE).await?;
    let latency_cpu_seconds = process.cpu_seconds()? - cpu;
    let latency = Percentiles::of(subject.observer.observed_at(&changed));
    subject.observer.quiet(OFFERED, DEADLINE).await?;

    process.reset_peak()?;
    let mark = plane.audit().mark()?;
    plane.restart_api_server().await?;
    tokio::time::sleep(SETTLING).await;
    subject.observer.quiet(QUIET, DEADLINE).await?;
    let relist = process.memory()?;
    tokio::time::sleep(RELEASING).await;
    Ok(Steady {
        memory,
        idle_seconds: subject.idle.as_secs(),
        idle_cpu_seconds: (idle_cpu_seconds * 100.0).round() / 100.0,
        idle_requests,
        latency,
        latency_cpu_seconds,
        changes: changed.len(),
        calls_per_change,
        relist,
        relist_after: process.memory()?,
        relist_requests: calls::since(&plane.audit(), mark, subject.contender)?,
    })
}

/// Changes of one kind, each in peace, and the requests that each causes.
async fn one_by_one(
    client: &Client,
    plane: &ControlPlane,
    subject: &Subject<'_>,
    kind: &str,
) -> Result<BTreeMap<String, f64>> {
    let of_kind = subject.objects.iter().filter(|object| {
        let types = object.types.as_ref();
        types.is_some_and(|types| types.kind == kind)
    });
    let mark = plane.audit().mark()?;
    let mut count = 0;
    for object in of_kind.take(COUNTED) {
        world::write_spec(client.clone(), object.clone(), 700 + count).await?;
        count += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    subject.observer.quiet(OFFERED, DEADLINE).await?;
    let calls = calls::since(&plane.audit(), mark, subject.contender)?;
    Ok(calls::each(&calls, count))
}

/// Changes specs at the rate, one object after the other all over the world.
async fn change(
    client: &Client,
    objects: &[Arc<DynamicObject>],
) -> Result<HashMap<(Id, i64), Instant>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut writes = JoinSet::new();
    let begun = Instant::now();
    // A prime step visits both kinds and every namespace.
    for (turn, object) in objects.iter().cycle().step_by(37).enumerate() {
        ticks.tick().await;
        if begun.elapsed() >= CHANGING {
            break;
        }
        writes.spawn(world::write_spec(client.clone(), object.clone(), turn));
    }
    let mut asked = HashMap::new();
    while let Some(written) = writes.join_next().await {
        let written = written??;
        asked.insert((written.id, written.generation), written.asked);
    }
    Ok(asked)
}

/// Whether the kind of a change is a model's; for tables.
pub fn words(kind: &str) -> &'static str {
    if kind == MODEL {
        "a ModelDeployment"
    } else {
        "a WritingPipeline"
    }
}
