//! What a budget allows at a moment.

use aios_crds::budget::{Budget, RunBudget, Unit};
use jiff::Timestamp;

use crate::{Period, PeriodError};

/// So much of a unit, within a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub unit: Unit,
    pub limit: u64,
    pub period: Period,
}

impl Allowance {
    /// # Errors
    /// When the budget's time zone does not exist.
    pub fn of(budget: &Budget, now: Timestamp) -> Result<Self, PeriodError> {
        Ok(Self {
            unit: budget.unit(),
            limit: budget.limit(),
            period: Period::of(budget, now)?,
        })
    }

    /// Of a run: for all of it.
    #[must_use]
    pub fn of_run(budget: &RunBudget) -> Self {
        Self {
            unit: budget.unit(),
            limit: budget.limit(),
            period: Period::of_run(),
        }
    }
}
