//! What one process may spend of a budget: a lease of the book, of which every call under way reserves
//! the most that it can cost.

use aios_crds::budget::Unit;

use crate::{Ask, Grant, Refusal};

/// Calls that a lease is to last for at least.
const CALLS: u64 = 16;

/// A lease and what is spent of it. Amounts are of the budget's unit; times are
/// milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Purse {
    /// Its own name; never used again.
    name: String,
    /// What its amounts are of, as long as it is there.
    unit: Unit,
    /// Leases so far: each is another holder's.
    leases: u64,
    sequence: u64,
    lease: Option<Lease>,
    used_ms: u64,
    told: u64,
}

#[derive(Clone, Debug)]
struct Lease {
    period: String,
    ends_ms: u64,
    granted: u64,
    spent: u64,
    reserved: u64,
}

/// Money put aside for one call. It is settled with what the call came to.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved stays so until it is settled"]
pub struct Hold {
    lease: u64,
    amount: u64,
}

/// The lease does not hold what a call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// By so much.
    pub by: u64,
}

impl Purse {
    /// Without a lease. `name` is never another's.
    pub fn new(name: String, unit: Unit) -> Self {
        Self {
            name,
            unit,
            leases: 0,
            sequence: 0,
            lease: None,
            used_ms: 0,
            told: 0,
        }
    }

    /// Puts aside what a call may cost at most.
    ///
    /// # Errors
    /// When the lease does not hold as much.
    pub fn reserve(&mut self, amount: u64, now_ms: u64) -> Result<Hold, Short> {
        let Some(lease) = self.lease.as_mut().filter(|lease| now_ms < lease.ends_ms) else {
            return Err(Short { by: amount });
        };
        let after = lease.committed().saturating_add(amount);
        if after > lease.granted {
            return Err(Short {
                by: after - lease.granted,
            });
        }
        lease.reserved = lease.reserved.saturating_add(amount);
        self.used_ms = now_ms;
        Ok(Hold {
            lease: self.leases,
            amount,
        })
    }

    /// Ends a call that came to `cost`. A call of a lease that is no more was counted with it.
    #[expect(clippy::needless_pass_by_value, reason = "a hold is settled once")]
    pub fn settle(&mut self, hold: Hold, cost: u64) {
        if hold.lease != self.leases {
            return;
        }
        if let Some(lease) = &mut self.lease {
            lease.reserved = lease.reserved.saturating_sub(hold.amount);
            lease.spent = lease.spent.saturating_add(cost);
        }
    }

    /// The question for as much as lacks for a call of `amount`. Ask one question at a time, and take
    /// what comes of it.
    pub fn ask(&mut self, short: Short, amount: u64, now_ms: u64) -> Ask {
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.ends_ms <= now_ms)
        {
            self.drop_lease();
        }
        let spent = self.lease.as_ref().map_or(0, |lease| lease.spent);
        // Parts grow with what is spent, so that questions become seldom.
        let wishes = amount.saturating_mul(CALLS).max(spent / 4);
        Ask {
            needs: short.by,
            wishes: wishes.max(short.by),
            ..self.question()
        }
    }

    /// What the book is to hear if it has not: what is spent.
    pub fn report(&mut self) -> Option<Ask> {
        let spent = self.lease.as_ref()?.spent;
        (spent != self.told).then(|| self.question())
    }

    /// Gives the lease back, unless a call is under way or was since `since_ms`.
    /// Ask it until there is an answer: until then the rest stays granted.
    pub fn close(&mut self, since_ms: u64) -> Option<Ask> {
        let lease = self.lease.as_ref()?;
        if lease.reserved > 0 || self.used_ms > since_ms {
            return None;
        }
        let last = Ask {
            closes: true,
            ..self.question()
        };
        self.drop_lease();
        Some(last)
    }

    /// Whether nothing is lent to it.
    pub fn is_empty(&self) -> bool {
        self.lease.is_none()
    }

    /// Takes what came of the last question.
    pub fn take(&mut self, ask: &Ask, answer: Result<Grant, Refusal>, asked_ms: u64) {
        if ask.closes || ask.holder != self.holder() {
            return;
        }
        match answer {
            Ok(grant) => {
                self.told = ask.spent;
                let before = self.lease.take();
                self.lease = Some(Lease {
                    ends_ms: asked_ms.saturating_add(grant.ends_in_ms),
                    granted: grant.granted,
                    spent: before.as_ref().map_or(0, |lease| lease.spent),
                    reserved: before.as_ref().map_or(0, |lease| lease.reserved),
                    period: grant.period,
                });
            }
            Err(Refusal::Unknown | Refusal::OtherUnit) => self.drop_lease(),
            Err(Refusal::Stale) => {}
        }
    }

    /// What is spent or reserved of the lease, and what is granted.
    pub fn state(&self) -> (u64, u64) {
        let lease = self.lease.as_ref();
        lease.map_or((0, 0), |lease| (lease.committed(), lease.granted))
    }

    fn question(&mut self) -> Ask {
        self.sequence += 1;
        let lease = self.lease.as_ref();
        Ask {
            holder: self.holder(),
            sequence: self.sequence,
            unit: Some(self.unit.clone()),
            period: lease.map(|lease| lease.period.clone()).unwrap_or_default(),
            spent: lease.map_or(0, |lease| lease.spent),
            keeps: lease.map_or(0, |lease| lease.granted),
            needs: 0,
            wishes: 0,
            closes: false,
        }
    }

    fn holder(&self) -> String {
        format!("{}-{}", self.name, self.leases)
    }

    fn drop_lease(&mut self) {
        self.lease = None;
        self.leases += 1;
        self.told = 0;
    }
}

