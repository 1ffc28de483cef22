//! How much of a budget is gone, and whether it pays for calls. Pure.

use std::time::Duration;

use aios_budget::{Allowance, Book};
use aios_crds::{
    ConditionType, Reason,
    budget::{Budget, BudgetSpent, RunBudget},
};
use jiff::Timestamp;

use crate::conditions::Fact;

/// A budget, and its book as it is in the present period.
#[derive(Clone, Debug)]
pub struct Spending {
    allowance: Allowance,
    book: Book,
}

impl Spending {
    /// A time zone that does not exist has no period; the compiler says so.
    pub fn of(budget: &Budget, book: &Book, now: Timestamp) -> Option<Self> {
        let allowance = Allowance::of(budget, now).ok()?;
        Some(Self::at(allowance, book, now))
    }

    pub fn of_run(budget: &RunBudget, book: &Book, now: Timestamp) -> Self {
        Self::at(Allowance::of_run(budget), book, now)
    }

    fn at(allowance: Allowance, book: &Book, now: Timestamp) -> Self {
        let book = book.at(&allowance, now.as_millisecond());
        Self { allowance, book }
    }

    /// The condition. `at` is the budget's path, `unpriced` are the models that it cannot pay for.
    pub fn fact(&self, at: &str, unpriced: &[String]) -> Fact {
        let (kind, unit) = (ConditionType::BudgetAvailable, &self.allowance.unit);
        if !unpriced.is_empty() {
            let message = format!(
                "no price in {unit}: {}; set spec.pricing of the ModelDeployment, with 0 where calls cost nothing",
                unpriced.join(", ")
            );
            return Fact::no(kind, Reason::ModelsUnpriced, message);
        }
        if self.is_short() {
            let wait = match self.turns() {
                Some(_) => ", or wait for the next period",
                None => "",
            };
            let message = format!(
                "{} of {} have no room for the next call: raise {at}.{}{wait}",
                unit.say(self.allowance.limit),
                self.book.period,
                unit.field(),
            );
            return Fact::no(kind, Reason::BudgetExhausted, message);
        }
        let meaning = Reason::WithinBudget.meaning();
        Fact::yes(kind, Reason::WithinBudget, meaning)
    }

    /// The numbers.
    pub fn spent(&self) -> BudgetSpent {
        let unit = &self.allowance.unit;
        BudgetSpent {
            spent: unit.decimal(self.book.spent()),
            committed: unit.decimal(self.book.committed()),
            currency: unit.to_string(),
            period: self.book.period.clone(),
        }
    }

    pub fn is_short(&self) -> bool {
        self.book.is_short(self.allowance.limit)
    }

    /// Time until a budget that does not pay for calls does again.
    pub fn turns_after(&self, now: Timestamp) -> Option<Duration> {
        let left = self.turns()?.saturating_sub(now.as_millisecond());
        let left = Duration::from_millis(u64::try_from(left).ok()?);
        self.is_short().then_some(left)
    }

    /// When the period ends, if it does.
    fn turns(&self) -> Option<i64> {
        Some(self.book.ends_ms).filter(|ends| *ends < i64::MAX)
    }
}
