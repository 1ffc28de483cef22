//! Remembers which addresses fail, so that calls turn to others first. Judged where a call ends: a stream
//! that breaks in its middle counts as a failure. A breaker never refuses a call: one that has nowhere else
//! to go is tried all the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    lock::lock,
    metrics::{Metrics, ModelLabels},
    outcome::Outcome,
};

/// Failures in a row that open a breaker.
const FAILURES: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// An address that nobody called so long is gone: groups of engines come and go.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// The breakers of a process.
pub struct Breakers {
    metrics: Arc<Metrics>,
    circuits: Mutex<Circuits>,
}

/// Tells the breaker of one address how a call to it ended.
pub struct Judge {
    breakers: Arc<Breakers>,
    address: String,
    labels: ModelLabels,
    /// Whether the call tries an address whose rest is over.
    tries: bool,
}

/// Addresses in trouble. Pure.
#[derive(Debug, Default)]
struct Circuits(HashMap<String, Circuit>);

/// What is known of one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// How often it opened since the last success.
    trips: u32,
    /// Until when others are to be tried first.
    rests_until: Option<Instant>,
    /// The last failure.
    failed: Option<Instant>,
}

/// What an end says of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Works,
    Fails,
    /// Nothing: the caller went away, or the model was not asked.
    Open,
}

impl Breakers {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            circuits: Mutex::default(),
        })
    }

    /// Whether a call may go to the address as if nothing were wrong with it.
    pub fn is_preferred(&self, address: &str) -> bool {
        lock(&self.circuits).is_preferred(address, Instant::now())
    }

    /// Addresses in the order in which a call shall try them.
    pub fn in_order<'a>(&self, addresses: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        lock(&self.circuits).in_order(addresses, Instant::now())
    }

    /// Who judges a call to the address that begins now. Where its rest is over this call tries, and others only after
    /// another rest.
    pub fn judge(self: &Arc<Self>, address: &str, labels: &ModelLabels) -> Judge {
        Judge {
            tries: lock(&self.circuits).begin(address, Instant::now()),
            breakers: self.clone(),
            address: address.to_owned(),
            labels: labels.clone(),
        }
    }
}

impl Judge {
    /// The call ended.
    pub fn end(self, outcome: Outcome) {
        let (address, now) = (self.address, Instant::now());
        if lock(&self.breakers.circuits).end(address, self.tries, outcome, now) {
            self.breakers.metrics.breaker_opened(&self.labels);
        }
    }
}

// === impl Circuits ===

impl Circuits {
    fn is_preferred(&self, address: &str, now: Instant) -> bool {
        let circuit = self.0.get(address);
        circuit.is_none_or(|circuit| circuit.rests_until.is_none_or(|until| until <= now))
    }

    fn in_order<'a>(&self, addresses: impl Iterator<Item = &'a str>, now: Instant) -> Vec<&'a str> {
        let (mut first, last): (Vec<_>, Vec<_>) =
            addresses.partition(|address| self.is_preferred(address, now));
        first.extend(last);
        first
    }

    /// Whether the call tries an address whose rest is over.
    fn begin(&mut self, address: &str, now: Instant) -> bool {
        let circuit = self.0.get_mut(address);
        circuit.is_some_and(|circuit| circuit.begins(now))
    }

    /// Whether that opened the breaker.
    fn end(&mut self, address: String, tries: bool, outcome: Outcome, now: Instant) -> bool {
        match (Verdict::of(outcome), self.0.get_mut(&address)) {
            (Verdict::Open, Some(circuit)) if tries => {
                // Nothing was learnt: the next call tries.
                circuit.rests_until = Some(now);
                false
            }
            (Verdict::Open, _) => false,
            (Verdict::Works, _) => {
                self.0.remove(&address);
                false
            }
            (Verdict::Fails, Some(circuit)) => circuit.fails(tries, now),
            (Verdict::Fails, None) => {
                self.0.retain(|_, circuit| circuit.is_known(now));
                self.0.entry(address).or_default().fails(tries, now)
            }
        }
    }
}

// === impl Circuit ===

impl Circuit {
    fn begins(&mut self, now: Instant) -> bool {
        let tries = self.rests_until.is_some_and(|until| until <= now);
        if tries {
            self.rests_until = Some(now + self.rest());
        }
        tries
    }

    fn is_known(&self, now: Instant) -> bool {
        self.failed
            .is_some_and(|failed| now.saturating_duration_since(failed) < FORGOTTEN)
    }

    fn fails(&mut self, tries: bool, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(now);
        // Once it is open, calls that were under way are no news: the one that tries is.
        let opens = tries || (self.rests_until.is_none() && self.failures >= FAILURES);
        if opens {
            self.trips = self.trips.saturating_add(1);
            self.rests_until = Some(now + self.rest());
        }
        opens
    }

    /// Doubles with each time that it opened.
    fn rest(&self) -> Duration {
        let doubled = FIRST_REST * 2_u32.saturating_pow(self.trips.saturating_sub(1).min(8));
        doubled.min(LONGEST_REST)
    }
}

