//! Holds calls to the budgets that they draw on: before a call the most that it can come to is put aside in
//! each, after it what it came to is taken. Part by part, budgets come from a lessor.

mod bound;
mod charge;
mod contents;
mod fund;
mod lessor;
mod tend;
mod wallet;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aios_budget::{Ask, Hold, Refusal};
use aios_proto::control::BudgetScope;
use tokio::time::timeout;

pub use bound::Sent;
pub use fund::{Fund, Funds};
pub use lessor::{Away, Lessor};
pub use tend::{close, tend};
pub use wallet::Reserved;

use self::{lessor::Answer, wallet::Wallet};
use crate::{
    error::ApiError,
    lock::lock,
    metrics::{Metrics, NoBudget},
    snapshot::Model,
};

/// How long the lessor may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Questions in a row that one call asks: a lease that is not known any more takes a second.
const QUESTIONS: usize = 2;

/// By whose budget they are of: one for each unit that it counted.
type Wallets = BTreeMap<BudgetScope, BTreeMap<String, Vec<Arc<Wallet>>>>;

/// The wallets of all budgets.
pub struct Money {
    wallets: Mutex<Wallets>,
    lessor: Lessor,
    metrics: Arc<Metrics>,
    process: String,
    /// Purses so far: a lease of one is never another's.
    purses: AtomicU64,
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
            purses: AtomicU64::default(),
            clock: Clock(Instant::now()),
        }
    }

    /// Puts aside what an attempt may come to in every budget that it draws on, or in none; nothing where
    /// no budget bounds it.
    ///
    /// # Errors
    /// `Unbounded`, `Unpriced`, `BudgetExhausted` or `BudgetUnreachable`.
    pub async fn reserve(
        &self,
        funds: &Funds,
        model: &Model,
        sent: &Sent<'_>,
    ) -> Result<Option<Reserved>, ApiError> {
        let mut funds = funds.with(model.fund.as_ref()).peekable();
        let Some(narrowest) = funds.peek() else {
            return Ok(None);
        };
        let most = sent.most(model).map_err(|field| {
            // Its metrics are forgotten with its wallet.
            self.wallet(narrowest);
            self.metrics.budget_refused(narrowest, NoBudget::Unbounded);
            let owner = narrowest.owner();
            ApiError::Unbounded { field, owner }
        })?;
        let mut reserved = Reserved::new(most);
        for fund in funds {
            // What is reserved so far is given back with the error.
            if let Err(error) = self.fund(fund, model, &mut reserved).await {
                let why = match error {
                    ApiError::BudgetExhausted { .. } => NoBudget::Exhausted,
                    ApiError::Unpriced { .. } => NoBudget::Unpriced,
                    _ => NoBudget::Unreachable,
                };
                self.metrics.budget_refused(fund, why);
                return Err(error);
            }
        }
        Ok(Some(reserved))
    }

    async fn fund(
        &self,
        fund: &Arc<Fund>,
        model: &Model,
        reserved: &mut Reserved,
    ) -> Result<(), ApiError> {
        let wallet = self.wallet(fund);
        let most = reserved.most().of(&fund.unit);
        let most = most.ok_or_else(|| ApiError::Unpriced {
            model: model.name.clone(),
            owner: fund.owner(),
            currency: fund.unit.to_string(),
        })?;
        let hold = match wallet.reserve(most, self.clock.now()) {
            Ok(hold) => Some(hold),
            Err(_) => self.borrow(fund, &wallet, most).await?,
        };
        if let Some(hold) = hold {
            reserved.add(wallet, fund.clone(), most, hold);
        }
        Ok(())
    }

    /// Asks for more; none where the budget is gone. One question at a time: who waited for it may find
    /// enough.
    async fn borrow(
        &self,
        fund: &Fund,
        wallet: &Wallet,
        most: u64,
    ) -> Result<Option<Hold>, ApiError> {
        let unreachable = || ApiError::BudgetUnreachable(fund.owner());
        let _turn = wallet.asking.lock().await;
        for _ in 0..QUESTIONS {
            let now = self.clock.now();
            let short = match wallet.reserve(most, now) {
                Ok(hold) => return Ok(Some(hold)),
                Err(short) => short,
            };
            if wallet.refused_lately(short, now) {
                return Err(exhausted(fund, most));
            }
            if wallet.away_lately(now) {
                return Err(unreachable());
            }
            let ask = wallet.ask(short, most, now);
            match self.answer(fund, &ask).await {
                Some(Answer::Granted(grant)) => {
                    wallet.take(&ask, Ok(grant), now);
                    break;
                }
                Some(Answer::Refused(refusal)) => {
                    wallet.take(&ask, Err(refusal), now);
                    match refusal {
                        Refusal::Unknown => {}
                        Refusal::Stale => break,
                        // Either side has not heard yet what the budget counts, or the caller is wrong.
                        Refusal::OtherUnit => return Err(unreachable()),
                    }
                }
                Some(Answer::Gone) => return Ok(None),
                None => {
                    tracing::warn!(budget = fund.owner(), "nobody grants more");
                    wallet.away(self.clock.now());
                    return Err(unreachable());
                }
            }
        }
        let now = self.clock.now();
        let hold = wallet.reserve(most, now).map_err(|short| {
            wallet.refused(short, now);
            exhausted(fund, most)
        })?;
        Ok(Some(hold))
    }

    /// None when nobody answers.
    async fn answer(&self, fund: &Fund, ask: &Ask) -> Option<Answer> {
        let asked = timeout(ANSWER, self.lessor.ask(fund, ask)).await;
        let answer = asked.ok()?.ok()?;
        let leased = match &answer {
            Answer::Granted(grant) => grant.granted,
            Answer::Refused(_) | Answer::Gone => 0,
        };
        self.metrics.budget_leased(fund, leased);
        Some(answer)
    }

    fn wallet(&self, fund: &Arc<Fund>) -> Arc<Wallet> {
        let mut wallets = lock(&self.wallets);
        let of_scope = wallets.entry(fund.scope).or_default();
        let now = self.clock.now();
        let known = of_scope.get(&fund.name).into_iter().flatten();
        if let Some(wallet) = known.into_iter().find(|wallet| wallet.is_for(fund, now)) {
            return wallet.clone();
        }
        let number = self.purses.fetch_add(1, Relaxed);
        let name = format!("{}-{number}", self.process);
        let wallet = Arc::new(Wallet::new(fund.clone(), name, self.metrics.clone(), now));
        let own = of_scope.entry(fund.name.clone()).or_default();
        own.push(wallet.clone());
        wallet
    }
}

impl Clock {
    fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn exhausted(fund: &Fund, most: u64) -> ApiError {
    ApiError::BudgetExhausted {
        owner: fund.owner(),
        allows: fund.allows(),
        most: fund.unit.say(most),
        remedy: fund.remedy(),
    }
}
