//! Times at which groups of a model that scales by demand are kept up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// From `ahead` before each time of `cron` until `for` after it, at least `min` groups are up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarmSchedule {
    /// Its name among the schedules.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub name: String,
    /// When calls will come: minute, hour, day of month, month, day of week, as in `0 9 * * MON-FRI`.
    #[schemars(length(min = 1, max = 128))]
    pub cron: String,
    /// Time zone that `cron` is in, as in `Europe/Berlin`; UTC when left out. A time that a change of
    /// clocks skips comes right after it, one that comes twice counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How long groups stay up from each time on, 1m to 168h.
    #[serde(rename = "for")]
    pub lasts: Duration,
    /// How long before each time groups are set out for, so that nodes, weights and engines are there by
    /// then, 0s to 24h; 10m when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Duration>,
    /// Fewest groups meanwhile, at most `scaling.max`; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min: Option<i32>,
}

impl WarmSchedule {
    /// How long before each time groups are set out for.
    pub fn sets_out(&self) -> Duration {
        self.ahead.unwrap_or(Duration::from_millis(600_000))
    }

    /// Fewest groups.
    pub fn fewest(&self) -> i32 {
        self.min.unwrap_or(1)
    }
}
