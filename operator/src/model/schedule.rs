//! What a model's warm schedules ask for at a moment. Pure.

use aios_compile::Schedule;
use jiff::Timestamp;

/// What all schedules together ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Fewest groups now.
    pub groups: i32,
    /// When that may change.
    pub until: Option<Timestamp>,
}

/// Schedules that are on at the same time do not add up: the greatest counts.
pub fn due(schedules: &[Schedule], now: Timestamp) -> Due {
    let each = schedules.iter().filter_map(|schedule| look(schedule, now));
    each.fold(Due::default(), |all, one| Due {
        groups: all.groups.max(one.groups),
        until: all.until.into_iter().chain(one.until).min(),
    })
}

fn look(schedule: &Schedule, now: Timestamp) -> Option<Due> {
    // The only time that can be on, or else the next: those before are over.
    let time = schedule.times.next(now.checked_sub(schedule.lasts).ok()?)?;
    let from = time.checked_sub(schedule.ahead).ok()?;
    let to = time.checked_add(schedule.lasts).ok()?;
    let (groups, until) = if from <= now {
        (schedule.groups, to)
    } else {
        (0, from)
    };
    Some(Due {
        groups,
        until: Some(until),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_compile::{Schedule, schedules};
    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::due;
    use crate::testing::self_hosted;

    fn parsed(schedule: &[Value]) -> Vec<Schedule> {
        let mut model = self_hosted(0);
        let own = model.spec.self_hosted.as_mut().unwrap();
        own.warm.schedules = serde_json::from_value(json!(schedule)).unwrap();
        schedules(own).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    /// Groups and the next change.
    fn told(schedules: &[Schedule], now: &str) -> (i32, String) {
        let due = due(schedules, at(now));
        (due.groups, due.until.unwrap().to_string())
    }

    fn mornings(zone: &str) -> Vec<Schedule> {
        parsed(&[
            json!({"name": "mornings", "cron": "0 9 * * MON-FRI", "timeZone": zone,
            "for": "2h", "ahead": "15m", "min": 3}),
        ])
    }

    #[rstest]
    // Friday in winter: 9:00 in Berlin is 8:00 UTC.
    #[case::before("2026-01-09T07:44:59Z", 0, "2026-01-09T07:45:00Z")]
    #[case::ahead("2026-01-09T07:45:00Z", 3, "2026-01-09T10:00:00Z")]
    #[case::on("2026-01-09T09:59:59Z", 3, "2026-01-09T10:00:00Z")]
    #[case::over_until_monday("2026-01-09T10:00:00Z", 0, "2026-01-12T07:45:00Z")]
    // In summer an hour earlier, from the Monday after clocks changed.
    #[case::clocks_go_forward("2026-03-27T12:00:00Z", 0, "2026-03-30T06:45:00Z")]
    #[case::summer("2026-03-30T06:45:00Z", 3, "2026-03-30T09:00:00Z")]
    #[case::clocks_go_back("2026-10-23T12:00:00Z", 0, "2026-10-26T07:45:00Z")]
    fn a_schedule_is_on_by_the_clocks_of_its_zone(
        #[case] now: &str,
        #[case] groups: i32,
        #[case] until: &str,
    ) {
        assert_eq!(
            told(&mornings("Europe/Berlin"), now),
            (groups, until.into())
        );
    }

    #[test]
    fn without_a_zone_clocks_are_utc() {
        let plain = parsed(&[json!({"name": "n", "cron": "0 9 * * *", "for": "1h"})]);
        let until = "2026-01-09T10:00:00Z".to_owned();
        assert_eq!(told(&plain, "2026-01-09T08:50:00Z"), (1, until));
        assert_eq!(told(&plain, "2026-01-09T08:49:59Z").0, 0);
    }

    #[test]
    fn a_time_that_clocks_skip_comes_right_after_and_one_that_comes_twice_counts_once() {
        // 2:30 is skipped in New York on 8 March, and comes twice on 1 November.
        let nights = parsed(&[json!({"name": "n", "cron": "30 2 * * *", "ahead": "0s",
            "timeZone": "America/New_York", "for": "30m"})]);
        let skipped = told(&nights, "2026-03-08T06:59:00Z");
        assert_eq!(skipped, (0, "2026-03-08T07:00:00Z".into()));
        let early = parsed(&[json!({"name": "n", "cron": "30 1 * * *", "ahead": "0s",
            "timeZone": "America/New_York", "for": "30m"})]);
        let first = told(&early, "2026-11-01T05:30:00Z");
        assert_eq!(first, (1, "2026-11-01T06:00:00Z".into()));
        let after = told(&early, "2026-11-01T06:30:00Z");
        assert_eq!(after, (0, "2026-11-02T06:30:00Z".into()));
    }

    #[test]
    fn the_greatest_of_several_counts_and_the_first_change() {
        let both = parsed(&[
            json!({"name": "day", "cron": "0 8 * * *", "for": "10h", "ahead": "0s"}),
            json!({"name": "peak", "cron": "0 12 * * *", "for": "1h", "ahead": "0s", "min": 4}),
        ]);
        let told = |now| told(&both, now);
        assert_eq!(
            told("2026-01-09T09:00:00Z"),
            (1, "2026-01-09T12:00:00Z".into())
        );
        assert_eq!(
            told("2026-01-09T12:30:00Z"),
            (4, "2026-01-09T13:00:00Z".into())
        );
        assert_eq!(
            told("2026-01-09T13:00:00Z"),
            (1, "2026-01-09T18:00:00Z".into())
        );
    }

    #[test]
    fn a_schedule_whose_times_overlap_is_always_on() {
        let always = parsed(&[json!({"name": "n", "cron": "* * * * *", "for": "10m"})]);
        for now in ["2026-01-09T09:00:00Z", "2026-01-09T09:00:59Z"] {
            assert_eq!(told(&always, now).0, 1);
        }
    }

    #[test]
    fn without_schedules_nothing_is_due() {
        assert_eq!(due(&[], at("2026-01-09T09:00:00Z")), super::Due::default());
    }
}
