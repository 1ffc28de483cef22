//! Where the tenant's reconciler tells the pipelines' how their gateway is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
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
