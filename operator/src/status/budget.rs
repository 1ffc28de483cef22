//! How many writes of mere numbers all objects together may have. What is a fact is always written.

use std::time::{Duration, Instant};

/// Least time between two writes, in the long run.
const EACH: Duration = Duration::from_millis(50);
/// Time that is saved up while nothing is written: a hundred writes at once.
const SAVED: Duration = Duration::from_secs(5);

/// Time that was spent and promised.
#[derive(Debug, Default)]
pub struct Budget {
    /// The moment up to which writes have used time up.
    spent: Option<Instant>,
    /// The last moment that somebody was told to come back at.
    promised: Option<Instant>,
}

impl Budget {
    /// Takes a write.
    ///
    /// # Errors
    /// After what time to ask again: those who are told so come one by one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let spent = self.spent.map_or(now, |spent| spent.max(now));
        if spent < now + SAVED {
            self.spent = Some(spent + EACH);
            return Ok(());
        }
        let free = spent.checked_sub(SAVED).map_or(now, |free| free.max(now));
        let turn = self.promised.map_or(free, |promised| promised.max(free)) + EACH;
        self.promised = Some(turn);
        Err(turn - now)
    }
}

#[cfg(test)]
impl Budget {
    pub fn spent_until(moment: Instant) -> Self {
        Self {
            spent: Some(moment + SAVED),
            promised: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        cmp::Reverse,
        collections::BinaryHeap,
        time::{Duration, Instant},
    };

    use super::{Budget, EACH};

    #[test]
    fn a_hundred_may_be_written_at_once_and_then_twenty_a_second() {
        let (mut budget, begin) = (Budget::default(), Instant::now());
        let written =
            |budget: &mut Budget, at| (0..1_000).take_while(|_| budget.take(at).is_ok()).count();
        assert_eq!(written(&mut budget, begin), 100);
        assert_eq!(written(&mut budget, begin + Duration::from_secs(1)), 20);
        assert_eq!(written(&mut budget, begin + Duration::from_hours(1)), 100);
    }

    #[test]
    fn who_is_put_off_has_a_turn_of_its_own_and_all_are_written() {
        let (mut budget, begin) = (Budget::default(), Instant::now());
        let mut asks: BinaryHeap<_> = (0..2_000).map(|one| Reverse((begin, one, 0))).collect();
        let mut last = begin;
        while let Some(Reverse((at, one, times))) = asks.pop() {
            assert!(times < 3, "{one} is put off again and again");
            match budget.take(at) {
                Ok(()) => last = at,
                Err(after) => asks.push(Reverse((at + after, one, times + 1))),
            }
        }
        assert!(last - begin <= EACH * 2_000);
    }
}
