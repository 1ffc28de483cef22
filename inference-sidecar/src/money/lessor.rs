//! Who grants parts of budgets: the operator, or, without one, the process to itself.

use std::{collections::BTreeMap, sync::Mutex};

use aios_budget::{Allowance, Ask, Book, Grant, Refusal};
use aios_proto::control::{LeaseRefusal, LeaseRequest, LeaseResponse};
use aios_runtime::control::Operator;
use jiff::Timestamp;

use super::fund::{Fund, Terms};
use crate::lock::lock;

/// Who grants.
pub enum Lessor {
    Operator(Box<Operator>),
    /// Nobody else spends of the budgets, and what was spent is forgotten with the process.
    Own(Mutex<BTreeMap<(i32, String), Book>>),
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(Grant),
    Refused(Refusal),
    /// What the budget was for is gone: it bounds nothing any more.
    Gone,
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

    /// Asks for a part of a budget.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, fund: &Fund, ask: &Ask) -> Result<Answer, Away> {
        match self {
            Self::Operator(operator) => {
                let answer = operator.lease(request(fund, ask)).await;
                let answer = answer.map_err(|status| Away(status.message().to_owned()))?;
                Ok(granted(answer))
            }
            Self::Own(books) => {
                let Terms::Known(budget) = &fund.terms else {
                    return Err(Away("no operator says what it allows".to_owned()));
                };
                let now = Timestamp::now();
                let allowance = Allowance::of(budget, now);
                let allowance = allowance.map_err(|error| Away(error.to_string()))?;
                let mut books = lock(books);
                let key = (fund.scope.into(), fund.name.clone());
                let book = books.entry(key).or_default();
                Ok(match book.ask(&allowance, ask, now.as_millisecond()) {
                    Ok((after, grant)) => {
                        *book = after;
                        Answer::Granted(grant)
                    }
                    Err(refusal) => Answer::Refused(refusal),
                })
            }
        }
    }
}

fn request(fund: &Fund, ask: &Ask) -> LeaseRequest {
    LeaseRequest {
        scope: fund.scope.into(),
        name: fund.name.clone(),
        holder: ask.holder.clone(),
        sequence: ask.sequence,
        period: ask.period.clone(),
        spent: ask.spent,
        keeps: ask.keeps,
        needs: ask.needs,
        wishes: ask.wishes,
        closes: ask.closes,
        unit: fund.unit.to_string(),
    }
}

fn granted(answer: LeaseResponse) -> Answer {
    match answer.refusal() {
        LeaseRefusal::Unknown => Answer::Refused(Refusal::Unknown),
        LeaseRefusal::Stale => Answer::Refused(Refusal::Stale),
        LeaseRefusal::OtherUnit => Answer::Refused(Refusal::OtherUnit),
        LeaseRefusal::Gone => Answer::Gone,
        LeaseRefusal::Unspecified => Answer::Granted(Grant {
            period: answer.period,
            ends_in_ms: answer.ends_in_ms,
            granted: answer.granted,
        }),
    }
}
