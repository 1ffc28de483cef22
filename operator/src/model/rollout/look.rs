//! What became of an evaluation, from its Job and the Job's pods. Pure.

use std::time::Duration;

use aios_proto::evaluation::EvaluationReport;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStateTerminated, Pod},
};

use crate::model::jobs::{failed_at, has_succeeded};

/// How long a Job that failed stands before another one is made.
const PAUSE: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No Job was seen yet, or none is due.
    Missing,
    Running,
    /// It could not be carried out.
    Failed {
        why: String,
        ended: Timestamp,
    },
    Done(EvaluationReport),
}

impl Outcome {
    /// Time until another Job is made; zero once it is to be.
    pub fn retry_in(&self, now: Timestamp) -> Option<Duration> {
        let Self::Failed { ended, .. } = self else {
            return None;
        };
        let age = Duration::try_from(now.duration_since(*ended)).unwrap_or_default();
        Some(PAUSE.saturating_sub(age))
    }
}

/// Whether the Job's pods have something to say.
pub fn has_ended(job: &Job) -> bool {
    has_succeeded(job) || failed_at(job).is_some()
}

pub fn look(job: Option<&Job>, pods: &[Pod]) -> Outcome {
    let Some(job) = job else {
        return Outcome::Missing;
    };
    let ended = failed_at(job);
    if !has_succeeded(job) && ended.is_none() {
        return Outcome::Running;
    }
    let said = pods.iter().filter_map(end).max_by_key(|end| {
        let at = end.finished_at.as_ref().map(|time| time.0);
        (end.exit_code == 0, at)
    });
    let message = said
        .and_then(|end| end.message.as_deref())
        .unwrap_or_default();
    let report = said
        .filter(|end| end.exit_code == 0)
        .and_then(|_| serde_json::from_str(message).ok());
    match report {
        Some(report) => Outcome::Done(report),
        None => Outcome::Failed {
            why: match message.trim() {
                "" => "the evaluation's pod said nothing".to_owned(),
                said => said.to_owned(),
            },
            ended: ended.unwrap_or(Timestamp::UNIX_EPOCH),
        },
    }
}

fn end(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    status.state.as_ref()?.terminated.as_ref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;
    use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
    use serde_json::{Value, json};

    use super::{Outcome, look};

    fn job(status: &Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j"}, "status": status})).unwrap()
    }

    fn pod(code: i32, message: &str) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
            {"name": "evaluate", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code, "message": message,
                    "finishedAt": "2026-01-01T00:00:00Z"}}}]}}),
        )
        .unwrap()
    }

    #[test]
    fn what_an_evaluation_came_to_is_its_pods_last_word() {
        assert_eq!(look(None, &[]), Outcome::Missing);
        assert_eq!(
            look(Some(&job(&json!({"active": 1}))), &[]),
            Outcome::Running
        );
        let done = job(&json!({"succeeded": 1}));
        let report = r#"{"inputs": 2, "passed": 1, "before": 2}"#;
        let pods = [pod(1, "no answer"), pod(0, report)];
        let Outcome::Done(report) = look(Some(&done), &pods) else {
            panic!("not done")
        };
        assert_eq!((report.score(), report.before), (50, Some(2)));
    }

    #[test]
    fn an_evaluation_that_failed_says_why_and_is_tried_again_in_a_minute() {
        let failed = job(&json!({"conditions": [{"type": "Failed", "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}));
        let outcome = look(Some(&failed), &[pod(1, "the candidate does not answer\n")]);
        let at: Timestamp = "2026-01-01T00:00:40Z".parse().unwrap();
        assert_eq!(outcome.retry_in(at).unwrap().as_secs(), 20);
        let Outcome::Failed { why, .. } = outcome else {
            panic!("not failed")
        };
        assert_eq!(why, "the candidate does not answer");
    }

    #[test]
    fn an_evaluation_whose_pod_is_gone_is_carried_out_again() {
        let outcome = look(Some(&job(&json!({"succeeded": 1}))), &[]);
        assert!(outcome.retry_in(Timestamp::now()).unwrap().is_zero());
    }
}
