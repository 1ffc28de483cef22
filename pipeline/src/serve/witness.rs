//! Signs heads of the log and shows them to the operator.

use std::time::Duration;

use aios_proto::control::WitnessRequest;
use aios_runtime::control::Operator;
use tokio_util::sync::CancellationToken;

use super::gateway::Gateway;

/// Heads are signed at most this often: one signature covers many leaves.
const BATCH: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(10);

/// Runs until shutdown.
pub async fn run(gateway: Gateway, operator: Operator, shutdown: CancellationToken) {
    let mut size = gateway.store.log_size();
    let mut kept = 0;
    loop {
        let seen = *size.borrow_and_update();
        let pause = if seen == 0 {
            None
        } else {
            match show(&gateway, &operator, &mut kept).await {
                Ok(()) => None,
                Err(why) => {
                    tracing::warn!(why, "the head is not witnessed");
                    Some(RETRY)
                }
            }
        };
        let pause = pause.unwrap_or(BATCH);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if pause == BATCH {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = size.changed() => {}
            }
        }
    }
}

/// Shows the present head with a proof from the one the operator keeps.
async fn show(gateway: &Gateway, operator: &Operator, kept: &mut u64) -> Result<(), String> {
    // The first answer tells which head is kept; the second proof starts there. Another gateway may
    // have shown a later head meanwhile, or even while this was asked.
    for _ in 0..4 {
        let (size, checkpoint) = gateway
            .store
            .sign_checkpoint()
            .await
            .map_err(|error| error.to_string())?;
        let from = *kept;
        // A log that is shorter than the kept head has no proof, and is not what it was: saying so
        // is for the operator.
        let proof = if from <= size {
            gateway
                .store
                .with_log(|log| log.consistency_proof(from, size))
                .map_err(|error| error.to_string())?
        } else {
            Vec::new()
        };
        let request = WitnessRequest {
            checkpoint,
            proof_from: from,
            proof: proof.iter().map(|hash| hash.0.to_vec()).collect(),
        };
        let answer = operator
            .witness(request)
            .await
            .map_err(|status| status.message().to_owned())?;
        *kept = answer.kept_size;
        if answer.accepted {
            return gateway
                .store
                .witnessed(size)
                .await
                .map_err(|error| error.to_string());
        }
        if answer.kept_size == from {
            return Err(answer.message);
        }
    }
    Err("the operator keeps another head than it says".to_owned())
}
