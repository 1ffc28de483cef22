//! Moves documents on: everything of those that came by intent, and review time, publication and
//! edits of all.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{gateway::Gateway, retrieve::retrieve};
use crate::{
    clock::now_ms,
    compiled::Pipeline,
    draft::{StepError, write_step},
    fault::KillPoint,
    machine::{
        Effect, Event, ParkReason, Publication, PublicationPhase, Receipt, State, Version, next,
    },
    publish::{Found, GENERATED, Parcel, Sent},
    store::{Claim, StoreError},
};

/// Documents under way at once.
const CONCURRENCY: usize = 16;
/// After this a document of a gateway that died goes to another. A step may take longer: leases are
/// kept as long as it takes.
const LEASE_MS: u64 = 30_000;
const KEEP: Duration = Duration::from_secs(8);
/// Readings back in vain after which a document is parked.
const READ_BACK_TRIES: u32 = 6;

/// Why a document stays where it is for now.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("target `{0}` cannot be reached: {1}")]
    Target(String, String),
    #[error("pipeline `{0}` is not in force")]
    NoPipeline(String),
}

/// Runs until shutdown, then lets documents under way finish their step.
pub async fn run(gateway: Gateway, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut changes = gateway.store.changes();
    let mut configured = gateway.enforced.changes();
    let mut working = JoinSet::new();
    while !shutdown.is_cancelled() {
        changes.mark_unchanged();
        let free = u32::try_from(places.available_permits()).unwrap_or(0);
        let now = now_ms();
        let claims = if free == 0 {
            Vec::new()
        } else {
            gateway
                .store
                .claim(now, now + LEASE_MS, free)
                .await
                .unwrap_or_else(|error| {
                    tracing::error!(%error, "cannot claim");
                    Vec::new()
                })
        };
        for claim in claims {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let gateway = gateway.clone();
            working.spawn(async move {
                drive(&gateway, &claim).await;
                drop(place);
            });
        }
        let wait = wait(&gateway).await;
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = changes.changed() => {}
            _ = configured.changed() => {}
            Some(_) = working.join_next(), if !working.is_empty() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    while working.join_next().await.is_some() {}
}

/// Until the next document falls due, at most a minute.
async fn wait(gateway: &Gateway) -> Duration {
    let next = gateway.store.next_wake().await.ok().flatten();
    let millis = next.map_or(60_000, |due| due.saturating_sub(now_ms()).clamp(20, 60_000));
    Duration::from_millis(millis)
}

/// Takes one document as far as it goes now.
async fn drive(gateway: &Gateway, claim: &Claim) {
    let advanced = tokio::select! {
        advanced = advance(gateway, claim) => advanced,
        lost = keep(gateway, claim) => Err(lost),
    };
    let wake = match advanced {
        Ok(()) => None,
        Err(Stuck::Store(StoreError::Fenced | StoreError::Erased(_))) => return,
        Err(stuck) => {
            let tries = gateway.store.attempts(&claim.document).await.unwrap_or(0);
            let delay = 500_u64.saturating_mul(1 << tries.min(6));
            tracing::warn!(document = %claim.document, %stuck, delay, "will be tried again");
            Some(now_ms() + delay)
        }
    };
    if let Err(error) = gateway.store.unclaim(claim, wake).await {
        tracing::error!(document = %claim.document, %error, "cannot give the lease back");
    }
}

/// Keeps the lease; resolves once another gateway has it.
async fn keep(gateway: &Gateway, claim: &Claim) -> Stuck {
    loop {
        tokio::time::sleep(KEEP).await;
        match gateway.store.keep(claim, now_ms() + LEASE_MS).await {
            Ok(true) => {}
            Ok(false) => return Stuck::Store(StoreError::Fenced),
            Err(error) => {
                tracing::warn!(document = %claim.document, %error, "cannot keep the lease");
            }
        }
    }
}

async fn advance(gateway: &Gateway, claim: &Claim) -> Result<(), Stuck> {
    let fence = gateway.store.claim_fence(claim);
    loop {
        let state = gateway.store.document(&claim.document).await?;
        let pipeline = gateway
            .pipeline(&state.pipeline)
            .ok_or_else(|| Stuck::NoPipeline(state.pipeline.clone()))?;
        let view = pipeline.view_of(&state);
        let effect = next(&state, &view, now_ms(), gateway.store.epoch());
        if effect.waits() {
            return Ok(());
        }
        for event in step(gateway, claim, &pipeline, &state, &effect).await? {
            let view = match &event {
                Event::Retrieved(retrieved) => pipeline.view(Some(&retrieved.language)),
                _ => pipeline.view_of(&state),
            };
            let intended = matches!(event, Event::PublishIntended { .. });
            let after = gateway
                .store
                .apply(&state.id, event.clone(), &view, &fence, now_ms())
                .await?;
            gateway.metrics().applied(&event, after.status());
            if intended {
                gateway.faults.hit(KillPoint::IntentFenced);
            }
        }
    }
}

async fn step(
    gateway: &Gateway,
    claim: &Claim,
    pipeline: &Pipeline,
    state: &State,
    effect: &Effect,
) -> Result<Vec<Event>, Stuck> {
    match effect {
        Effect::Retrieve => {
            let found = retrieve(&gateway.store, pipeline, state).await?;
            if let Some(subject) = found.subject {
                gateway.store.assign(&state.id, subject, now_ms()).await?;
            }
            Ok(vec![found.event])
        }
        Effect::ExpireReview => Ok(vec![Event::ReviewExpired]),
        Effect::Intend { target } => Ok(vec![Event::PublishIntended {
            target: target.clone(),
            external_id: state.id.clone(),
            holder: gateway.store.epoch(),
        }]),
        Effect::Send {
            target,
            publication,
        } => {
            // Nothing leaves that another gateway may be looking for by now.
            if !gateway.store.keep(claim, now_ms() + LEASE_MS).await? {
                return Err(Stuck::Store(StoreError::Fenced));
            }
            send(gateway, pipeline, state, target, publication).await
        }
        // Recorded before anything is asked: its holder may live, and must not send if it comes back.
        Effect::ReadBack {
            target,
            publication,
        } if publication.phase == PublicationPhase::Intended => Ok(vec![Event::PublishUnproven {
            target: target.clone(),
        }]),
        Effect::ReadBack {
            target,
            publication,
        } => read_back(gateway, pipeline, state, target, publication).await,
        Effect::Park { target } => Ok(vec![parked(target, ParkReason::Unproven)]),
        Effect::Complete => Ok(vec![Event::Completed]),
        step => Ok(vec![
            write_step(step, state, pipeline, &gateway.egress, Some(&gateway.store)).await?,
        ]),
    }
}

async fn send(
    gateway: &Gateway,
    pipeline: &Pipeline,
    state: &State,
    target: &str,
    publication: &Publication,
) -> Result<Vec<Event>, Stuck> {
    let (Some(config), Some(version)) = (publisher(pipeline, target), &state.version) else {
        return Ok(vec![parked(target, ParkReason::TargetRefused)]);
    };
    let parcel = parcel(state, publication, version);
    let started = std::time::Instant::now();
    let sent = gateway
        .connector
        .send(config, &parcel, now_ms() / 1000)
        .await;
    let name = target.to_owned();
    Ok(match sent {
        Sent::Received { status } => {
            gateway.faults.hit(KillPoint::ReceiptUnwritten);
            vec![published(name, publication, status, false, started)]
        }
        Sent::Unknown(why) => {
            tracing::warn!(document = %state.id, target, why, "the answer is unknown");
            vec![Event::PublishUnproven { target: name }]
        }
        Sent::NotSent(why) => return Err(Stuck::Target(name, why)),
        Sent::Refused { status } => {
            tracing::warn!(document = %state.id, target, status, "the target refused");
            let not_arrived = Event::PublishNotArrived { target: name };
            vec![not_arrived, parked(target, ParkReason::TargetRefused)]
        }
    })
}

async fn read_back(
    gateway: &Gateway,
    pipeline: &Pipeline,
    state: &State,
    target: &str,
    publication: &Publication,
) -> Result<Vec<Event>, Stuck> {
    let (Some(config), Some(version)) = (publisher(pipeline, target), &state.version) else {
        return Ok(vec![parked(target, ParkReason::Unproven)]);
    };
    let parcel = parcel(state, publication, version);
    let started = std::time::Instant::now();
    let name = target.to_owned();
    Ok(match gateway.connector.read_back(config, &parcel).await {
        Found::Same { status } => {
            vec![published(name, publication, status, true, started)]
        }
        Found::Other => vec![parked(target, ParkReason::Mismatch)],
        Found::Missing => vec![Event::PublishNotArrived { target: name }],
        Found::Unknown(why) => {
            if gateway.store.attempts(&state.id).await? < READ_BACK_TRIES {
                return Err(Stuck::Target(name, why));
            }
            vec![parked(target, ParkReason::Unproven)]
        }
    })
}

fn parcel<'a>(state: &'a State, publication: &'a Publication, version: &'a Version) -> Parcel<'a> {
    Parcel {
        id: &publication.external_id,
        pipeline: &state.pipeline,
        digest: &publication.digest,
        language: state
            .material
            .as_ref()
            .map_or("", |material| material.language.as_str()),
        parts: version.document.parts(),
        digital_source_type: publication.generated.then_some(GENERATED),
    }
}

fn publisher<'a>(
    pipeline: &'a Pipeline,
    target: &str,
) -> Option<&'a aios_proto::config::PublisherConfig> {
    pipeline
        .config
        .publish
        .iter()
        .find(|publisher| publisher.name == target)
}

/// The target has it, as its answer or the reading back says.
fn published(
    target: String,
    publication: &Publication,
    status: u16,
    read_back: bool,
    started: std::time::Instant,
) -> Event {
    let receipt = Receipt {
        digest: publication.digest.clone(),
        status,
        read_back,
        time_ms: now_ms(),
    };
    Event::Published {
        target,
        receipt,
        millis: millis(started),
    }
}

fn parked(target: &str, reason: ParkReason) -> Event {
    Event::Parked {
        target: target.to_owned(),
        reason,
    }
}

fn millis(started: std::time::Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
