//! What Kueue says of a run's Job. That it was admitted shows at the Job itself; why it waits stands
//! in the Workload that Kueue makes of it, which is read only meanwhile.

use std::time::Duration;

use aios_crds::{ConditionType, Reason};
use k8s_openapi::api::batch::v1::Job;
use kube::{ResourceExt, core::DynamicObject};
use serde::Deserialize;

use crate::{
    apply::Foreign,
    conditions::{Fact, State},
    context::Context,
    error::Result,
    names::LABEL_QUEUE,
    run::apply::ended,
};

const WORKLOADS: Foreign = Foreign {
    group: "kueue.x-k8s.io",
    kind: "Workload",
    plural: "workloads",
};
/// On a Workload: the uid of the Job that it stands for.
const LABEL_JOB: &str = "kueue.x-k8s.io/job-uid";
/// Until a Job that waits is asked about again: its start is seen at once, but not another reason.
const LOOK: Duration = Duration::from_secs(15);
/// Reasons of Kueue's for which only a change of queue, quota or flavors helps.
const HOPELESS: [&str; 4] = [
    "Inadmissible",
    "Misconfigured",
    "ExceedsMaxQuota",
    "NoMatchingFlavor",
];

/// The LocalQueue that a Job is in.
pub fn queue_of(job: &Job) -> Option<&str> {
    let labels = job.metadata.labels.as_ref()?;
    labels.get(LABEL_QUEUE).map(String::as_str)
}

/// Whether a Job is suspended: by us, or by Kueue until there is quota.
pub fn rests(job: &Job) -> bool {
    let spec = job.spec.as_ref();
    spec.and_then(|spec| spec.suspend).unwrap_or_default()
}

/// `Admitted` of a Job in a queue; none of others.
pub async fn look(context: &Context, namespace: &str, job: &Job) -> Result<Option<Fact>> {
    let Some(queue) = queue_of(job) else {
        return Ok(None);
    };
    if ended(job).is_some() || !rests(job) {
        let message = format!("LocalQueue `{queue}` has admitted the run's workers");
        return Ok(Some(Fact::yes(
            ConditionType::Admitted,
            Reason::Ready,
            message,
        )));
    }
    let uid = job.uid().unwrap_or_default();
    let of_job = format!("{LABEL_JOB}={uid}");
    let applier = &context.applier;
    let found = applier.list_foreign(namespace, WORKLOADS, &of_job).await?;
    Ok(Some(match found {
        None => missing(queue),
        Some(workloads) => waits(queue, own(&workloads, &uid).as_ref()),
    }))
}

/// When to look again at a run that waits.
pub fn look_again(admitted: Option<&Fact>) -> Option<Duration> {
    admitted
        .filter(|fact| fact.state != State::True)
        .map(|_| LOOK)
}

/// What is read of a Workload, the same in `v1beta1` and `v1beta2`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Workload {
    spec: WorkloadSpec,
    status: WorkloadStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadSpec {
    active: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadStatus {
    conditions: Vec<Said>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

impl Workload {
    fn said(&self, kind: &str) -> Option<&Said> {
        self.status.conditions.iter().find(|said| said.kind == kind)
    }

    fn is(&self, kind: &str) -> bool {
        self.said(kind).is_some_and(|said| said.status == "True")
    }

    fn message(&self, kind: &str) -> &str {
        self.said(kind).map_or("", |said| said.message.as_str())
    }
}

/// The newest Workload of a Job.
fn own(workloads: &[DynamicObject], job: &str) -> Option<Workload> {
    let is_own = |one: &&DynamicObject| one.owner_references().iter().any(|o| o.uid == job);
    let found = workloads
        .iter()
        .filter(is_own)
        .max_by_key(|one| one.metadata.creation_timestamp.clone())?;
    // A shape that this operator does not know says nothing.
    Some(serde_json::from_value(found.data.clone()).unwrap_or_default())
}

fn missing(queue: &str) -> Fact {
    let message = format!(
        "the run's workers wait in LocalQueue `{queue}`, and Kueue is not installed: install it, or \
         take spec.execution.queueName out of the pipeline, suspend the run and resume it"
    );
    Fact::no(ConditionType::Admitted, Reason::KueueMissing, message)
}

/// Why a Job waits. Pure.
fn waits(queue: &str, workload: Option<&Workload>) -> Fact {
    let kind = ConditionType::Admitted;
    let tell = |words: &str| format!("LocalQueue `{queue}`: {words}");
    let Some(workload) = workload else {
        let words = "Kueue has made no Workload of the run's Job yet; if that lasts, see whether it \
                     runs, and whether batch/job is among its integrations";
        return Fact::pending(kind, Reason::Queued, tell(words));
    };
    let reserved = workload.message("QuotaReserved");
    if workload.spec.active == Some(false) {
        let why = workload.message("Evicted");
        let words = format!("the run's Workload has spec.active false: set it to true. {why}");
        return Fact::no(kind, Reason::Deactivated, tell(words.trim_end()));
    }
    if workload.is("Evicted") {
        let why = workload.message("Evicted");
        let words = [why, reserved].join("; ");
        return Fact::pending(kind, Reason::Evicted, tell(words.trim_end_matches("; ")));
    }
    if workload.is("Admitted") {
        let words = "admitted, and about to be started";
        return Fact::pending(kind, Reason::Queued, tell(words));
    }
    if workload.is("QuotaReserved") {
        let words = format!(
            "quota is reserved, admission checks are not passed yet. {}",
            workload.message("Admitted")
        );
        return Fact::pending(kind, Reason::QuotaReserved, tell(words.trim_end()));
    }
    let reason = workload.said("QuotaReserved").map(|s| s.reason.as_str());
    match reason {
        Some(reason) if HOPELESS.contains(&reason) => {
            Fact::no(kind, Reason::Inadmissible, tell(reserved))
        }
        Some(_) if !reserved.is_empty() => Fact::pending(kind, Reason::Queued, tell(reserved)),
        _ => Fact::pending(kind, Reason::Queued, tell("Kueue has not looked at it yet")),
    }
}

#[cfg(test)]
mod tests;
