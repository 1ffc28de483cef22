//! What starts runs of a pipeline by itself: when, with what, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, budget::RunBudget, writing_run::RunInput};

/// Starts runs of its pipeline. Exactly one source is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// Its name among the triggers; the names of its runs are made of it.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 40))]
    pub name: String,
    /// Holds it back: times that pass meanwhile are not made up for. Runs under way go on.
    #[serde(default)]
    pub suspend: bool,
    /// The times at which runs start.
    pub cron: CronTrigger,
}

/// A run at each time of `schedule`, made of `run` and owned by the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.startingDeadline) || (duration(self.startingDeadline) >= duration('1m') && duration(self.startingDeadline) <= duration('24h'))",
    "message": "set startingDeadline to 1m to 24h, or leave it out for 1h",
}]))]
pub struct CronTrigger {
    /// When runs start: minute, hour, day of month, month, day of week, as in `0 9 * * MON-FRI`.
    #[schemars(length(min = 1, max = 128))]
    pub schedule: String,
    /// Time zone that `schedule` is in, as in `Europe/Berlin`; UTC when left out. A time that a change of
    /// clocks skips comes right after it, one that comes twice counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// What becomes of a start while the trigger's last run is not finished.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How late a run may start: after the operator was away, or after the run before it. Of several
    /// times that were missed only the last is made up for. 1m to 24h; 1h when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline: Option<Duration>,
    /// How long before each time the pipeline's models are set out for that demand has put to sleep, so that
    /// nodes, weights and engines are there by then: 0s (not at all) to 24h; 10m when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_ahead: Option<Duration>,
    /// Finished runs that are kept, the newest; documents and log of the others stay, too.
    #[serde(default = "default_keep_runs")]
    #[schemars(range(min = 0, max = 100))]
    pub keep_runs: i32,
    /// What a run is made of.
    pub run: RunTemplate,
}

/// What becomes of a start while the trigger's last run is not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Concurrency {
    /// It waits for that run, and is dropped after `startingDeadline`.
    #[default]
    Forbid,
    /// Both go on.
    Allow,
    /// That run is deleted: what it has not written is refused.
    Replace,
}

/// A `WritingRun` of the trigger's pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunTemplate {
    /// The items: pointers, or every record that is uploaded when the run starts.
    pub input: RunInput,
    /// User name of who answers for the runs, as `kubectl auth whoami` says it: that person cannot approve
    /// their documents. The platform's admission policy refuses another's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub author: Option<String>,
    /// So long after its time a run's `deadline` is, from which on no document is begun: 1m to 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_after: Option<Duration>,
    /// Most that the calls of each run may come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RunBudget>,
}

impl CronTrigger {
    /// How late a run may start.
    pub fn may_be_late(&self) -> Duration {
        self.starting_deadline
            .unwrap_or(Duration::from_millis(3_600_000))
    }

    /// How long before each time sleeping models are set out for.
    pub fn sets_out(&self) -> Duration {
        self.warm_ahead.unwrap_or(Duration::from_millis(600_000))
    }
}

/// What became of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// The trigger.
    pub name: String,
    /// Its schedule and time zone, as they were understood last.
    pub schedule: String,
    /// Times count from then on: when it was first seen, resumed, or its schedule changed. Absent while it
    /// is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The last time for which a run was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start: Option<Time>,
    /// That run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    /// The time for which the next one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start: Option<Time>,
}

fn default_keep_runs() -> i32 {
    3
}
