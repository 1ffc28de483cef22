//! How long things take, in little memory: counts in buckets that grow by a twentieth each. Sketches of
//! different spans or processes are added bucket by bucket. Pure.

use std::time::Duration;

/// Each bucket ends so much later than the one before: percentiles are told up to 5 % too late.
const GROWTH: f64 = 1.05;
/// From a millisecond to 100 minutes.
const BUCKETS: u16 = 320;

/// Counts of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// As long as the highest bucket that was needed.
    counts: Vec<u32>,
    total: u64,
}

impl Sketch {
    pub fn add(&mut self, took: Duration) {
        let bucket = usize::from(bucket(took));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The least end of a bucket up to which so many percent lie; none of nothing.
    pub fn percentile(&self, percent: u32) -> Option<Duration> {
        let wanted = (self.total * u64::from(percent)).div_ceil(100);
        let mut found = 0;
        for (bucket, count) in (1..).zip(&self.counts) {
            found += u64::from(*count);
            if found >= wanted && found > 0 {
                return Some(Duration::from_secs_f64(GROWTH.powi(bucket) / 1000.0));
            }
        }
        None
    }
}

fn bucket(took: Duration) -> u16 {
    let millis = (took.as_secs_f64() * 1000.0).max(1.0);
    let power = millis.log(GROWTH).floor();
    // Ends the search in integers: a cast of a float would want a lint's leave.
    (0..BUCKETS - 1)
        .rev()
        .find(|bucket| f64::from(*bucket) <= power)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{Strategy, prop, proptest};

    use super::Sketch;

    fn sketch(millis: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for millis in millis {
            sketch.add(Duration::from_millis(*millis));
        }
        sketch
    }

    fn spans() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(1_u64..5_000_000, 1..200)
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_early_and_five_percent_late_at_most(mut millis in spans(), percent in 1_u32..=100) {
            let told = sketch(&millis).percentile(percent).unwrap().as_secs_f64() * 1000.0;
            millis.sort_unstable();
            let rank = (millis.len() * percent as usize).div_ceil(100).max(1);
            let exact = millis[rank - 1] as f64;
            assert!(told >= exact * 0.999_999 && told <= exact * 1.051, "{told} {exact}");
        }

        #[test]
        fn two_sketches_together_are_the_sketch_of_all(one in spans(), two in spans()) {
            let mut merged = sketch(&one);
            merged.merge(&sketch(&two));
            let all = [one, two].concat();
            assert_eq!(merged, sketch(&all));
        }
    }

    #[test]
    fn of_nothing_nothing_is_told_and_extremes_have_a_place() {
        assert_eq!(Sketch::default().percentile(95), None);
        let extremes = sketch(&[0, u64::MAX / 2_000_000]);
        assert_eq!(extremes.total(), 2);
        assert!(extremes.counts.len() <= usize::from(super::BUCKETS));
    }
}
