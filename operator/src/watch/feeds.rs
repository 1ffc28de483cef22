//! The running watches of a reign.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{sync::Notify, task::JoinSet};

/// Running watches, and whether all of them have listed once.
#[derive(Default)]
pub struct Feeds {
    tasks: JoinSet<()>,
    missing: Arc<AtomicUsize>,
    complete: Arc<Notify>,
}

impl Feeds {
    /// Starts a watch that calls what it is given after each list.
    pub fn spawn<F>(&mut self, start: impl FnOnce(Box<dyn FnMut() + Send>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.missing.fetch_add(1, Ordering::SeqCst);
        let (missing, complete) = (self.missing.clone(), self.complete.clone());
        let mut first = true;
        self.tasks.spawn(start(Box::new(move || {
            if std::mem::take(&mut first) && missing.fetch_sub(1, Ordering::SeqCst) == 1 {
                complete.notify_waiters();
            }
        })));
    }

    /// Starts what may never list, as a watch of a kind that is not served: nobody waits for it.
    pub fn spawn_apart(&mut self, watch: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(watch);
    }

    /// Waits until a watch ends, which none should.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Waits until every watch has listed once.
    pub async fn listed(&self) {
        let notified = self.complete.notified();
        if self.missing.load(Ordering::SeqCst) > 0 {
            notified.await;
        }
    }
}
