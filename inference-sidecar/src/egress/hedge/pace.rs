//! When a call of one model is late, and how many may be sent twice. Pure.

use std::time::Duration;

use aios_crds::model_deployment::Hedge;
use tokio::time::Instant;

use crate::recent::Recent;

/// Fewer calls say nothing of a percentile.
const ENOUGH: u64 = 20;
/// A second request, in the hundredths that are counted.
const ONE: u32 = 100;
/// Most that is saved up: a burst of slow calls is not all sent twice.
const MOST: u32 = 10 * ONE;

/// One model's.
#[derive(Debug, Default)]
pub struct Pace {
    /// Until the first token.
    streams: Recent,
    /// Until the whole answer, of calls that are not streamed.
    wholes: Recent,
    /// Second requests that calls paid for.
    left: u32,
}

impl Pace {
    /// A call begins. When it is late; none where too few calls say so.
    pub fn called(&mut self, hedge: Hedge, stream: bool, now: Instant) -> Option<Duration> {
        self.left = (self.left + hedge.max_percent).min(MOST);
        let recent = self.of(stream).sketch(now);
        (recent.total() >= ENOUGH).then(|| recent.percentile(hedge.after_percentile))?
    }

    /// Whether one may be sent twice.
    pub fn take(&mut self) -> bool {
        let left = self.left.checked_sub(ONE);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// An answer took so long.
    pub fn took(&mut self, stream: bool, span: Duration, now: Instant) {
        self.of(stream).took(span, now);
    }

    fn of(&mut self, stream: bool) -> &mut Recent {
        if stream {
            &mut self.streams
        } else {
            &mut self.wholes
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aios_crds::model_deployment::Hedge;
    use tokio::time::Instant;

    use super::{ENOUGH, Pace};
    use crate::recent::WINDOW;

    const HEDGE: Hedge = Hedge {
        after_percentile: 90,
        max_percent: 5,
    };

    fn answered(pace: &mut Pace, calls: u64, millis: u64, now: Instant) {
        for _ in 0..calls {
            pace.took(true, Duration::from_millis(millis), now);
        }
    }

    #[test]
    fn a_call_is_late_when_most_recent_ones_were_faster() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        answered(&mut pace, ENOUGH - 1, 100, now);
        assert_eq!(pace.called(HEDGE, true, now), None, "too few");
        answered(&mut pace, 1, 5000, now);
        let late = pace.called(HEDGE, true, now).unwrap();
        assert!((100..=105).contains(&late.as_millis()), "{late:?}");
        assert_eq!(
            pace.called(HEDGE, false, now),
            None,
            "whole answers are another matter"
        );
    }

    #[test]
    fn what_was_long_ago_counts_no_more() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        answered(&mut pace, ENOUGH, 100, now);
        assert!(pace.called(HEDGE, true, now + WINDOW).is_some());
        answered(&mut pace, ENOUGH, 900, now + WINDOW);
        let late = pace.called(HEDGE, true, now + 2 * WINDOW).unwrap();
        assert!(late.as_millis() >= 900, "{late:?}");
        assert_eq!(pace.called(HEDGE, true, now + 5 * WINDOW), None);
    }

    #[test]
    fn no_more_than_its_share_of_calls_is_sent_twice() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(!pace.take());
        let mut twice = 0;
        for _ in 0..1000 {
            pace.called(HEDGE, true, now);
            twice += u32::from(pace.take());
        }
        assert_eq!(twice, 50);
        for _ in 0..1000 {
            pace.called(HEDGE, true, now);
        }
        let burst = std::iter::repeat_with(|| pace.take()).take_while(|taken| *taken);
        assert_eq!(burst.count(), 10);
    }
}
