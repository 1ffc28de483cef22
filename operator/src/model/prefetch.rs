//! How far the weights are, from the prefetch Job, its pods and what the prefetch said. Pure.

use std::{fmt, time::Duration};

use aios_proto::control::WeightsReport;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, PodStatus},
};

use crate::model::{
    jobs::{failed_at, has_succeeded},
    weights::Weights,
};

/// Exit code of `prefetch` when the file is not the one that the digest names.
pub const WRONG_DIGEST: i32 = 3;
/// Exit code when the source does not answer, or not with the file.
const UNREACHABLE: i32 = 4;
/// What a server that has no image volumes is told by: it drops them without a word.
const NO_IMAGES: &str = "oci:// needs image volumes, which this API server lacks or has switched off: \
    switch on feature gate ImageVolume (on by default since Kubernetes 1.35), or use hf://, https:// \
    or pvc://";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// No Job was seen yet.
    Missing,
    /// The Job's pod cannot start yet, and why.
    Waiting(String),
    /// `trouble` is what the last failed try said.
    Running {
        trouble: Option<String>,
        progress: Option<Progress>,
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

/// How far a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which file, where there are several.
    file: Option<String>,
    percent: u32,
    bytes: u64,
    checking: bool,
}

/// How long a Job that ran out of tries stands before another one is made.
const PAUSE: Duration = Duration::from_mins(5);
/// Nothing tells that a pod cannot be placed: it is looked at until it runs.
const GLANCE: Duration = Duration::from_secs(15);

impl Fetched {
    /// Whether engines may start.
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// Time until the next look; zero once the Job is to be made anew, for it ended without weights.
    pub fn retry_in(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::Unavailable {
                ended: Some(ended), ..
            } => {
                let age = Duration::try_from(now.duration_since(*ended)).unwrap_or_default();
                Some(PAUSE.saturating_sub(age))
            }
            Self::Waiting(_)
            | Self::Running {
                trouble: None,
                progress: None,
            } => Some(GLANCE),
            _ => None,
        }
    }
}

pub fn look(
    weights: &Weights,
    job: Option<&Job>,
    pods: &[Pod],
    report: Option<&WeightsReport>,
) -> Fetched {
    let Some(job) = job else {
        return Fetched::Missing;
    };
    let mut found = fetched(job, pods);
    if weights.needs_images() && !found.is_ready() && !mounts_image(job) {
        let ended = match found {
            Fetched::Unavailable { ended, .. } => ended,
            _ => None,
        };
        return Fetched::Unavailable {
            why: NO_IMAGES.into(),
            ended,
        };
    }
    if let Fetched::Running { progress, .. } = &mut found {
        *progress = report.and_then(|report| Progress::of(weights, report));
    }
    found
}

fn fetched(job: &Job, pods: &[Pod]) -> Fetched {
    if has_succeeded(job) {
        return Fetched::Ready;
    }
    let ended = failed_at(job);
    match last_end(pods) {
        Some(end) if end.code == WRONG_DIGEST => Fetched::Invalid(end.message),
        Some(end) if end.code == UNREACHABLE || ended.is_some() => Fetched::Unavailable {
            why: end.message,
            ended,
        },
        None if ended.is_some() => Fetched::Unavailable {
            why: "the prefetch Job failed".into(),
            ended,
        },
        end => match pods.iter().find_map(waits) {
            Some(why) => Fetched::Waiting(why),
            None => Fetched::Running {
                trouble: end.map(|end| end.message),
                progress: None,
            },
        },
    }
}

/// Whether the server kept the Job's image volumes.
fn mounts_image(job: &Job) -> bool {
    let pod = job
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let volumes = pod.and_then(|pod| pod.volumes.as_ref());
    volumes
        .into_iter()
        .flatten()
        .any(|volume| volume.image.is_some())
}

/// Why a pod does not start: its container's own words, or the scheduler's.
fn waits(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    container_waits(status).or_else(|| {
        let conditions = status.conditions.as_ref()?;
        let scheduled = conditions
            .iter()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
        scheduled.message.clone()
    })
}

fn container_waits(status: &PodStatus) -> Option<String> {
    let container = status.container_statuses.as_ref()?.first()?;
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let (reason, message) = (waiting.reason.as_deref()?, waiting.message.as_deref()?);
    Some(format!("{reason}: {message}"))
}

impl Progress {
    /// `None` for what is said of other files: a prefetch of an earlier spec may still speak.
    fn of(weights: &Weights, report: &WeightsReport) -> Option<Self> {
        let known =
            report.weights == weights.hash && weights.files().any(|file| file.name == report.file);
        known.then(|| Self {
            file: (!weights.adapters.is_empty()).then(|| report.file.clone()),
            percent: report.percent.min(100),
            bytes: report.bytes,
            checking: report.checking,
        })
    }
}

