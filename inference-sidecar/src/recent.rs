//! Durations of the last minutes. Pure.

use std::{mem, time::Duration};

use aios_runtime::sketch::Sketch;
use tokio::time::Instant;

/// A duration counts for this long, and for up to twice as long.
pub const WINDOW: Duration = Duration::from_mins(5);

/// Durations of the present window and of the one before.
#[derive(Debug, Default)]
pub struct Recent {
    now: Sketch,
    before: Sketch,
    since: Option<Instant>,
}

impl Recent {
    pub fn took(&mut self, span: Duration, now: Instant) {
        self.turn(now);
        self.now.add(span);
    }

    /// Those of both windows.
    pub fn sketch(&mut self, now: Instant) -> Sketch {
        self.turn(now);
        let mut both = self.now.clone();
        both.merge(&self.before);
        both
    }

    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed < WINDOW {
            return;
        }
        self.before = mem::take(&mut self.now);
        if passed >= 2 * WINDOW {
            self.before = Sketch::default();
        }
        self.since = Some(now);
    }
}
