//! Regular looks until shutdown; one that takes long delays the next.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub struct Ticks {
    ticks: Interval,
    shutdown: CancellationToken,
}

impl Ticks {
    /// The first comes at once.
    pub fn new(every: Duration, shutdown: CancellationToken) -> Self {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, shutdown }
    }

    /// Waits for the next; false once the process shuts down. Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            _ = self.ticks.tick() => true,
        }
    }
}
