#![allow(clippy::unwrap_used)]

use aios_compile::Trigger;
use aios_crds::trigger::TriggerStatus;
use jiff::{Timestamp, ToSpan};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Seen, Step, step};
use crate::testing::pipeline;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A trigger of pipeline `mail`, with fields of `cron` changed.
fn trigger(changes: &Value) -> Trigger {
    let mut pipeline = pipeline("mail", false, "Retain");
    let mut written = json!({"name": "daily", "cron": {"schedule": "0 9 * * *",
        "run": {"input": {"pointers": [{"customerId": 17}]}}}});
    for (field, value) in changes.as_object().unwrap() {
        if field == "suspend" {
            written["suspend"] = value.clone();
        } else {
            written["cron"][field] = value.clone();
        }
    }
    pipeline.spec.triggers = vec![serde_json::from_value(written).unwrap()];
    aios_compile::triggers(&pipeline.spec).unwrap().remove(0)
}

fn minutely() -> Trigger {
    trigger(&json!({"schedule": "* * * * *"}))
}

fn seen(name: &str, made: &str, is_finished: bool) -> Seen {
    Seen {
        name: name.into(),
        uid: format!("uid-{name}"),
        made: Some(at(made)),
        is_finished,
        is_leaving: false,
    }
}

/// A trigger as it is looked at again and again, its runs made as it says.
struct Life {
    trigger: Trigger,
    status: Option<TriggerStatus>,
    runs: Vec<Seen>,
}

impl Life {
    fn of(trigger: Trigger) -> Self {
        Self {
            trigger,
            status: None,
            runs: Vec::new(),
        }
    }

    fn look(&self, now: &str) -> Step {
        let status = self.status.as_ref();
        step(&self.trigger, status, ("mail", &self.runs, true), at(now))
    }

    /// Does what is to be done, and returns the run that was made.
    fn pass(&mut self, now: &str) -> Option<String> {
        let step = self.look(now);
        let gone: Vec<String> = step
            .replaced
            .iter()
            .chain(&step.outdated)
            .map(|seen| seen.name.clone())
            .collect();
        self.runs.retain(|seen| !gone.contains(&seen.name));
        let mut status = step.status;
        let made = step.start.map(|start| {
            self.runs.push(seen(&start.run, now, false));
            let run = start.run.clone();
            start.told_in(&mut status);
            run
        });
        self.status = Some(status);
        made
    }

    fn finish_all(&mut self) {
        for run in &mut self.runs {
            run.is_finished = true;
        }
    }

    fn next(&self) -> Option<String> {
        let next = self.status.as_ref()?.next_start.as_ref()?;
        Some(next.0.to_string())
    }
}

#[test]
fn a_run_is_made_for_each_time_and_none_for_times_before_the_trigger() {
    let mut life = Life::of(trigger(&json!({})));
    assert_eq!(life.pass("2026-01-09T09:10:00Z"), None, "it is new");
    assert_eq!(life.next().as_deref(), Some("2026-01-10T09:00:00Z"));
    assert_eq!(life.pass("2026-01-10T08:59:59Z"), None);
    let made = life.pass("2026-01-10T09:00:00Z");
    assert_eq!(made.as_deref(), Some("mail-daily-202601100900"));
    assert_eq!(life.pass("2026-01-10T09:00:01Z"), None, "once");
    assert_eq!(life.next().as_deref(), Some("2026-01-11T09:00:00Z"));
    let status = life.status.unwrap();
    assert_eq!(status.last_start.unwrap().0, at("2026-01-10T09:00:00Z"));
    assert_eq!(status.last_run.as_deref(), Some("mail-daily-202601100900"));
}

#[test]
fn of_the_times_that_were_missed_only_the_last_is_made_up_for() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    let made = life.pass("2026-01-09T09:40:10Z");
    assert_eq!(made.as_deref(), Some("mail-daily-202601090940"));
    assert_eq!(life.pass("2026-01-09T09:40:20Z"), None);
}

#[rstest]
#[case::in_time("2026-01-10T09:59:59Z", true)]
#[case::too_late("2026-01-10T10:00:00Z", false)]
fn a_start_that_is_missed_for_too_long_is_dropped(#[case] back: &str, #[case] starts: bool) {
    let mut life = Life::of(trigger(&json!({"startingDeadline": "1h"})));
    life.pass("2026-01-09T12:00:00Z");
    let made = life.pass(back);
    assert_eq!(made.is_some(), starts, "{made:?}");
    assert_eq!(life.next().as_deref(), Some("2026-01-11T09:00:00Z"));
}

