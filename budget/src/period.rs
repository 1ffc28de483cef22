//! The span that a budget is for.

use aios_crds::budget::{Budget, BudgetPeriod};
use jiff::{Timestamp, ToSpan, civil::Time, tz::TimeZone};

/// One day or month of a time zone, or all of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// As in `2026-11` or `2026-11-26`; `run`.
    pub name: String,
    /// Milliseconds since 1970 at which the next one begins.
    pub ends_ms: i64,
}

/// Why there is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("there is no time zone `{0}`")]
    Zone(String),
    #[error("the clock is beyond every calendar")]
    Clock,
}

impl Period {
    /// That of a run, which never turns.
    pub(crate) fn of_run() -> Self {
        Self {
            name: "run".to_owned(),
            ends_ms: i64::MAX,
        }
    }

    /// The period of a budget that a moment is in.
    ///
    /// # Errors
    /// When the time zone does not exist.
    pub fn of(budget: &Budget, now: Timestamp) -> Result<Self, PeriodError> {
        let name = budget.time_zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| PeriodError::Zone(name.to_owned()))?;
        let today = now.to_zoned(zone.clone()).date();
        let (name, next) = match budget.period {
            BudgetPeriod::Day => (today.strftime("%Y-%m-%d"), today.checked_add(1.day())),
            BudgetPeriod::Month => (
                today.strftime("%Y-%m"),
                today.first_of_month().checked_add(1.month()),
            ),
        };
        let ends = next
            .and_then(|day| day.to_datetime(Time::midnight()).to_zoned(zone))
            .map_err(|_| PeriodError::Clock)?;
        Ok(Self {
            name: name.to_string(),
            ends_ms: ends.timestamp().as_millisecond(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::budget::{Budget, BudgetPeriod};
    use jiff::Timestamp;
    use rstest::rstest;

    use super::{Period, PeriodError};

    fn budget(period: BudgetPeriod, zone: Option<&str>) -> Budget {
        Budget {
            tokens: Some(1),
            period,
            time_zone: zone.map(Into::into),
            ..Budget::default()
        }
    }

    #[rstest]
    #[case::month(BudgetPeriod::Month, None, "2026-11", "2026-12-01T00:00:00Z")]
    #[case::day(BudgetPeriod::Day, None, "2026-11-30", "2026-12-01T00:00:00Z")]
    #[case::ahead(
        BudgetPeriod::Month,
        Some("Europe/Berlin"),
        "2026-12",
        "2026-12-31T23:00:00Z"
    )]
    fn a_period_turns_at_midnight_of_its_time_zone(
        #[case] period: BudgetPeriod,
        #[case] zone: Option<&str>,
        #[case] name: &str,
        #[case] ends: &str,
    ) {
        let now: Timestamp = "2026-11-30T23:30:00Z".parse().unwrap();
        let found = Period::of(&budget(period, zone), now).unwrap();
        let ends: Timestamp = ends.parse().unwrap();
        assert_eq!(
            (found.name.as_str(), found.ends_ms),
            (name, ends.as_millisecond())
        );
    }

    #[test]
    fn a_day_in_which_clocks_change_ends_with_the_day() {
        let berlin = budget(BudgetPeriod::Day, Some("Europe/Berlin"));
        let now: Timestamp = "2026-10-25T10:00:00Z".parse().unwrap();
        let ends: Timestamp = "2026-10-25T23:00:00Z".parse().unwrap();
        let found = Period::of(&berlin, now).unwrap();
        assert_eq!(found.ends_ms, ends.as_millisecond());
    }

    #[test]
    fn an_unknown_time_zone_is_named() {
        let nowhere = budget(BudgetPeriod::Day, Some("Europe/Nowhere"));
        let found = Period::of(&nowhere, Timestamp::UNIX_EPOCH);
        assert_eq!(found, Err(PeriodError::Zone("Europe/Nowhere".into())));
    }
}
