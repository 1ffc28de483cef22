//! What is granted of one budget in one period. Whoever keeps it writes the next book down before the
//! grant goes out: then a grant that nobody remembers cannot be.

use std::collections::BTreeMap;

use aios_crds::budget::Unit;
use serde::{Deserialize, Serialize};

use crate::Allowance;

/// A holder that was not heard of for so long is gone, or will be told so: its lease counts as spent.
const SILENCE_MS: i64 = 60 * 60 * 1000;

/// A budget's grants. Amounts are of its unit: millionths of a currency, or tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// Name of the period; empty before the first.
    pub period: String,
    /// Milliseconds since 1970.
    pub ends_ms: i64,
    /// What its amounts are of; none of an older release's book, which takes that of the next question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    /// Spent by holders that have ended.
    closed: u64,
    /// What was asked for last in vain; 0 when the last question was granted.
    short_of: u64,
    leases: BTreeMap<String, Lease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    /// Of the last question.
    sequence: u64,
    granted: u64,
    spent: u64,
    heard_ms: i64,
}

/// A holder's question. Amounts are of its lease, in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Never used again by another: a process that starts anew is another holder.
    pub holder: String,
    /// Grows with each question, so that one that comes late is told from the last.
    pub sequence: u64,
    /// What its amounts are of; none of an older release's holder.
    pub unit: Option<Unit>,
    /// Of the lease; empty without one.
    pub period: String,
    pub spent: u64,
    /// What it knows to be granted.
    pub keeps: u64,
    /// What it needs beyond.
    pub needs: u64,
    /// What it would have, to ask seldom.
    pub wishes: u64,
    /// It spends no more: the rest is free again.
    pub closes: bool,
}

/// What a holder may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub period: String,
    /// Milliseconds until the period ends: clocks of holders need not be right.
    pub ends_in_ms: u64,
    /// Of the lease, in all.
    pub granted: u64,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a later question was answered")]
    Stale,
    /// It was silent for too long, or the period turned: it begins anew, with nothing.
    #[error("the lease is not in the book")]
    Unknown,
    #[error("the budget counts something else")]
    OtherUnit,
}

impl Book {
    /// The book at a moment: empty once its period is over, and where it counted something else. A clock
    /// that goes back turns no period.
    #[must_use]
    pub fn at(&self, allowance: &Allowance, now_ms: i64) -> Self {
        let Allowance { unit, period, .. } = allowance;
        let counts = self.unit.as_ref().is_none_or(|own| own == unit);
        let unit = Some(unit.clone());
        if counts && now_ms < self.ends_ms {
            return Self {
                unit,
                ..self.clone()
            };
        }
        Self {
            period: period.name.clone(),
            ends_ms: period.ends_ms,
            unit,
            ..Self::default()
        }
    }

    /// Answers a question within what is allowed, with the book that holds then.
    ///
    /// # Errors
    /// When the question is late, in another unit or about a lease that is not there.
    pub fn ask(
        &self,
        allowance: &Allowance,
        ask: &Ask,
        now_ms: i64,
    ) -> Result<(Self, Grant), Refusal> {
        if ask
            .unit
            .as_ref()
            .is_some_and(|unit| *unit != allowance.unit)
        {
            return Err(Refusal::OtherUnit);
        }
        let limit = allowance.limit;
        let mut book = self.at(allowance, now_ms);
        book.forget(now_ms);
        let mut lease = book.known(ask)?;
        lease.sequence = ask.sequence;
        lease.heard_ms = now_ms;
        if ask.closes {
            book.closed = book.closed.saturating_add(lease.spent);
            book.leases.remove(&ask.holder);
            return Ok((book.clone(), book.grant(0, now_ms)));
        }
        book.leases.insert(ask.holder.clone(), lease.clone());
        if ask.needs > 0 {
            let left = book.left(limit);
            // Parts become smaller with what is left, so that no holder sits on all of it.
            let most = (left / 4).max(ask.needs);
            if ask.needs <= left {
                let wishes = ask.wishes.clamp(ask.needs, most);
                lease.granted = lease.granted.saturating_add(wishes);
                book.short_of = 0;
            } else {
                book.short_of = ask.needs;
            }
        }
        let granted = lease.granted;
        book.leases.insert(ask.holder.clone(), lease);
        let grant = book.grant(granted, now_ms);
        Ok((book, grant))
    }

    /// What holders say that they spent.
    pub fn spent(&self) -> u64 {
        let spent = self.leases.values().map(|lease| lease.spent);
        spent.fold(self.closed, u64::saturating_add)
    }

