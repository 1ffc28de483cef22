//! Runs past their deadline: nothing of theirs is begun any more, and what is under way may be
//! finished for a while.

use std::time::Duration;

use aios_proto::config::RunConfig;

use super::{gateway::Gateway, runs};
use crate::{
    machine::RefuseReason,
    store::{Fence, StoreError, worker_owner},
};

/// For so long after the deadline documents under way may be finished.
const GRACE: Duration = Duration::from_mins(5);
/// While some are: they may end, or the leases of workers that died.
const LOOK: Duration = Duration::from_secs(5);
/// Time to refuse what was taken from the queue; if this process dies, the next one takes it again.
const LEASE: Duration = Duration::from_mins(1);
/// Under this name, so that no worker takes it meanwhile.
const HOLDER: &str = "deadline";
const DETAIL: &str = "the run's deadline passed before the document was written";

/// Whether nothing of a run is to be begun any more.
pub fn is_past(run: &RunConfig, now_ms: u64) -> bool {
    run.deadline_ms.is_some_and(|deadline| deadline <= now_ms)
}

/// Refuses what nobody has begun of runs past their deadline. Returns the time until it is to be
/// called again, whatever else happens.
///
/// # Errors
/// When the store fails.
pub async fn hold(gateway: &Gateway, now_ms: u64) -> Result<Option<Duration>, StoreError> {
    let configuration = gateway.enforced.load();
    let mut next = None;
    for run in configuration.runs.values() {
        let Some(deadline) = run.deadline_ms else {
            continue;
        };
        let due = if deadline > now_ms {
            Some(Duration::from_millis(deadline - now_ms))
        } else {
            end(gateway, &run.uid, deadline, now_ms).await?
        };
        next = [next, due].into_iter().flatten().min();
    }
    Ok(next)
}

/// Returns when to look again, if some documents are still under way.
async fn end(
    gateway: &Gateway,
    run: &str,
    deadline: u64,
    now_ms: u64,
) -> Result<Option<Duration>, StoreError> {
    let store = &gateway.store;
    if store.left_for_workers(run).await? == 0 {
        return Ok(None);
    }
    let grace_is_over = now_ms.saturating_sub(deadline) >= millis(GRACE);
    // Leases count as run out: whoever works on still is fenced off.
    let free_at = if grace_is_over { u64::MAX } else { now_ms };
    let until = now_ms + millis(LEASE);
    for claim in store.lease(run, HOLDER, free_at, until, u32::MAX).await? {
        let fence = Fence::Lease {
            owner: worker_owner(HOLDER),
            token: claim.token,
        };
        let reason = RefuseReason::DeadlineExceeded;
        runs::refuse(gateway, &claim.document, &fence, reason, DETAIL).await?;
    }
    Ok((store.left_for_workers(run).await? > 0).then_some(LOOK))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
