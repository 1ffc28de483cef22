//! Counters of the gateway. Label values are closed sets.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use aios_policy::{DryRun, Finding, RuleError, Verdict};

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

/// Labels: a policy, and whether it decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: String,
    mode: &'static str,
}

/// Labels: a rule. As many as the policies of a namespace have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabel {
    policy: String,
    rule: String,
    mode: &'static str,
    outcome: &'static str,
}

const ENFORCED: &str = "enforced";
const DRY_RUN: &str = "dry_run";

/// The gateway's metrics.
#[derive(Clone)]
pub struct Metrics {
    documents: Family<StatusLabel, Counter>,
    steps: Family<StepLabel, Histogram, fn() -> Histogram>,
    judged: Family<PolicyLabel, Counter>,
    fired: Family<RuleLabel, Counter>,
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
            judged: Family::default(),
            fired: Family::default(),
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
            "aios_policy_texts",
            "Texts that a policy judged",
            self.judged.clone(),
        );
        registry.register(
            "aios_policy_rules_fired",
            "Texts in which a rule fired or could not run",
            self.fired.clone(),
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
        if let Event::Checked(checked) = event {
            self.judged_by(&checked.verdict);
            self.reached(status);
        }
    }

    /// Counts what policies said of a text.
    fn judged_by(&self, verdict: &Verdict) {
        for policy in &verdict.policies {
            self.judged(&policy.name, ENFORCED);
        }
        self.fired(ENFORCED, &verdict.findings, &verdict.errors);
        for DryRun {
            policy,
            findings,
            errors,
            ..
        } in &verdict.dry_run
        {
            self.judged(&policy.name, DRY_RUN);
            self.fired(DRY_RUN, findings, errors);
        }
    }

    fn judged(&self, policy: &str, mode: &'static str) {
        let policy = policy.to_owned();
        self.judged
            .get_or_create(&PolicyLabel { policy, mode })
            .inc();
    }

    fn fired(&self, mode: &'static str, findings: &[Finding], errors: &[RuleError]) {
        let found = findings.iter().map(|one| (&one.policy, &one.rule, "fired"));
        let failed = errors.iter().map(|one| (&one.policy, &one.rule, "error"));
        for (policy, rule, outcome) in found.chain(failed) {
            let label = RuleLabel {
                policy: policy.clone(),
                rule: rule.clone(),
                mode,
                outcome,
            };
            self.fired.get_or_create(&label).inc();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_policy::Verdict;
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use serde_json::json;

    use super::Metrics;

    #[test]
    fn rules_that_fire_are_counted_beside_the_texts_and_dry_runs_apart() {
        let zero = format!("sha256:{}", "0".repeat(64));
        let found = |policy: &str, rule: &str| json!({"policy": policy, "rule": rule, "check": "terms", "action": "Warn", "message": "m"});
        let verdict: Verdict = serde_json::from_value(json!({
            "action": "Warn", "document": zero, "engine": "1",
            "policies": [{"name": "house", "digest": zero}],
            "findings": [found("house", "tone")],
            "dryRun": [{"policy": {"name": "next", "digest": zero}, "action": "Block",
                "errors": [{"policy": "next", "rule": "age", "onError": "Closed", "reason": "Missing",
                    "message": "m"}]}],
        }))
        .unwrap();
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        metrics.judged_by(&verdict);
        metrics.judged_by(&verdict);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"aios_policy_texts_total{policy="house",mode="enforced"} 2"#,
            r#"aios_policy_texts_total{policy="next",mode="dry_run"} 2"#,
            r#"aios_policy_rules_fired_total{policy="house",rule="tone",mode="enforced",outcome="fired"} 2"#,
            r#"aios_policy_rules_fired_total{policy="next",rule="age",mode="dry_run",outcome="error"} 2"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
