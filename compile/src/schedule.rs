//! Warm schedules of a model, parsed once: a cron expression in its time zone, and the spans around it.

use std::time::Duration;

use aios_crds::{
    ModelDeploymentSpec,
    model_deployment::{ScalingMode, SelfHosted},
    warm_schedule::WarmSchedule,
};

use crate::{
    Diagnostic,
    times::{Times, out_of},
};

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
    /// When calls will come.
    pub times: Times,
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
    let times = Times::parse(
        (&format!("{at}.cron"), &written.cron),
        (&format!("{at}.timeZone"), written.time_zone.as_deref()),
    );
    let (times, mut found) = match times {
        Ok(times) => (Some(times), Vec::new()),
        Err(wrong) => (None, wrong),
    };
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
    let Some(times) = times.filter(|_| found.is_empty()) else {
        return Err(found);
    };
    Ok(Schedule {
        groups: written.fewest(),
        ahead: written.sets_out().get(),
        lasts: written.lasts.get(),
        times,
    })
}
