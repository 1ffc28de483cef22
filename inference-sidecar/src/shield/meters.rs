//! What policy did to the texts of calls, in numbers.

use std::sync::atomic::{AtomicI64, AtomicU64};

use aios_crds::policy_set::CallSide;
use aios_policy::VerdictAction;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::channel::Channel;

/// Its metrics.
#[derive(Default)]
pub struct Meters {
    held: Gauge<i64, AtomicI64>,
    judged: Family<Judged, Counter<u64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    side: &'static str,
    channel: &'static str,
    action: &'static str,
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
    }

    /// A text was judged.
    pub(super) fn judged(&self, side: CallSide, channel: Channel, action: VerdictAction) {
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
    }

    /// What a stream holds went from so many bytes to so many.
    pub(super) fn held(&self, from: usize, to: usize) {
        let number = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        if from != to {
            self.held.inc_by(number(to) - number(from));
        }
    }
}
