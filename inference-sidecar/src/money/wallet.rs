//! The purse of one budget, shared by the calls that draw on it.

use std::sync::{Arc, Mutex};

use aios_budget::{Ask, Grant, Hold, Purse, Refusal, Short};
use aios_crds::budget::Unit;

use super::{bound::Most, charge::Aside, fund::Fund};
use crate::{lock::lock, meter::Receipt, metrics::Metrics, outcome::Outcome};

/// How long a refusal counts for calls that cost as much, so that a spent budget is not asked for at
/// every call. Others may give back meanwhile.
const REFUSED_MS: u64 = 5_000;

/// How long nobody is asked after nobody answered, so that calls do not wait for each other's question.
const AWAY_MS: u64 = 1_000;

/// Purse, and questions that nobody has answered yet.
pub struct Wallet {
    /// Held while a question is on its way.
    pub asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

struct State {
    purse: Purse,
    fund: Arc<Fund>,
    /// Leases that are given back and not yet taken.
    closing: Vec<Ask>,
    /// When a call named it last.
    used: u64,
    refused: Option<(Short, u64)>,
    away: Option<u64>,
}

/// What is put aside for one attempt, in each budget that it draws on; dropped, the attempt never began.
pub struct Reserved {
    most: Most,
    parts: Vec<Part>,
}

/// What is put aside in one budget.
struct Part {
    wallet: Arc<Wallet>,
    fund: Arc<Fund>,
    amount: u64,
    hold: Option<Hold>,
}

impl Wallet {
    /// `name` is never another's.
    pub fn new(fund: Arc<Fund>, name: String, metrics: Arc<Metrics>, now: u64) -> Self {
        Self {
            asking: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                purse: Purse::new(name, fund.unit.clone()),
                fund,
                closing: Vec::new(),
                used: now,
                refused: None,
                away: None,
            }),
            metrics,
        }
    }

    /// Whether it is in the budget's unit. Then it takes what the budget says now.
    pub fn is_for(&self, fund: &Arc<Fund>, now: u64) -> bool {
        let mut state = lock(&self.state);
        if state.fund.unit != fund.unit {
            return false;
        }
        state.used = now;
        if !Arc::ptr_eq(&state.fund, fund) {
            if state.fund != *fund {
                state.refused = None;
            }
            state.fund = fund.clone();
        }
        true
    }

    pub fn fund(&self) -> Arc<Fund> {
        lock(&self.state).fund.clone()
    }

    pub fn reserve(&self, amount: u64, now: u64) -> Result<Hold, Short> {
        lock(&self.state).purse.reserve(amount, now)
    }

    pub fn ask(&self, short: Short, amount: u64, now: u64) -> Ask {
        lock(&self.state).purse.ask(short, amount, now)
    }

    pub fn take(&self, ask: &Ask, answer: Result<Grant, Refusal>, asked: u64) {
        let mut state = lock(&self.state);
        if ask.closes {
            state.closing.retain(|closing| closing != ask);
        }
        state.purse.take(ask, answer, asked);
    }

    /// A question was answered with too little.
    pub fn refused(&self, short: Short, now: u64) {
        lock(&self.state).refused = Some((short, now));
    }

    pub fn refused_lately(&self, short: Short, now: u64) -> bool {
        let refused = lock(&self.state).refused;
        refused.is_some_and(|(before, at)| {
            short.by >= before.by && now.saturating_sub(at) < REFUSED_MS
        })
    }

    /// Nobody answered a question.
    pub fn away(&self, now: u64) {
        lock(&self.state).away = Some(now);
    }

    pub fn away_lately(&self, now: u64) -> bool {
        let away = lock(&self.state).away;
        away.is_some_and(|at| now.saturating_sub(at) < AWAY_MS)
    }

    /// Whether it holds nothing, and no call named it since.
    pub fn is_forgotten(&self, since: u64) -> bool {
        let state = lock(&self.state);
        state.used < since && state.purse.is_empty() && state.closing.is_empty()
    }

    pub fn report(&self) -> Option<Ask> {
        lock(&self.state).purse.report()
    }

    /// What is given back and nobody has taken yet. The lease, too, unless a call is under way or was
    /// since.
    pub fn closing(&self, since: u64) -> Vec<Ask> {
        let mut state = lock(&self.state);
        if let Some(last) = state.purse.close(since) {
            state.closing.push(last);
        }
        state.closing.clone()
    }
}

impl Reserved {
    /// Nothing yet.
    pub fn new(most: Most) -> Self {
        Self {
            most,
            parts: Vec::new(),
        }
    }

    pub fn most(&self) -> &Most {
        &self.most
    }

    pub fn add(&mut self, wallet: Arc<Wallet>, fund: Arc<Fund>, amount: u64, hold: Hold) {
        self.parts.push(Part {
            wallet,
            fund,
            amount,
            hold: Some(hold),
        });
    }

    /// Takes what the attempt came to.
    pub fn settle(mut self, receipt: &Receipt, outcome: Outcome, text_bytes: u64) {
        for part in &mut self.parts {
            let Part {
                wallet,
                fund,
                amount,
                ..
            } = part;
            let (unit, amount) = (&fund.unit, *amount);
            let cost = Aside { unit, amount }.charge(receipt, outcome, text_bytes, &self.most);
            if cost > amount {
                tracing::warn!(
                    budget = fund.owner(),
                    cost,
                    most = amount,
                    "a call came to more than it could: the model's server takes more tokens than it is told"
                );
            }
            let basis = match unit {
                Unit::Money(_) => receipt.basis(),
                Unit::Tokens => receipt.usage.basis,
            };
            wallet.metrics.budget_spent(fund, basis, cost);
            part.end(cost);
        }
    }
}

impl Part {
    fn end(&mut self, cost: u64) {
        if let Some(hold) = self.hold.take() {
            lock(&self.wallet.state).purse.settle(hold, cost);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.end(0);
    }
}
