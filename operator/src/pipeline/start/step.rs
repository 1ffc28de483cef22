//! What a trigger is to do at a moment. Pure.

use aios_compile::Trigger;
use aios_crds::trigger::{Concurrency, TriggerStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{conditions::whole_seconds, names::triggered_run};

/// Clocks of operators differ by less. What a status says of a later time was written by one that was
/// wrong: to believe it would hold the trigger back until then.
const SKEW: SignedDuration = SignedDuration::from_hours(1);
/// A run that others wait for may be deleted, which nobody tells.
const WAITING_LOOK: SignedDuration = SignedDuration::from_mins(1);

/// A run of the trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub uid: String,
    pub made: Option<Timestamp>,
    pub is_finished: bool,
    /// Whether it is being deleted.
    pub is_leaving: bool,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A run to make.
    pub start: Option<Start>,
    /// Runs to delete once it is there.
    pub replaced: Vec<Seen>,
    /// Finished runs to delete.
    pub outdated: Vec<Seen>,
    /// What is told, but for `start`.
    pub status: TriggerStatus,
    /// The run that a start waits for.
    pub waits_for: Option<String>,
    pub look_again: Option<Timestamp>,
}

/// A run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub run: String,
    pub time: Timestamp,
}

impl Start {
    /// Tells that the run is there.
    pub fn told_in(self, status: &mut TriggerStatus) {
        status.last_start = Some(Time(self.time));
        status.last_run = Some(self.run);
    }
}

/// Decides. The status is the memory: a time up to the last start never counts again, and what was not
/// written is found by the run's name. `serves` says whether a run could begin.
pub fn step(
    trigger: &Trigger,
    before: Option<&TriggerStatus>,
    (pipeline, runs, serves): (&str, &[Seen], bool),
    now: Timestamp,
) -> Step {
    let (mut status, after) = remembered(trigger, before, now);
    let mut step = Step {
        start: None,
        replaced: Vec::new(),
        outdated: outdated(runs, trigger.keep),
        waits_for: None,
        look_again: None,
        status: status.clone(),
    };
    let Some(after) = after else {
        return step;
    };
    let last = status.last_start.as_ref().map(|last| last.0);
    let next = trigger.times.next(last.map_or(now, |last| last.max(now)));
    status.next_start = next.map(Time);
    step.look_again = next;

    if let Some(time) = trigger.times.last(after, now) {
        let run = triggered_run(pipeline, &trigger.written.name, time);
        let start = Start { run, time };
        let others = |seen: &&Seen| !seen.is_finished && !seen.is_leaving && seen.name != start.run;
        let open: Vec<Seen> = runs.iter().filter(others).cloned().collect();
        // Its name is the proof that it was made, until the status tells of it.
        step.outdated.retain(|seen| seen.name != start.run);
        if runs.iter().any(|seen| seen.name == start.run) {
            step.replaced = replaced(trigger, open);
            start.told_in(&mut status);
        } else if !serves {
            // Whatever makes it serve brings us back.
        } else if let (Concurrency::Forbid, Some(one)) = (trigger.concurrency, open.first()) {
            step.waits_for = Some(one.name.clone());
            step.look_again = next.into_iter().chain([now + WAITING_LOOK]).min();
        } else {
            step.replaced = replaced(trigger, open);
            step.start = Some(start);
        }
    }
    step.status = status;
    step
}

/// What is known of a trigger, and the time after which its times count; none while it is suspended.
fn remembered(
    trigger: &Trigger,
    before: Option<&TriggerStatus>,
    now: Timestamp,
) -> (TriggerStatus, Option<Timestamp>) {
    let schedule = schedule(trigger);
    let believed = |time: &Timestamp| *time <= now + SKEW;
    let told = |time: Option<&Time>| time.map(|time| time.0);
    let last = told(before.and_then(|before| before.last_start.as_ref()));
    let is_sound = last.as_ref().is_none_or(believed);
    let known = before.filter(|before| is_sound && before.schedule == schedule);
    let since = told(known.and_then(|known| known.since.as_ref())).filter(believed);
    let since = since.unwrap_or_else(|| whole_seconds(now));
    let last = last.filter(believed);
    let counts = !trigger.written.suspend;
    let status = TriggerStatus {
        name: trigger.written.name.clone(),
        schedule,
        since: counts.then_some(Time(since)),
        last_start: last.map(Time),
        last_run: before.and_then(|before| before.last_run.clone()),
        next_start: None,
    };
    let earliest = now.checked_sub(trigger.late).unwrap_or(Timestamp::MIN);
    let after = last.map_or(since, |last| last.max(since)).max(earliest);
    (status, counts.then_some(after))
}

fn schedule(trigger: &Trigger) -> String {
    let cron = &trigger.written.cron;
    let zone = cron.time_zone.as_deref().unwrap_or("UTC");
    format!("{} {zone}", cron.schedule)
}

fn replaced(trigger: &Trigger, open: Vec<Seen>) -> Vec<Seen> {
    match trigger.concurrency {
        Concurrency::Replace => open,
        Concurrency::Forbid | Concurrency::Allow => Vec::new(),
    }
}

/// Finished runs but the newest.
fn outdated(runs: &[Seen], keep: usize) -> Vec<Seen> {
    let finished = runs
        .iter()
        .filter(|seen| seen.is_finished && !seen.is_leaving);
    let mut finished: Vec<Seen> = finished.cloned().collect();
    finished.sort_by_key(|seen| std::cmp::Reverse(seen.made));
    finished.split_off(keep.min(finished.len()))
}

#[cfg(test)]
mod tests;
