//! The cold-start ledger: how long a group took from nothing to its first token, and for what. From times
//! that the kubelet, the scheduler and the Job's controller wrote, all in whole seconds. Pure.

use std::{fmt, iter::once, time::Duration};

use aios_crds::{ConditionType, Reason, cold_start::ColdStart};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ContainerStatus, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

use crate::{conditions::Fact, model::groups::Group, names::ENGINE};

/// A group that waited for its weights is made in the pass that sees them.
const AT_ONCE: Duration = Duration::from_mins(1);
/// Starts that a status keeps: as many as its definition takes.
const KEPT: usize = 5;

/// What is known of starts.
pub struct Facts<'a> {
    pub groups: &'a [Group],
    /// Of the model, with those of the Job.
    pub pods: &'a [Pod],
    /// What fetched the weights that it runs.
    pub prefetch: Option<&'a Job>,
    /// The latest start that is written already.
    pub last: Option<&'a ColdStart>,
}

/// The newest start of a group that is up. `first_token` knows how long the engine of a pod took to it, by
/// the pod's uid.
pub fn newest(facts: &Facts, first_token: impl Fn(&str) -> Option<Duration>) -> Option<Entry> {
    let up = facts.groups.iter().filter(|group| group.is_ready());
    let entries = up.filter_map(|group| {
        let pods = group.members.iter().filter_map(|member| {
            let mut pods = facts.pods.iter();
            pods.find(|pod| pod.metadata.uid.as_deref() == Some(member.uid.as_str()))
        });
        let start = Start::of(&pods.collect::<Vec<_>>())?;
        let took = group.members.iter().find_map(|one| first_token(&one.uid));
        let fetch = facts.prefetch.and_then(|job| Fetch::of(job, facts.pods));
        let fetch = fetch.filter(|fetch| {
            let is_first = facts.last.is_none_or(|last| last.started_at.0 < fetch.made);
            let waited = fetch.done <= start.made && between(fetch.done, start.made) <= AT_ONCE;
            is_first && waited
        });
        Some(start.entry(&group.name, fetch.as_ref(), took))
    });
    entries.max_by_key(|entry| entry.made)
}

/// What a status is to tell, the latest first. A start is written once: another follows only if it began after the last one
/// had ended, and what came late is added to the same.
pub fn kept(before: &[ColdStart], newest: Option<Entry>) -> Vec<ColdStart> {
    let Some(newest) = newest else {
        return before.to_vec();
    };
    let ended = before
        .first()
        .map(|last| last.started_at.0 + last.total.get());
    if ended.is_none_or(|ended| newest.made > ended) {
        let earlier = before.iter().take(KEPT - 1).cloned();
        return once(newest.start).chain(earlier).collect();
    }
    let mut starts = before.to_vec();
    if let Some(last) = starts.first_mut() {
        complete(last, &newest.start);
    }
    starts
}

/// Adds what is known of the same start now.
fn complete(start: &mut ColdStart, now: &ColdStart) {
    if start.first_token.is_some() || start.group != now.group {
        return;
    }
    start.first_token = now.first_token;
    let first = now.first_token.map(aios_crds::Duration::get);
    let rest = |engine: aios_crds::Duration| {
        coarse(engine.get().saturating_sub(first.unwrap_or_default()))
    };
    start.engine = start.engine.map(rest);
}

/// The condition `SLOMet`: of the latest start, with a word of those before it.
pub fn objective(limit: aios_crds::Duration, starts: &[ColdStart]) -> Fact {
    let kind = ConditionType::SLOMet;
    let Some(last) = starts.first() else {
        let message = "no group has come up from nothing yet";
        return Fact::pending(kind, Reason::NotMeasured, message);
    };
    let took = format!("the cold start of {} took {}", last.group, last.total);
    let met = starts.iter().filter(|start| start.total <= limit).count();
    let of_all = match starts.len() {
        1 => String::new(),
        all => format!("; {met} of the last {all} were within"),
    };
    if last.total <= limit {
        let message = format!("{took}, within {limit}{of_all}");
        return Fact::yes(kind, Reason::WithinObjective, message);
    }
    let slowest = parts(last).into_iter().max_by_key(|(_, span)| *span);
    let of_which = slowest.map(|(part, span)| format!(": {part} {span}"));
    let of_which = of_which.unwrap_or_default();
    let message = format!("{took}, over {limit}{of_which}{of_all}");
    Fact::no(kind, Reason::ObjectiveMissed, message)
}

/// What a start takes its time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Node,
    Image,
    Weights,
    Engine,
    FirstToken,
}

impl Part {
    /// Value of a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Image => "image",
            Self::Weights => "weights",
            Self::Engine => "engine",
            Self::FirstToken => "first_token",
        }
    }
}

/// As people say it.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label().replace('_', " "))
    }
}

/// Parts that are known.
pub fn parts(start: &ColdStart) -> Vec<(Part, aios_crds::Duration)> {
    let parts = [
        (Part::Node, start.node),
        (Part::Image, start.image),
        (Part::Weights, start.weights),
        (Part::Engine, start.engine),
        (Part::FirstToken, start.first_token),
    ];
    let known = parts.into_iter();
    known
        .filter_map(|(part, span)| Some((part, span?)))
        .collect()
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub start: ColdStart,
    /// When the group's pods were made.
    made: Timestamp,
}

