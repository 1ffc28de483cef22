//! What every reconciler is given.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aios_budget::Book;
use kube::runtime::controller::Action;

use crate::{
    apply::Applier,
    ca::Current,
    control::{Account, Budgets, Hub, Witness},
    error::{Error, Result, Verb},
    metrics::Metrics,
    names,
    pool::{Buffers, GpuClasses, Karpenter},
    rounds::ROUND,
    settings::Settings,
    share::Share,
    status::StatusWriter,
    tenant::{Board, Rolling},
    triggers::Triggers,
    watch::Stores,
};

pub struct Context {
    pub settings: Settings,
    pub gpu_classes: GpuClasses,
    pub karpenter: Karpenter,
    pub buffers: Buffers,
    pub applier: Applier,
    pub statuses: StatusWriter,
    pub hub: Arc<Hub>,
    pub witness: Arc<Witness>,
    pub budgets: Arc<Budgets>,
    pub authority: Current,
    pub triggers: Triggers,
    pub stores: Stores,
    pub share: Share,
    pub board: Board,
    pub rolling: Rolling,
    pub metrics: Metrics,
    pub backoff: Backoff,
}

impl Context {
    /// The book of a budget as it was written last.
    pub async fn book(&self, account: &Account) -> Result<Book> {
        let read = self.budgets.book(account).await;
        read.map_err(|source| Error::Api {
            verb: Verb::Get,
            kind: "ConfigMap".into(),
            name: names::budget(account),
            source: Box::new(source),
        })
    }
}

/// The next look at an object: when something falls due before its next round.
pub fn next_look(due: impl IntoIterator<Item = Option<Duration>>) -> Action {
    match due.into_iter().flatten().min() {
        Some(due) if due < ROUND => Action::requeue(due.max(Duration::from_millis(50))),
        _ => Action::await_change(),
    }
}

/// Failures in a row, by object.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_mins(2);

    /// Time until the next try: doubled with each failure, jittered downwards by up to a half.
    pub fn failed(&self, object: &str, jitter: f64) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object.to_owned()).or_default();
        let delay = Self::FIRST
            .saturating_mul(1 << (*count).min(16))
            .min(Self::LAST);
        *count = count.saturating_add(1);
        delay.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }

    pub fn succeeded(&self, object: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn delays_double_to_a_cap_and_start_again_after_a_success() {
        let backoff = Backoff::default();
        let first = backoff.failed("a", 0.0);
        assert_eq!(backoff.failed("a", 0.0), first * 2);
        assert_eq!(backoff.failed("b", 0.0), first);
        assert!((0..40).all(|_| backoff.failed("a", 0.0) <= Duration::from_mins(2)));
        backoff.succeeded("a");
        assert_eq!(backoff.failed("a", 0.0), first);
    }

    #[test]
    fn jitter_shortens_by_at_most_a_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.failed("a", 1.0), backoff.failed("b", 0.0) / 2);
    }
}
