//! The simulator's own log: what arrived, what was answered, what the client gave up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::request::Request;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    Active,
    /// The last byte was handed over.
    Completed,
    /// The client went before the end.
    Cancelled,
    /// An injected fault answered or cut it.
    Failed,
    /// The request broke the contract.
    Rejected,
}

/// `received` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub received: u64,
    pub active: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub failed: u64,
    pub rejected: u64,
}

/// One call in detail.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Counted from 1 since the last reset.
    pub id: u64,
    pub path: String,
    pub status: Status,
    pub model: Option<String>,
    pub stream: bool,
    pub prompt_tokens: u64,
    /// Tokens handed over so far.
    pub sent_tokens: u64,
    /// Index of the script rule that answered.
    pub rule: Option<usize>,
    pub fault: Option<&'static str>,
    /// The request as it came; null if it is not JSON.
    pub body: Value,
}

/// Counts without limit and the last calls in detail.
#[derive(Debug)]
pub struct Calls {
    keep: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    calls: VecDeque<Call>,
    /// Calls from before a reset no longer count.
    generation: u64,
}

/// One call under way. Dropped before it was settled, the client has gone.
#[derive(Debug)]
pub struct Guard {
    calls: Arc<Calls>,
    id: u64,
    generation: u64,
    status: Status,
}

impl Calls {
    pub fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self {
            keep,
            inner: Mutex::default(),
        })
    }

    pub fn begin(self: &Arc<Self>, path: &str, body: &[u8]) -> Guard {
        let mut inner = self.lock();
        inner.counts.received += 1;
        inner.counts.active += 1;
        let id = inner.counts.received;
        inner.calls.push_back(Call {
            id,
            path: path.to_owned(),
            status: Status::Active,
            model: None,
            stream: false,
            prompt_tokens: 0,
            sent_tokens: 0,
            rule: None,
            fault: None,
            body: serde_json::from_slice(body).unwrap_or_default(),
        });
        if inner.calls.len() > self.keep {
            inner.calls.pop_front();
        }
        let generation = inner.generation;
        Guard {
            calls: Arc::clone(self),
            id,
            generation,
            status: Status::Active,
        }
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The last `n` calls, oldest first.
    pub fn last(&self, n: usize) -> Vec<Call> {
        let inner = self.lock();
        let skip = inner.calls.len().saturating_sub(n);
        inner.calls.iter().skip(skip).cloned().collect()
    }

    pub fn reset(&self) {
        let mut inner = self.lock();
        let generation = inner.generation + 1;
        *inner = Inner {
            generation,
            ..Inner::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn accepted(&self, request: &Request, rule: Option<usize>, fault: Option<&'static str>) {
        self.update(|call| {
            call.model = Some(request.model.clone());
            call.stream = request.stream;
            call.prompt_tokens = request.prompt_tokens;
            call.rule = rule;
            call.fault = fault;
        });
    }

    pub fn sent(&self, tokens: u64) {
        self.update(|call| call.sent_tokens = tokens);
    }

    /// May be called again: what was completed can still turn out cancelled.
    pub fn settle(&mut self, status: Status) {
        let mut inner = self.calls.lock();
        if inner.generation != self.generation {
            return;
        }
        let before = inner.counts.of(self.status);
        *before = before.saturating_sub(1);
        *inner.counts.of(status) += 1;
        let id = self.id;
        if let Some(call) = inner.calls.iter_mut().rev().find(|call| call.id == id) {
            call.status = status;
        }
        self.status = status;
    }

    fn update(&self, change: impl FnOnce(&mut Call)) {
        let mut inner = self.calls.lock();
        if inner.generation != self.generation {
            return;
        }
        if let Some(call) = inner.calls.iter_mut().rev().find(|call| call.id == self.id) {
            change(call);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.status == Status::Active {
            self.settle(Status::Cancelled);
        }
    }
}

impl Counts {
    fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Active => &mut self.active,
            Status::Completed => &mut self.completed,
            Status::Cancelled => &mut self.cancelled,
            Status::Failed => &mut self.failed,
            Status::Rejected => &mut self.rejected,
        }
    }
}
