//! How far the weights are, from the prefetch Job and its pods. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

/// Exit code of `prefetch` when the file is not the one that the digest names.
const WRONG_DIGEST: i32 = 3;
/// Exit code when the source does not answer, or not with the file.
const UNREACHABLE: i32 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// No Job was seen yet.
    Missing,
    /// `trouble` is what the last failed try said.
    Running {
        trouble: Option<String>,
    },
    Ready,
    /// The file is not the one that the digest names.
    Invalid(String),
    /// The source could not be fetched; `ended` once no try of the Job is left.
    Unavailable {
        why: String,
        ended: Option<Timestamp>,
    },
}

/// How long a Job that ran out of tries stands before another one is made.
const PAUSE: Duration = Duration::from_mins(5);

impl Fetched {
    /// Whether engines may start.
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// Time until the Job is to be made anew, if it ended without weights.
    pub fn retry_in(&self, now: Timestamp) -> Option<Duration> {
        let Self::Unavailable {
            ended: Some(ended), ..
        } = self
        else {
            return None;
        };
        let age = Duration::try_from(now.duration_since(*ended)).unwrap_or_default();
        Some(PAUSE.saturating_sub(age))
    }
}

pub fn fetched(job: Option<&Job>, pods: &[Pod]) -> Fetched {
    let Some(job) = job else {
        return Fetched::Missing;
    };
    let status = job.status.clone().unwrap_or_default();
    if status.succeeded.unwrap_or_default() > 0 {
        return Fetched::Ready;
    }
    let failed = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True");
    let ended = failed.as_ref().map(|c| {
        c.last_transition_time
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |t| t.0)
    });
    match last_end(pods) {
        Some(end) if end.code == WRONG_DIGEST => Fetched::Invalid(end.message),
        Some(end) if end.code == UNREACHABLE || failed.is_some() => Fetched::Unavailable {
            why: end.message,
            ended,
        },
        None if failed.is_some() => Fetched::Unavailable {
            why: "the prefetch Job failed".into(),
            ended,
        },
        end => Fetched::Running {
            trouble: end.map(|end| end.message),
        },
    }
}

struct End {
    code: i32,
    message: String,
}

/// How the latest try ended.
fn last_end(pods: &[Pod]) -> Option<End> {
    let ends = pods.iter().filter_map(|pod| {
        let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
        let end = status.state.as_ref()?.terminated.as_ref()?;
        let message = end.message.as_deref().unwrap_or_default().trim();
        let message = if message.is_empty() {
            format!("prefetch ended with exit code {}", end.exit_code)
        } else {
            message.to_owned()
        };
        let at = end.finished_at.as_ref().map(|time| time.0);
        (end.exit_code != 0).then_some((
            at,
            End {
                code: end.exit_code,
                message,
            },
        ))
    });
    ends.max_by_key(|(at, _)| *at).map(|(_, end)| end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Duration, Fetched, Timestamp, fetched};
    use jiff::SignedDuration;
    use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
    use serde_json::{Value, json};

    fn job(status: &Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j"}, "status": status})).unwrap()
    }

    fn ended(code: i32, message: &str, at: &str) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{
                "name": "prefetch", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": at}},
            }]}}),
        )
        .unwrap()
    }

    #[test]
    fn a_finished_job_means_ready_weights() {
        assert_eq!(
            fetched(Some(&job(&json!({"succeeded": 1}))), &[]),
            Fetched::Ready
        );
    }

    #[test]
    fn a_wrong_digest_is_final_at_once() {
        let pods = [ended(3, "digest is sha256:aa", "2026-01-01T00:00:00Z")];
        let found = fetched(Some(&job(&json!({"failed": 1}))), &pods);
        assert_eq!(found, Fetched::Invalid("digest is sha256:aa".into()));
    }

    #[test]
    fn a_source_that_does_not_answer_is_told_and_tried_again_after_a_pause() {
        let pods = [
            ended(4, "first", "2026-01-01T00:00:00Z"),
            ended(4, "404 from the source", "2026-01-01T00:01:00Z"),
        ];
        let why = "404 from the source".to_owned();
        let trying = fetched(Some(&job(&json!({"failed": 2}))), &pods);
        assert_eq!(
            trying,
            Fetched::Unavailable {
                why: why.clone(),
                ended: None
            }
        );
        assert_eq!(trying.retry_in(at(0)), None);
        let failed = json!({"failed": 2, "conditions": [{"type": "Failed", "status": "True",
            "lastTransitionTime": "2026-01-01T00:02:00Z"}]});
        let found = fetched(Some(&job(&failed)), &pods);
        assert_eq!(found.retry_in(at(0)), Some(Duration::from_mins(5)));
        assert_eq!(found.retry_in(at(300)), Some(Duration::ZERO));
    }

    #[test]
    fn a_volume_that_cannot_be_written_is_trouble_while_tries_are_left() {
        let pods = [ended(5, "no space", "2026-01-01T00:00:00Z")];
        let found = fetched(Some(&job(&json!({"failed": 1}))), &pods);
        assert_eq!(
            found,
            Fetched::Running {
                trouble: Some("no space".into())
            }
        );
    }

    fn at(seconds: i64) -> Timestamp {
        let end: Timestamp = "2026-01-01T00:02:00Z".parse().unwrap();
        end + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_fresh_job_runs() {
        assert_eq!(
            fetched(Some(&job(&json!({}))), &[]),
            Fetched::Running { trouble: None }
        );
        assert_eq!(fetched(None, &[]), Fetched::Missing);
    }
}
