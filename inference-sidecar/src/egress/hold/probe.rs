//! Looks whether a model answers, for all who wait for it.

use std::{sync::Arc, time::Duration};

use super::Gate;
use crate::snapshot::Model;

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(1);
/// Longest that one address may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends when the model answers or nobody waits any longer.
pub async fn until_it_answers(gate: Arc<Gate>) {
    let mut tries = 0;
    loop {
        let (model, troubles) = {
            let mut inner = gate.lock();
            if !inner.queue.is_shut() || inner.queue.calls() == 0 {
                inner.probing = false;
                return;
            }
            (inner.model.clone(), inner.queue.troubles())
        };
        tokio::time::sleep(pause(troubles, tries, rand::random())).await;
        if answers(&gate, &model).await {
            let mut inner = gate.lock();
            inner.probing = false;
            let first = usize::try_from(model.max_in_flight).unwrap_or(usize::MAX);
            inner.queue.opened(first);
            tracing::info!(model = model.name, held = inner.queue.calls(), "it answers");
            gate.settle(inner);
            return;
        }
        tries += 1;
    }
}

/// Any answer will do: an ingress that is up says what is wrong with a call by itself.
async fn answers(gate: &Gate, model: &Model) -> bool {
    let http = gate.client.get();
    for endpoint in &model.endpoints {
        let asked = http.get(format!("{endpoint}/v1/models")).timeout(PATIENCE);
        if asked.send().await.is_ok() {
            return true;
        }
    }
    false
}

/// Nothing before the first look after the first trouble; then doubling, so that an address which
/// answers while its engine does not is not asked in a loop. `jitter` is in `0.0..1.0`.
fn pause(troubles: u32, tries: u32, jitter: f64) -> Duration {
    let earlier = tries.saturating_add(troubles.saturating_sub(1));
    if earlier == 0 {
        return Duration::ZERO;
    }
    let doubled = FIRST * 2_u32.saturating_pow(earlier.saturating_sub(1).min(10));
    doubled
        .min(LAST)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use std::time::Duration;

    #[test]
    fn a_model_that_sleeps_on_is_asked_more_and_more_rarely() {
        let pauses: Vec<_> = (0..9).map(|tries| super::pause(1, tries, 1.0)).collect();
        assert_eq!(pauses.first(), Some(&Duration::ZERO));
        assert!(pauses.windows(2).all(|two| two[0] <= two[1]));
        assert_eq!(pauses.last(), Some(&Duration::from_secs(1)));
        assert!(super::pause(3, 0, 0.0) > Duration::ZERO);
    }
}
