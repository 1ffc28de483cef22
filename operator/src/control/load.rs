//! What egresses ask of one model, added up and kept for as long as decisions look back. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use aios_proto::control::ModelDemand;
use jiff::Timestamp;

/// A demand that was not told again for so long is a dead pod's. Egresses repeat theirs every 15 s.
const STALE: Duration = Duration::from_secs(45);
/// Longest that decisions look back.
const HORIZON: Duration = Duration::from_hours(24);
/// Steps that are kept; beyond, the oldest are merged into their higher one.
const STEPS: usize = 256;

/// The load of one model.
#[derive(Debug)]
pub struct Load {
    /// Since when it is known.
    since: Timestamp,
    /// By pod.
    told: BTreeMap<String, Told>,
    /// The sums over time: each holds until the next.
    steps: VecDeque<Step>,
    /// Groups that were needed when a decision was last asked for, and calls that one carries.
    needed: u32,
    share: u32,
}

#[derive(Debug)]
struct Told {
    stream: u64,
    at: Timestamp,
    demand: ModelDemand,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    at: Timestamp,
    calls: u32,
    /// Answer tokens so far.
    tokens: u64,
}

impl Load {
    pub fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            told: BTreeMap::new(),
            steps: VecDeque::new(),
            needed: 0,
            share: 1,
        }
    }

    /// Records what a pod says now. Whether another number of groups may be needed.
    pub fn tell(&mut self, pod: &str, stream: u64, demand: ModelDemand, now: Timestamp) -> bool {
        let before = self.told.get(pod).filter(|told| told.stream == stream);
        let new = before.map_or(0, |told| {
            demand
                .output_tokens
                .saturating_sub(told.demand.output_tokens)
        });
        let told = Told {
            stream,
            at: now,
            demand,
        };
        self.told.insert(pod.to_owned(), told);
        self.step(new, now);
        self.is_news()
    }

    /// A pod's stream ended. Whether another number of groups may be needed.
    pub fn hung_up(&mut self, pod: &str, stream: u64, now: Timestamp) -> bool {
        if self.told.get(pod).is_none_or(|told| told.stream != stream) {
            return false;
        }
        self.told.remove(pod);
        self.step(0, now);
        self.is_news()
    }

    /// Drops what is too old, before a decision. `share` is how many calls one group carries.
    pub fn settle(&mut self, share: u32, now: Timestamp) {
        self.share = share.max(1);
        self.told
            .retain(|_, told| told.demand.in_flight == 0 || between(told.at, now) <= STALE);
        self.step(0, now);
        self.needed = self.calls().div_ceil(self.share);
    }

    fn is_news(&mut self) -> bool {
        let needed = self.calls().div_ceil(self.share);
        std::mem::replace(&mut self.needed, needed) != needed
    }

    fn step(&mut self, new_tokens: u64, now: Timestamp) {
        let last = self.steps.back().copied();
        let tokens = last.map_or(0, |step| step.tokens) + new_tokens;
        let calls = self.calls();
        if last.is_none_or(|step| (step.calls, step.tokens) != (calls, tokens)) {
            self.steps.push_back(Step {
                at: now,
                calls,
                tokens,
            });
        }
        while self.steps.len() > STEPS {
            let Some(oldest) = self.steps.pop_front() else {
                break;
            };
            if let Some(next) = self.steps.front_mut() {
                next.at = oldest.at;
                next.calls = next.calls.max(oldest.calls);
            }
        }
        while self
            .steps
            .get(1)
            .is_some_and(|next| between(next.at, now) > HORIZON)
        {
            self.steps.pop_front();
        }
    }

    // === what decisions ask ===

    /// For how long the load is known.
    pub fn known_for(&self, now: Timestamp) -> Duration {
        between(self.since, now)
    }

    /// Calls under way or held.
    pub fn calls(&self) -> u32 {
        self.told
            .values()
            .fold(0, |sum, told| sum.saturating_add(told.demand.in_flight))
    }

    /// The mean of calls over the last `span`, or over what is known of it.
    pub fn mean(&self, span: Duration, now: Timestamp) -> f64 {
        let (mut area, mut covered) = (0.0, 0.0);
        self.each(span, now, |step, lasted| {
            area += f64::from(step.calls) * lasted.as_secs_f64();
            covered += lasted.as_secs_f64();
        });
        if covered > 0.0 {
            area / covered
        } else {
            f64::from(self.calls())
        }
    }

    /// Answer tokens a second over the last `span`.
    pub fn tokens_per_second(&self, span: Duration, now: Timestamp) -> f64 {
        let before = self
            .steps
            .iter()
            .rfind(|step| between(step.at, now) >= span);
        let first = before.or(self.steps.front()).map_or(0, |step| step.tokens);
        let last = self.steps.back().map_or(0, |step| step.tokens);
        let tokens = u32::try_from(last.saturating_sub(first)).unwrap_or(u32::MAX);
        f64::from(tokens) / span.as_secs_f64().max(1.0)
    }

    /// Most calls at once over the last `span`.
    pub fn peak(&self, span: Duration, now: Timestamp) -> u32 {
        let mut peak = self.calls();
        self.each(span, now, |step, _| peak = peak.max(step.calls));
        peak
    }

    /// Time until there were at most `calls` for `span`, if it stays as it is; none while there are more.
    pub fn quiet_in(&self, calls: u32, span: Duration, now: Timestamp) -> Option<Duration> {
        if self.calls() > calls {
            return None;
        }
        let above = self.steps.iter().rposition(|step| step.calls > calls);
        let fell = above
            .and_then(|at| self.steps.get(at + 1))
            .map(|step| step.at);
        Some(fell.map_or(Duration::ZERO, |at| span.saturating_sub(between(at, now))))
    }

    /// Each step of the last `span`, and how long it lasted within it.
    fn each(&self, span: Duration, now: Timestamp, mut see: impl FnMut(&Step, Duration)) {
        for (at, step) in self.steps.iter().enumerate() {
            let ended = self
                .steps
                .get(at + 1)
                .map_or(Duration::ZERO, |next| between(next.at, now));
            let began = between(step.at, now).min(span);
            if began > ended {
                see(step, began.saturating_sub(ended));
            }
        }
    }
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use std::time::Duration;

    use aios_proto::control::ModelDemand;
    use jiff::Timestamp;

    use super::Load;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn calls(in_flight: u32, output_tokens: u64) -> ModelDemand {
        ModelDemand {
            model: "m".into(),
            in_flight,
            held: 0,
            output_tokens,
        }
    }

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn demands_of_pods_add_up_and_end_with_their_streams() {
        let mut load = Load::new(at(0));
        load.tell("a", 1, calls(3, 0), at(0));
        load.tell("b", 2, calls(4, 0), at(0));
        assert_eq!(load.calls(), 7);
        load.tell("a", 3, calls(5, 0), at(1));
        assert!(!load.hung_up("a", 1, at(2)), "an older stream of the pod");
        assert_eq!(load.calls(), 9);
        load.hung_up("a", 3, at(2));
        assert_eq!(load.calls(), 4);
    }

    #[test]
    fn a_pod_that_fell_silent_counts_no_longer() {
        let mut load = Load::new(at(0));
        load.tell("a", 1, calls(3, 0), at(0));
        load.settle(1, at(45));
        assert_eq!(load.calls(), 3);
        load.settle(1, at(46));
        assert_eq!(load.calls(), 0);
    }

    #[test]
    fn mean_peak_and_rate_look_back_no_further_than_asked() {
        let mut load = Load::new(at(0));
        load.tell("a", 1, calls(8, 0), at(0));
        load.tell("a", 1, calls(2, 500), at(95));
        assert_eq!(load.mean(TEN, at(100)), 5.0);
        assert_eq!(load.peak(TEN, at(100)), 8);
        assert_eq!(load.peak(Duration::from_secs(4), at(100)), 2);
        assert_eq!(load.tokens_per_second(TEN, at(100)), 50.0);
        assert_eq!(load.tokens_per_second(TEN, at(110)), 0.0);
    }

    #[test]
    fn quiet_is_counted_from_the_last_moment_that_was_not() {
        let mut load = Load::new(at(0));
        assert_eq!(load.quiet_in(0, TEN, at(1)), Some(Duration::ZERO));
        load.tell("a", 1, calls(1, 0), at(1));
        assert_eq!(load.quiet_in(0, TEN, at(2)), None);
        load.tell("a", 1, calls(0, 0), at(3));
        assert_eq!(load.quiet_in(0, TEN, at(7)), Some(Duration::from_secs(6)));
        assert_eq!(load.quiet_in(0, TEN, at(13)), Some(Duration::ZERO));
    }

    #[test]
    fn only_another_number_of_groups_is_news() {
        let mut load = Load::new(at(0));
        assert!(load.tell("a", 1, calls(1, 0), at(0)), "the first call");
        load.settle(4, at(0));
        assert!(!load.tell("a", 1, calls(4, 0), at(1)));
        assert!(load.tell("a", 1, calls(5, 0), at(2)));
        assert!(load.hung_up("a", 1, at(3)));
    }

    #[test]
    fn a_busy_day_keeps_its_peak_in_few_steps() {
        let mut load = Load::new(at(0));
        load.tell("a", 1, calls(99, 0), at(0));
        for second in 1..2000 {
            load.tell(
                "a",
                1,
                calls(u32::try_from(second % 7).unwrap(), 0),
                at(second),
            );
        }
        assert!(load.steps.len() <= super::STEPS);
        assert_eq!(load.peak(Duration::from_hours(1), at(2000)), 99);
    }
}
