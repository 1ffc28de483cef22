//! Calls that no group of a model can take yet wait here instead of failing: a model may sleep, or have
//! its hands full. One prober a model looks whether it answers; the queue says whose turn it is.

mod probe;
mod queue;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use self::queue::{Bounds, Queue, Ticket};
use crate::{
    client::Client,
    error::ApiError,
    lock::lock,
    metrics::{HoldEnd, Metrics},
    snapshot::Model,
};

/// Most that waits for one model. A pod of several sleeping models may hold this for each.
pub const BOUNDS: Bounds = Bounds {
    calls: 2048,
    bytes: 32 << 20,
};
/// What a waiting call costs beside its body.
const CALL: usize = 4 << 10;

/// The queues of all models.
pub struct Holds {
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    bounds: Bounds,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// The queue before one model, with those who wait.
struct Gate {
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// As it is in force for the latest call.
    model: Arc<Model>,
    queue: Queue,
    waiting: HashMap<Ticket, oneshot::Sender<Turn>>,
    probing: bool,
}

enum Turn {
    Go,
    /// The place went to a caller with less in the queue.
    Displaced,
}

/// A call's right to wait for its model.
pub struct Place<'a> {
    gate: Arc<Gate>,
    model: &'a Model,
    caller: &'a str,
    bytes: usize,
    /// When it has waited long enough: set when it first waits.
    until: Option<Instant>,
    /// Whether it had a turn in vain.
    again: bool,
}

/// A call that was let through; dropping it ends it.
pub struct Pass {
    gate: Arc<Gate>,
    ended: bool,
}

/// A call in the queue; dropping it leaves.
struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
    since: Instant,
    end: HoldEnd,
}

// === impl Holds ===

impl Holds {
    pub fn new(client: Arc<Client>, metrics: Arc<Metrics>, bounds: Bounds) -> Self {
        Self {
            client,
            metrics,
            bounds,
            gates: Mutex::default(),
        }
    }

    /// A place for a call with a body of so many bytes; none where the model's calls are not held.
    pub fn place<'a>(
        &self,
        model: &'a Arc<Model>,
        caller: &'a str,
        body: usize,
    ) -> Option<Place<'a>> {
        (!model.hold_for.is_zero()).then(|| Place {
            gate: self.gate(model),
            model,
            caller,
            bytes: body + CALL,
            until: None,
            again: false,
        })
    }

    fn gate(&self, model: &Arc<Model>) -> Arc<Gate> {
        let mut gates = lock(&self.gates);
        if let Some(gate) = gates.get(&model.name) {
            let mut inner = lock(&gate.inner);
            if !Arc::ptr_eq(&inner.model, model) {
                inner.model = model.clone();
            }
            drop(inner);
            return gate.clone();
        }
        // Models come and go: gates that nobody uses are dropped here.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = Arc::new(Gate {
            client: self.client.clone(),
            metrics: self.metrics.clone(),
            inner: Mutex::new(Inner {
                model: model.clone(),
                queue: Queue::new(self.bounds),
                waiting: HashMap::new(),
                probing: false,
            }),
        });
        gates.insert(model.name.clone(), gate.clone());
        gate
    }
}

// === impl Place ===

impl Place<'_> {
    /// Passes at once if nobody waits before it; none when the call must wait, as after a turn in vain.
    pub fn pass(&mut self) -> Option<Pass> {
        let passes = !self.again && self.gate.lock().queue.pass();
        self.again |= passes;
        passes.then(|| Pass::of(&self.gate))
    }

    /// Waits for the call's turn, in all no longer than the model's `holdFor`.
    ///
    /// # Errors
    /// `HoldFull` or `HoldExpired`.
    pub async fn wait(&mut self) -> Result<Pass, ApiError> {
        let now = Instant::now();
        let span = self.model.hold_for;
        let until = *self.until.get_or_insert(now + span);
        if until <= now {
            return Err(self.expired(span));
        }
        let again = std::mem::replace(&mut self.again, true);
        let joined = self.gate.join(self.caller, self.bytes, again);
        let Some(mut waiting) = joined else {
            self.gate
                .metrics
                .hold_ended(&self.model.labels, HoldEnd::Full, Duration::ZERO);
            return Err(self.full());
        };
        let turn = timeout_at(until, &mut waiting.turn).await;
        match turn {
            Ok(Ok(Turn::Go)) => {
                waiting.end = HoldEnd::Released;
                Ok(Pass::of(&self.gate))
            }
            Ok(_) => {
                waiting.end = HoldEnd::Full;
                Err(self.full())
            }
            Err(_) => {
                waiting.end = HoldEnd::Expired;
                Err(self.expired(span))
            }
        }
    }

    fn full(&self) -> ApiError {
        ApiError::HoldFull {
            model: self.model.name.clone(),
        }
    }

    fn expired(&self, span: Duration) -> ApiError {
        ApiError::HoldExpired {
            model: self.model.name.clone(),
            after: span,
        }
    }
}

// === impl Pass ===

impl Pass {
    fn of(gate: &Arc<Gate>) -> Self {
        Self {
            gate: gate.clone(),
            ended: false,
        }
    }

    /// The model answers this call, which goes on until it is dropped.
    pub fn served(&self) {
        self.gate.change(Queue::served);
    }

    /// No address took the call.
    pub fn unreachable(mut self) {
        self.ended = true;
        self.gate.change(Queue::unreachable);
    }

    /// The model has too many calls for this one.
    pub fn overloaded(mut self) {
        self.ended = true;
        self.gate.change(Queue::overloaded);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.ended {
            self.gate.change(Queue::ended);
        }
    }
}

// === impl Gate ===

impl Gate {
    fn join(self: &Arc<Self>, caller: &str, bytes: usize, again: bool) -> Option<Waiting> {
        let (send, turn) = oneshot::channel();
        let mut inner = self.lock();
        let joined = inner.queue.join(caller, bytes, again)?;
        inner.waiting.insert(joined.ticket, send);
        for ticket in joined.displaced {
            if let Some(displaced) = inner.waiting.remove(&ticket) {
                let _ = displaced.send(Turn::Displaced);
            }
        }
        self.settle(inner);
        Some(Waiting {
            gate: self.clone(),
            ticket: joined.ticket,
            turn,
            since: Instant::now(),
            end: HoldEnd::Cancelled,
        })
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Queue)) {
        let mut inner = self.lock();
        change(&mut inner.queue);
        self.settle(inner);
    }

    /// After every change: calls whose turn it is go on, a shut queue gets its prober.
    fn settle(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        while let Some(ticket) = inner.queue.release() {
            if let Some(released) = inner.waiting.remove(&ticket) {
                let _ = released.send(Turn::Go);
            }
        }
        let (calls, bytes) = (inner.queue.calls(), inner.queue.bytes());
        self.metrics.held(&inner.model.labels, calls, bytes);
        if inner.queue.is_shut() && calls > 0 && !inner.probing {
            inner.probing = true;
            tokio::spawn(probe::until_it_answers(self.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut inner = self.gate.lock();
        if inner.queue.leave(self.ticket) {
            inner.waiting.remove(&self.ticket);
        } else if self.end != HoldEnd::Released && matches!(self.turn.try_recv(), Ok(Turn::Go)) {
            // Its turn came as it went away.
            inner.queue.ended();
        }
        self.gate
            .metrics
            .hold_ended(&inner.model.labels, self.end, self.since.elapsed());
        self.gate.settle(inner);
    }
}
