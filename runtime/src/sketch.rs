//! How long things take, in little memory: counts in buckets that grow by a twentieth each. Sketches of
//! different spans or processes are added bucket by bucket. Pure.

use std::{sync::LazyLock, time::Duration};

use aios_proto::control;

/// Each bucket ends so much later than the one before: percentiles are told up to 5 % too late.
const GROWTH: f64 = 1.05;
/// From a microsecond to 100 minutes.
const BUCKETS: usize = 465;

/// Where buckets end.
static ENDS: LazyLock<Vec<Duration>> = LazyLock::new(|| {
    let ends = (1_u16..).map(|bucket| Duration::from_secs_f64(GROWTH.powi(bucket.into()) / 1e6));
    ends.take(BUCKETS).collect()
});

/// Counts of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// As long as the highest bucket that was needed.
    counts: Vec<u32>,
    total: u64,
}

impl Sketch {
    pub fn add(&mut self, took: Duration) {
        let bucket = ENDS.partition_point(|end| *end <= took).min(BUCKETS - 1);
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
        let wanted = (self.total * u64::from(percent)).div_ceil(100).max(1);
        let mut found = 0;
        let at = self.counts.iter().position(|count| {
            found += u64::from(*count);
            found >= wanted
        });
        ENDS.get(at?).copied()
    }

    /// As it is sent: without the empty buckets before the first.
    pub fn to_wire(&self) -> control::Sketch {
        let first = self.counts.iter().position(|count| *count > 0);
        let first = first.unwrap_or(self.counts.len());
        control::Sketch {
            first: u32::try_from(first).unwrap_or(u32::MAX),
            counts: self.counts.iter().skip(first).copied().collect(),
        }
    }

    /// As it was sent. What lies beyond the last bucket is left out.
    pub fn of_wire(sketch: &control::Sketch) -> Self {
        let first = usize::try_from(sketch.first)
            .unwrap_or(BUCKETS)
            .min(BUCKETS);
        let mut counts = vec![0; first];
        counts.extend(sketch.counts.iter().take(BUCKETS - first));
        while counts.last() == Some(&0) {
            counts.pop();
        }
        let total = counts.iter().map(|count| u64::from(*count)).sum();
        Self { counts, total }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aios_proto::control;
    use proptest::prelude::{Strategy, prop, proptest};

    use super::Sketch;

    fn sketch(micros: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for micros in micros {
            sketch.add(Duration::from_micros(*micros));
        }
        sketch
    }

    fn spans() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(
            (0_u32..9).prop_flat_map(|power| 1..=5 * 10_u64.pow(power)),
            1..200,
        )
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_early_and_five_percent_late_at_most(mut micros in spans(), percent in 1_u32..=100) {
            let told = sketch(&micros).percentile(percent).unwrap().as_secs_f64() * 1e6;
            micros.sort_unstable();
            let rank = (micros.len() * percent as usize).div_ceil(100).max(1);
            let exact = micros[rank - 1] as f64;
            assert!(told >= exact * 0.999 && told <= exact * 1.051, "{told} {exact}");
        }

        #[test]
        fn two_sketches_together_are_the_sketch_of_all(one in spans(), two in spans()) {
            let mut merged = sketch(&one);
            merged.merge(&sketch(&two));
            let all = [one, two].concat();
            assert_eq!(merged, sketch(&all));
        }

        #[test]
        fn a_sketch_comes_out_as_it_was_sent(micros in spans()) {
            let sketch = sketch(&micros);
            assert_eq!(Sketch::of_wire(&sketch.to_wire()), sketch);
        }
    }

    #[test]
    fn of_nothing_nothing_is_told_and_extremes_have_a_place() {
        assert_eq!(Sketch::default().percentile(95), None);
        assert_eq!(
            Sketch::of_wire(&Sketch::default().to_wire()),
            Sketch::default()
        );
        let extremes = sketch(&[0, u64::MAX / 2_000]);
        assert_eq!(extremes.total(), 2);
        assert_eq!(extremes.counts.len(), super::BUCKETS);
    }

    #[test]
    fn what_nobody_here_sends_takes_no_room() {
        for first in [0, 400, u32::MAX] {
            let counts = vec![1; 10_000];
            let sketch = Sketch::of_wire(&control::Sketch { first, counts });
            assert!(sketch.counts.len() <= super::BUCKETS);
        }
    }
}
