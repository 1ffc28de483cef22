//! What policy did to the texts of calls, in numbers.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use aios_crds::policy_set::CallSide;
use aios_policy::VerdictAction;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::channel::Channel;

/// Microseconds for a letter, more for a prompt full of passages.
const SECONDS: [f64; 12] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 0.1, 1.0,
];

/// Its metrics.
pub struct Meters {
    held: Gauge<i64, AtomicI64>,
    judged: Family<Judged, Counter<u64, AtomicU64>>,
    took: Family<Side, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Side {
    side: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    side: &'static str,
    channel: &'static str,
    action: &'static str,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            held: Gauge::default(),
            judged: Family::default(),
            took: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        }
    }
}

impl Meters {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "aios_policy_held_bytes",
            "Bytes of streamed answers that policy holds back",
            self.held.clone(),
        );
        registry.register(
            "aios_sidecar_policy_texts",
            "Texts of calls that policy judged",
            self.judged.clone(),
        );
        registry.register(
            "aios_sidecar_policy_duration_seconds",
            "Time that policy took to judge a text of a call",
            self.took.clone(),
        );
    }

    /// A text was judged, in so much time.
    pub(super) fn judged(
        &self,
        side: CallSide,
        channel: Channel,
        action: VerdictAction,
        took: Duration,
    ) {
        let side = match side {
            CallSide::Prompt => "prompt",
            CallSide::Answer => "answer",
        };
        let labels = Judged {
            side,
            channel: channel.as_str(),
            action: action.as_str(),
        };
        self.judged.get_or_create(&labels).inc();
        let took_seconds = took.as_secs_f64();
        self.took
            .get_or_create(&Side { side })
            .observe(took_seconds);
    }

    /// What a stream holds went from so many bytes to so many.
    pub(super) fn held(&self, from: usize, to: usize) {
        let number = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        if from != to {
            self.held.inc_by(number(to) - number(from));
        }
    }
}
