//! Lets few requests of many wait in the queue of a runner, whose tables never become smaller again: at a start every
//! object is asked for at once.

use std::{
    collections::HashSet,
    future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, StreamExt};
use tokio::sync::Notify;

/// Requests that are let in and whose pass has not begun.
pub struct Admission<T> {
    most: usize,
    waiting: Mutex<HashSet<T>>,
    left: Notify,
}

impl<T: Clone + Eq + Hash> Admission<T> {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            waiting: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// The requests, each once there is room for it. One whose double waits is dropped: that pass is still to come.
    pub fn admit(self: &Arc<Self>, requests: impl Stream<Item = T>) -> impl Stream<Item = T> {
        let admission = self.clone();
        requests
            .then(move |request| {
                let admission = admission.clone();
                async move { admission.enter(&request).await.then_some(request) }
            })
            .filter_map(future::ready)
    }

    /// The pass begins, or there is nothing to pass over: another request is one more pass.
    pub fn begun(&self, request: &T) {
        if self.waiting().remove(request) {
            self.left.notify_one();
        }
    }

    /// Whether the request is new among those that wait.
    async fn enter(&self, request: &T) -> bool {
        loop {
            {
                let mut waiting = self.waiting();
                if waiting.len() < self.most {
                    return waiting.insert(request.clone());
                }
                if waiting.contains(request) {
                    return false;
                }
            }
            self.left.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt, StreamExt, stream};

    use super::Admission;

    #[tokio::test]
    async fn no_more_wait_than_may_and_none_is_lost() {
        let admission = Admission::new(2);
        let mut admitted = pin!(admission.admit(stream::iter(["a", "a", "b", "c", "a"])));
        assert_eq!(admitted.next().await, Some("a"));
        assert_eq!(
            admitted.next().await,
            Some("b"),
            "a double joined the first"
        );
        assert_eq!(admitted.next().now_or_never(), None, "two wait");
        admission.begun(&"a");
        assert_eq!(admitted.next().await, Some("c"));
        assert_eq!(admitted.next().now_or_never(), None);
        admission.begun(&"c");
        assert_eq!(
            admitted.next().await,
            Some("a"),
            "it came after its pass had begun"
        );
        admission.begun(&"nobody");
        assert_eq!(admitted.next().await, None);
    }
}
