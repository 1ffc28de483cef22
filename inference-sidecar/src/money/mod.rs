//! Holds calls to the budgets of their pipelines: before a call the most that it can cost is put aside,
//! after it what it came to is taken. Part by part, budgets come from a lessor.

mod bound;
mod charge;
mod lessor;
mod tend;
mod wallet;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aios_budget::{Ask, Grant, Hold, Refusal};
use aios_crds::{
    Decimal,
    model_deployment::Pricing,
    writing_pipeline::{Budget, BudgetPeriod},
};
use tokio::time::timeout;

pub use bound::Sent;
pub use lessor::{Away, Lessor};
pub use tend::{close, tend};
pub use wallet::Reserved;

use self::{bound::Most, wallet::Wallet};
use crate::{
    error::ApiError,
    lock::lock,
    metrics::{Metrics, NoBudget},
    snapshot::{Model, Pipeline},
};

/// How long the lessor may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Questions in a row that one call asks: a lease that is not known any more takes a second.
const QUESTIONS: usize = 2;

/// The wallets of all pipelines with a budget.
pub struct Money {
    wallets: Mutex<BTreeMap<String, Arc<Wallet>>>,
    lessor: Lessor,
    metrics: Arc<Metrics>,
    process: String,
    clock: Clock,
}

/// Milliseconds since the process began; never goes back.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Money {
    /// `process` is never another's name.
    pub fn new(lessor: Lessor, metrics: Arc<Metrics>, process: String) -> Self {
        Self {
            wallets: Mutex::default(),
            lessor,
            metrics,
            process,
            clock: Clock(Instant::now()),
        }
    }

    /// Puts aside what an attempt may cost; none where the pipeline has no budget.
    ///
    /// # Errors
    /// `Unpriced`, `BudgetExhausted` or `BudgetUnreachable`.
    pub async fn reserve(
        &self,
        pipeline: &Pipeline,
        model: &Model,
        sent: &Sent<'_>,
    ) -> Result<Option<Reserved>, ApiError> {
        let Some(budget) = &pipeline.budget else {
            return Ok(None);
        };
        let reserved = match priced(pipeline, budget, model) {
            Ok(pricing) => self.fund(pipeline, budget, sent.most(model, pricing)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &reserved {
            let why = match error {
                ApiError::BudgetExhausted { .. } => NoBudget::Exhausted,
                ApiError::Unpriced { .. } => NoBudget::Unpriced,
                _ => NoBudget::Unreachable,
            };
            self.metrics.budget_refused(&pipeline.name, why);
        }
        reserved.map(Some)
    }

    async fn fund(
        &self,
        pipeline: &Pipeline,
        budget: &Budget,
        most: Most,
    ) -> Result<Reserved, ApiError> {
        let wallet = self.wallet(&pipeline.name, budget);
        let hold = match wallet.reserve(&most, self.clock.now()) {
            Ok(hold) => hold,
            Err(_) => self.borrow(pipeline, budget, &wallet, &most).await?,
        };
        Ok(Reserved::new(wallet, most, hold))
    }

    /// Asks for more. One question at a time: who waited for it may find enough.
    async fn borrow(
        &self,
        pipeline: &Pipeline,
        budget: &Budget,
        wallet: &Wallet,
        most: &Most,
    ) -> Result<Hold, ApiError> {
        let _turn = wallet.asking.lock().await;
        for _ in 0..QUESTIONS {
            let now = self.clock.now();
            let short = match wallet.reserve(most, now) {
                Ok(hold) => return Ok(hold),
                Err(short) => short,
            };
            if wallet.refused_lately(short, now) {
                return Err(exhausted(pipeline, budget, most));
            }
            if wallet.away_lately(now) {
                return Err(ApiError::BudgetUnreachable(pipeline.name.clone()));
            }
            let ask = wallet.ask(short, most.millionths, now);
            let Some(answer) = self.answer(wallet, budget, &ask).await else {
                tracing::warn!(pipeline = wallet.name, "nobody grants more of the budget");
                wallet.away(self.clock.now());
                return Err(ApiError::BudgetUnreachable(pipeline.name.clone()));
            };
            wallet.take(&ask, answer.clone(), now);
            if answer != Err(Refusal::Unknown) {
                break;
            }
        }
        let now = self.clock.now();
        wallet.reserve(most, now).map_err(|short| {
            wallet.refused(short, now);
            exhausted(pipeline, budget, most)
        })
    }

    /// None when nobody answers.
    async fn answer(
        &self,
        wallet: &Wallet,
        budget: &Budget,
        ask: &Ask,
    ) -> Option<Result<Grant, Refusal>> {
        let asked = timeout(ANSWER, self.lessor.ask(&wallet.name, budget, ask)).await;
        let answer = asked.ok()?.ok()?;
        let leased = answer.as_ref().map_or(0, |grant| grant.granted);
        self.metrics
            .budget_leased(&wallet.name, &budget.currency, leased);
        Some(answer)
    }

    fn wallet(&self, pipeline: &str, budget: &Budget) -> Arc<Wallet> {
        let mut wallets = lock(&self.wallets);
        if let Some(wallet) = wallets.get(pipeline) {
            wallet.is_for(budget);
            return wallet.clone();
        }
        let process = format!("{}-{pipeline}", self.process);
        let wallet = Wallet::new(pipeline, budget.clone(), process, self.metrics.clone());
        let wallet = Arc::new(wallet);
        wallets.insert(pipeline.to_owned(), wallet.clone());
        wallet
    }
}

impl Clock {
    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn priced<'a>(
    pipeline: &Pipeline,
    budget: &Budget,
    model: &'a Model,
) -> Result<&'a Pricing, ApiError> {
    let pricing = model.pricing.as_ref();
    let pricing = pricing.filter(|pricing| pricing.currency == budget.currency);
    pricing.ok_or_else(|| ApiError::Unpriced {
        model: model.name.clone(),
        pipeline: pipeline.name.clone(),
        currency: budget.currency.clone(),
    })
}

fn exhausted(pipeline: &Pipeline, budget: &Budget, most: &Most) -> ApiError {
    let span = match budget.period {
        BudgetPeriod::Day => "day",
        BudgetPeriod::Month => "month",
    };
    ApiError::BudgetExhausted {
        pipeline: pipeline.name.clone(),
        budget: format!("{} {} a {span}", budget.amount, budget.currency),
        most: format!(
            "{} {}",
            Decimal::from_millionths(most.millionths),
            budget.currency
        ),
    }
}
