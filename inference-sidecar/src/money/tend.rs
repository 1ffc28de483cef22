//! Keeps the lessor told of what is spent, and gives back what nobody uses.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aios_budget::{Ask, Refusal};
use aios_proto::control::BudgetScope;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Money, lessor::Answer, wallet::Wallet};
use crate::lock::lock;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(10);
/// A lease that no call used for so long is given back: others may lack it.
const IDLE_MS: u64 = 30_000;
/// Runs come and go: one that no call names for so long is forgotten, and its metrics with it.
const FORGET_MS: u64 = 60 * 60 * 1000;

/// Until shutdown.
pub async fn tend(money: Arc<Money>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(LOOK) => {}
        }
        let since = money.clock.now().saturating_sub(IDLE_MS);
        for wallet in money.wallets() {
            let _turn = wallet.asking.lock().await;
            for ask in wallet.closing(since).into_iter().chain(wallet.report()) {
                money.tell(&wallet, &ask).await;
            }
        }
        money.forget(money.clock.now().saturating_sub(FORGET_MS));
    }
}

/// Gives back what is left, once no call is under way any more. What nobody takes within `span` stays
/// granted, and counts as spent.
pub async fn close(money: &Money, span: Duration) {
    let deadline = Instant::now() + span;
    for wallet in money.wallets() {
        let given = async {
            let _turn = wallet.asking.lock().await;
            for ask in wallet.closing(u64::MAX) {
                money.tell(&wallet, &ask).await;
            }
        };
        if timeout_at(deadline, given).await.is_err() {
            let budget = wallet.fund().owner();
            tracing::warn!(budget, "a lease was not given back");
        }
    }
}

impl Money {
    fn wallets(&self) -> Vec<Arc<Wallet>> {
        let wallets = lock(&self.wallets);
        wallets
            .values()
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect()
    }

    /// Forgets runs that no call named since.
    fn forget(&self, since: u64) {
        let mut wallets = lock(&self.wallets);
        let Some(runs) = wallets.get_mut(&BudgetScope::Run) else {
            return;
        };
        runs.retain(|_, own| {
            // Who holds one may be about to use it.
            let is_over =
                |wallet: &Arc<Wallet>| Arc::strong_count(wallet) == 1 && wallet.is_forgotten(since);
            let are_over = own.iter().all(is_over);
            if are_over {
                for wallet in &*own {
                    self.metrics.budget_forgotten(&wallet.fund());
                }
            }
            !are_over
        });
    }

    async fn tell(&self, wallet: &Wallet, ask: &Ask) {
        let now = self.clock.now();
        match self.answer(&wallet.fund(), ask).await {
            Some(Answer::Granted(grant)) => wallet.take(ask, Ok(grant), now),
            Some(Answer::Refused(refusal)) => wallet.take(ask, Err(refusal), now),
            // What nobody lends any more is spent no further.
            Some(Answer::Gone) => wallet.take(ask, Err(Refusal::Unknown), now),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aios_budget::Short;
    use aios_crds::budget::Unit;
    use aios_proto::control::BudgetScope;
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::Money;
    use crate::{
        metrics::{Metrics, NoBudget},
        money::{Fund, Lessor},
    };

    #[test]
    fn a_run_that_no_call_names_any_more_is_forgotten_with_its_metrics_and_its_holder() {
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&mut registry));
        let money = Money::new(Lessor::own(), metrics.clone(), "p".into());
        let told = |name: &str| {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text.contains(&format!("name=\"{name}\""))
        };
        let run = Fund::of_run("batch".into(), Unit::Tokens);
        let model = Fund::new(
            BudgetScope::Model,
            "small",
            serde_json::from_str("{}").unwrap(),
        );
        money.wallet(&model);
        let wallet = money.wallet(&run);
        let first = wallet.ask(Short { by: 1 }, 1, 0).holder;
        for fund in [&run, &model] {
            metrics.budget_refused(fund, NoBudget::Unreachable);
            metrics.budget_leased(fund, 1);
        }
        money.forget(u64::MAX);
        assert!(told("batch") && money.wallets().len() == 2);
        drop(wallet);
        money.forget(0);
        assert!(told("batch") && money.wallets().len() == 2);
        money.forget(u64::MAX);
        assert!(!told("batch") && told("small") && money.wallets().len() == 1);
        let again = money.wallet(&run).ask(Short { by: 1 }, 1, 0).holder;
        assert_ne!(again, first);
    }
}
