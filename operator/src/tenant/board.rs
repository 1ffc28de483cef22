//! Where the tenant's reconciler tells the pipelines' how their gateway is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is known of a namespace's gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Whether its objects exist.
    pub applied: bool,
    /// Whether its pod is ready.
    pub ready: bool,
    /// Why its documents are elsewhere than a Secret says.
    pub store_conflict: Option<String>,
    /// Why its objects could not be written.
    pub error: Option<String>,
}

#[derive(Default)]
pub struct Board(Mutex<HashMap<String, Gateway>>);

impl Board {
    /// Whether this is news.
    pub fn post(&self, namespace: &str, gateway: &Gateway) -> bool {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.insert(namespace.to_owned(), gateway.clone()).as_ref() != Some(gateway)
    }

    /// Whether the namespace was looked at. Until then its gateway is neither there nor missing.
    pub fn has(&self, namespace: &str) -> bool {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.contains_key(namespace)
    }

    pub fn gateway(&self, namespace: &str) -> Gateway {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.get(namespace).cloned().unwrap_or_default()
    }
}

/// When each namespace was last offered what its data planes start with.
#[derive(Default)]
pub struct Offers(Mutex<HashMap<String, Instant>>);

impl Offers {
    /// What is offered may be this old: data planes that run are told at once.
    const APART: Duration = Duration::from_secs(5);

    /// Time until the next offer is due; else it is due, and noted as made.
    pub fn wait(&self, namespace: &str, now: Instant) -> Option<Duration> {
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offers.retain(|_, at| now.duration_since(*at) < Self::APART);
        if let Some(at) = offers.get(namespace) {
            return Some(Self::APART.saturating_sub(now.duration_since(*at)));
        }
        offers.insert(namespace.to_owned(), now);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Offers};

    #[test]
    fn a_namespace_is_offered_something_at_once_and_then_every_few_seconds() {
        let (offers, begun) = (Offers::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(offers.wait("a", begun), None);
        assert_eq!(offers.wait("a", at(2)), Some(Duration::from_secs(3)));
        assert_eq!(offers.wait("b", at(2)), None);
        assert_eq!(offers.wait("a", at(5)), None);
    }
}
