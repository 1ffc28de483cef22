//! Takes what the pod's egress recorded of model calls to the log, batch by batch.

use std::time::Duration;

use aios_audit::CallHead;
use tokio_util::sync::CancellationToken;

use crate::draft::{Egress, EgressError};

/// How old a record may become before it is signed and in the log.
const EVERY: Duration = Duration::from_secs(5);

/// Where batches go.
pub trait CallLog: Send + Sync {
    /// Appends batches, each the JSON of a signed batch; those that are there are passed over.
    fn record(&self, batches: Vec<Vec<u8>>) -> impl Future<Output = Result<(), String>> + Send;
}

#[derive(Debug, thiserror::Error)]
enum Late {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the log does not take records of calls: {0}")]
    Log(String),
}

/// Takes them there until `ended`, and then a last time.
pub async fn run(egress: Egress, log: impl CallLog, ended: CancellationToken) {
    let mut last = None;
    let mut late = false;
    loop {
        let ending = tokio::select! {
            () = ended.cancelled() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        // The egress keeps them meanwhile.
        match round(&egress, &log, &mut last).await {
            Ok(()) => late = false,
            Err(error) if !late => {
                tracing::warn!(%error, "records of calls wait");
                late = true;
            }
            Err(_) => {}
        }
        if ending {
            return;
        }
    }
}

async fn round(
    egress: &Egress,
    log: &impl CallLog,
    last: &mut Option<CallHead>,
) -> Result<(), Late> {
    let batches = egress.records(last.as_ref()).await?;
    let Some((head, _)) = batches.last() else {
        return Ok(());
    };
    let head = head.clone();
    let batches = batches.into_iter().map(|(_, json)| json).collect();
    log.record(batches).await.map_err(Late::Log)?;
    *last = Some(head);
    Ok(())
}