// === impl Verdict ===

impl Verdict {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            // Whoever says no is there to say it.
            Outcome::Ok | Outcome::Rejected | Outcome::ContextExceeded | Outcome::RateLimited => {
                Self::Works
            }
            Outcome::Unreachable
            | Outcome::Timeout
            | Outcome::Failed
            | Outcome::Cut
            | Outcome::Malformed => Self::Fails,
            Outcome::Cancelled
            | Outcome::NotApplicable
            | Outcome::ConditionFailed
            | Outcome::ModelUnknown
            | Outcome::OutOfBounds
            | Outcome::Refused => Self::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Circuits, FAILURES, FIRST_REST, FORGOTTEN, LONGEST_REST};
    use crate::outcome::Outcome;

    #[derive(Default)]
    struct Told(Circuits);

    impl Told {
        fn tell(&mut self, outcome: Outcome, times: u32, now: Instant) -> bool {
            (0..times).fold(false, |opened, _| {
                self.0.end("a".to_owned(), false, outcome, now) || opened
            })
        }

        /// A call begins, and ends so.
        fn call(&mut self, outcome: Outcome, now: Instant) -> bool {
            let tries = self.0.begin("a", now);
            self.0.end("a".to_owned(), tries, outcome, now)
        }

        fn order(&self, now: Instant) -> Vec<&'static str> {
            self.0.in_order(["a", "b"].into_iter(), now)
        }
    }

    #[test]
    fn an_address_that_fails_again_and_again_is_tried_last() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(!told.tell(Outcome::Failed, FAILURES - 1, now));
        assert_eq!(told.order(now), ["a", "b"]);
        assert!(told.tell(Outcome::Cut, 1, now));
        assert_eq!(told.order(now), ["b", "a"]);
        assert!(!told.0.is_preferred("a", now) && told.0.is_preferred("b", now));
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let (mut told, now) = (Told::default(), Instant::now());
        told.tell(Outcome::Timeout, FAILURES - 1, now);
        told.tell(Outcome::Rejected, 1, now);
        told.tell(Outcome::Timeout, FAILURES - 1, now);
        assert_eq!(told.order(now), ["a", "b"]);
    }

    #[test]
    fn who_goes_away_says_nothing_of_the_address() {
        let (mut told, now) = (Told::default(), Instant::now());
        told.tell(Outcome::Cancelled, 2 * FAILURES, now);
        told.tell(Outcome::Refused, 2 * FAILURES, now);
        assert_eq!(told.order(now), ["a", "b"]);
    }

    #[test]
    fn after_its_rest_one_call_tries_and_its_success_brings_all_back() {
        let (mut told, mut now) = (Told::default(), Instant::now());
        told.tell(Outcome::Unreachable, FAILURES, now);
        now += FIRST_REST;
        assert_eq!(told.order(now), ["a", "b"], "one call tries");
        assert_eq!(
            told.order(now),
            ["a", "b"],
            "who was only listed did not try"
        );
        assert!(told.0.begin("a", now));
        assert_eq!(told.order(now), ["b", "a"], "others do not");
        assert!(
            !told.0.begin("a", now),
            "nor is it a try that comes this far"
        );
        told.tell(Outcome::Ok, 1, now);
        assert_eq!(told.order(now), ["a", "b"]);
    }

    #[test]
    fn a_try_whose_caller_goes_away_leaves_it_to_the_next() {
        let (mut told, mut now) = (Told::default(), Instant::now());
        told.tell(Outcome::Unreachable, FAILURES, now);
        now += FIRST_REST;
        assert!(!told.call(Outcome::Cancelled, now));
        assert_eq!(told.order(now), ["a", "b"]);
        assert!(told.call(Outcome::Failed, now), "the next one tries");
    }

    #[test]
    fn an_address_that_nobody_calls_is_forgotten() {
        let (mut told, mut now) = (Told::default(), Instant::now());
        told.tell(Outcome::Unreachable, FAILURES, now);
        now += FORGOTTEN;
        told.0.end("b".to_owned(), false, Outcome::Failed, now);
        assert_eq!(told.0.0.keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_try_in_vain_doubles_the_rest_up_to_a_minute() {
        let (mut told, mut now) = (Told::default(), Instant::now());
        told.tell(Outcome::Failed, FAILURES, now);
        let mut rests = Vec::new();
        for _ in 0..6 {
            let mut rest = Duration::ZERO;
            while told.order(now) != ["a", "b"] {
                now += Duration::from_secs(1);
                rest += Duration::from_secs(1);
            }
            rests.push(rest);
            assert!(told.call(Outcome::Failed, now));
            assert!(!told.tell(Outcome::Failed, 9, now), "calls under way");
        }
        assert_eq!(rests[0], FIRST_REST);
        assert_eq!(rests[1], FIRST_REST * 2);
        assert_eq!(rests[5], LONGEST_REST);
    }
}
