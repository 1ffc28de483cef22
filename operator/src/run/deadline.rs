//! A run's deadline. The gateway holds items to it; here it keeps Jobs from being made, and ends runs
//! that never began. Pure.

use std::time::Duration;

use aios_crds::{WritingRun, WritingRunStatus};
use jiff::Timestamp;

use crate::run::status::Observed;

pub fn is_past_deadline(run: &WritingRun, now: Timestamp) -> bool {
    let deadline = run.spec.deadline.as_ref();
    deadline.is_some_and(|deadline| deadline.0 <= now)
}

/// Time until the deadline, if it is still to come.
pub fn left(run: &WritingRun, now: Timestamp) -> Option<Duration> {
    let deadline = run.spec.deadline.as_ref()?.0;
    let left = Duration::try_from(deadline.duration_since(now)).ok()?;
    // Not a moment too early.
    (!left.is_zero()).then(|| left + Duration::from_millis(100))
}

/// Whether the deadline passed before an item was accepted: then none ever will be.
pub fn is_missed(
    run: &WritingRun,
    before: &WritingRunStatus,
    observed: &Observed,
    now: Timestamp,
) -> bool {
    let accepted = match &observed.report {
        Some(report) => report.accepted,
        None => before.items.accepted,
    };
    is_past_deadline(run, now) && accepted == 0 && observed.job.is_none()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::{is_past_deadline, left};
    use crate::testing::run;

    #[test]
    fn a_deadline_is_looked_at_once_when_it_comes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut run = run(false);
        assert_eq!(left(&run, at(0)), None);
        assert!(!is_past_deadline(&run, at(1000)));
        run.spec.deadline = Some(Time(at(100)));
        assert_eq!(left(&run, at(90)), Some(Duration::from_millis(10_100)));
        assert!(!is_past_deadline(&run, at(99)));
        assert!(is_past_deadline(&run, at(100)));
        assert_eq!(left(&run, at(100)), None);
    }
}
