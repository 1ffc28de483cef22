//! How a Job of a model ended. Pure.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

pub fn has_succeeded(job: &Job) -> bool {
    let status = job.status.as_ref();
    status
        .and_then(|status| status.succeeded)
        .unwrap_or_default()
        > 0
}

/// When the Job was given up, if it was.
pub fn failed_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    let at = failed.last_transition_time.as_ref();
    Some(at.map_or(Timestamp::UNIX_EPOCH, |at| at.0))
}
