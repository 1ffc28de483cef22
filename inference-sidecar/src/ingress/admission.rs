//! How many calls may be under way at once: a few more wait for a moment, the rest are refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::{error::ApiError, metrics::Metrics};

/// Counts the calls under way. The limit comes with each call, because configuration changes.
pub struct Admission {
    metrics: Arc<Metrics>,
    in_flight: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
}

/// One admitted call; dropping it makes room.
pub struct Permit(Arc<Admission>);

/// One waiting call; dropping it leaves the queue.
struct Waiting<'a>(&'a AtomicU32);

impl Admission {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let (in_flight, waiting) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self {
            metrics,
            in_flight,
            waiting,
            freed: Notify::new(),
        })
    }

    /// Admits a call, at once or after at most `wait`. As many calls may wait as may be under way.
    ///
    /// # Errors
    /// `Overloaded` when the queue is full or the wait was in vain.
    pub async fn admit(self: &Arc<Self>, limit: u32, wait: Duration) -> Result<Permit, ApiError> {
        if self.waiting.load(SeqCst) == 0
            && let Some(permit) = self.take(limit)
        {
            return Ok(permit);
        }
        let overloaded = ApiError::Overloaded { limit };
        let ahead = self.waiting.fetch_add(1, SeqCst);
        let _waiting = Waiting(&self.waiting);
        if ahead >= limit {
            return Err(overloaded);
        }
        let turn = async {
            loop {
                // Before the look at the count: a permit freed in between wakes this call too.
                let freed = self.freed.notified();
                if let Some(permit) = self.take(limit) {
                    return permit;
                }
                freed.await;
            }
        };
        timeout(wait, turn).await.map_err(|_| overloaded)
    }

    fn take(self: &Arc<Self>, limit: u32) -> Option<Permit> {
        let more = |count: u32| (count < limit).then_some(count + 1);
        self.in_flight.fetch_update(SeqCst, SeqCst, more).ok()?;
        self.metrics.in_flight(1);
        Some(Permit(self.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
        self.0.metrics.in_flight(-1);
        self.0.freed.notify_one();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use prometheus_client::registry::Registry;

    use super::Admission;
    use crate::metrics::Metrics;

    fn admission() -> Arc<Admission> {
        Admission::new(Arc::new(Metrics::new(&mut Registry::default())))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn calls_beyond_the_limit_wait_for_room() {
        let admission = admission();
        let first = admission.admit(1, LONG).await.unwrap();
        let waiter = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit(1, LONG).await.map(drop) }
        });
        while admission.waiting.load(super::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(waiter.await.unwrap(), Ok(()));
        assert_eq!(admission.in_flight.load(super::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_wait_in_vain_and_a_full_queue_are_refused() {
        let admission = admission();
        let _first = admission.admit(1, LONG).await.unwrap();
        let refused = admission
            .admit(1, Duration::from_millis(1))
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), "overloaded");
        let waiting = admission.clone();
        let mut waiter = std::pin::pin!(waiting.admit(1, LONG));
        assert!(futures::poll!(&mut waiter).is_pending());
        assert!(admission.admit(1, LONG).await.is_err());
        assert_eq!(admission.waiting.load(super::SeqCst), 1);
    }
}
