//! Books of budgets, for tests.

#![allow(clippy::unwrap_used, reason = "a test whose book refuses fails")]

use aios_budget::{Allowance, Ask, Book, Period};
use aios_crds::budget::Unit;

/// So many millionths of a euro on the first day of 1970, in UTC.
pub fn first_day(limit: u64) -> Allowance {
    Allowance {
        unit: Unit::Money("EUR".into()),
        limit,
        period: Period {
            name: "1970-01-01".into(),
            ends_ms: 86_400_000,
        },
    }
}

/// The book after one data plane asked for so much.
pub fn asked(allowance: &Allowance, needs: u64) -> Book {
    let ask = Ask {
        holder: "a".into(),
        sequence: 1,
        unit: Some(allowance.unit.clone()),
        period: String::new(),
        spent: 0,
        keeps: 0,
        needs,
        wishes: needs,
        closes: false,
    };
    Book::default().ask(allowance, &ask, 0).unwrap().0
}
