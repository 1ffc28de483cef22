//! Books of budgets, for tests.

#![allow(clippy::unwrap_used, reason = "a test whose book refuses fails")]

use aios_budget::{Ask, Book, Period};

/// The first day of 1970, in UTC.
pub fn first_day() -> Period {
    Period {
        name: "1970-01-01".into(),
        ends_ms: 86_400_000,
    }
}

/// The book after one data plane asked for so much of a limit.
pub fn asked(limit: u64, period: &Period, needs: u64) -> Book {
    let ask = Ask {
        holder: "a".into(),
        sequence: 1,
        period: String::new(),
        spent: 0,
        keeps: 0,
        needs,
        wishes: needs,
        closes: false,
    };
    Book::default().ask(limit, period, &ask, 0).unwrap().0
}
