//! How fast models answer, as their callers say: what all egresses tell is added up when somebody asks.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aios_proto::control::{self, ModelSpeed};
use aios_runtime::sketch::Sketch;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Percentiles that are told, and what Prometheus calls them.
const PERCENTILES: [(u32, &str); 3] = [(50, "0.5"), (95, "0.95"), (99, "0.99")];

/// What egresses said last. Clones are one.
#[derive(Clone, Default)]
pub struct Speeds(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    next: u64,
    by_teller: BTreeMap<u64, (String, Vec<ModelSpeed>)>,
}

/// One egress; dropping it takes back what it said.
pub struct Teller {
    speeds: Speeds,
    namespace: String,
    id: u64,
}

/// The sketches of one model.
#[derive(Default)]
struct Speed {
    own: Sketch,
    first_token: Sketch,
    answer: Sketch,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    namespace: String,
    aios_model: String,
    part: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct QuantileLabels {
    #[prometheus(flatten)]
    of: Labels,
    quantile: &'static str,
}

impl Speeds {
    /// An egress of a namespace attached.
    pub fn teller(&self, namespace: &str) -> Teller {
        let mut told = self.told();
        told.next += 1;
        Teller {
            speeds: self.clone(),
            namespace: namespace.to_owned(),
            id: told.next,
        }
    }

    /// Namespaces and models of which something is told.
    #[cfg(test)]
    pub fn models(&self) -> Vec<(String, String)> {
        self.sums().into_keys().collect()
    }

    /// By namespace and model.
    fn sums(&self) -> BTreeMap<(String, String), Speed> {
        let mut sums = BTreeMap::<_, Speed>::new();
        for (namespace, models) in self.told().by_teller.values() {
            for model in models {
                let sum = sums.entry((namespace.clone(), model.model.clone()));
                sum.or_default().add(model);
            }
        }
        sums
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Speed {
    fn add(&mut self, told: &ModelSpeed) {
        for (sum, more) in [
            (&mut self.own, &told.own),
            (&mut self.first_token, &told.first_token),
            (&mut self.answer, &told.answer),
        ] {
            if let Some(more) = more {
                sum.merge(&Sketch::of_wire(more));
            }
        }
    }

    fn parts(&self) -> [(&'static str, &Sketch); 3] {
        [
            ("own", &self.own),
            ("first_token", &self.first_token),
            ("answer", &self.answer),
        ]
    }
}

// === impl Teller ===

impl Teller {
    /// Replaces what it said before.
    pub fn tell(&self, speeds: Vec<ModelSpeed>) {
        // What was sent may be longer than anything that is asked of it.
        let trimmed = |sketch: control::Sketch| Sketch::of_wire(&sketch).to_wire();
        let speeds = speeds.into_iter().map(|speed| ModelSpeed {
            model: speed.model,
            own: speed.own.map(trimmed),
            first_token: speed.first_token.map(trimmed),
            answer: speed.answer.map(trimmed),
        });
        let told = (self.namespace.clone(), speeds.collect());
        self.speeds.told().by_teller.insert(self.id, told);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.speeds.told().by_teller.remove(&self.id);
    }
}

// === impl Collector ===

impl Collector for Speeds {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = self.sums();
        let of = sums.iter().flat_map(|((namespace, model), speed)| {
            speed.parts().map(|(part, sketch)| {
                let labels = Labels {
                    namespace: namespace.clone(),
                    aios_model: model.clone(),
                    part,
                };
                (labels, sketch)
            })
        });
        let of: Vec<_> = of.filter(|(_, sketch)| sketch.total() > 0).collect();
        let mut percentiles = encoder.encode_descriptor(
            "aios_model_call_seconds",
            "Time of recent calls to a model, over all that call it",
            None,
            MetricType::Gauge,
        )?;
        for (labels, sketch) in &of {
            for (percent, quantile) in PERCENTILES {
                let Some(took) = sketch.percentile(percent) else {
                    continue;
                };
                let labels = QuantileLabels {
                    of: labels.clone(),
                    quantile,
                };
                let gauge = ConstGauge::new(took.as_secs_f64());
                gauge.encode(percentiles.encode_family(&labels)?)?;
            }
        }
        let mut counts = encoder.encode_descriptor(
            "aios_model_recent_calls",
            "Calls that the times of a model's recent calls are of",
            None,
            MetricType::Gauge,
        )?;
        for (labels, sketch) in &of {
            let total = i64::try_from(sketch.total()).unwrap_or(i64::MAX);
            ConstGauge::new(total).encode(counts.encode_family(labels)?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Speeds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Speeds").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use aios_proto::control::ModelSpeed;
    use aios_runtime::sketch::Sketch;
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::Speeds;

    fn speed(model: &str, answers: &[u64]) -> ModelSpeed {
        let mut sketch = Sketch::default();
        for millis in answers {
            sketch.add(Duration::from_millis(*millis));
        }
        ModelSpeed {
            model: model.into(),
            answer: Some(sketch.to_wire()),
            ..ModelSpeed::default()
        }
    }

    /// The value of a metric with these labels.
    fn value(registry: &Registry, name: &str, labels: &str) -> Option<f64> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let of = |line: &&str| line.starts_with(name) && line.contains(labels);
        let line = text.lines().find(of)?;
        line.rsplit(' ').next()?.parse().ok()
    }

    #[test]
    fn what_egresses_say_of_a_model_is_told_as_one_until_they_are_gone() {
        let (speeds, mut registry) = (Speeds::default(), Registry::default());
        registry.register_collector(Box::new(speeds.clone()));
        let (one, two) = (speeds.teller("team"), speeds.teller("team"));
        let other = speeds.teller("rival");
        one.tell(vec![speed("small", &[9_000; 10])]);
        one.tell(vec![speed("small", &[10; 10])]);
        two.tell(vec![speed("small", &[1000; 30]), speed("large", &[5])]);
        other.tell(vec![speed("small", &[7_000])]);
        let labels = r#"{namespace="team",aios_model="small",part="answer""#;
        let told = |quantile: &str| {
            let labels = format!("{labels},quantile=\"{quantile}\"");
            value(&registry, "aios_model_call_seconds", &labels)
        };
        let median = told("0.5").unwrap();
        assert!((1.0..=1.05).contains(&median), "{median}");
        let calls = || value(&registry, "aios_model_recent_calls", labels);
        assert_eq!(calls(), Some(40.0));
        drop(two);
        let median = told("0.5").unwrap();
        assert!((0.01..=0.0105).contains(&median), "{median}");
        drop(one);
        assert_eq!((told("0.5"), calls()), (None, None));
    }
}