/// As in `adapter house-style: 40 % of 98 MB`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        let doing = if self.checking { " checked" } else { "" };
        write!(f, "{} % of {}{doing}", self.percent, size(self.bytes))
    }
}

/// A length as people say it, in decimal units.
fn size(bytes: u64) -> String {
    let rounded = |unit: u64| bytes.saturating_add(unit / 2) / unit;
    if bytes >= 1_000_000_000 {
        let tenths = rounded(100_000_000);
        format!("{}.{} GB", tenths / 10, tenths % 10)
    } else if bytes >= 1_000_000 {
        format!("{} MB", rounded(1_000_000))
    } else {
        format!("{} kB", rounded(1000).max(1))
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
    use super::{Duration, Fetched, GLANCE, NO_IMAGES, Timestamp, WeightsReport, look};
    use crate::{
        model::{
            validate::{Backend, validate},
            weights::Weights,
        },
        testing::self_hosted,
    };
    use jiff::SignedDuration;
    use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
    use serde_json::{Value, json};

    fn weights(model: Value) -> Weights {
        let mut object = self_hosted(0);
        let own = object.spec.self_hosted.as_mut().unwrap();
        own.model = serde_json::from_value(model).unwrap();
        let Backend::Own(own) = validate(&object).unwrap().backend else {
            unreachable!("a self-hosted model");
        };
        own.weights
    }

    fn from(uri: &str) -> Weights {
        let digest = format!("sha256:{}", "ab".repeat(32));
        weights(json!({"uri": uri, "digest": digest, "cache": {"size": "1Gi"}}))
    }

    fn fetched(job: Option<&Job>, pods: &[Pod]) -> Fetched {
        look(&from("https://models.example/a.gguf"), job, pods, None)
    }

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

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
                trouble: Some("no space".into()),
                progress: None,
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
            Fetched::Running {
                trouble: None,
                progress: None
            }
        );
        assert_eq!(fetched(None, &[]), Fetched::Missing);
    }

    #[test]
    fn progress_is_told_of_the_files_that_are_wanted_now() {
        let weights = from("https://models.example/a.gguf");
        let report = |weights: &str, percent, bytes| WeightsReport {
            weights: weights.to_owned(),
            file: "model".into(),
            percent,
            bytes,
            checking: false,
        };
        let said = |report: WeightsReport| {
            let found = look(&weights, Some(&job(&json!({}))), &[], Some(&report));
            let Fetched::Running { progress, .. } = found else {
                unreachable!("{found:?}");
            };
            progress.map(|progress| progress.to_string())
        };
        let own = |percent, bytes| said(report(&weights.hash, percent, bytes));
        assert_eq!(own(40, 98_362_432).as_deref(), Some("40 % of 98 MB"));
        assert_eq!(own(0, 4_650_000_000).as_deref(), Some("0 % of 4.7 GB"));
        assert_eq!(own(100, 120).as_deref(), Some("100 % of 1 kB"));
        assert_eq!(said(report("another", 40, 1)), None);
    }

    #[test]
    fn a_pod_that_cannot_start_says_why() {
        let started = job(&json!({"active": 1}));
        let unplaced = pod(
            &json!({"phase": "Pending", "conditions": [{"type": "PodScheduled",
            "status": "False", "message": "persistentvolumeclaim \"models\" not found"}]}),
        );
        let found = fetched(Some(&started), &[unplaced]);
        assert_eq!(
            found,
            Fetched::Waiting("persistentvolumeclaim \"models\" not found".into())
        );
        assert_eq!(found.retry_in(at(0)), Some(GLANCE));
        let unpulled = pod(&json!({"phase": "Pending", "containerStatuses": [{
            "name": "prefetch", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}));
        assert_eq!(
            fetched(Some(&started), &[unpulled]),
            Fetched::Waiting("ErrImagePull: no such image".into())
        );
    }

    #[test]
    fn a_server_that_drops_image_volumes_is_named() {
        let weights = from("oci://r.example/models/a:1/a.gguf");
        let why = |job: &Job| match look(&weights, Some(job), &[], None) {
            Fetched::Unavailable { why, .. } => Some(why),
            _ => None,
        };
        let mut made = job(&json!({"active": 1}));
        assert_eq!(why(&made).as_deref(), Some(NO_IMAGES));
        made.spec = serde_json::from_value(json!({"template": {"spec": {"containers": [],
            "volumes": [{"name": "i", "image": {"reference": "r.example/models/a:1"}}]}}}))
        .unwrap();
        assert_eq!(why(&made), None);
    }
}