#[test]
fn no_run_is_made_that_would_begin_after_its_own_deadline() {
    let run = json!({"input": {"pointers": [{"customerId": 17}]}, "deadlineAfter": "10m"});
    let mut life = Life::of(trigger(&json!({"run": run})));
    life.pass("2026-01-09T12:00:00Z");
    assert_eq!(life.look("2026-01-10T09:10:30Z").start, None);
    assert!(life.pass("2026-01-10T09:09:00Z").is_some());
}

/// The one before made the run and was gone before it could write the status.
#[test]
fn another_operator_in_the_same_minute_finds_the_run_by_its_name() {
    let mut life = Life::of(trigger(&json!({"keepRuns": 0})));
    life.pass("2026-01-09T12:00:00Z");
    let before = life.status.clone();
    let made = life.pass("2026-01-10T09:00:00Z").unwrap();
    life.status = before;
    life.finish_all();
    let step = life.look("2026-01-10T09:00:02Z");
    assert_eq!((step.start, step.outdated), (None, Vec::new()));
    assert_eq!(step.status.last_run.as_ref(), Some(&made));
    // Once that is written, the run may go.
    life.status = Some(step.status);
    let step = life.look("2026-01-10T09:00:03Z");
    assert_eq!((step.start, step.outdated.len()), (None, 1));
}

#[test]
fn a_suspended_trigger_makes_none_and_makes_up_for_none() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    life.trigger = trigger(&json!({"schedule": "* * * * *", "suspend": true}));
    assert_eq!(life.pass("2026-01-09T09:05:00Z"), None);
    assert_eq!(
        (life.next(), life.look("2026-01-09T09:06:00Z").look_again),
        (None, None)
    );
    life.trigger = minutely();
    assert_eq!(life.pass("2026-01-09T09:30:30Z"), None, "resumed");
    let made = life.pass("2026-01-09T09:31:00Z");
    assert_eq!(made.as_deref(), Some("mail-daily-202601090931"));
}

#[test]
fn another_schedule_begins_anew() {
    let mut life = Life::of(trigger(&json!({})));
    life.pass("2026-01-09T06:00:00Z");
    life.trigger = trigger(&json!({"schedule": "30 8 * * *"}));
    assert_eq!(
        life.pass("2026-01-09T08:40:00Z"),
        None,
        "8:30 was no time before"
    );
    life.trigger = trigger(&json!({"schedule": "30 8 * * *", "timeZone": "Europe/Berlin"}));
    life.pass("2026-01-09T08:41:00Z");
    assert_eq!(life.next().as_deref(), Some("2026-01-10T07:30:00Z"));
}

#[test]
fn by_default_a_start_waits_for_the_run_before_it_and_is_not_lost() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    let first = life.pass("2026-01-09T09:01:00Z").unwrap();
    let step = life.look("2026-01-09T09:02:00Z");
    assert_eq!((step.start, step.waits_for), (None, Some(first)));
    assert_eq!(step.look_again, Some(at("2026-01-09T09:03:00Z")));
    life.pass("2026-01-09T09:04:10Z");
    life.finish_all();
    let made = life.pass("2026-01-09T09:05:30Z");
    assert_eq!(made.as_deref(), Some("mail-daily-202601090905"));
}

#[test]
fn a_deleted_run_is_waited_for_no_more() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    life.pass("2026-01-09T09:01:00Z").unwrap();
    for run in &mut life.runs {
        run.is_leaving = true;
    }
    assert!(life.pass("2026-01-09T09:02:00Z").is_some());
}

#[test]
fn allowed_runs_go_on_beside_each_other_and_replaced_ones_are_deleted() {
    for (concurrency, left) in [("Allow", 2), ("Replace", 1)] {
        let mut life = Life::of(trigger(
            &json!({"schedule": "* * * * *", "concurrency": concurrency}),
        ));
        life.pass("2026-01-09T09:00:30Z");
        life.pass("2026-01-09T09:01:00Z").unwrap();
        life.pass("2026-01-09T09:02:00Z").unwrap();
        assert_eq!(life.runs.len(), left, "{concurrency}");
    }
}

