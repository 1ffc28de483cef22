//! The CA that is in force, for everyone who signs by it. It changes under way.

use std::sync::Arc;

use tokio::sync::watch;

use crate::ca::Authority;

/// Clones show the same.
#[derive(Clone)]
pub struct Current(watch::Sender<Arc<Authority>>);

impl Current {
    pub fn new(authority: Authority) -> Self {
        Self(watch::Sender::new(Arc::new(authority)))
    }

    pub fn get(&self) -> Arc<Authority> {
        self.0.borrow().clone()
    }

    /// Puts it in force. Nobody is woken if it is the same.
    pub fn set(&self, authority: Authority) {
        self.0.send_if_modified(|current| {
            let is_new = current.certificate() != authority.certificate()
                || current.bundle() != authority.bundle();
            if is_new {
                *current = Arc::new(authority);
            }
            is_new
        });
    }

    /// Tells of each change from now on.
    pub fn changes(&self) -> watch::Receiver<Arc<Authority>> {
        self.0.subscribe()
    }
}
