//! Counters of the gateway. Label values are closed sets.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::machine::{Event, Status, Step};

/// Label: where a document arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

/// Label: a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabel {
    step: &'static str,
}

/// The gateway's metrics.
#[derive(Clone)]
pub struct Metrics {
    documents: Family<StatusLabel, Counter>,
    steps: Family<StepLabel, Histogram, fn() -> Histogram>,
    fenced: Counter,
}

const SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            documents: Family::default(),
            steps: Family::new_with_constructor(histogram as fn() -> Histogram),
            fenced: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "aios_documents",
            "Documents by the status they reached",
            self.documents.clone(),
        );
        registry.register(
            "aios_step_duration_seconds",
            "Time of one step",
            self.steps.clone(),
        );
        registry.register(
            "aios_fenced_checkpoints",
            "Results of workers whose lease had gone to another",
            self.fenced.clone(),
        );
    }

    /// Counts an event that was applied.
    pub fn applied(&self, event: &Event, status: Status) {
        let (step, millis) = match event {
            Event::Retrieved(retrieved) => (Step::Retrieve, retrieved.millis),
            Event::Drafted(drafted) => (Step::Draft, drafted.usage.millis),
            Event::Finished { usage, .. } => (Step::Final, usage.millis),
            Event::Checked(checked) => (Step::Check, checked.millis),
            Event::Published { millis, .. } => (Step::Publish, *millis),
            _ => return self.reached(status),
        };
        let label = StepLabel {
            step: step.as_str(),
        };
        self.steps
            .get_or_create(&label)
            .observe(millis as f64 / 1000.0);
        if matches!(step, Step::Check) {
            self.reached(status);
        }
    }

    pub fn fenced(&self) {
        self.fenced.inc();
    }

    fn reached(&self, status: Status) {
        self.documents
            .get_or_create(&StatusLabel {
                status: status.as_str(),
            })
            .inc();
    }
}
