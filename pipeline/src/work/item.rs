//! One leased document, until it is the gateway's again.

use std::{sync::Arc, time::Duration};

use aios_proto::work::LeasedItem;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::leases::{GatewayClient, LeaseError, Recorded};
use crate::{
    clock::now_ms,
    compiled::Pipeline,
    draft::{Egress, EgressError, StepError, write_step},
    enforced::Enforced,
    fault::{Faults, KillPoint},
    machine::{Event, State, next},
};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// What every item of a worker shares.
#[derive(Clone)]
pub struct Desk {
    pub gateway: GatewayClient,
    pub egress: Egress,
    pub enforced: Arc<Enforced>,
    pub faults: Faults,
    pub shutdown: CancellationToken,
}

/// Works on an item until it is released, fenced, or the worker shuts down. `lost` is cancelled once
/// another worker holds it.
pub async fn work(desk: Desk, item: LeasedItem, lost: CancellationToken) {
    let document = item.document_id.clone();
    tokio::select! {
        () = desk.shutdown.cancelled() => {}
        () = lost.cancelled() => tracing::info!(document, "another worker holds it"),
        ended = steps(&desk, item) => {
            if let Err(error) = ended {
                // The lease runs out, and the item is tried again.
                tracing::warn!(document, %error, "left to another lease");
            }
        }
    }
}

async fn steps(desk: &Desk, item: LeasedItem) -> Result<(), LeaseError> {
    let LeasedItem {
        document_id,
        pipeline,
        fencing_token,
        state,
        ..
    } = item;
    let mut state: State = serde_json::from_slice(&state)?;
    let mut delay = FIRST_RETRY;
    loop {
        let compiled = in_force(desk, &pipeline).await;
        let effect = next(&state, &compiled.view_of(&state), now_ms(), 0);
        if !effect.for_worker() {
            return Ok(());
        }
        let event = match write_step(&effect, &state, &compiled, &desk.egress, None).await {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(document = document_id, %error, ?delay, "step will be tried again");
                wait_for_change(desk, &error, delay).await;
                delay = (delay * 2).min(LAST_RETRY);
                continue;
            }
        };
        delay = FIRST_RETRY;
        if matches!(event, Event::Drafted(_)) {
            desk.faults.hit(KillPoint::DraftedUnreported);
        }
        match report(desk, &document_id, fencing_token, &event).await? {
            Recorded::Go(after) => state = *after,
            Recorded::Released | Recorded::Fenced => return Ok(()),
        }
    }
}

/// Tells the gateway until it hears: the step is paid for.
async fn report(
    desk: &Desk,
    document: &str,
    token: u64,
    event: &Event,
) -> Result<Recorded, LeaseError> {
    let mut delay = FIRST_RETRY;
    loop {
        match desk.gateway.checkpoint(document, token, event).await {
            Err(error) if !error.is_final() => {
                tracing::warn!(document, %error, ?delay, "checkpoint will be tried again");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LAST_RETRY);
            }
            recorded => return recorded,
        }
    }
}

/// The pipeline, once it is in force here.
async fn in_force(desk: &Desk, name: &str) -> Arc<Pipeline> {
    let mut changes = desk.enforced.changes();
    loop {
        if let Some(pipeline) = desk.enforced.load().pipelines.get(name) {
            return pipeline.clone();
        }
        changed(&mut changes).await;
    }
}

/// What only another configuration can mend waits for one; the rest for the delay.
async fn wait_for_change(desk: &Desk, error: &StepError, delay: Duration) {
    let mut changes = desk.enforced.changes();
    match error {
        StepError::Egress(EgressError::Unavailable(_)) => tokio::time::sleep(delay).await,
        _ => {
            tokio::select! {
                () = changed(&mut changes) => {}
                () = tokio::time::sleep(LAST_RETRY) => {}
            }
        }
    }
}

async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