/// When the pods of a group reached what.
struct Start {
    made: Timestamp,
    placed: Option<Timestamp>,
    /// Containers of engines.
    began: Option<Timestamp>,
    ready: Timestamp,
}

/// When the Job that fetched the weights reached what.
struct Fetch {
    made: Timestamp,
    placed: Option<Timestamp>,
    began: Option<Timestamp>,
    done: Timestamp,
}

impl Start {
    /// None unless all are ready.
    fn of(pods: &[&Pod]) -> Option<Self> {
        let latest = |when: fn(&Pod) -> Option<Timestamp>| {
            let times: Option<Vec<_>> = pods.iter().map(|pod| when(pod)).collect();
            times?.into_iter().max()
        };
        Some(Self {
            made: pods.iter().filter_map(|pod| made(pod)).min()?,
            placed: latest(|pod| since(pod, "PodScheduled")),
            began: latest(|pod| first_run(container(pod, ENGINE)?)),
            ready: latest(|pod| since(pod, "Ready"))?,
        })
    }

    fn entry(&self, group: &str, fetch: Option<&Fetch>, first_token: Option<Duration>) -> Entry {
        let began = fetch.map_or(self.made, |fetch| fetch.made);
        let span = |from: Option<Timestamp>, to: Option<Timestamp>| Some(between(from?, to?));
        let fetched = fetch.map(|fetch| {
            let from = fetch.began.or(fetch.placed).unwrap_or(fetch.made);
            between(from, fetch.done)
        });
        let node = [
            fetch.and_then(|fetch| span(Some(fetch.made), fetch.placed)),
            span(Some(self.made), self.placed),
        ];
        let image = [
            fetch.and_then(|fetch| span(fetch.placed, fetch.began)),
            span(self.placed, self.began),
        ];
        let loaded = span(self.began, Some(self.ready));
        let engine = loaded.map(|loaded| loaded.saturating_sub(first_token.unwrap_or_default()));
        let start = ColdStart {
            group: group.to_owned(),
            started_at: Time(began),
            node: sum(node).map(coarse),
            image: sum(image).map(coarse),
            weights: fetched.map(coarse),
            engine: engine.map(coarse),
            first_token: first_token.map(coarse),
            total: coarse(between(began, self.ready)),
        };
        Entry {
            start,
            made: self.made,
        }
    }
}

impl Fetch {
    fn of(job: &Job, pods: &[Pod]) -> Option<Self> {
        let name = job.name_any();
        let own: Vec<&Pod> = pods.iter().filter(|pod| is_of_job(pod, &name)).collect();
        let earliest =
            |when: fn(&Pod) -> Option<Timestamp>| own.iter().filter_map(|pod| when(pod)).min();
        Some(Self {
            made: job.metadata.creation_timestamp.as_ref()?.0,
            placed: earliest(|pod| since(pod, "PodScheduled")),
            began: earliest(|pod| first_run(container(pod, PREFETCH)?)),
            done: job.status.as_ref()?.completion_time.as_ref()?.0,
        })
    }
}

/// Container of the Job.
const PREFETCH: &str = "prefetch";

/// Whether a pod is of a Job.
pub fn is_of_job(pod: &Pod, job: &str) -> bool {
    let label = pod.labels().get("batch.kubernetes.io/job-name");
    label.is_some_and(|name| name == job)
}

fn made(pod: &Pod) -> Option<Timestamp> {
    Some(pod.metadata.creation_timestamp.as_ref()?.0)
}

/// Since when a condition of a pod is True.
fn since(pod: &Pod, kind: &str) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let held = conditions
        .iter()
        .find(|one| one.type_ == kind && one.status == "True")?;
    Some(held.last_transition_time.as_ref()?.0)
}

fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|one| one.name == name)
}

/// When a container began for the first time: the kubelet remembers the last two runs.
fn first_run(container: &ContainerStatus) -> Option<Timestamp> {
    let state = match container.restart_count {
        0 => container.state.as_ref()?,
        1 => container.last_state.as_ref()?,
        _ => return None,
    };
    let running = state
        .running
        .as_ref()
        .and_then(|run| run.started_at.clone());
    let ended = state.terminated.as_ref();
    running
        .or_else(|| ended.and_then(|run| run.started_at.clone()))
        .map(|at| at.0)
}

/// Zero when the order of events is not that of their times, which have whole seconds.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn sum(spans: [Option<Duration>; 2]) -> Option<Duration> {
    spans.into_iter().flatten().reduce(|a, b| a + b)
}

/// Rounded to about two digits, as nobody plans by more.
fn coarse(span: Duration) -> aios_crds::Duration {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let step = match millis {
        0..1_000 => 10,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    let rounded = millis.saturating_add(step / 2) / step;
    aios_crds::Duration::from_millis(rounded.saturating_mul(step))
}

#[cfg(test)]
mod tests;
