//! The worker's loop: lease, work, renew, until the run is drained.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aios_proto::work::HeldLease;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    item::{Desk, work},
    leases::GatewayClient,
};
use crate::{
    draft::Egress,
    enforced::Enforced,
    fault::{Faults, KillPoint},
};

/// Documents at once before the pipeline's own number is known: no pipeline allows fewer.
const FIRST_CONCURRENCY: usize = 1;
/// How long the gateway may hold a lease call open.
const WAIT_MS: u32 = 5_000;
const RETRY: Duration = Duration::from_millis(500);
/// Several renewals fit into a lease, so that one lost answer costs nothing.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// A worker of one run.
pub struct Worker {
    desk: Desk,
    held: Arc<Mutex<BTreeMap<String, Held>>>,
}

struct Held {
    token: u64,
    lost: CancellationToken,
}

/// Why a worker ended without finishing the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    #[error("shut down before the run was drained; leases are given back")]
    ShutDown,
}

impl Worker {
    /// A worker over these parts.
    pub fn new(
        gateway: GatewayClient,
        egress: Egress,
        enforced: Arc<Enforced>,
        faults: Faults,
        shutdown: CancellationToken,
    ) -> Self {
        let desk = Desk {
            gateway,
            egress,
            enforced,
            faults,
            shutdown,
        };
        Self {
            desk,
            held: Arc::default(),
        }
    }

    /// Works until no item of the run is left.
    ///
    /// # Errors
    /// When it was shut down before.
    pub async fn run(&self) -> Result<(), WorkerError> {
        let renewing = CancellationToken::new();
        let renewal = tokio::spawn(renew(
            self.desk.gateway.clone(),
            Arc::clone(&self.held),
            renewing.clone(),
        ));
        let ended = self.lease_and_work().await;
        renewing.cancel();
        let _ = renewal.await;
        if let Err(error) = self.desk.gateway.renew(Vec::new()).await {
            tracing::warn!(%error, "leases could not be given back; they run out by themselves");
        }
        ended
    }

    async fn lease_and_work(&self) -> Result<(), WorkerError> {
        let mut working = JoinSet::new();
        let mut changes = self.desk.enforced.changes();
        // A run's documents are all of one pipeline; the first that comes names it.
        let mut pipeline = None;
        loop {
            changes.mark_unchanged();
            let concurrency = self.concurrency(pipeline.as_deref());
            let free = concurrency.saturating_sub(working.len());
            if free == 0 {
                tokio::select! {
                    () = self.desk.shutdown.cancelled() => break,
                    Some(_) = working.join_next() => {}
                    _ = changes.changed() => {}
                }
                continue;
            }
            let most = u32::try_from(free).unwrap_or(1);
            // A call that is cut may have leased items that nobody hears of, so that none is held
            // open while a place could become free.
            let wait = if working.is_empty() { WAIT_MS } else { 0 };
            let leased = tokio::select! {
                () = self.desk.shutdown.cancelled() => break,
                leased = self.desk.gateway.lease(most, wait) => leased,
            };
            match leased {
                Ok(leased) if leased.drained && working.is_empty() => return Ok(()),
                Ok(leased) if leased.items.is_empty() => {
                    tokio::select! {
                        () = self.desk.shutdown.cancelled() => break,
                        Some(_) = working.join_next() => {}
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
                Ok(leased) => {
                    self.desk.faults.hit(KillPoint::LeaseHeld);
                    for item in leased.items {
                        pipeline.get_or_insert_with(|| item.pipeline.clone());
                        let lost = CancellationToken::new();
                        let id = item.document_id.clone();
                        let held = Held {
                            token: item.fencing_token,
                            lost: lost.clone(),
                        };
                        lock(&self.held).insert(id.clone(), held);
                        let (desk, all) = (self.desk.clone(), Arc::clone(&self.held));
                        working.spawn(async move {
                            let token = item.fencing_token;
                            work(desk, item, lost).await;
                            forget(&all, &id, token);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot lease; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        while working.join_next().await.is_some() {}
        Err(WorkerError::ShutDown)
    }

    /// Documents at once, as the run's pipeline says where it is in force.
    fn concurrency(&self, pipeline: Option<&str>) -> usize {
        let config = self.desk.enforced.load();
        pipeline
            .and_then(|name| config.pipelines.get(name))
            .and_then(|pipeline| usize::try_from(pipeline.config.execution.concurrency).ok())
            .unwrap_or_default()
            .max(FIRST_CONCURRENCY)
    }
}

async fn renew(
    gateway: GatewayClient,
    held: Arc<Mutex<BTreeMap<String, Held>>>,
    ended: CancellationToken,
) {
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        let leases: Vec<HeldLease> = lock(&held)
            .iter()
            .map(|(id, held)| HeldLease {
                document_id: id.clone(),
                fencing_token: held.token,
            })
            .collect();
        // An empty list would give everything back, also what is being leased right now.
        if leases.is_empty() {
            continue;
        }
        match gateway.renew(leases).await {
            Ok(fenced) => {
                let held = lock(&held);
                for id in fenced {
                    if let Some(held) = held.get(&id) {
                        held.lost.cancel();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot renew; trying again"),
        }
    }
}

/// A later lease of the same document stays.
fn forget(held: &Mutex<BTreeMap<String, Held>>, id: &str, token: u64) {
    let mut held = lock(held);
    if held.get(id).is_some_and(|held| held.token == token) {
        held.remove(id);
    }
}

fn lock(held: &Mutex<BTreeMap<String, Held>>) -> std::sync::MutexGuard<'_, BTreeMap<String, Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
