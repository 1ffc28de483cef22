//! How much of a pipeline's budget is gone, and whether it pays for calls. Pure.

use std::time::Duration;

use aios_budget::{Book, Period};
use aios_crds::{
    ConditionType, Decimal, Reason, WritingPipeline,
    writing_pipeline::{Budget, BudgetSpent},
};
use jiff::Timestamp;

use super::Observed;
use crate::conditions::Fact;

/// The condition; none without a budget.
pub fn fact(pipeline: &WritingPipeline, observed: &Observed, now: Timestamp) -> Option<Fact> {
    let kind = ConditionType::BudgetAvailable;
    let (budget, book) = present(pipeline, observed.book.as_ref(), now)?;
    let (amount, currency) = (budget.amount, &budget.currency);
    if !observed.unpriced_models.is_empty() {
        let message = format!(
            "no price in {currency}: {}; set spec.pricing of the ModelDeployment, with 0 where calls cost nothing",
            observed.unpriced_models.join(", ")
        );
        return Some(Fact::no(kind, Reason::ModelsUnpriced, message));
    }
    if book.is_short(amount.millionths()) {
        let message = format!(
            "{amount} {currency} of {} have no room for the next call: raise spec.budget.amount, or wait \
             for the next period",
            book.period
        );
        return Some(Fact::no(kind, Reason::BudgetExhausted, message));
    }
    let meaning = Reason::WithinBudget.meaning();
    Some(Fact::yes(kind, Reason::WithinBudget, meaning))
}

/// The numbers; none without a budget.
pub fn spent(
    pipeline: &WritingPipeline,
    book: Option<&Book>,
    now: Timestamp,
) -> Option<BudgetSpent> {
    let (budget, book) = present(pipeline, book, now)?;
    Some(BudgetSpent {
        spent: Decimal::from_millionths(book.spent()),
        committed: Decimal::from_millionths(book.committed()),
        currency: budget.currency.clone(),
        period: book.period,
    })
}

/// Time until a budget that does not pay for calls does again.
pub fn turns(pipeline: &WritingPipeline, observed: &Observed, now: Timestamp) -> Option<Duration> {
    let (budget, book) = present(pipeline, observed.book.as_ref(), now)?;
    let left = book.ends_ms.saturating_sub(now.as_millisecond());
    let left = Duration::from_millis(u64::try_from(left).ok()?);
    book.is_short(budget.amount.millionths()).then_some(left)
}

/// The book as it is in the present period. A time zone that does not exist has none; the compiler says
/// so.
fn present<'a>(
    pipeline: &'a WritingPipeline,
    book: Option<&Book>,
    now: Timestamp,
) -> Option<(&'a Budget, Book)> {
    let budget = pipeline.spec.budget.as_ref()?;
    let period = Period::of(budget, now).ok()?;
    Some((budget, book?.at(&period, now.as_millisecond())))
}
