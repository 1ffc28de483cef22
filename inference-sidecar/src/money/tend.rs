//! Keeps the lessor told of what is spent, and gives back what nobody uses.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aios_budget::{Ask, Refusal};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Money, lessor::Answer, wallet::Wallet};
use crate::lock::lock;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(10);
/// A lease that no call used for so long is given back: others may lack it.
const IDLE_MS: u64 = 30_000;

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
