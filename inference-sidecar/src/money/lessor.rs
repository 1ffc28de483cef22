//! Who grants parts of budgets: the operator, or, without one, the process to itself.

use std::{collections::BTreeMap, sync::Mutex};

use aios_budget::{Ask, Book, Grant, Period, Refusal};
use aios_crds::writing_pipeline::Budget;
use aios_proto::control::{LeaseRefusal, LeaseRequest, LeaseResponse};
use aios_runtime::control::Operator;
use jiff::Timestamp;

use crate::lock::lock;

/// Who grants.
pub enum Lessor {
    Operator(Box<Operator>),
    /// Nobody else spends of the budgets, and what was spent is forgotten with the process.
    Own(Mutex<BTreeMap<String, Book>>),
}

/// There is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(String);

impl Lessor {
    /// Without an operator.
    pub fn own() -> Self {
        Self::Own(Mutex::default())
    }

    /// Asks on behalf of a pipeline.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &self,
        pipeline: &str,
        budget: &Budget,
        ask: &Ask,
    ) -> Result<Result<Grant, Refusal>, Away> {
        match self {
            Self::Operator(operator) => {
                let answer = operator.lease(request(pipeline, ask)).await;
                let answer = answer.map_err(|status| Away(status.message().to_owned()))?;
                Ok(granted(answer))
            }
            Self::Own(books) => {
                let now = Timestamp::now();
                let period = Period::of(budget, now).map_err(|error| Away(error.to_string()))?;
                let mut books = lock(books);
                let book = books.entry(pipeline.to_owned()).or_default();
                let limit = budget.amount.millionths();
                let answer = book.ask(limit, &period, ask, now.as_millisecond());
                Ok(answer.map(|(after, grant)| {
                    *book = after;
                    grant
                }))
            }
        }
    }
}

fn request(pipeline: &str, ask: &Ask) -> LeaseRequest {
    LeaseRequest {
        pipeline: pipeline.to_owned(),
        holder: ask.holder.clone(),
        sequence: ask.sequence,
        period: ask.period.clone(),
        spent: ask.spent,
        keeps: ask.keeps,
        needs: ask.needs,
        wishes: ask.wishes,
        closes: ask.closes,
    }
}

fn granted(answer: LeaseResponse) -> Result<Grant, Refusal> {
    match answer.refusal() {
        LeaseRefusal::Unknown => Err(Refusal::Unknown),
        LeaseRefusal::Stale => Err(Refusal::Stale),
        LeaseRefusal::Unspecified => Ok(Grant {
            period: answer.period,
            ends_in_ms: answer.ends_in_ms,
            granted: answer.granted,
        }),
    }
}
