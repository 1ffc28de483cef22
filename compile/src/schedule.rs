//! Warm schedules of a model, parsed once: a cron expression in its time zone, and the spans around it.

use std::{ops::RangeInclusive, time::Duration};

use aios_crds::{
    ModelDeploymentSpec,
    model_deployment::{ScalingMode, SelfHosted},
    warm_schedule::WarmSchedule,
};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::Diagnostic;

const AT: &str = "spec.selfHosted.warm.schedules";

/// A schedule that compiles.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Fewest groups while it is on.
    pub groups: i32,
    /// How long before each time it is on,
    pub ahead: Duration,
    /// and how long after.
    pub lasts: Duration,
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// The first time after another; none when none comes.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }
}

/// The schedules of a model that is served here.
///
/// # Errors
/// Every mistake found, in the order of the list.
pub fn schedules(own: &SelfHosted) -> Result<Vec<Schedule>, Vec<Diagnostic>> {
    let (mut schedules, mut found) = (Vec::new(), Vec::new());
    for (index, written) in own.warm.schedules.iter().enumerate() {
        match schedule(&format!("{AT}[{index}]"), written) {
            Ok(schedule) => schedules.push(schedule),
            Err(wrong) => found.extend(wrong),
        }
    }
    if found.is_empty() {
        return Ok(schedules);
    }
    Err(found)
}

/// What schedules and scaling say of each other.
pub fn checks(spec: &ModelDeploymentSpec) -> Vec<Diagnostic> {
    let own = spec.self_hosted.as_ref();
    let schedules = own.map_or(&[][..], |own| own.warm.schedules.as_slice());
    if schedules.is_empty() {
        return Vec::new();
    }
    let scaling = spec.scaling.as_ref();
    let Some(scaling) = scaling.filter(|scaling| scaling.mode == ScalingMode::Builtin) else {
        return vec![Diagnostic::new(
            AT,
            "without scaling of mode Builtin no group goes that a schedule could bring back",
            "set spec.scaling, as in scaling: {min: 0, max: 1}, or leave the schedules out",
        )];
    };
    let too_many = schedules
        .iter()
        .enumerate()
        .filter(|(_, schedule)| schedule.fewest() > scaling.most())
        .map(|(index, schedule)| {
            let (fewest, most) = (schedule.fewest(), scaling.most());
            Diagnostic::new(
                format!("{AT}[{index}].min"),
                format!("{fewest} groups are more than spec.scaling.max allows ({most})"),
                "lower min, or raise spec.scaling.max",
            )
        });
    too_many.collect()
}

fn schedule(at: &str, written: &WarmSchedule) -> Result<Schedule, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = parser.parse(&written.cron).map_err(|error| {
        found.push(Diagnostic::new(
            format!("{at}.cron"),
            format!("`{}` is no cron expression: {error}", written.cron),
            "write minute, hour, day of month, month and day of week, as in `0 9 * * MON-FRI`",
        ));
    });
    let name = written.time_zone.as_deref().unwrap_or("UTC");
    let zone = TimeZone::get(name).map_err(|_| {
        found.push(Diagnostic::new(
            format!("{at}.timeZone"),
            format!("there is no time zone `{name}`"),
            "name one of the IANA database, as in Europe/Berlin, or leave it out for UTC",
        ));
    });
    let minutes = Duration::from_mins(1)..=Duration::from_hours(168);
    let spans = [
        ("for", written.lasts, minutes, "1m to 168h"),
        (
            "ahead",
            written.sets_out(),
            Duration::ZERO..=Duration::from_hours(24),
            "0s to 24h",
        ),
    ];
    let wrong = spans
        .into_iter()
        .filter_map(|(field, span, within, bounds)| {
            out_of(&format!("{at}.{field}"), span, &within, bounds)
        });
    found.extend(wrong);
    if let (Ok(cron), Ok(zone), true) = (cron, zone, found.is_empty()) {
        let schedule = Schedule {
            groups: written.fewest(),
            ahead: written.sets_out().get(),
            lasts: written.lasts.get(),
            cron,
            zone,
        };
        if schedule.next(Timestamp::UNIX_EPOCH).is_some() {
            return Ok(schedule);
        }
        found.push(Diagnostic::new(
            format!("{at}.cron"),
            format!("`{}` names a day that never comes", written.cron),
            "name a day that its months have",
        ));
    }
    Err(found)
}

fn out_of(
    at: &str,
    span: aios_crds::Duration,
    within: &RangeInclusive<Duration>,
    bounds: &str,
) -> Option<Diagnostic> {
    (!within.contains(&span.get())).then(|| {
        Diagnostic::new(
            at,
            format!("{span} is not from {bounds}"),
            format!("name a span from {bounds}"),
        )
    })
}
