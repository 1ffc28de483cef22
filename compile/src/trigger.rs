//! Triggers of a pipeline, parsed once: times, spans, and what runs are made of.

use std::time::Duration;

use aios_crds::{
    WritingPipelineSpec,
    trigger::{Concurrency, Trigger as Written},
};

use crate::{
    Diagnostic, checks, input,
    times::{Times, out_of},
};

const AT: &str = "spec.triggers";

/// A trigger that compiles.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// As it is written.
    pub written: Written,
    /// When runs start.
    pub times: Times,
    /// How late one may start: never after its own deadline.
    pub late: Duration,
    /// How long before each time sleeping models are set out for.
    pub ahead: Duration,
    /// Finished runs that are kept.
    pub keep: usize,
    /// What becomes of a start while the last run is not finished.
    pub concurrency: Concurrency,
}

/// The triggers of a pipeline.
///
/// # Errors
/// Every mistake found, in the order of the list.
pub fn triggers(spec: &WritingPipelineSpec) -> Result<Vec<Trigger>, Vec<Diagnostic>> {
    let names = spec.triggers.iter().map(|trigger| trigger.name.as_str());
    let mut found = checks::doubled(names, |index| format!("{AT}[{index}].name"));
    let mut triggers = Vec::new();
    for (index, written) in spec.triggers.iter().enumerate() {
        match trigger(&format!("{AT}[{index}].cron"), written, spec) {
            Ok(trigger) => triggers.push(trigger),
            Err(wrong) => found.extend(wrong),
        }
    }
    if found.is_empty() {
        return Ok(triggers);
    }
    Err(found)
}

fn trigger(
    at: &str,
    written: &Written,
    spec: &WritingPipelineSpec,
) -> Result<Trigger, Vec<Diagnostic>> {
    let (cron, run) = (&written.cron, &written.cron.run);
    let times = Times::parse(
        (&format!("{at}.schedule"), &cron.schedule),
        (&format!("{at}.timeZone"), cron.time_zone.as_deref()),
    );
    let (times, mut found) = match times {
        Ok(times) => (Some(times), Vec::new()),
        Err(wrong) => (None, wrong),
    };
    let late = cron.may_be_late();
    let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
    found.extend(out_of(
        &format!("{at}.startingDeadline"),
        late,
        &(minute..=day),
        "1m to 24h",
    ));
    let ahead = cron.sets_out();
    found.extend(out_of(
        &format!("{at}.warmAhead"),
        ahead,
        &(Duration::ZERO..=day),
        "0s to 24h",
    ));
    let deadline = run.deadline_after;
    found.extend(deadline.and_then(|span| {
        let field = format!("{at}.run.deadlineAfter");
        out_of(&field, span, &(minute..=30 * day), "1m to 720h")
    }));
    let field = format!("{at}.run.input");
    input::check(&field, &run.input, &mut found);
    input::fits(&field, &run.input, spec, &mut found);
    let Some(times) = times.filter(|_| found.is_empty()) else {
        return Err(found);
    };
    let late = late.get();
    Ok(Trigger {
        written: written.clone(),
        times,
        late: deadline.map_or(late, |deadline| late.min(deadline.get())),
        ahead: ahead.get(),
        keep: usize::try_from(cron.keep_runs).unwrap_or_default(),
        concurrency: cron.concurrency,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Diagnostic, Trigger, triggers};

    fn compiled(written: &Value) -> Result<Vec<Trigger>, Vec<Diagnostic>> {
        let skeleton = json!({"language": "en", "parts": [
            {"name": "text", "template": {"inline": "Hello"}}]});
        let spec = json!({"content": {"kind": "Article", "skeletons": [skeleton]},
            "context": [{"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}],
            "models": {"draft": {"routes": [{"model": "a"}]}}, "triggers": written});
        triggers(&serde_json::from_value(spec).unwrap())
    }

    fn good() -> Value {
        json!({"name": "daily", "cron": {"schedule": "0 9 * * MON-FRI", "timeZone": "Europe/Berlin",
            "run": {"input": {"upload": {"context": "customer"}}}}})
    }

    #[test]
    fn what_is_left_out_has_defaults_and_no_run_may_begin_after_its_deadline() {
        let trigger = compiled(&json!([good()])).unwrap().remove(0);
        assert_eq!(trigger.late, Duration::from_hours(1));
        assert_eq!((trigger.ahead, trigger.keep), (Duration::from_mins(10), 3));
        let mut hurried = good();
        hurried["cron"]["run"]["deadlineAfter"] = json!("20m");
        let trigger = compiled(&json!([hurried])).unwrap().remove(0);
        assert_eq!(trigger.late, Duration::from_mins(20));
    }

    #[test]
    fn bad_triggers_are_refused_with_field_and_remedy() {
        for (at, value, path, says, remedy) in [
            (
                "/cron/schedule",
                json!("0 9 * * FUNDAY"),
                "schedule",
                "no cron expression",
                "minute",
            ),
            (
                "/cron/schedule",
                json!("0 9 31 2 *"),
                "schedule",
                "never comes",
                "its months",
            ),
            (
                "/cron/timeZone",
                json!("Europe/Bonn"),
                "timeZone",
                "Bonn",
                "Europe/Berlin",
            ),
            (
                "/cron/startingDeadline",
                json!("30s"),
                "startingDeadline",
                "30s",
                "1m to 24h",
            ),
            (
                "/cron/warmAhead",
                json!("25h"),
                "warmAhead",
                "25h",
                "0s to 24h",
            ),
            (
                "/cron/run/deadlineAfter",
                json!("721h"),
                "run.deadlineAfter",
                "721h",
                "1m to 720h",
            ),
            (
                "/cron/run/input",
                json!({}),
                "run.input",
                "neither or both",
                "exactly one",
            ),
            (
                "/cron/run/input",
                json!({"pointers": [{"id": 1}]}),
                "run.input.pointers[0].customerId",
                "is missing",
                "add `customerId`",
            ),
            (
                "/cron/run/input",
                json!({"upload": {"context": "client"}}),
                "run.input.upload.context",
                "no context `client`",
                "customer",
            ),
        ] {
            let mut bad = good();
            let (parent, field) = at.rsplit_once('/').unwrap();
            bad.pointer_mut(parent).unwrap()[field] = value;
            let found = compiled(&json!([good(), bad])).unwrap_err();
            let path = format!("spec.triggers[1].cron.{path}");
            let hit = found.iter().any(|one| {
                one.path == path && one.message.contains(says) && one.remedy.contains(remedy)
            });
            assert!(hit, "{path}: {found:#?}");
        }
        let mut bad = good();
        bad["cron"]["schedule"] = json!("0 9 * * FUNDAY");
        let found = compiled(&json!([bad])).unwrap_err();
        assert_eq!((found[0].line, found[0].column), (Some(1), Some(9)));
        let twice = compiled(&json!([good(), good()])).unwrap_err();
        assert_eq!(twice[0].path, "spec.triggers[1].name");
    }
}