impl Lease {
    fn committed(&self) -> u64 {
        self.spent.saturating_add(self.reserved)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::budget::Unit;

    use super::{Purse, Short};
    use crate::{Grant, Refusal};

    fn grant(granted: u64) -> Grant {
        Grant {
            period: "2026-11".into(),
            ends_in_ms: 1000,
            granted,
        }
    }

    fn purse(granted: u64) -> Purse {
        let mut purse = Purse::new("p".into(), Unit::Tokens);
        let ask = purse.ask(Short { by: granted }, granted, 0);
        purse.take(&ask, Ok(grant(granted)), 0);
        purse
    }

    #[test]
    fn calls_under_way_reserve_and_settled_ones_free_the_rest() {
        let mut purse = purse(100);
        let first = purse.reserve(60, 1).unwrap();
        assert_eq!(purse.reserve(60, 1), Err(Short { by: 20 }));
        purse.settle(first, 10);
        let second = purse.reserve(60, 1).unwrap();
        assert_eq!(purse.state(), (70, 100));
        purse.settle(second, 0);
        assert_eq!(purse.state(), (10, 100));
    }

    #[test]
    fn a_call_that_cost_more_than_it_could_is_counted_whole() {
        let mut purse = purse(100);
        let hold = purse.reserve(60, 1).unwrap();
        purse.settle(hold, 130);
        assert_eq!(purse.reserve(1, 1), Err(Short { by: 31 }));
    }

    #[test]
    fn a_lease_ends_with_its_period_and_calls_begun_in_it_count_there() {
        let mut purse = purse(100);
        let old = purse.reserve(60, 999).unwrap();
        assert_eq!(purse.reserve(1, 1000), Err(Short { by: 1 }));
        let ask = purse.ask(Short { by: 50 }, 50, 1000);
        assert_eq!(
            (ask.keeps, ask.period.as_str(), ask.holder.as_str()),
            (0, "", "p-1")
        );
        purse.take(&ask, Ok(grant(50)), 1000);
        purse.settle(old, 60);
        assert_eq!(purse.state(), (0, 50));
    }

    #[test]
    fn a_lease_that_the_book_does_not_know_is_spent_no_further() {
        for refusal in [Refusal::Unknown, Refusal::OtherUnit] {
            let mut purse = purse(100);
            let ask = purse.ask(Short { by: 1 }, 1, 0);
            purse.take(&ask, Err(refusal), 0);
            assert_eq!(purse.reserve(1, 1), Err(Short { by: 1 }));
        }
    }

    #[test]
    fn an_idle_lease_is_given_back_once_nothing_is_under_way() {
        let mut purse = purse(100);
        let hold = purse.reserve(60, 5).unwrap();
        assert_eq!(purse.close(100), None);
        purse.settle(hold, 7);
        assert_eq!(purse.close(4), None);
        let last = purse.close(5).unwrap();
        assert!(last.closes && last.spent == 7 && last.keeps == 100);
        assert!(purse.is_empty());
        assert_eq!(purse.reserve(1, 6), Err(Short { by: 1 }));
    }

    #[test]
    fn only_what_is_new_is_reported() {
        let mut purse = purse(100);
        assert_eq!(purse.report(), None);
        let hold = purse.reserve(60, 5).unwrap();
        purse.settle(hold, 7);
        let report = purse.report().unwrap();
        assert_eq!((report.spent, report.needs), (7, 0));
        purse.take(&report, Ok(grant(100)), 5);
        assert_eq!(purse.report(), None);
    }
}
