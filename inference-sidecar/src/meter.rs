//! Accounts for one call to a model, however it ends: also when the caller goes away and everything
//! is dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;

use crate::{
    breaker::Judge,
    cost::{Basis, Cached, Cost, Usage, estimate, price},
    dialect::openai::{Observer, Operation},
    metrics::{Metrics, Side},
    money::Reserved,
    outcome::Outcome,
    snapshot::Model,
    trace::Span,
};

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub usage: Usage,
    /// None without a price.
    pub cost: Option<Cost>,
}

impl Receipt {
    /// Whether all of it is known: its tokens, and its cost if it has one.
    pub fn basis(&self) -> Basis {
        let cost = self.cost.as_ref();
        cost.map_or(self.usage.basis, |cost| cost.basis)
    }
}

/// Accounts for an answer while it is told.
pub trait Account: Send + 'static {
    /// Notes the state of a stream.
    fn watch(&mut self, observer: &Observer);
    /// Notes what the caller is told.
    fn told(&mut self, _: &Bytes) {}
    /// The answer ended so.
    fn settle(self, outcome: Outcome) -> Receipt;
}

/// One call under way.
pub struct Meter {
    metrics: Arc<Metrics>,
    side: Side,
    operation: Operation,
    model: Arc<Model>,
    started: Instant,
    first_token: Option<Instant>,
    /// Tokens of the prompt, by estimate.
    prompt_tokens: u64,
    usage: Option<Usage>,
    text_bytes: u64,
    /// Where the answer's tokens are counted, too.
    tally: Option<Arc<AtomicU64>>,
    judge: Option<Judge>,
    reserved: Option<Reserved>,
    span: Option<Span>,
    settled: bool,
}

impl Meter {
    /// Starts the clock.
    pub fn start(
        metrics: Arc<Metrics>,
        side: Side,
        operation: Operation,
        model: Arc<Model>,
        prompt_tokens: u64,
    ) -> Self {
        Self {
            metrics,
            side,
            operation,
            model,
            started: Instant::now(),
            first_token: None,
            prompt_tokens,
            usage: None,
            text_bytes: 0,
            tally: None,
            judge: None,
            reserved: None,
            span: None,
            settled: false,
        }
    }

    /// Counts the answer's tokens there, too.
    pub fn tally(&mut self, tokens: Option<Arc<AtomicU64>>) {
        self.tally = tokens;
    }

    /// Tells the breaker of the address how the call ended.
    pub fn judged_by(&mut self, judge: Judge) {
        self.judge = Some(judge);
    }

    /// Takes what the call comes to from what was put aside for it.
    pub fn paid_from(&mut self, reserved: Option<Reserved>) {
        self.reserved = reserved;
    }

    /// Ends the span with the call.
    pub fn traced(&mut self, span: Option<Span>) {
        self.span = span;
    }

    /// Notes what is known so far.
    pub fn note(&mut self, usage: Option<Usage>, text_bytes: u64) {
        self.usage = usage.or(self.usage);
        self.text_bytes = text_bytes;
    }

    /// What it came to so far.
    pub fn receipt(&self) -> Receipt {
        let usage = self.usage.unwrap_or(Usage {
            input: self.prompt_tokens,
            output: estimate(self.text_bytes),
            cached: Cached::default(),
            basis: Basis::Estimated,
        });
        let cost = price(usage, self.model.pricing.as_ref());
        Receipt { usage, cost }
    }

    fn close(&mut self, outcome: Outcome) -> Receipt {
        self.settled = true;
        if let Some(judge) = self.judge.take() {
            judge.end(outcome);
        }
        let (labels, took) = (&self.model.labels, self.started.elapsed());
        self.metrics
            .call_ended(self.side, self.operation, labels, outcome, took);
        // Money is counted once, where it is decided about.
        let receipt = self.receipt();
        let usage = receipt.usage;
        // A stream that failed after its first words spent them, too, as budgets are charged.
        let spends = outcome.spends() || self.usage.is_some() || self.text_bytes > 0;
        if let Some(tally) = self.tally.as_ref().filter(|_| spends) {
            tally.fetch_add(usage.output, Relaxed);
        }
        if self.side == Side::Client && spends {
            self.metrics
                .spent(self.operation, labels, usage, receipt.cost.as_ref());
        }
        if let (Side::Server, Outcome::Ok, Some(first)) = (self.side, outcome, self.first_token) {
            let further = u32::try_from(usage.output.saturating_sub(1)).unwrap_or(u32::MAX);
            if let Some(mean) = first.elapsed().checked_div(further) {
                self.metrics.per_token(labels, mean);
            }
        }
        if let Some(reserved) = self.reserved.take() {
            reserved.settle(&receipt, outcome, self.text_bytes);
        }
        if let Some(span) = self.span.take() {
            span.end_with(outcome, &receipt);
        }
        receipt
    }
}

impl Account for Meter {
    fn watch(&mut self, observer: &Observer) {
        self.note(observer.usage, observer.text_bytes);
        if self.first_token.is_none() && observer.text_bytes > 0 {
            self.first_token = Some(Instant::now());
            self.metrics
                .first_token(self.side, &self.model.labels, self.started.elapsed());
        }
    }

    fn settle(mut self, outcome: Outcome) -> Receipt {
        self.close(outcome)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.settled {
            self.close(Outcome::Cancelled);
        }
    }
}
