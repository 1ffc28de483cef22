//! Rotates the CA while this operator leads. Every step is written to the CA's Secret before
//! anything is signed or trusted by it: whoever leads next goes on from there.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        events::{Event, EventType, Recorder},
        watcher::watch_object,
    },
};
use tokio::time::sleep;

use crate::{
    ca::{self, Authority, CaError, Current, Heard, Kept, Moment, Stage, Step, step},
    context::Context,
    control::Hub,
    metrics::Metrics,
    names::CA,
};

/// Many data planes speak at once after a restart: they are counted together.
const GATHER: Duration = Duration::from_secs(1);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(10);
/// How long kubelets may take before people are told that a stage is held up.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often they are told again.
const REMIND: Duration = Duration::from_hours(1);

/// Rotates one CA.
pub struct Rotation {
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
    pub current: Current,
    pub hub: Arc<Hub>,
    /// How long a stage lasts at least.
    pub overlap: Duration,
    pub metrics: Metrics,
    pub recorder: Recorder,
}

/// The Secret as it was seen last, and since when its stage has been watched here.
struct Seen {
    secret: Secret,
    kept: Kept,
    since: Instant,
    /// When people are told next that it is held up.
    remind_at: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error("cannot read Secret {CA}: {0}")]
    Read(kube::Error),
    #[error("cannot write Secret {CA}: {0}")]
    Write(kube::Error),
}

impl Rotation {
    pub fn new(client: &Client, context: &Context, recorder: Recorder) -> Self {
        Self {
            client: client.clone(),
            namespace: context.settings.namespace.clone(),
            current: context.authority.clone(),
            hub: context.hub.clone(),
            overlap: context.settings.ca_overlap.get(),
            metrics: context.metrics.clone(),
            recorder,
        }
    }

    /// Runs until the watch of the Secret ends, which it never should.
    pub async fn run(self) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut watched = pin!(watch_object(secrets.clone(), CA).default_backoff());
        let mut seen: Option<Seen> = None;
        let (mut wait, mut is_stale) = (AGAIN, true);
        loop {
            let is_under_way = seen
                .as_ref()
                .is_some_and(|seen| seen.kept.stage != Stage::Settled);
            let papers = async {
                self.hub.papers_changed().await;
                sleep(GATHER).await;
            };
            tokio::select! {
                event = watched.next() => match event {
                    Some(Ok(Some(secret))) if is_known(seen.as_ref(), &secret) => continue,
                    Some(Ok(_)) => is_stale = true,
                    Some(Err(error)) => tracing::warn!(%error, "watch of Secret {CA}"),
                    None => return,
                },
                () = papers, if is_under_way => {}
                () = sleep(wait) => {}
            }
            wait = match self.go_on(&secrets, &mut seen, &mut is_stale).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "rotation of the CA");
                    AGAIN
                }
            };
        }
    }

    /// What the Secret says is in force from now on.
    fn take_up(&self, seen: &mut Option<Seen>, secret: Secret) -> Result<(), RotationError> {
        let kept = ca::read(&secret)?;
        let authority = kept.authority()?;
        self.metrics.ca(kept.stage.as_str(), authority.expiry());
        self.current.set(authority);
        match seen {
            Some(seen) if is_same_stage(&seen.kept, &kept) => {
                (seen.secret, seen.kept) = (secret, kept);
            }
            seen => {
                *seen = Some(Seen {
                    secret,
                    kept,
                    since: Instant::now(),
                    remind_at: None,
                });
            }
        }
        Ok(())
    }

    /// Takes every step that is due. Returns when to look again. The watch may tell of what is long
    /// past: it only says when to read.
    async fn go_on(
        &self,
        secrets: &Api<Secret>,
        seen: &mut Option<Seen>,
        is_stale: &mut bool,
    ) -> Result<Duration, RotationError> {
        if *is_stale {
            match secrets.get_opt(CA).await.map_err(RotationError::Read)? {
                Some(secret) => self.take_up(seen, secret)?,
                None => {
                    tracing::warn!("Secret {CA} is gone: its CA stays in force until a restart");
                }
            }
            *is_stale = false;
        }
        loop {
            let Some(at) = seen else { return Ok(AGAIN) };
            let now = Timestamp::now();
            let heard = match at.kept.expected()? {
                Some(expected) => self.hub.read(|index| index.heard(&expected)),
                None => Heard::default(),
            };
            self.metrics.ca_awaits(heard.behind);
            let moment = Moment {
                due: self.current.get().renewal()?,
                heard: &heard,
                witnessed: at.since.elapsed(),
                overlap: self.overlap,
                now,
            };
            let kept = at.kept.clone();
            let next = match step(&kept, &moment) {
                Step::Wait(left) => return Ok(left),
                Step::Held => return Ok(self.hold(at, &heard).await),
                Step::Introduce => kept.introduced(Authority::generate(now)?, now),
                Step::Restart => kept.restarted(now),
                Step::Switch => kept.switched(now),
                Step::Retire => kept.retired(),
            };
            // Refused if a person wrote meanwhile: the watch then brings what they wrote.
            let written = ca::replace(secrets, &at.secret, &next).await;
            let written = written.map_err(RotationError::Write)?;
            let was = at.kept.stage.as_str();
            self.take_up(seen, written)?;
            if let Some(at) = seen
                && at.kept.stage.as_str() != was
            {
                self.tell(&at.secret, entered(&at.kept.stage)).await;
            }
        }
    }

    /// Tells people by whom a stage is held up, once it lasts. Returns when to tell them again.
    async fn hold(&self, seen: &mut Seen, heard: &Heard) -> Duration {
        let remind_at = *seen
            .remind_at
            .get_or_insert_with(|| Instant::now() + PATIENCE);
        let left = remind_at.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return left;
        }
        seen.remind_at = Some(Instant::now() + REMIND);
        let note = format!(
            "{} pods have not read the new files yet, among them {}: if the kubelet does not bring \
             them, see the object that owns them, or delete the pods",
            heard.behind,
            heard.named.join(", ")
        );
        self.tell(&seen.secret, (EventType::Warning, "CaHeld", note))
            .await;
        REMIND
    }

    /// Best effort: a lost event loses nothing that the Secret does not say.
    async fn tell(&self, secret: &Secret, (type_, reason, note): (EventType, &str, String)) {
        tracing::info!(reason, note, "rotation of the CA");
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "RotateCa".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &secret.object_ref(&())).await {
            tracing::debug!(%error, "event");
        }
    }
}

/// What people are told of a stage that has begun.
fn entered(stage: &Stage) -> (EventType, &'static str, String) {
    let (reason, note) = match stage {
        Stage::Introducing { .. } => (
            "CaIntroduced",
            "another CA is trusted from now on, and signs once every data plane trusts it",
        ),
        Stage::Retiring { .. } => (
            "CaSwitched",
            "the new CA signs, and the old one is trusted until nothing of it is shown any more",
        ),
        Stage::Settled => ("CaRetired", "the old CA is no longer trusted"),
    };
    (EventType::Normal, reason, note.to_owned())
}

/// Whether an event tells of what was read or written here.
fn is_known(seen: Option<&Seen>, secret: &Secret) -> bool {
    let version = |secret: &Secret| secret.metadata.resource_version.clone();
    seen.is_some_and(|seen| version(&seen.secret) == version(secret))
}

fn is_same_stage(one: &Kept, other: &Kept) -> bool {
    one.signing == other.signing && one.stage.as_str() == other.stage.as_str()
}

#[cfg(test)]
mod tests;