/// The new run was made, and the operator gone before it deleted the old one.
#[test]
fn what_was_to_be_replaced_is_deleted_by_the_next_operator() {
    let mut life = Life::of(trigger(
        &json!({"schedule": "* * * * *", "concurrency": "Replace"}),
    ));
    life.pass("2026-01-09T09:00:30Z");
    let old = life.pass("2026-01-09T09:01:00Z").unwrap();
    life.runs.push(seen(
        "mail-daily-202601090902",
        "2026-01-09T09:02:00Z",
        false,
    ));
    let step = life.look("2026-01-09T09:02:05Z");
    assert_eq!(step.start, None);
    assert_eq!(step.replaced.first().map(|run| run.name.clone()), Some(old));
}

#[test]
fn the_newest_finished_runs_are_kept() {
    let mut life = Life::of(trigger(&json!({"keepRuns": 2})));
    for day in 1..=5 {
        let made = format!("2026-01-0{day}T09:00:00Z");
        life.runs.push(seen(&format!("run-{day}"), &made, day < 5));
    }
    life.runs.reverse();
    let names: Vec<String> = life
        .look("2026-01-06T08:00:00Z")
        .outdated
        .into_iter()
        .map(|run| run.name)
        .collect();
    assert_eq!(
        names,
        ["run-2", "run-1"],
        "4 and 3 are kept, 5 is not finished"
    );
}

#[test]
fn a_pipeline_that_serves_nothing_yet_makes_no_runs() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    let status = life.status.as_ref();
    let look = |serves| {
        let now = at("2026-01-09T09:01:30Z");
        step(&life.trigger, status, ("mail", &[], serves), now).start
    };
    assert_eq!(look(false), None);
    assert!(look(true).is_some(), "and makes up for it once it does");
}

#[test]
fn a_clock_that_goes_back_makes_no_second_run() {
    let mut life = Life::of(minutely());
    life.pass("2026-01-09T09:00:30Z");
    life.pass("2026-01-09T09:10:00Z").unwrap();
    life.finish_all();
    life.runs.clear();
    assert_eq!(life.pass("2026-01-09T09:08:00Z"), None);
    assert_eq!(life.next().as_deref(), Some("2026-01-09T09:11:00Z"));
    assert_eq!(
        life.pass("2026-01-09T09:10:30Z"),
        None,
        "the same minute again"
    );
    assert!(life.pass("2026-01-09T09:11:00Z").is_some());
}

#[test]
fn a_clock_that_was_far_ahead_does_not_hold_a_trigger_back() {
    let mut life = Life::of(trigger(&json!({})));
    life.pass("2026-01-09T12:00:00Z");
    life.pass("2030-01-01T09:00:05Z").unwrap();
    life.finish_all();
    assert_eq!(life.pass("2026-01-10T08:00:00Z"), None);
    assert_eq!(life.next().as_deref(), Some("2026-01-10T09:00:00Z"));
    let made = life.pass("2026-01-10T09:00:00Z");
    assert_eq!(made.as_deref(), Some("mail-daily-202601100900"));
}

/// 2:30 is skipped in New York on 8 March, 1:30 comes twice on 1 November.
#[rstest]
#[case::skipped("30 2 * * *", "2026-03-08T00:00:00Z", &["202603080700", "202603090630"])]
#[case::twice("30 1 * * *", "2026-11-01T00:00:00Z", &["202611010530", "202611020630"])]
#[case::both_sides("0 9 * * *", "2026-03-07T00:00:00Z", &["202603071400", "202603081300"])]
fn changes_of_clocks_give_each_day_one_run(
    #[case] schedule: &str,
    #[case] from: &str,
    #[case] minutes: &[&str],
) {
    let mut life = Life::of(trigger(
        &json!({"schedule": schedule, "timeZone": "America/New_York", "concurrency": "Allow"}),
    ));
    let mut now = at(from);
    let end = now + 47.hours();
    let mut made = Vec::new();
    while now < end {
        made.extend(life.pass(&now.to_string()));
        now += 10.minutes();
    }
    let expected: Vec<String> = minutes
        .iter()
        .map(|minute| format!("mail-daily-{minute}"))
        .collect();
    assert_eq!(made, expected);
}
