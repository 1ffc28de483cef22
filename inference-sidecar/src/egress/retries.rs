//! How many further tries a model may cost: a share of its calls, and a few a second when there are few.
//! Without a bound, a model in trouble gets several times the calls that it could not take.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::lock::lock;

/// A try, in the hundredths that are counted.
const TRY: u64 = 100;
/// What each call adds: one further try for five calls.
const PER_CALL: u64 = TRY / 5;
/// What each second adds.
const PER_SECOND: u64 = 10 * TRY;
/// Most that is saved up.
const MOST: u64 = 100 * TRY;

/// The budgets of all models.
#[derive(Default)]
pub struct Retries(Mutex<HashMap<String, Budget>>);

/// The budget of one model. Pure.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u64,
    since: Instant,
}

impl Retries {
    /// A call begins.
    pub fn called(&self, model: &str) {
        let now = Instant::now();
        let mut budgets = lock(&self.0);
        match budgets.get_mut(model) {
            Some(budget) => budget.add(PER_CALL, now),
            None => {
                budgets.insert(model.to_owned(), Budget::full(now));
            }
        }
    }

    /// Whether there is a further try for it.
    pub fn take(&self, model: &str) -> bool {
        let now = Instant::now();
        let mut budgets = lock(&self.0);
        budgets.get_mut(model).is_none_or(|budget| budget.take(now))
    }
}

impl Budget {
    fn full(now: Instant) -> Self {
        Self {
            left: MOST,
            since: now,
        }
    }

    fn add(&mut self, hundredths: u64, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let refill = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let refill = refill.saturating_mul(PER_SECOND) / 1000;
        // A span too short to add anything is not forgotten.
        if refill > 0 {
            self.since += Duration::from_millis(refill.saturating_mul(1000) / PER_SECOND);
        }
        self.left = (self.left.saturating_add(refill).saturating_add(hundredths)).min(MOST);
    }

    fn take(&mut self, now: Instant) -> bool {
        self.add(0, now);
        match self.left.checked_sub(TRY) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Budget, MOST, TRY};

    fn spend(budget: &mut Budget, now: Instant) -> u64 {
        std::iter::repeat_with(|| budget.take(now))
            .take_while(|taken| *taken)
            .count() as u64
    }

    #[test]
    fn tries_end_when_the_budget_is_spent() {
        let now = Instant::now();
        let mut budget = Budget::full(now);
        assert_eq!(spend(&mut budget, now), MOST / TRY);
    }

    #[test]
    fn five_calls_pay_for_one_try() {
        let now = Instant::now();
        let mut budget = Budget::full(now);
        spend(&mut budget, now);
        for _ in 0..50 {
            budget.add(super::PER_CALL, now);
        }
        assert_eq!(spend(&mut budget, now), 10);
    }

    #[test]
    fn few_calls_have_ten_tries_a_second_however_often_one_looks() {
        let mut now = Instant::now();
        let mut budget = Budget::full(now);
        spend(&mut budget, now);
        let mut taken = 0;
        for _ in 0..10_000 {
            now += Duration::from_micros(300);
            taken += spend(&mut budget, now);
        }
        assert_eq!(taken, 30);
    }
}