    /// What is spent or may be.
    pub fn committed(&self) -> u64 {
        let leases = self.leases.values();
        leases
            .map(|lease| lease.granted.max(lease.spent))
            .fold(self.closed, u64::saturating_add)
    }

    /// What can still be granted.
    pub fn left(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.committed())
    }

    /// Whether a call asked in vain and would again.
    pub fn is_short(&self, limit: u64) -> bool {
        self.short_of > self.left(limit)
    }

    /// Whether all that is granted is granted in another book, too. Then this one need not be written
    /// before its answer goes out.
    pub fn grants_as(&self, other: &Self) -> bool {
        let grants = |book: &Self| -> Vec<_> {
            let leases = book.leases.iter();
            leases
                .map(|(holder, lease)| (holder.clone(), lease.granted))
                .collect()
        };
        self.period == other.period
            && self.unit == other.unit
            && self.ends_ms == other.ends_ms
            && (self.closed, self.short_of) == (other.closed, other.short_of)
            && grants(self) == grants(other)
    }

    /// The lease that a question is about, as far as the question changes it.
    fn known(&self, ask: &Ask) -> Result<Lease, Refusal> {
        let own = ask.period == self.period;
        match self.leases.get(&ask.holder) {
            Some(lease) if ask.sequence <= lease.sequence => Err(Refusal::Stale),
            // The lease is one that a late question made after the holder's own was struck.
            Some(lease) if ask.keeps > lease.granted => Err(Refusal::Unknown),
            Some(lease) if own || ask.period.is_empty() => {
                let spent = lease.spent.max(ask.spent);
                Ok(Lease {
                    // An answer that was lost granted what nobody can spend.
                    granted: lease.granted.min(ask.keeps.max(spent)),
                    spent,
                    ..lease.clone()
                })
            }
            None if ask.period.is_empty() && !ask.closes => Ok(Lease {
                sequence: 0,
                granted: 0,
                spent: 0,
                heard_ms: 0,
            }),
            _ => Err(Refusal::Unknown),
        }
    }

    fn grant(&self, granted: u64, now_ms: i64) -> Grant {
        Grant {
            period: self.period.clone(),
            ends_in_ms: u64::try_from(self.ends_ms.saturating_sub(now_ms)).unwrap_or(0),
            granted,
        }
    }

    /// Counts leases of those long silent as spent, so that the book stays small.
    fn forget(&mut self, now_ms: i64) {
        let oldest = now_ms.saturating_sub(SILENCE_MS);
        let closed = &mut self.closed;
        self.leases.retain(|_, lease| {
            let live = lease.heard_ms >= oldest;
            if !live {
                *closed = closed.saturating_add(lease.granted.max(lease.spent));
            }
            live
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::budget::Unit;

    use super::{Ask, Book, Refusal, SILENCE_MS};
    use crate::{Allowance, Period};

    fn month(name: &str, ends_ms: i64) -> Allowance {
        Allowance {
            unit: Unit::Tokens,
            limit: 100,
            period: Period {
                name: name.into(),
                ends_ms,
            },
        }
    }

    fn november() -> Allowance {
        month("2026-11", 1_000_000_000)
    }

    fn november_in_euros() -> Allowance {
        Allowance {
            unit: Unit::Money("EUR".into()),
            ..november()
        }
    }

    fn first(holder: &str, needs: u64) -> Ask {
        Ask {
            holder: holder.into(),
            sequence: 1,
            unit: Some(Unit::Tokens),
            period: String::new(),
            spent: 0,
            keeps: 0,
            needs,
            wishes: needs,
            closes: false,
        }
    }

    fn next(holder: &str, sequence: u64, spent: u64, keeps: u64, needs: u64) -> Ask {
        Ask {
            sequence,
            period: "2026-11".into(),
            spent,
            keeps,
            ..first(holder, needs)
        }
    }

    fn ask(book: &mut Book, ask: &Ask, now_ms: i64) -> Result<u64, Refusal> {
        let (after, grant) = book.ask(&november(), ask, now_ms)?;
        *book = after;
        Ok(grant.granted)
    }

    #[test]
    fn no_more_than_the_limit_is_granted() {
        let mut book = Book::default();
        assert_eq!(ask(&mut book, &first("a", 60), 0), Ok(60));
        assert_eq!(ask(&mut book, &first("b", 60), 0), Ok(0));
        assert!(book.is_short(100) && !book.is_short(200));
        assert_eq!(ask(&mut book, &next("b", 2, 0, 0, 40), 0), Ok(40));
        assert_eq!((book.left(100), book.is_short(100)), (0, false));
    }

    #[test]
    fn wishes_are_granted_up_to_a_quarter_of_what_is_left() {
        let mut book = Book::default();
        let greedy = Ask {
            wishes: 1000,
            ..first("a", 1)
        };
        assert_eq!(ask(&mut book, &greedy, 0), Ok(25));
    }

    #[test]
    fn a_lease_counts_as_spent_until_its_holder_says_otherwise() {
        let mut book = Book::default();
        ask(&mut book, &first("dead", 60), 0).unwrap();
        ask(&mut book, &next("dead", 2, 10, 60, 0), 0).unwrap();
        assert_eq!((book.spent(), book.committed()), (10, 60));
        let last = Ask {
            closes: true,
            ..next("dead", 3, 20, 60, 0)
        };
        ask(&mut book, &last, 0).unwrap();
        assert_eq!((book.spent(), book.committed()), (20, 20));
    }

    #[test]
    fn what_an_answer_granted_that_was_lost_is_free_again() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 60), 0).unwrap();
        let again = Ask {
            sequence: 2,
            ..first("a", 10)
        };
        assert_eq!(ask(&mut book, &again, 0), Ok(10));
        assert_eq!(book.committed(), 10);
    }

    #[test]
    fn a_question_that_comes_late_takes_nothing_back() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 20), 0).unwrap();
        ask(&mut book, &next("a", 3, 0, 20, 20), 0).unwrap();
        let late = next("a", 2, 0, 20, 0);
        assert_eq!(ask(&mut book, &late, 0), Err(Refusal::Stale));
        assert_eq!(book.committed(), 40);
    }

    #[test]
    fn who_was_silent_too_long_begins_anew_and_its_lease_is_spent() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 60), 0).unwrap();
        let later = SILENCE_MS + 1;
        let back = next("a", 2, 5, 60, 10);
        assert_eq!(ask(&mut book, &back, later), Err(Refusal::Unknown));
        assert_eq!(ask(&mut book, &first("b", 40), later), Ok(40));
        assert_eq!(book.spent(), 60);
    }

    #[test]
    fn a_late_question_of_a_struck_holder_does_not_stand_for_its_lease() {
        let mut book = Book::default();
        let again = Ask {
            sequence: 2,
            ..first("a", 60)
        };
        ask(&mut book, &again, 0).unwrap();
        ask(&mut book, &first("a", 10), SILENCE_MS + 1).unwrap();
        let back = next("a", 3, 50, 60, 10);
        assert_eq!(ask(&mut book, &back, SILENCE_MS + 1), Err(Refusal::Unknown));
        assert_eq!(book.committed(), 70);
    }

    #[test]
    fn a_period_turns_once_and_never_back() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 100), 0).unwrap();
        let december = month("2026-12", 2_000_000_000);
        let (turned, grant) = book.ask(&december, &first("b", 80), 1_000_000_000).unwrap();
        assert_eq!((grant.period.as_str(), grant.granted), ("2026-12", 80));
        let of_the_past = turned.at(&november(), 999_999_999);
        assert_eq!(
            (of_the_past.period.as_str(), of_the_past.committed()),
            ("2026-12", 80)
        );
        let old = next("a", 2, 100, 100, 0);
        let answer = turned.ask(&december, &old, 1_000_000_001);
        assert_eq!(answer, Err(Refusal::Unknown));
    }

    #[test]
    fn a_book_that_counts_something_else_begins_anew_and_grants_nothing_in_the_old_unit() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 60), 0).unwrap();
        let old = next("a", 2, 10, 60, 40);
        let answer = book.ask(&november_in_euros(), &old, 0);
        assert_eq!(answer, Err(Refusal::OtherUnit));

        let euros = Ask {
            unit: Some(Unit::Money("EUR".into())),
            ..first("a", 90)
        };
        let (anew, grant) = book.ask(&november_in_euros(), &euros, 0).unwrap();
        assert_eq!((grant.granted, anew.committed()), (90, 90));
        assert!(!anew.grants_as(&book));
        assert_eq!(anew.at(&november(), 0).committed(), 0);
    }

    #[test]
    fn a_book_of_an_older_release_takes_the_unit_of_the_next_question() {
        let old = r#"{"period":"2026-11","endsMs":1000000000,"closed":30,"shortOf":0,"leases":{}}"#;
        let old: Book = serde_json::from_str(old).unwrap();
        let older = Ask {
            unit: None,
            ..first("a", 60)
        };
        let (book, _) = old.ask(&november(), &older, 0).unwrap();
        assert_eq!(book.committed(), 90);
        assert_eq!(book.at(&november_in_euros(), 0).committed(), 0);
    }

    #[test]
    fn a_book_is_read_as_it_was_written() {
        let mut book = Book::default();
        ask(&mut book, &first("a", 60), 0).unwrap();
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
    }
}
